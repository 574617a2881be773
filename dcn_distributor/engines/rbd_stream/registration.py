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
"""The location of a copy in Glance: when it may be added, and that it stays.

Glance saves an image's locations as a whole: whoever saves last undoes what
another has added meanwhile (glance: db/sqlalchemy/api.py
_image_locations_set). So nothing is registered while an import holds the
image's lock; in this process one location of an image is added at a time;
and each is read back.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading
import urllib.parse

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import storage

LOG = log.getLogger(__name__)

# How often to look whether an import has let go of the lock.
_POLL_S = 1.0

# After so long without a sign of life Glance lets a lock be broken (glance:
# api/v2/images.py _enforce_import_lock); some more, as clocks differ.
_STALE_S = 3660.0

# What Glance may need to stage an image without a sign of life: an import that
# is slower loses its work if its lock is broken.
_STAGING_BYTES_S = 25 << 20

# What Glance answers when it has not taken a location, and will not.
_REFUSALS = (
    exceptions.AccessDenied,
    exceptions.LocationQuotaExceeded,
    exceptions.NotCopyable,
    exceptions.StoreUnknown,
)

# Somebody may undo a location this often before we give up for now.
_TRIES = 5


def location_url(fsid: str, pool: str, image_id: images.ImageId) -> str:
    """Write a copy's URL as Glance does (glance_store: StoreLocation)."""
    parts = (fsid, pool, image_id, storage.SNAPSHOT)
    return 'rbd://' + '/'.join(urllib.parse.quote(p, '') for p in parts)


class Turns:
    """Has all that register copies of one image do so one at a time.

    They wait for the lock of one and the same import, too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: tuple[str, float] | None = None

    def waited_s(self, import_task: str | None, now: float) -> float:
        """Tell for how long this import was seen to hold the image's lock."""
        if import_task is None:
            self._holder = None
            return 0.0
        holder = self._holder
        if holder is None or holder[0] != import_task:
            holder = self._holder = (import_task, now)
        return now - holder[1]

    @contextlib.contextmanager
    def turn(self, while_waiting: Callable[[], None]) -> Iterator[None]:
        """Wait for one's turn; `while_waiting` may end that by raising."""
        while not self._lock.acquire(timeout=_POLL_S):
            while_waiting()
        try:
            yield
        finally:
            self._lock.release()


class Registration:
    """Registers one copy of an image.

    :ivar was_added: whether Glance has taken its location at least once, or
        may have, as its answer was lost
    :param turns: those of all transfers of the image
    :param lock_wait_s: how long to wait for an import's lock
    :param clock: seconds of a steady clock
    :param wall_clock: seconds since the epoch, to compare with Glance's
    """

    def __init__(
        self,
        glance: ports.Images,
        image_id: images.ImageId,
        store: images.StoreId,
        turns: Turns,
        *,
        lock_wait_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._glance = glance
        self._image_id = image_id
        self._store = store
        self._turns = turns
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._is_called_off = threading.Event()
        self._why = exceptions.Cancelled('the copy was called off')
        self.was_added = False

    def call_off(self, error: exceptions.Cancelled) -> None:
        """Have no location added from now on; any thread may call it."""
        self._why = error
        self._is_called_off.set()

    def check(self) -> images.Image:
        """Read the image, and see that its copy is still to be made.

        Raises ImageNotFound, Cancelled if the image is no longer active,
        what the copy was called off with, and AlreadyPresent if the store has
        a copy by now.
        """
        image = self._glance.get(self._image_id)
        self._check_wanted()
        if not image.is_active:
            raise exceptions.Cancelled(
                f'image {image.id} is {image.status}, no longer active'
            )
        if self._store in image.stores:
            raise exceptions.AlreadyPresent(
                f'store {self._store} has image {image.id} by now'
            )
        return image

    def wait_until_free(self) -> images.Image:
        """Wait until nobody imports the image; return it as it is then.

        Raises what check() raises, and ImportInProgress if an import works
        for this very store, or for too long.
        """
        while True:
            image = self.check()
            waited_s = self._turns.waited_s(image.import_task, self._clock())
            if image.import_task is None:
                return image
            if self._breaks_stale_lock(image):
                continue
            if self._store in image.importing_to:
                raise exceptions.ImportInProgress(
                    f'Glance itself copies image {image.id} to {self._store} '
                    'now'
                )
            if waited_s > self._lock_wait_s:
                raise exceptions.ImportInProgress(
                    f'the import {image.import_task} holds the lock of image '
                    f'{image.id} for more than {self._lock_wait_s:.0f} s; its '
                    'location cannot be added before that ends'
                )
            self._is_called_off.wait(_POLL_S)

    def register(self, location: images.Location) -> None:
        """Add the location, and see that it stays.

        Raises what wait_until_free() and ports.Images.add_location raise.
        """
        with self._turns.turn(self._check_wanted):
            for _ in range(_TRIES):
                try:
                    self.wait_until_free()
                    self._add(location)
                except exceptions.AlreadyPresent:
                    if self._is_registered(location):
                        return
                    raise
                if self._is_registered(location):
                    return
        raise exceptions.ImportInProgress(
            f'the location of image {self._image_id} in {self._store} was '
            f'undone {_TRIES} times by others who changed the image meanwhile'
        )

    def _check_wanted(self) -> None:
        if self._is_called_off.is_set():
            raise self._why

    def _add(self, location: images.Location) -> None:
        was_added, self.was_added = self.was_added, True
        try:
            self._glance.add_location(self._image_id, location)
        except _REFUSALS:
            self.was_added = was_added
            raise

    def _is_registered(self, location: images.Location) -> bool:
        image = self._glance.get(self._image_id)
        if image.locations is None:
            return self._store in image.stores
        return any(known.url == location.url for known in image.locations)

    def _breaks_stale_lock(self, image: images.Image) -> bool:
        """Break the lock of an import that is dead, by Glance's own rules.

        Glance breaks it for a new request only. One for a store that has the
        image already is refused right after that, and begins nothing (glance:
        api/v2/images.py import_image). An import that stages gives no sign of
        life, so a large image gets more time. A lock whose task is gone is
        left: it may be that of an import which has only just begun.
        """
        task = self._glance.import_task(image)
        if task is None:
            return False
        stale_s = _STALE_S * (2 if task.status == 'pending' else 1)
        stale_s += (image.size_bytes or 0) / _STAGING_BYTES_S
        if self._wall_clock() - task.updated_at_s < stale_s:
            return False
        try:
            self._glance.copy_to_stores(image.id, sorted(image.stores)[:1])
        except exceptions.AlreadyPresent:
            LOG.warning(
                'image=%s the lock of the dead import %s is broken',
                image.id,
                task.id,
            )
            return True
        except exceptions.DistributorError as exc:
            LOG.debug('image=%s its stale lock stays: %s', image.id, exc)
        return False
