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
"""Glance's table of images, and how Glance saves to it."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import itertools
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.core import images


class StatusChanged(Exception):
    """An image is not saved, since its status is not what it was."""


class ImageTable:
    """The rows, oldest first.

    The stores of an image are those of its locations: whoever sets the one
    sets the other.

    :param details: what the stores are, by their id
    """

    def __init__(
        self, details: Mapping[images.StoreId, images.StoreDetails]
    ) -> None:
        self.details = details
        self._rows: dict[images.ImageId, images.Image] = {}
        self._order: list[images.ImageId] = []

    def __contains__(self, image_id: images.ImageId) -> bool:
        return image_id in self._rows

    def __iter__(self) -> Iterator[images.Image]:
        return iter(self._rows.values())

    def load(self, image_id: images.ImageId) -> images.Image:
        """Read a row. Raises ImageNotFound."""
        try:
            return self._rows[image_id]
        except KeyError:
            raise exceptions.ImageNotFound(f'no image {image_id!r}') from None

    def add(self, image: images.Image) -> images.Image:
        """Add a row."""
        self._order.append(image.id)
        self._rows[image.id] = dataclasses.replace(
            image, locations=image.locations or self._located(image)
        )
        return self._rows[image.id]

    def save(self, row: images.Image, *, from_status: str = '') -> None:
        """Save a row that was loaded a while ago, as a whole.

        What others have changed meanwhile is undone, locations included; all
        but the lock, which is set and dropped by itself (glance: db/
        __init__.py ImageRepo.save, IMAGE_ATOMIC_PROPS). Raises ImageNotFound,
        and StatusChanged if the image has to be in a status and is not.
        """
        now = self.load(row.id)
        if from_status and now.status != from_status:
            raise StatusChanged(now.status)
        self._rows[row.id] = dataclasses.replace(
            row, import_task=now.import_task
        )

    def change(self, image_id: images.ImageId, **changes: Any) -> images.Image:
        """Load, change and save a row in one go."""
        row = self.changed(self.load(image_id), **changes)
        self._rows[image_id] = row
        return row

    def changed(self, row: images.Image, **changes: Any) -> images.Image:
        """Return a row with changes, its stores and locations in step."""
        if 'locations' in changes:
            locations = changes['locations']
            changes['stores'] = frozenset(one.store for one in locations)
        row = dataclasses.replace(row, **changes)
        if 'locations' not in changes:
            row = dataclasses.replace(row, locations=self._located(row))
        return row

    def remove(self, image_id: images.ImageId) -> images.Image:
        """Remove a row. Raises ImageNotFound."""
        row = self.load(image_id)
        del self._rows[image_id]
        return row

    def page(
        self, place: int, length: int, hidden: bool
    ) -> tuple[tuple[int, images.Image], ...]:
        """Return images and their places, which deleted ones keep."""
        listed = (
            (number, self._rows[image_id])
            for number, image_id in enumerate(self._order)
            if number >= place and image_id in self._rows
        )
        listed = (found for found in listed if found[1].is_hidden == hidden)
        return tuple(itertools.islice(listed, length))

    def location(
        self, image_id: images.ImageId, store: images.StoreId
    ) -> images.Location:
        """Return where a store has, or would have, an image.

        glance_store: _drivers/rbd.py StoreLocation.get_uri
        """
        store = images.StoreId(store)
        return images.Location(f'{self.prefix(store)}{image_id}/snap', store)

    def prefix(self, store: images.StoreId) -> str:
        """Return how the URLs of a store begin."""
        details = self.details.get(store)
        if details is None:
            return f'rbd://{store}/images/'
        return f'rbd://{details.fsid}/{details.pool}/'

    def _located(self, image: images.Image) -> tuple[images.Location, ...]:
        """Return locations for an image's stores, those it has first."""
        kept = tuple(
            one for one in image.locations or () if one.store in image.stores
        )
        known = {one.store for one in kept}
        return kept + tuple(
            self.location(image.id, store)
            for store in sorted(image.stores - known)
        )
