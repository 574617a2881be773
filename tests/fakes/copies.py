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
"""Images of a fake cluster, opened to be read or written.

Objects are read and written past librbd, as RADOS objects, by copies; a
snapshot to be read is read by librbd, which believes its object map.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.fakes import ceph as fake_ceph
from tests.fakes import rbd_pool


class Pieces:
    """An image's objects as RADOS has them, for one process."""

    def __init__(
        self,
        process: fake_ceph.Process,
        image: rbd_pool.RbdImage,
        snapshot: rbd_pool.Snapshot | None = None,
        claim: fake_ceph.Claim | None = None,
    ) -> None:
        self.process = process
        self.image = image
        self.snapshot = snapshot
        self.is_open = True
        self._claim = claim

    @property
    def obstacle(self) -> str | None:
        """Why no checksums can be computed here."""
        if self.image.parent is not None:
            return 'it is a clone'
        return self.process.ceph.checksum_obstacle

    def object_name(self, offset: int) -> str:
        """Name the object that holds a byte."""
        number = offset // self.image.object_bytes
        return f'rbd_data.{self.image.id}.{number:016x}'

    def require_piece(self, offset: int, length: int) -> None:
        """Refuse what is not within the image and one object: a bug."""
        whole = self.image.object_bytes
        if not (
            length > 0
            and offset >= 0
            and offset + length <= self.image.size_bytes
            and offset // whole == (offset + length - 1) // whole
        ):
            raise ValueError(f'{offset}+{length} is not within one object')

    def begin(
        self,
        kind: str,
        size_bytes: int,
        effect: Callable[[bool], fake_ceph.Answer],
        done: Callable[[Any], None],
    ) -> None:
        """Begin an operation, unless this was closed."""
        self.process.live()
        if self.is_open:
            self.process.begin(kind, size_bytes, effect, done, self._claim)
        else:
            done(exceptions.ClusterUnavailable(f'{kind}: closed'))

    def read(
        self,
        offset: int,
        length: int,
        done: storage.ReadDone,
        look: Callable[[int, int], bytes],
    ) -> None:
        """Read by `look`; whatever it gives short is an error."""

        def effect(is_corrupt: bool) -> fake_ceph.Answer:
            data = look(offset, length)
            if len(data) < length:
                return exceptions.ClusterUnavailable(
                    f'{self.object_name(offset)}: {len(data)} bytes at '
                    f'{offset}, expected {length}'
                )
            self.process.ceph.read_bytes += length
            return flip(data) if is_corrupt else data

        self.begin('read', length, effect, done)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """Compute over what is stored of a range."""
        self.require_piece(offset, length)
        if self.obstacle is not None:
            raise ValueError(f'checksum() cannot serve: {self.obstacle}')
        number, within = divmod(offset, self.image.object_bytes)

        def effect(_is_corrupt: bool) -> storage.Checksum:
            data = self.image.stored(number, self.snapshot) or b''
            covered = bytes(data[within : within + length])
            return storage.Checksum(
                len(covered), xxhash.xxh64_intdigest(covered)
            )

        self.begin('checksum', 0, effect, done)

    def stored(self, offset: int, length: int) -> bytes:
        """Return a range as the OSDs have it, past the object map."""
        length = max(0, min(length, self.image.size_bytes - offset))
        parts = []
        for number, within, piece in self.image.pieces(offset, length):
            data = self.image.stored(number, self.snapshot) or b''
            part = bytes(data[within : within + piece])
            parts.append(part.ljust(piece, b'\0'))
        return b''.join(parts)


def flip(data: bytes) -> bytes:
    """Return the data with one bit flipped."""
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


