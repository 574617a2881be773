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
"""What checks are made with, and what they find."""

from collections.abc import Callable
import dataclasses
from typing import Protocol

from dcn_distributor import exceptions
from dcn_distributor.core import cephx
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import stacks


class Keys(Protocol):
    """Try keys, each as a client that has nothing else.

    All raise AccessDenied and ClusterUnavailable.
    """

    def try_pool(
        self, ceph: stacks.Ceph, entity: cephx.Entity, pool: str
    ) -> None:
        """Create, write, read, list and remove an image."""
        ...

    def try_secret(self, ceph: stacks.Ceph, entity: cephx.Entity) -> None:
        """Only connect."""
        ...

    def read_copy(
        self,
        ceph: stacks.Ceph,
        entity: cephx.Entity,
        pool: str,
        image_id: images.ImageId,
    ) -> tuple[str, bool]:
        """Read a copy: its sha512, and whether its snapshot is protected."""
        ...


class Glance(Protocol):
    """One glance-api. All raise what core.ports.Images raises."""

    def stores(self) -> frozenset[images.StoreId]:
        """Read which stores it has."""
        ...

    def import_methods(self) -> frozenset[str]:
        """Read which are enabled."""
        ...

    def create(self, name: str) -> images.ImageId:
        """Make an image without data."""
        ...

    def upload(self, image_id: images.ImageId, data: bytes) -> None:
        """Give it its data, in the default store."""
        ...

    def stage(self, image_id: images.ImageId, data: bytes) -> None:
        """Leave its data to be imported."""
        ...

    def import_staged(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """Ask for what was staged to be imported into stores."""
        ...

    def copy_to_stores(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """Ask for copies by copy-image."""
        ...

    def get(self, image_id: images.ImageId) -> images.Image:
        """Read an image."""
        ...

    def delete(self, image_id: images.ImageId) -> None:
        """Remove it with its copies."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    :ivar subject: of what, such as ``dcn0 -> central``
    """

    check: str
    subject: str
    is_good: bool
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks need besides the cloud.

    :ivar connect: gives the Glance of a site
    :ivar waiter: gives what is called between two looks at a copy; that
        raises StopIteration when it was called for long enough
    """

    keys: Keys
    connect: Callable[[stacks.Site], Glance]
    waiter: Callable[[], Callable[[], None]]


def find(
    check: str, subject: str | sites.SiteName, look: Callable[[], str]
) -> Finding:
    """Make a check: `look` gives what is told if it is good, or raises."""
    try:
        detail = look()
    except exceptions.DistributorError as exc:
        return Finding(check, subject, False, str(exc))
    return Finding(check, subject, True, detail)
