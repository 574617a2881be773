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
"""What a world is that the contracts are checked in, and the fake one.

A world makes and removes images as their owners do, and lets time pass. The
port under test is `images`; central is the first of `stores`.
"""

from collections.abc import Iterator
import copy
import dataclasses
import hashlib
from typing import Protocol

from dcn_distributor import exceptions
from dcn_distributor.core import images as core_images
from dcn_distributor.core import ports
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance

PAGE_SIZE = 3
MIB = 2**20

# API hosts set up in other ways than the one that `images` asks.
BLIND = fake_glance.Settings(
    show_multiple_locations=False, enabled_import_methods=('web-download',)
)
SMALL = fake_glance.Settings(
    enabled_backends=('central', 'dcn0'), image_location_quota=2
)


class World(Protocol):
    """A cloud with three stores, and what happens in it."""

    images: ports.Images
    stores: tuple[core_images.StoreId, ...]

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
        content: bytes | None = None,
    ) -> core_images.ImageId:
        """Make an image of a project that is not the agent's."""
        ...

    def delete(self, image_id: core_images.ImageId) -> None:
        """Delete an image."""
        ...

    def deactivate(self, image_id: core_images.ImageId) -> None:
        """Deactivate an image."""
        ...

    def delete_from_store(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Have Glance remove one copy of an image."""
        ...

    def watch(
        self, image_id: core_images.ImageId
    ) -> Iterator[core_images.Image]:
        """Read an image again and again until its import has ended."""
        ...

    def location(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """Return where a store has, or would have, an image."""
        ...

    def put_copy(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """Put a copy into the store that Glance knows nothing of.

        It is whole by all that Glance looks at.
        """
        ...

    def holds(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> bool:
        """Tell whether there is an RBD image of that name in the store."""
        ...

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Leave an RBD image in the store as a glance-api that died does."""
        ...

    def await_write(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Return once the image's import writes to the store."""
        ...

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Remove it."""
        ...

    def lose_data(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Remove a copy from a store behind Glance's back."""
        ...

    def lock(
        self, image_id: core_images.ImageId, status: str, idle_s: float
    ) -> None:
        """Have the image's last task hold the lock, as a dead API leaves it.

        The task has that status and was saved so long ago.
        """
        ...

    def lock_without_task(self, image_id: core_images.ImageId) -> None:
        """Have a task hold the lock that Glance has forgotten."""
        ...

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def unreachable(self) -> ports.Images:
        """Return the images of a Glance that does not answer."""
        ...

    def rejected(self) -> ports.Images:
        """Return the images as a user with a wrong password sees them."""
        ...

    def without_role(self) -> ports.Images:
        """Return the images as a user without the agent's role sees them."""
        ...

    def host(self, settings: fake_glance.Settings) -> ports.Images:
        """Return the images as an API host with these settings has them."""
        ...


class FakeWorld:
    """See World; made of tests.fakes."""

    def __init__(self) -> None:
        self._clock = fake_clock.Clock()
        self._glance = self._make()
        self.images: ports.Images = self._glance
        self.stores = tuple(map(core_images.StoreId, _STORES))

    def _make(self) -> fake_glance.FakeGlance:
        return fake_glance.FakeGlance(_STORES, self._clock, PAGE_SIZE)

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
        content: bytes | None = None,
    ) -> core_images.ImageId:
        """See World."""
        content = bytes(size_mib * MIB) if content is None else content
        image = self._glance.add(
            visibility=visibility,
            is_hidden=hidden,
            size_bytes=len(content) if data else None,
            status='active' if data else 'queued',
            stores=frozenset(self.stores[:1] if data else ()),
            hash_algo='sha512' if data else None,
            hash_value=hashlib.sha512(content).hexdigest() if data else None,
        )
        return image.id

    def delete(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._glance.delete(image_id)

    def deactivate(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._glance.change(image_id, status='deactivated')

    def delete_from_store(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.delete_from_store(image_id, store)

    def watch(
        self, image_id: core_images.ImageId
    ) -> Iterator[core_images.Image]:
        """See World."""
        yield self.images.get(image_id)
        while self._glance.step(image_id):
            yield self.images.get(image_id)

    def location(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """See World."""
        return self._glance.location(image_id, store)

    def put_copy(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """See World."""
        location = self.location(image_id, store)
        self._glance.data.put(location.url, MIB)
        return location

    def holds(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> bool:
        """See World."""
        return self._glance.data.is_taken(self.location(image_id, store).url)

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.leave_orphan(image_id, store)

    def await_write(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        while self._glance.running[-1].being_written != store:
            assert self._glance.step(image_id), 'the import has ended'

    def lose_data(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.data.remove(self.location(image_id, store).url)

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.remove_orphans()

    def lock(
        self, image_id: core_images.ImageId, status: str, idle_s: float
    ) -> None:
        """See World."""
        last = self._glance.imports[-1]
        assert last.image_id == image_id
        last.task = dataclasses.replace(
            last.task, status=status, updated_at_s=self.now() - idle_s
        )
        self._glance.change(image_id, import_task=last.task.id)

    def lock_without_task(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._glance.change(image_id, import_task='forgotten')

    def now(self) -> float:
        """See World."""
        return self._clock()

    def unreachable(self) -> ports.Images:
        """See World."""
        other = self._make()
        other.go_down()
        return other

    def rejected(self) -> ports.Images:
        """See World."""
        other = self._make()
        other.go_down(error=exceptions.AccessDenied('no'))
        return other

    def without_role(self) -> ports.Images:
        """See World."""
        rules = ('copy_image', 'set_image_location', 'stores_info_detail')
        return self.host(fake_glance.Settings(forbidden=frozenset(rules)))

    def host(self, settings: fake_glance.Settings) -> ports.Images:
        """See World; it shares all but its settings."""
        other = copy.copy(self._glance)
        other.settings = settings
        return other


_STORES = ('central', 'dcn0', 'dcn1')
