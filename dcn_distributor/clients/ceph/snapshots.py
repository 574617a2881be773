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
"""A copy's snapshot, read by librbd over several connections."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import itertools
import threading

import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import checksums
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import in_flight
from dcn_distributor.clients.ceph import memory
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from dcn_distributor.core import storage

_FAST_DIFF = rbd.RBD_FEATURE_OBJECT_MAP | rbd.RBD_FEATURE_FAST_DIFF


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What an open image tells of itself, its snapshot included."""

    size_bytes: int
    object_bytes: int
    prefix: str
    rbd_id: str
    data_pool_id: int
    snap_id: int
    has_valid_map: bool
    obstacle: str | None

    def object_name(self, number: int) -> str:
        """Give the name of one of its objects."""
        return f'{self.prefix}.{number:016x}'


def facts_of(image: rbd.Image) -> Facts:
    """Read them, of an image that was opened at the snapshot."""
    stat = image.stat()
    features = image.features()
    has_map = features & _FAST_DIFF == _FAST_DIFF and image.flags() == 0
    return Facts(
        size_bytes=stat['size'],
        object_bytes=stat['obj_size'],
        prefix=image.block_name_prefix(),
        rbd_id=image.id(),
        data_pool_id=image.data_pool_id(),
        snap_id=image.snap_get_id(storage.SNAPSHOT),
        has_valid_map=has_map,
        obstacle=_obstacle(image, stat['obj_size']),
    )


def _obstacle(image: rbd.Image, object_bytes: int) -> str | None:
    """Say why an object's checksum is not that of the image's range."""
    if image.stripe_count() > 1 or image.stripe_unit() != object_bytes:
        return 'the image is striped over several objects'
    with contextlib.suppress(rbd.ImageNotFound):
        image.parent_info()
        return 'the image is a clone: its parent has a part of the data'
    return None


def open_image(
    connection: ceph_connections.Connection, image_id: images.ImageId
) -> rbd.Image:
    """Open the snapshot of an image; to be closed by close_image().

    Raises CopyNotFound.
    """
    with (
        connection.begun(),
        connection.translated(f'open snapshot of image {image_id}'),
    ):
        try:
            return rbd.Image(
                connection.pool(),
                image_id,
                snapshot=storage.SNAPSHOT,
                read_only=True,
            )
        except rbd.ImageNotFound as exc:
            raise exceptions.CopyNotFound(
                f'no {image_id}@{storage.SNAPSHOT} in this pool'
            ) from exc


def close_image(
    connection: ceph_connections.Connection, image: rbd.Image
) -> None:
    """Close an image and let go of its connection. Raises nothing."""
    with contextlib.suppress(rbd.Error):
        image.close()
    connection.leave()


