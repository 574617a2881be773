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
"""A copy in the making, or in repair."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import dataclasses
import threading

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import in_flight
from dcn_distributor.clients.ceph import names
from dcn_distributor.clients.ceph import objects as ceph_objects
from dcn_distributor.clients.ceph import publication as ceph_publication
from dcn_distributor.clients.ceph import removal
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import storage

# For how long close() waits until others can have the claim.
_CLOSING_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What a copy is put together from."""

    connections: ceph_connections.Connections
    header: headers.Header
    claim: claims.Claim
    objects: ceph_objects.Objects
    publication: ceph_publication.Publication


class Copy:
    """core.storage.Copy."""

    def __init__(
        self,
        parts: Parts,
        on_close: Callable[['Copy'], None],
        *,
        is_fresh: bool,
    ) -> None:
        self._parts = parts
        self._on_close = on_close
        self._is_fresh = is_fresh
        self._lock = threading.Lock()
        self._is_closed = False
        self._is_released = False
        self._ended = threading.Event()
        self._in_flight = in_flight.InFlight(self._close)

    @property
    def size_bytes(self) -> int:
        """Length of the image."""
        return self._parts.header.size_bytes

    @property
    def object_bytes(self) -> int:
        """Length of its objects."""
        return self._parts.header.object_bytes

    @property
    def is_fresh(self) -> bool:
        """True if nothing was written to it before it was opened."""
        return self._is_fresh

    @property
    def checksum_obstacle(self) -> str | None:
        """Why checksum() cannot serve here, None if it can."""
        return None

    def object_name(self, offset: int) -> str:
        """Name the RADOS object that holds a byte, for people to look at."""
        return self._parts.header.object_name(offset // self.object_bytes)

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """Write one chunk; over the connections that stand, in turn."""
        if not self._in_flight.enter():
            done(self._closed())
            return

        def finish(result: int | exceptions.DistributorError) -> None:
            done(result)
            self._in_flight.leave()

        def begin_and_write() -> None:
            try:
                self._parts.publication.begin()
            except exceptions.DistributorError as exc:
                finish(exc)
                return
            self._parts.objects.write(offset, data, finish)

        if self._parts.publication.is_begun:
            self._parts.objects.write(offset, data, finish)
        else:
            tasks.start('ceph-begin', begin_and_write)

    def read(self, offset: int, length: int, done: storage.ReadDone) -> None:
        """Read a range back."""
        if not self._in_flight.enter():
            done(self._closed())
            return

        def finish(result: bytes | exceptions.DistributorError) -> None:
            done(result)
            self._in_flight.leave()

        self._parts.objects.read(offset, length, finish)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """Have the OSD compute over a range within one object."""
        if not self._in_flight.enter():
            done(self._closed())
            return

        def finish(
            result: storage.Checksum | exceptions.DistributorError,
        ) -> None:
            done(result)
            self._in_flight.leave()

        self._parts.objects.checksum(offset, length, finish)

    def record_objects(self, numbers: Collection[int]) -> None:
        """Set the object maps of the image and its snapshot."""
        with self._in_use():
            self._parts.publication.record(frozenset(numbers))

    def take_snapshot(self) -> None:
        """Wait for the snapshot, which was begun with the copy."""
        with self._in_use():
            self._parts.publication.finish_snapshot()

    def rename(self) -> None:
        """Give it the image's id for its name."""
        with self._in_use():
            self._parts.publication.rename()

    def discard(self) -> None:
        """Remove it, under whichever name it has, and give up the claim."""
        with self._in_use():
            parts = self._parts
            parts.publication.wait()
            connection = parts.connections.first()
            image_id = parts.claim.image_id
            found = names.look(connection, parts.claim)
            if found.is_half_renamed:
                names.finish_rename(connection, image_id, found)
            name = image_id if found.is_ours else names.draft(image_id)
            removal.remove(connection, name, parts.objects.touched)
            self._release()

    def release(self) -> None:
        """Give up the claim for good."""
        with self._in_use():
            self._parts.publication.wait()
            self._release()

    def _release(self) -> None:
        self._parts.claim.remove()
        self._is_released = True

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keep it open and claimed meanwhile; raise if it is not."""
        if not self._in_flight.enter():
            raise self._closed()
        try:
            if self._is_released:
                raise self._closed()
            self._parts.claim.check()
            yield
        finally:
            self._in_flight.leave()

    def close(self) -> None:
        """Let go of it, and leave it and its claim for another pass.

        What is in flight ends first; if that takes long, in the background.
        """
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._in_flight.close()
        self._ended.wait(_CLOSING_S)

    def _close(self) -> None:
        parts = self._parts
        try:
            parts.publication.wait()
            with contextlib.suppress(exceptions.DistributorError):
                if not self._is_released:
                    parts.claim.give_up()
            parts.objects.close()
        finally:
            self._on_close(self)
            self._ended.set()

    def _closed(self) -> exceptions.DistributorError:
        return exceptions.ClusterUnavailable(
            f'image {self._parts.claim.image_id}: the copy is closed'
        )