class FakeReadable:
    """See storage.Readable."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._image = pieces.image

    @property
    def size_bytes(self) -> int:
        """See storage.Readable."""
        return self._image.size_bytes

    @property
    def object_bytes(self) -> int:
        """See storage.Readable."""
        return self._image.object_bytes

    @property
    def checksum_obstacle(self) -> str | None:
        """See storage.Readable."""
        return self._pieces.obstacle

    def object_name(self, offset: int) -> str:
        """See storage.Readable."""
        return self._pieces.object_name(offset)

    def extents(self) -> Iterator[storage.Extent]:
        """See storage.Readable; whole objects, as the object map has them."""
        numbers = self._pieces.process.step(
            'look', lambda: self._image.allocated(self._pieces.snapshot)
        )
        for number in sorted(numbers):
            begin = number * self.object_bytes
            length = min(self.object_bytes, self.size_bytes - begin)
            yield storage.Extent(begin, length)

    def read(self, offset: int, length: int, done: storage.ReadDone) -> None:
        """See storage.Readable."""
        self._pieces.read(offset, length, done, self._look)

    def _look(self, offset: int, length: int) -> bytes:
        return self._image.read(offset, length, self._pieces.snapshot)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """See storage.Readable."""
        self._pieces.checksum(offset, length, done)

    def close(self) -> None:
        """See storage.Readable."""
        self._pieces.is_open = False


class FakeCopy:
    """See storage.Copy.

    :param is_repair: whether it was published before
    """

    def __init__(
        self,
        process: fake_ceph.Process,
        image_id: images.ImageId,
        image: rbd_pool.RbdImage,
        claim: fake_ceph.Claim,
        *,
        is_repair: bool = False,
    ) -> None:
        self._process = process
        self._ceph = process.ceph
        self._image_id = image_id
        self._image = image
        self._claim = claim
        self._is_repair = is_repair
        self._pieces = Pieces(process, image, claim=claim)
        self._has_taken = False
        self._is_fresh = not is_repair and not image.objects

    @property
    def size_bytes(self) -> int:
        """See storage.Copy."""
        return self._image.size_bytes

    @property
    def object_bytes(self) -> int:
        """See storage.Copy."""
        return self._image.object_bytes

    @property
    def is_fresh(self) -> bool:
        """See storage.Copy."""
        return self._is_fresh

    @property
    def checksum_obstacle(self) -> str | None:
        """See storage.Copy."""
        return self._pieces.obstacle

    def object_name(self, offset: int) -> str:
        """See storage.Copy."""
        return self._pieces.object_name(offset)

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """See storage.Copy."""
        self._pieces.require_piece(offset, len(data))
        if self._has_taken:
            raise ValueError('write() after take_snapshot()')
        sent = _without_zero_blocks(data, self._ceph.zero_block_bytes)

        def effect(is_corrupt: bool) -> int:
            written = flip(data) if is_corrupt else data
            self._ceph.pool.write_raw(self._image, offset, written)
            self._ceph.sent_bytes += sent
            return sent

        self._pieces.begin('write', len(data), effect, done)

    def read(self, offset: int, length: int, done: storage.ReadDone) -> None:
        """See storage.Copy."""
        self._pieces.read(offset, length, done, self._pieces.stored)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """See storage.Copy."""
        self._pieces.checksum(offset, length, done)

    def record_objects(self, numbers: Collection[int]) -> None:
        """See storage.Copy."""
        self._require_open()
        known = set(numbers)
        count = -(-self.size_bytes // self.object_bytes)
        if not known <= set(range(count)):
            raise ValueError(f'there are only {count} objects')

        def effect() -> None:
            self._image.object_map = known
            for snapshot in self._image.snapshots.values():
                snapshot.object_map = set(known)

        self._process.step('write_map', effect)

    def take_snapshot(self) -> None:
        """See storage.Copy."""
        self._require_filling()
        self._has_taken = True
        pool, snapshots = self._ceph.pool, self._image.snapshots

        def protect() -> None:
            snapshots[storage.SNAPSHOT].is_protected = True

        if storage.SNAPSHOT not in snapshots:
            self._process.step(
                'create_snapshot',
                lambda: pool.take_snapshot(self._name(), storage.SNAPSHOT),
            )
        if not snapshots[storage.SNAPSHOT].is_protected:
            self._process.step('protect_snapshot', protect)

    def rename(self) -> None:
        """See storage.Copy."""
        self._require_filling()
        if self._name() != self._image_id:
            self._process.step('rename_image', self._rename)

    def _rename(self) -> None:
        try:
            self._ceph.pool.rename(self._name(), self._image_id)
        except rbd_pool.NameTaken as exc:
            raise exceptions.OrphanInTheWay(
                f'{self._image_id} is taken by another image'
            ) from exc

    def discard(self) -> None:
        """See storage.Copy."""
        self._require_filling()
        if self._image in self._ceph.pool.images.values():
            remove_ours(self._process, self._name())
        self.release()

    def release(self) -> None:
        """See storage.Copy."""
        self._require_open()
        drop_claim(self._process, self._image_id)
        self.close()

    def close(self) -> None:
        """See storage.Copy."""
        self._pieces.is_open = False
        self._claim.is_left = True

    def _name(self) -> str:
        for name, image in self._ceph.pool.images.items():
            if image is self._image:
                return name
        raise exceptions.CopyNotFound(f'{self._image_id}: the copy is gone')

    def _require_open(self) -> None:
        self._process.live()
        if not self._pieces.is_open:
            raise exceptions.ClusterUnavailable('the copy was closed')

    def _require_filling(self) -> None:
        self._require_open()
        if self._is_repair:
            raise ValueError('not for a copy that was published')


def remove_ours(process: fake_ceph.Process, name: str) -> None:
    """Remove an image that we made, with all of its objects."""
    remove_snapshots(process, name)
    pool = process.ceph.pool

    def remove() -> None:
        # Its map may not know yet what was written.
        pool.find(name).object_map = None
        pool.remove(name)

    process.step('remove_image', remove)


def remove_snapshots(process: fake_ceph.Process, name: str) -> None:
    """Remove the snapshot of an image. Raises NotAnOrphan if it is in use."""
    pool = process.ceph.pool
    image = pool.find(name)
    snapshot = image.snapshots.get(storage.SNAPSHOT)
    if snapshot is None:
        return
    try:
        if snapshot.is_protected:
            process.step(
                'unprotect_snapshot',
                lambda: pool.unprotect(name, storage.SNAPSHOT),
            )
        process.step(
            'remove_snapshot',
            lambda: pool.remove_snapshot(name, storage.SNAPSHOT),
        )
    except rbd_pool.InUse as exc:
        raise exceptions.NotAnOrphan(f'{name}: {exc}') from exc


def drop_claim(process: fake_ceph.Process, image_id: images.ImageId) -> None:
    """Give up the claim on an image, for good."""
    process.step('unclaim', lambda: process.ceph.claims.pop(image_id, None))


def _without_zero_blocks(data: bytes, block: int) -> int:
    """Count the bytes of the blocks that are not zero."""
    if b'\0' not in data:
        return len(data)
    sent = 0
    for begin in range(0, len(data), block):
        piece = data[begin : begin + block]
        if piece.count(0) != len(piece):
            sent += len(piece)
    return sent
