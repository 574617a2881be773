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
"""Where the contract of the clusters is checked: what a world offers.

A world has two sites. `connect` gives what is under test; all else of a
`Site` looks at a cluster, and changes it, past the implementation.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Protocol

from dcn_distributor.core import images
from dcn_distributor.core import storage

Writes = tuple[tuple[int, bytes], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """An RBD image as it is stored, whatever its name.

    :ivar snapshots: by name, whether each is protected
    :ivar recorded: the objects that exist by the object map of the image,
        and under a snapshot's name by its own; None for one that is invalid
    :ivar stored: the objects that do exist
    :ivar details: all else by which one could tell who made it
    """

    size_bytes: int
    object_bytes: int
    features: int
    snapshots: Mapping[str, bool]
    recorded: Mapping[str, frozenset[int] | None]
    stored: frozenset[int]
    details: frozenset[str] = frozenset()


class Site(Protocol):
    """A cluster with its pool of images, and what others do to it."""

    fsid: str
    pool: str

    def connect(self) -> storage.Cluster:
        """Return a handle as another process has it."""
        ...

    def connect_anew(self, fsid: str | None = None) -> storage.Cluster:
        """Return a handle that was never used.

        :param fsid: what the configuration says that the cluster's is
        """
        ...

    def unreachable(self) -> storage.Cluster:
        """Return a handle on a cluster that does not answer."""
        ...

    def names(self) -> frozenset[str]:
        """Return the names of the images that this test made."""
        ...

    def look(self, name: str) -> Seen:
        """Look at an image."""
        ...

    def put(
        self, name: str, data: bytes, object_bytes: int, *, stage: str = ''
    ) -> None:
        """Make an image as Glance does, data that are zero left out.

        With the stage `written` it is left without a snapshot, with
        `snapshot` the snapshot is left unprotected.
        """
        ...

    def overwrite(self, name: str, offset: int, data: bytes) -> None:
        """Write to an image as its owner, its snapshots are kept."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give an image another name."""
        ...

    def clone(self, parent: str, name: str) -> None:
        """Clone a snapshot `snap`, protected or not, in the same pool."""
        ...

    def take_snapshot(self, name: str, snapshot: str) -> None:
        """Take a snapshot, unprotected; protected if it is called `snap`."""
        ...

    def read(self, name: str, snapshot: str | None = 'snap') -> bytes:
        """Read all of an image as librbd shows it."""
        ...

    def flip(self, name: str, offset: int) -> None:
        """Flip a bit of an object at rest."""
        ...

    def lose_object(self, name: str, number: int) -> None:
        """Remove an object at rest."""
        ...

    def object_name(self, name: str, number: int) -> str:
        """Return the name of an image's object."""
        ...

    def watched(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Have an image open elsewhere meanwhile."""
        ...

    def abandon(
        self,
        image_id: images.ImageId,
        size_bytes: int,
        object_bytes: int,
        writes: Writes,
    ) -> None:
        """Have another process begin a copy, make writes, and be killed."""
        ...

    def strays(self) -> frozenset[str]:
        """Return the names of objects that belong to no image."""
        ...

    def marks(self) -> frozenset[str]:
        """Return whatever of ours lies in the pool beside the images."""
        ...


class World(Protocol):
    """Two sites."""

    sites: tuple[Site, Site]

    def settle(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition holds; fails if it never does."""
        ...

    def together(self, *calls: Callable[[], None]) -> None:
        """Make calls at the same time, if this world knows of such."""
        ...
