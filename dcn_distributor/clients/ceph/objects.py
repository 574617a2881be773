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
"""The data objects of an image, written and read without librbd.

librbd lets one client write to an image at a time; objects have no such
limit, so each chunk goes over the connection whose turn it is. What librbd
would have recorded on the way is set by `publication` at the end.

All is written with an empty snapshot context: the OSD changes the object
itself then and makes no clone of it, and a snapshot that was taken before
shows what is written after it. So the snapshot need not wait for the data,
and a published copy can be repaired under its clones.
"""

from collections.abc import Iterator
import functools
import itertools
import threading

import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import checksums
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import native
from dcn_distributor.core import storage
from dcn_distributor.core import zeros


class Objects:
    """The objects of one image, written to under a claim.

    :param pool: where checksum() looks, by the C API; closed with this
    :param snap_id: what read() looks at, None for the image itself
    :param is_blank: whether no object of the image exists yet
    """

    def __init__(
        self,
        connections: ceph_connections.Connections,
        header: headers.Header,
        claim: claims.Claim,
        pool: native.Pool,
        *,
        is_blank: bool,
        snap_id: int | None = None,
    ) -> None:
        self._connections = connections
        self._header = header
        self._claim = claim
        self._pool = pool
        self._snap_id = snap_id
        self._lock = threading.Lock()
        # One byte for each object that may hold something.
        self._touched = bytearray(
            (b'\0' if is_blank else b'\1') * header.object_count
        )

    @property
    def touched(self) -> frozenset[int]:
        """The numbers of the objects that may hold something."""
        return frozenset(
            itertools.compress(range(len(self._touched)), self._touched)
        )

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """Write one chunk, in one operation, without its zeros."""
        try:
            number, extent = storage.locate(
                offset, len(data), self._header.object_bytes
            )
            within = extent.offset
            name = self._header.object_name(number)
            what = f'write {len(data)} bytes at {within} of object {name}'
            self._claim.check()
            connection = self._connections.next()
            with self._lock:
                is_blank = not self._touched[number]
                self._touched[number] = 1
            with connection.translated(what):
                self._submit(
                    connection, name, within, data, is_blank, done, what
                )
        except exceptions.DistributorError as exc:
            done(exc)

    def _submit(
        self,
        connection: ceph_connections.Connection,
        name: str,
        within: int,
        data: bytes,
        is_blank: bool,
        done: storage.WriteDone,
        what: str,
    ) -> None:
        pool = connection.pool(self._header.data_pool_id)
        operation = pool.create_write_op()
        try:
            sent = fill(operation, within, data, is_blank=is_blank)

            def finish(completion: rados.Completion) -> None:
                result = completion.get_return_value()
                if result < 0:
                    done(connection.error(result, what))
                else:
                    done(sent)
                connection.leave()

            with connection.begun():
                pool.operate_aio_write_op(operation, name, finish)
        finally:
            pool.release_write_op(operation)

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """Have the OSD compute over a range within one object."""
        try:
            number, extent = storage.locate(
                offset, length, self._header.object_bytes
            )
        except exceptions.VerificationFailed as exc:
            done(exc)
            return
        checksums.compute(
            self._pool, self._header.object_name(number), extent, done
        )

    def read(self, offset: int, length: int, done: storage.ReadDone) -> None:
        """Read a range, of several objects if it spans them."""
        if offset + length > self._header.size_bytes:
            done(
                exceptions.ClusterUnavailable(
                    f'read {length} bytes at {offset} of an image of '
                    f'{self._header.size_bytes}'
                )
            )
            return
        parts = list(self._parts(offset, length))
        if not parts:
            done(b'')
            return
        join = _Join(len(parts), done)
        for index, (name, within, part_length) in enumerate(parts):
            self._read_part(
                name, within, part_length, functools.partial(join.add, index)
            )

    def _parts(
        self, offset: int, length: int
    ) -> Iterator[tuple[str, int, int]]:
        end = offset + length
        while offset < end:
            number, within = divmod(offset, self._header.object_bytes)
            part = min(end - offset, self._header.object_bytes - within)
            yield self._header.object_name(number), within, part
            offset += part

    def _read_part(
        self,
        name: str,
        within: int,
        length: int,
        done: storage.ReadDone,
    ) -> None:
        what = f'read {length} bytes at {within} of object {name}'

        def finish(completion: rados.Completion, data: bytes | None) -> None:
            result = completion.get_return_value()
            if result == -errors.ABSENT:
                done(bytes(length))
            elif result < 0:
                done(connection.error(result, what))
            else:
                # What lies behind the end of an object reads as zeros. The
                # binding gives bytes that nobody has set if nothing was read.
                done((data or b'')[:result].ljust(length, b'\0'))
            connection.leave()

        try:
            connection = self._connections.next()
            with connection.translated(what):
                pool = connection.pool(
                    self._header.data_pool_id, snap_id=self._snap_id
                )
                with connection.begun():
                    pool.aio_read(name, length, within, finish)
        except exceptions.DistributorError as exc:
            done(exc)

    def close(self) -> None:
        """Let go of the pool."""
        self._pool.close()


def fill(
    operation: rados.WriteOp, within: int, data: bytes, *, is_blank: bool
) -> int:
    """Make an operation write `data`; give how many bytes it carries.

    Zeros are left out, or set as such where something may lie. The last
    byte is written in any case: so the object reaches to the chunk's end,
    and a checksum covers all of it.
    """
    sent = 0
    behind = 0
    for begin, end in zeros.runs(data):
        if behind < begin and not is_blank:
            _clear(operation, within + behind, begin - behind)
        is_all = end - begin == len(data)
        operation.write(data if is_all else data[begin:end], within + begin)
        sent += end - begin
        behind = end
    if behind < len(data):
        if not is_blank:
            _clear(operation, within + behind, len(data) - behind)
        operation.write(b'\0', within + len(data) - 1)
        sent += 1
    return sent


def _clear(operation: rados.WriteOp, begin: int, length: int) -> None:
    """Make an operation set a range to zeros, without sending them all.

    NOTE: never by WriteOp.zero(). The binding of 16.2 passes its arguments in
    the wrong order, and an OSD that is told to clear nothing ends with a
    failed assertion (osd/PrimaryLogPG.cc), as does the next one after it.
    """
    whole = length - length % zeros.BLOCK_BYTES
    if whole:
        operation.writesame(zeros.BLOCK, whole, begin)
    if length > whole:
        operation.write(bytes(length - whole), begin + whole)


class _Join:
    """Puts the parts of a read together."""

    def __init__(self, count: int, done: storage.ReadDone) -> None:
        self._parts: list[bytes] = [b''] * count
        self._missing = count
        self._error: exceptions.DistributorError | None = None
        self._done = done
        self._lock = threading.Lock()

    def add(
        self, index: int, part: bytes | exceptions.DistributorError
    ) -> None:
        """Take one part; the last one ends it."""
        with self._lock:
            if isinstance(part, exceptions.DistributorError):
                self._error = part
            else:
                self._parts[index] = part
            self._missing -= 1
            is_last = not self._missing
        if is_last:
            parts = self._parts
            self._done(
                self._error
                or (parts[0] if len(parts) == 1 else b''.join(parts))
            )
