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
"""A Glance in memory, for tests: `core.ports.Images` and its far side.

No threads, no sleeping, no chance: ids count up, time is the test's clock,
and imports go on when the test says so (tests.fakes.imports). What is
refused and how, the contract suite checks against a real Glance; what goes
wrong on the way (`fail`, `lose`, `hang`, `crash`...) is read from its
source.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any
import uuid

from dcn_distributor import exceptions
from dcn_distributor.core import images
from tests.fakes import images as fake_images
from tests.fakes import imports as fake_imports
from tests.fakes import stores as fake_stores

CENTRAL = images.StoreId('central')
CHUNK_BYTES = 8 * 2**20
COPY_IMAGE = 'copy-image'


@dataclasses.dataclass
class Settings:
    """The options of an API host; those left out here make no difference.

    `enabled_backends` has all stores if it is None. `forbidden` are the
    rules of the policy that refuse the agent.
    """

    show_multiple_locations: bool = True
    image_location_quota: int = -1
    enabled_import_methods: tuple[str, ...] = (COPY_IMAGE,)
    enabled_backends: tuple[str, ...] | None = None
    forbidden: frozenset[str] = frozenset()


class FakeGlance(fake_imports.Imports):
    """The images of a cloud and the hand on its levers.

    :param stores: all stores of the cloud, the first being central's.
    :param clock: gives seconds since the epoch.
    :param page_size: as many images `list` reads at once.
    :param details: what stores are, where it matters.
    :param data: what the stores hold; without it, just what Glance puts
        there.

    :ivar settings: how the API host is set up; change it as its operator.
    """

    def __init__(
        self,
        stores: Iterable[str],
        clock: Callable[[], float],
        page_size: int = 200,
        details: Mapping[images.StoreId, images.StoreDetails] | None = None,
        data: fake_stores.Stores | None = None,
    ) -> None:
        names = tuple(dict.fromkeys(map(images.StoreId, stores)))
        known = {
            name: images.StoreDetails(
                CHUNK_BYTES, 'images', str(uuid.UUID(int=number))
            )
            for number, name in enumerate(names)
        }
        known.update(details or {})
        super().__init__(known, data or fake_stores.Shelves(), clock)
        self.settings = Settings()
        self._stores = names
        self._page_size = page_size
        self._trouble: exceptions.DistributorError | None = None
        self._troubled_calls: int | None = None
        self._refusals: list[exceptions.DistributorError] = []
        self._broken: dict[images.ImageId, exceptions.DistributorError] = {}

    # -- core.ports.Images

    def get(self, image_id: images.ImageId) -> images.Image:
        """See core.ports.Images."""
        with self._answering():
            if image_id in self._broken:
                raise self._broken[image_id]
            return self._shown(self._table.load(image_id))

    def list(self) -> Iterator[images.Image]:
        """See core.ports.Images; the hidden ones come last."""
        for hidden in (False, True):
            place = 0
            while True:
                with self._answering():
                    page = self._table.page(place, self._page_size, hidden)
                yield from (self._shown(image) for _, image in page)
                if len(page) < self._page_size:
                    break
                place = page[-1][0] + 1

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._answering():
            found = self._holder(image)
            return None if found is None else found.task

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._answering():
            if image_id not in self._table:
                return None
            tasks = [
                accepted.task
                for accepted in self._accepted
                if accepted.image_id == image_id
                and accepted.task.id not in self._lost_tasks
            ]
            return tasks[-1] if tasks else None

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """See core.ports.Images."""
        wanted = tuple(dict.fromkeys(stores))
        with self._answering():
            if self._refusals:
                raise self._refusals.pop()
            if COPY_IMAGE not in self.settings.enabled_import_methods:
                raise exceptions.ImportDisabled('copy-image is not enabled')
            self._table.load(image_id)
            self._check_allowed('copy_image')
            for store in wanted:
                if store not in self._known():
                    raise exceptions.StoreUnknown(f'no store {store!r}')
            self._accept(image_id, wanted, ours=True)

    def stores(self) -> frozenset[images.StoreId]:
        """See core.ports.Images."""
        with self._answering():
            return self._known()

    def store_details(self) -> Mapping[images.StoreId, images.StoreDetails]:
        """See core.ports.Images."""
        with self._answering():
            if 'stores_info_detail' in self.settings.forbidden:
                return {}
            return {
                store: self._table.details[store] for store in self._known()
            }

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """See core.ports.Images (glance: api/v2/images.py update).

        While it asks `data` for the copy, all may happen: what is saved
        afterwards is the image as it was before.
        """
        with self._answering():
            image = self._table.load(image_id)
            self._check_locatable(image)
            store = self._store_of(location)
            size_bytes = self.data.size_bytes(location.url)
            if store not in self._known() or not size_bytes:
                raise exceptions.StoreUnknown(f'no copy at {location.url}')
            if any(location.url == one.url for one in image.locations or ()):
                raise exceptions.AlreadyPresent(f'{location.url} is known')
            image = self._table.changed(
                image,
                size_bytes=image.size_bytes or size_bytes,
                status=images.ACTIVE,
                locations=(
                    *(image.locations or ()),
                    images.Location(location.url, store),
                ),
            )
            self._table.save(image)

    # -- images

    def add(self, name: str = 'image', **attributes: Any) -> images.Image:
        """Add an image: active, public, raw, 1 GiB, in the first store.

        `attributes` are those of core.images.Image, and win. Its stores hold
        its data then.
        """
        with self._lock:
            number = next(self._numbers)
            image = fake_images.image(
                **{
                    'id': images.ImageId(str(uuid.UUID(int=number))),
                    'name': name,
                    'stores': frozenset(self._stores[:1]),
                    **attributes,
                }
            )
            image = self._table.add(image)
            self._fill(image, image.locations or ())
            return self._shown(image)

    def change(
        self, image_id: images.ImageId, **attributes: Any
    ) -> images.Image:
        """Change attributes of an image, as its owner or Glance would.

        With the stores change their data.
        """
        with self._lock:
            before = self._table.load(image_id).locations or ()
            image = self._table.change(image_id, **attributes)
            after = image.locations or ()
            for location in before:
                if location not in after:
                    self.data.remove(location.url)
            self._fill(image, (one for one in after if one not in before))
            return self._shown(image)

    def delete(self, image_id: images.ImageId) -> None:
        """Delete an image and its data. Glance does not look at the lock.

        What an import is writing at that moment nobody removes.
        """
        with self._lock:
            running = self._holder(self._table.load(image_id))
            image = self._table.remove(image_id)
            for location in image.locations or ():
                self.data.remove(location.url)
            if running is not None and not self._is_stopped(running):
                store = running.being_written
                if store is not None:
                    url = self._stray(image_id, store).url
                    self.data.put(url, image.size_bytes or 0)

    def delete_from_store(self, image_id: images.ImageId, store: str) -> None:
        """Remove an image's copy from a store, data and location.

        Glance does not look at the lock. It never does so with the last
        copy.
        """
        with self._lock:
            image = self._table.load(image_id)
            gone = self._table.location(image_id, images.StoreId(store))
            left = [o for o in image.locations or () if o.store != store]
            assert left, 'Glance keeps the last copy'
            self.data.remove(gone.url)
            self._table.change(image_id, locations=tuple(left))

    def location(
        self, image_id: images.ImageId, store: str
    ) -> images.Location:
        """Return where a store has, or would have, an image."""
        return self._table.location(image_id, images.StoreId(store))

    # -- trouble

    def go_down(
        self,
        calls: int | None = None,
        error: exceptions.DistributorError | None = None,
    ) -> None:
        """Answer all calls, or the next few, with an error.

        It is GlanceUnavailable unless another is given.
        """
        with self._lock:
            self._trouble = error or exceptions.GlanceUnavailable(
                'the fake Glance is down'
            )
            self._troubled_calls = calls

    def refuse_imports(
        self, calls: int, error: exceptions.DistributorError
    ) -> None:
        """Answer the next few requests for an import with an error."""
        with self._lock:
            self._refusals = [error] * calls

    def break_image(
        self,
        image_id: images.ImageId,
        error: exceptions.DistributorError | None,
    ) -> None:
        """Answer whoever reads this image with an error, until None."""
        with self._lock:
            self._broken.pop(image_id, None)
            if error is not None:
                self._broken[image_id] = error

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Answer nothing at all meanwhile, for threads of the test."""
        with self._lock:
            yield

    def come_up(self) -> None:
        """Answer again."""
        with self._lock:
            self._trouble = None

    # -- inside

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        with self._lock:
            if self._troubled_calls == 0:
                self._trouble, self._troubled_calls = None, None
            if self._trouble is not None:
                if self._troubled_calls is not None:
                    self._troubled_calls -= 1
                raise self._trouble
            yield

    def _known(self) -> frozenset[images.StoreId]:
        """Return the stores that the API host has."""
        enabled = self.settings.enabled_backends
        return frozenset(
            store
            for store in self._stores
            if enabled is None or store in enabled
        )

    def _shown(self, image: images.Image) -> images.Image:
        """Return an image as this API host shows it."""
        if self.settings.show_multiple_locations:
            return image
        return dataclasses.replace(image, locations=None)

    def _fill(
        self, image: images.Image, locations: Iterable[images.Location]
    ) -> None:
        """Have data at new locations, unless the test has put some there."""
        for location in locations:
            if self.data.size_bytes(location.url) is None:
                self.data.put(location.url, image.size_bytes or 0)

    def _store_of(self, location: images.Location) -> images.StoreId | None:
        """Return whose URL it is; if nobody's, what the caller says."""
        for store in self._known():
            if location.url.startswith(self._table.prefix(store)):
                return store
        return location.store

    def _check_allowed(self, rule: str) -> None:
        if rule in self.settings.forbidden:
            raise exceptions.AccessDenied(f'{rule} forbids it')

    def _check_locatable(self, image: images.Image) -> None:
        """Refuse a location for what is not about the location."""
        self._check_allowed('set_image_location')
        if not self.settings.show_multiple_locations:
            raise exceptions.AccessDenied('show_multiple_locations is off')
        if image.status not in (images.ACTIVE, 'queued'):
            raise exceptions.NotCopyable(f'{image.id} is {image.status}')
        most = self.settings.image_location_quota
        if 0 <= most < len(image.locations or ()) + 1:
            raise exceptions.LocationQuotaExceeded(f'{most} locations only')
