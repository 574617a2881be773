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
"""Documents of others: values, where they stand, and what is wrong there.

The files are those of programs, in YAML or JSON: anchors and tags are no
mistakes, keys that nobody here knows are passed over, and a value is the
text that was written.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import TypeVar

import ruamel.yaml
from ruamel.yaml import error as yaml_error

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.core import cephx

_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A value, or None where there is none.

    :ivar path: the keys that lead to it, in words
    :ivar problems: all that is wrong in its document so far; one list
    """

    source: str
    path: str
    content: object = dataclasses.field(repr=False)
    problems: list[str]

    def tell(self, message: str) -> None:
        """Keep what is wrong here."""
        path = f'{self.path}: ' if self.path else ''
        self.problems.append(f'{self.source}: {path}{message}')

    def key(self, name: str) -> 'Place':
        """Go to a key, whether it is there or not."""
        path = f'{self.path}.{name}' if self.path else name
        content = self.content
        value = content.get(name) if isinstance(content, Mapping) else None
        return dataclasses.replace(self, path=path, content=value)

    @property
    def is_there(self) -> bool:
        """Whether there is a value."""
        return self.content not in (None, '')

    def names(self) -> tuple[str, ...]:
        """The keys of a mapping; none of anything else."""
        if not isinstance(self.content, Mapping):
            return ()
        return tuple(str(key) for key in self.content)

    def items(self, advice: str) -> tuple['Place', ...]:
        """Go to all values of a list, of which there must be one at least."""
        if not isinstance(self.content, list) or not self.content:
            self.tell(f'expected a list with something in it: {advice}')
            return ()
        return tuple(
            dataclasses.replace(self, path=f'{self.path}[{n}]', content=value)
            for n, value in enumerate(self.content)
        )

    def read(self, parse: Callable[[str], _T], advice: str) -> _T | None:
        """Read a text that must be there; None, and a problem, if not.

        `parse` raises ValueError, whose message is told.
        """
        if not self.is_there:
            self.tell(f'is missing: {advice}')
            return None
        if not isinstance(self.content, str):
            self.tell(f'expected a text: {advice}')
            return None
        try:
            return parse(self.content)
        except ValueError as exc:
            self.tell(str(exc))
            return None

    def texts(self) -> dict[str, str]:
        """Give a mapping of texts; what is none of them is left out."""
        if not isinstance(self.content, Mapping):
            return {}
        return {
            key: value
            for key, value in self.content.items()
            if isinstance(key, str) and isinstance(value, str)
        }


def entities(place: Place) -> tuple[cephx.Entity, ...]:
    """Read a list of ``name``, ``key`` and ``caps``, as TripleO's have it.

    Those of Ceph itself are left out.
    """
    before = len(place.problems)
    found = []
    advice = "give it as 'ceph auth get' prints it"
    for item in place.items('entities are needed, as client.openstack'):
        name = item.key('name').read(str, advice)
        key = item.key('key').read(str, advice)
        if name is None or key is None:
            continue
        try:
            found.append(findings.entity(name, key, item.key('caps').texts()))
        except ValueError as exc:
            item.tell(f'{exc}: {advice}')
    users = tuple(each for each in found if findings.is_users(each))
    if not users and len(place.problems) == before:
        place.tell('has no user, such as client.openstack: add one')
    return users


def load(source: findings.Source) -> tuple[Place, ...]:
    """Read all documents. Raises ConfigError for what is no YAML."""
    try:
        documents = list(
            ruamel.yaml.YAML(typ='base', pure=True).load_all(source.text)
        )
    except (yaml_error.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, 'problem_mark', None)
        line = '' if mark is None else f':{mark.line + 1}'
        # The message of the exception quotes the line, which may be secret.
        raise exceptions.ConfigError(
            f'{source.name}{line}: not valid YAML: give the file as the '
            'program wrote it'
        ) from None
    problems: list[str] = []
    return tuple(
        Place(source.name, '', content, problems) for content in documents
    )


def load_one(source: findings.Source) -> Place:
    """Read the only document. Raises ConfigError if there is no mapping."""
    documents = load(source)
    if len(documents) != 1 or not isinstance(documents[0].content, Mapping):
        raise exceptions.ConfigError(
            f'{source.name}: expected one mapping: give the file as the '
            'program wrote it'
        )
    return documents[0]