class Snapshot:
    """core.storage.Readable."""

    def __init__(
        self,
        image_id: images.ImageId,
        connections: ceph_connections.Connections,
        on_close: Callable[['Snapshot'], None],
    ) -> None:
        self._image_id = image_id
        self._connections = connections
        self._on_close = on_close
        self._lock = threading.Lock()
        self._opened: list[tuple[ceph_connections.Connection, rbd.Image]] = []
        self._is_closed = False
        self._turn = itertools.count()
        self._read_bytes = 0
        self._in_flight = in_flight.InFlight(self._close)
        self._facts: Facts | None = None
        self._pool: native.Pool | None = None

    def open(self) -> None:
        """Open it over one connection, and over the others meanwhile.

        What is closed meanwhile is closed when this has ended.
        """
        if not self._in_flight.enter():
            raise _closed(self._image_id)
        try:
            self._open()
        finally:
            self._in_flight.leave()

    def _open(self) -> None:
        first = self._connections.first()
        image = open_image(first, self._image_id)
        self._opened.append((first, image))
        with first.translated(f'look at image {self._image_id}'):
            facts = facts_of(image)
        self._facts = facts
        self._pool = self._connections.new_native_pool(
            facts.data_pool_id, snap_id=facts.snap_id
        )
        for connecting in self._connections.all():
            tasks.start(
                'ceph-open',
                functools.partial(self._open_another, connecting, first),
            )

    def _open_another(
        self,
        connecting: Callable[[], ceph_connections.Connection],
        first: ceph_connections.Connection,
    ) -> None:
        if not self._in_flight.enter():
            return
        try:
            with contextlib.suppress(exceptions.DistributorError):
                connection = connecting()
                if connection is not first:
                    image = open_image(connection, self._image_id)
                    with self._lock:
                        self._opened.append((connection, image))
        finally:
            self._in_flight.leave()

    @property
    def facts(self) -> Facts:
        """What the image is."""
        assert self._facts is not None
        return self._facts

    @property
    def size_bytes(self) -> int:
        """Length of the image."""
        return self.facts.size_bytes

    @property
    def object_bytes(self) -> int:
        """Length of its objects."""
        return self.facts.object_bytes

    @property
    def checksum_obstacle(self) -> str | None:
        """Why checksum() cannot serve here, None if it can."""
        return self.facts.obstacle

    def object_name(self, offset: int) -> str:
        """Name the RADOS object that holds a byte, for people to look at."""
        return self.facts.object_name(offset // self.object_bytes)

    def extents(self) -> Iterable[storage.Extent]:
        """Where data may lie; from the object map where that is valid."""
        if not self.size_bytes:
            return ()
        found: list[tuple[int, int]] = []

        def add(offset: int, length: int, exists: bool) -> None:
            if exists:
                found.append((offset, length))

        if not self._in_flight.enter():
            raise _closed(self._image_id)
        try:
            connection, image = self._opened[0]
            with connection.translated(f'list extents of {self._image_id}'):
                image.diff_iterate(
                    *(0, self.size_bytes, None, add),
                    include_parent=True,
                    whole_object=self.facts.has_valid_map,
                )
        finally:
            self._in_flight.leave()
        return merged(found)

    def read(self, offset: int, length: int, done: storage.ReadDone) -> None:
        """Read a range; over the connections that stand, in turn."""
        if not self._in_flight.enter():
            done(_closed(self._image_id))
            return
        with self._lock:
            opened = self._opened[next(self._turn) % len(self._opened)]
        connection, image = opened
        what = f'read {length} bytes at {offset} of image {self._image_id}'

        def finish(completion: rbd.Completion, data: bytes | None) -> None:
            result = completion.get_return_value()
            if result < 0:
                done(connection.error(result, what))
            elif data is None or result != length:
                # If it is 0, `data` are bytes that nobody has set.
                done(
                    exceptions.ClusterUnavailable(
                        f'{what}: only {result} came'
                    )
                )
            else:
                done(data)
                self._count(length)
            self._in_flight.leave()

        try:
            with connection.translated(what):
                image.aio_read(offset, length, finish)
        except exceptions.DistributorError as exc:
            done(exc)
            self._in_flight.leave()

    def _count(self, length: int) -> None:
        """Give memory back from time to time while much is read."""
        with self._lock:
            self._read_bytes += length
            is_time = self._read_bytes >= memory.EVERY_BYTES
            if is_time:
                self._read_bytes = 0
        if is_time:
            tasks.start('ceph-memory', memory.give_back)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """Have the OSD compute over a range within one object."""
        try:
            number, extent = storage.locate(offset, length, self.object_bytes)
        except exceptions.VerificationFailed as exc:
            done(exc)
            return
        if not self._in_flight.enter():
            done(_closed(self._image_id))
            return

        def finish(
            result: storage.Checksum | exceptions.DistributorError,
        ) -> None:
            done(result)
            self._in_flight.leave()

        assert self._pool is not None
        checksums.compute(
            self._pool, self.facts.object_name(number), extent, finish
        )

    def close(self) -> None:
        """Let go of it; what is in flight ends first, in the background."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._on_close(self)
            self._in_flight.close()

    def _close(self) -> None:
        for connection, image in self._opened:
            close_image(connection, image)
        if self._pool is not None:
            self._pool.close()


def merged(extents: Sequence[tuple[int, int]]) -> tuple[storage.Extent, ...]:
    """Join ranges, given as offset and length, where they touch."""
    result: list[storage.Extent] = []
    for offset, length in sorted(extents):
        if result and result[-1].end >= offset:
            last = result.pop()
            end = max(last.end, offset + length)
            offset, length = last.offset, end - last.offset
        result.append(storage.Extent(offset, length))
    return tuple(result)


def _closed(image_id: images.ImageId) -> exceptions.DistributorError:
    return exceptions.ClusterUnavailable(f'image {image_id}: closed')
