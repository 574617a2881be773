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
"""What the stores of a fake Glance hold, by the URL of a location."""

from typing import Protocol


class Stores(Protocol):
    """The data behind the URLs, as Glance and its stores treat them.

    A URL names an RBD image and its snapshot. A test that has clusters of
    its own gives a fake Glance an implementation that looks into them.
    """

    def size_bytes(self, url: str) -> int | None:
        """Open the snapshot; None if the image has none, or there is none."""
        ...

    def is_taken(self, url: str) -> bool:
        """Tell whether there is an image of that name, whole or not."""
        ...

    def put(self, url: str, size_bytes: int) -> None:
        """Have a whole image there, as an upload leaves it."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Have a whole copy of one at the other."""
        ...

    def tear(self, url: str) -> None:
        """Leave an image without snapshot, as a glance-api that died."""
        ...

    def remove(self, url: str) -> None:
        """Remove the image, if there is one, and its snapshot."""
        ...


class Shelves:
    """See Stores; knows the size of an image and nothing else of it."""

    def __init__(self) -> None:
        self._whole: dict[str, int] = {}
        self._torn: set[str] = set()

    def size_bytes(self, url: str) -> int | None:
        """See Stores."""
        return self._whole.get(url)

    def is_taken(self, url: str) -> bool:
        """See Stores."""
        return url in self._whole or url in self._torn

    def put(self, url: str, size_bytes: int) -> None:
        """See Stores."""
        self._whole[url] = size_bytes

    def copy(self, source: str, target: str) -> None:
        """See Stores."""
        self._whole[target] = self._whole[source]

    def tear(self, url: str) -> None:
        """See Stores."""
        self._whole.pop(url, None)
        self._torn.add(url)

    def remove(self, url: str) -> None:
        """See Stores."""
        self._whole.pop(url, None)
        self._torn.discard(url)
