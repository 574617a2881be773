# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Look into documents of which nothing is known."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence


def at(tree: object, *path: str) -> object:
    """Give what is there; None if there is nothing."""
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def mapping(tree: object, *path: str) -> Mapping[str, object]:
    """Give the mapping that is there; {} for anything else."""
    found = at(tree, *path)
    return found if isinstance(found, Mapping) else {}


def sequence(tree: object, *path: str) -> Sequence[object]:
    """Give the list that is there; () for anything else."""
    found = at(tree, *path)
    return found if isinstance(found, list | tuple) else ()


def text(tree: object, *path: str) -> str:
    """Give the text that is there; '' for anything else."""
    found = at(tree, *path)
    return found if isinstance(found, str) else ''


def secrets(mount: object) -> Iterator[str]:
    """Name the Secrets that a mount brings, as they are or projected."""
    for volume in sequence(mount, 'volumes'):
        name = text(volume, 'secret', 'secretName')
        if name:
            yield name
        for source in sequence(volume, 'projected', 'sources'):
            name = text(source, 'secret', 'name')
            if name:
                yield name
