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
"""Glance, with a note of whether it answered the last time."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports

_Errors = tuple[type[exceptions.DistributorError], ...]

# A write may be denied for one image.
_SILENCE: _Errors = (exceptions.GlanceUnavailable,)
# Who may not read can do nothing.
_NO_WORD: _Errors = (exceptions.GlanceUnavailable, exceptions.AccessDenied)


class WatchedImages:
    """Does what the one within does; see core.ports.Images.

    :ivar silence: why Glance did not answer the last time it was asked, None
        if it did, and before the first time
    """

    def __init__(self, within: ports.Images) -> None:
        self._within = within
        self.silence: str | None = None

    def get(self, image_id: images.ImageId) -> images.Image:
        """See core.ports.Images."""
        with self._watching():
            return self._within.get(image_id)

    def list(self) -> Iterator[images.Image]:
        """See core.ports.Images."""
        with self._watching():
            yield from self._within.list()

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._watching():
            return self._within.import_task(image)

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._watching():
            return self._within.last_import_task(image_id)

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """See core.ports.Images."""
        with self._watching(_SILENCE):
            self._within.copy_to_stores(image_id, stores)

    def stores(self) -> frozenset[images.StoreId]:
        """See core.ports.Images."""
        with self._watching():
            return self._within.stores()

    def store_details(self) -> Mapping[images.StoreId, images.StoreDetails]:
        """See core.ports.Images."""
        with self._watching():
            return self._within.store_details()

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """See core.ports.Images."""
        with self._watching(_SILENCE):
            self._within.add_location(image_id, location)

    @contextlib.contextmanager
    def _watching(self, silence: _Errors = _NO_WORD) -> Iterator[None]:
        """Note how a call ends; these errors say that Glance is not there.

        Others are answers. A list that is not read to its end says nothing.
        """
        try:
            yield
        except silence as exc:
            self.silence = str(exc)
            raise
        except exceptions.DistributorError:
            self.silence = None
            raise
        self.silence = None
