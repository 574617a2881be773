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
"""librados by its C API, for the calls that its Python binding lacks.

The binding has no checksums, cannot tell who holds a lock, and gives no
access to its handles; so there is one more connection, made here.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import ctypes
from ctypes import byref
from ctypes import c_int
from ctypes import c_size_t
from ctypes import c_uint64
from ctypes import c_void_p
import dataclasses
import errno
import itertools
import struct
import threading

import rados

from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import in_flight
from dcn_distributor.clients.ceph import object_maps
from dcn_distributor.clients.ceph import prototypes

_XXHASH64 = 1
_SEED = bytes(8)
# A count of 4 bytes and one value of 8.
_ANSWER_BYTES = 12
# cls_lock_types.h: renew, and fail if the lock is no longer held.
MUST_RENEW = 2
_EXCLUSIVE = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Locker:
    """Who holds a lock: a client of the cluster, by the word it gave."""

    client: str
    cookie: str


@dataclasses.dataclass(frozen=True, slots=True)
class Sum:
    """A checksum as the OSD answered. The size is that of the object."""

    size_bytes: int
    value: int | None


# Gets the sum, or the negative error number.
SumDone = Callable[[Sum | int], None]


class _Pending:
    """What librados writes to, until the callback."""

    __slots__ = ('answer', 'done', 'result', 'size', 'stat_result', 'time')

    def __init__(self, done: SumDone) -> None:
        self.done = done
        self.answer = ctypes.create_string_buffer(_ANSWER_BYTES)
        self.result = c_int(0)
        self.size = c_uint64(0)
        self.time = ctypes.c_long(0)
        self.stat_result = c_int(0)

    def outcome(self, result: int) -> Sum | int:
        """Read what came back."""
        result = result or self.result.value
        if result < 0:
            return result
        count, value = struct.unpack('<IQ', self.answer.raw)
        return Sum(self.size.value, value if count else None)


class Client:
    """A connection to a cluster. Any thread may use it.

    All methods raise rados.OSError.
    """

    def __init__(
        self, conf: str, user: str, settings: Mapping[str, str]
    ) -> None:
        self._conf = conf
        self._user = user
        self._settings = settings
        self._handle = c_void_p()
        self._lock = threading.Lock()
        # Apart from the other, which callbacks need.
        self._naming = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._numbers = itertools.count(1)
        self.in_flight = in_flight.InFlight(self._close)
        self.is_lost = False
        self._last_pool_id: int | None = None
        self._named: dict[tuple[str, str], Pool] = {}
        # librados calls it for as long as there is a handle.
        self._callback = prototypes.Callback(self._complete)

    def connect(self) -> None:
        """Connect; call it once."""
        library = prototypes.load()
        what = f'connect to the cluster of {self._conf}'
        user = f'client.{self._user}'.encode()
        handle = c_void_p()
        prototypes.check(
            library.rados_create2(byref(handle), b'ceph', user, 0), what
        )
        try:
            prototypes.check(
                library.rados_conf_read_file(handle, self._conf.encode()), what
            )
            for name, value in self._settings.items():
                set_to = library.rados_conf_set(
                    handle, name.encode(), value.encode()
                )
                # Not all are known to all releases.
                if set_to != -errno.ENOENT:
                    prototypes.check(set_to, f'set {name} to {value}')
            prototypes.check(library.rados_connect(handle), what)
        except rados.Error:
            library.rados_shutdown(handle)
            raise
        self._handle = handle

    def pool(
        self, pool_id: int, *, namespace: str = '', snap_id: int | None = None
    ) -> 'Pool':
        """Open a pool, by its number; at one snapshot, if one is given."""
        self.enter()
        try:
            return Pool(self, self._open(pool_id, namespace, snap_id))
        except BaseException:
            self.in_flight.leave()
            raise

    def _open(
        self, pool_id: int, namespace: str, snap_id: int | None
    ) -> c_void_p:
        library = prototypes.load()
        io = c_void_p()
        prototypes.check(
            library.rados_ioctx_create2(self._handle, pool_id, byref(io)),
            f'open pool {pool_id}',
        )
        self._last_pool_id = pool_id
        library.rados_ioctx_set_namespace(io, namespace.encode())
        # A lock is renewed where a pool is full, if one asks like that.
        library.rados_set_osdmap_full_try(io)
        if snap_id is not None:
            library.rados_ioctx_snap_set_read(io, snap_id)
        return io

    def notice(self, result: int) -> None:
        """Note if a result tells that the connection is of no use any more."""
        if -result in errors.LOST:
            self.is_lost = True

    def enter(self) -> None:
        """Keep it from being closed until in_flight.leave()."""
        if not self.in_flight.enter():
            raise rados.OSError('the connection was closed', errno.ENOTCONN)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being closed meanwhile: librados would crash."""
        self.enter()
        try:
            yield
        finally:
            self.in_flight.leave()

    def number_of(self, pool: str) -> int:
        """Look up the number of a pool."""
        with self.in_use():
            number = prototypes.load().rados_pool_lookup(
                self._handle, pool.encode()
            )
            return prototypes.check(number, f'look up pool {pool}')

    def named_pool(self, name: str, namespace: str) -> 'Pool':
        """Open a pool by its name, once; it is closed with the connection."""
        key = (name, namespace)
        with self.in_use(), self._naming:
            if key not in self._named:
                number = self.number_of(name)
                self._named[key] = Pool(
                    self, self._open(number, namespace, None)
                )
            return self._named[key]

    def close(self) -> None:
        """Disconnect, in the background, when all has ended."""
        self.in_flight.close()

    def _close(self) -> None:
        library = prototypes.load()
        try:
            if self._last_pool_id is not None:
                self._let_callbacks_return(self._last_pool_id)
        finally:
            for pool in self._named.values():
                library.rados_ioctx_destroy(pool.io)
            library.rados_shutdown(self._handle)

    def _let_callbacks_return(self, pool_id: int) -> None:
        """Wait until none runs: librados crashes if it is shut down then.

        It calls back one after another, so all that came before have
        returned when the last one has.
        """
        library = prototypes.load()
        io, completion = self._open(pool_id, '', None), c_void_p()
        library.rados_aio_create_completion(
            None, prototypes.IGNORE, prototypes.Callback(), byref(completion)
        )
        if library.rados_aio_stat(io, b'absent', completion, None, None) >= 0:
            library.rados_aio_wait_for_complete_and_cb(completion)
        library.rados_aio_release(completion)
        library.rados_ioctx_destroy(io)

    def submit(self, io: c_void_p, name: str, make: '_MakeSum') -> None:
        """Start a checksum of the object `name`."""
        self.enter()
        library = prototypes.load()
        pending = _Pending(make.done)
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = pending
        completion = c_void_p()
        operation = c_void_p(library.rados_create_read_op())
        try:
            library.rados_read_op_stat(
                operation,
                byref(pending.size),
                byref(pending.time),
                byref(pending.stat_result),
            )
            make.add_to(operation, pending)
            library.rados_aio_create_completion(
                number,
                self._callback,
                prototypes.Callback(),
                byref(completion),
            )
            result = library.rados_aio_read_op_operate(
                operation, io, completion, name.encode(), 0
            )
        finally:
            library.rados_release_read_op(operation)
        if result < 0:
            library.rados_aio_release(completion)
            self._finish(number, result)

    def _complete(self, completion: int, number: int) -> None:
        library = prototypes.load()
        result = library.rados_aio_get_return_value(completion)
        library.rados_aio_release(completion)
        self._finish(number, result)

    def _finish(self, number: int, result: int) -> None:
        with self._lock:
            pending = self._pending.pop(number)
        self.notice(result)
        pending.done(pending.outcome(result))
        self.in_flight.leave()


def _encode_held(lock: str, cookie: str) -> bytes:
    """Encode a cls_lock_assert_op (ceph: cls/lock/cls_lock_ops.h)."""
    tag = b''
    held = (
        object_maps.as_argument(lock.encode())
        + bytes([_EXCLUSIVE])
        + object_maps.as_argument(cookie.encode())
        + object_maps.as_argument(tag)
    )
    return struct.pack('<BBI', 1, 1, len(held)) + held


@dataclasses.dataclass(frozen=True, slots=True)
class _MakeSum:
    offset: int
    length: int
    done: SumDone

    def add_to(self, operation: c_void_p, pending: _Pending) -> None:
        """Add it. Without a chunk size, what lies behind the end is cut off.

        Found by trying: with one that is as long as the range, an OSD
        answers EINVAL as soon as the object is shorter; without, it gives one
        value for what there is, and none if that is nothing.
        """
        prototypes.load().rados_read_op_checksum(
            *(operation, _XXHASH64, _SEED, len(_SEED)),
            *(self.offset, self.length, 0),
            *(byref(pending.answer), _ANSWER_BYTES, byref(pending.result)),
        )


class Pool:
    """A pool, or a namespace in it. Its methods raise rados.OSError."""

    def __init__(self, client: Client, io: c_void_p) -> None:
        self._client = client
        self.io = io

    def _call(self, call: Callable[..., int], *rest: object) -> int:
        """Make a call on the pool; give its result, errors included."""
        with self._client.in_use():
            result = call(self.io, *rest)
            self._client.notice(result)
            return result

    def close(self) -> None:
        """Let go of it, once; MUST NOT be used afterwards.

        Checksums in flight still end.
        """
        prototypes.load().rados_ioctx_destroy(self.io)
        self._client.in_flight.leave()

    def checksum(
        self, name: str, offset: int, length: int, done: SumDone
    ) -> None:
        """Compute the xxhash64 of a range at the OSD; returns at once.

        `done` gets ENOENT, negative, if there is no such object.
        """
        self._client.submit(self.io, name, _MakeSum(offset, length, done))

    def version(self, name: str) -> int | None:
        """Give the version of an object, None if there is none.

        Two threads MUST NOT do this on one pool at the same time.
        """
        size, time = c_uint64(), ctypes.c_long()
        library = prototypes.load()
        with self._client.in_use():
            result = self._call(
                library.rados_stat, name.encode(), byref(size), byref(time)
            )
            if result == -errno.ENOENT:
                return None
            prototypes.check(result, f'look at object {name}')
            return int(library.rados_get_last_version(self.io))

    def lock(
        self, name: str, lock: str, cookie: str, duration_s: float, flags: int
    ) -> None:
        """Lock an object for so long, and create it. EBUSY if another has.

        With MUST_RENEW a lock that is held lasts for so long again, ENOENT
        if it is not.
        """
        until = prototypes.Timeval(int(duration_s), 0)
        result = self._call(
            prototypes.load().rados_lock_exclusive,
            *(name.encode(), lock.encode(), cookie.encode(), b''),
            *(byref(until), flags),
        )
        prototypes.check(result, f'lock object {name}')

    def unlock(self, name: str, lock: str, cookie: str) -> None:
        """Unlock what was locked over this connection."""
        result = self._call(
            prototypes.load().rados_unlock,
            *(name.encode(), lock.encode(), cookie.encode()),
        )
        prototypes.check(result, f'unlock object {name}')

    def remove_locked(self, name: str, lock: str, cookie: str) -> None:
        """Remove an object if this connection has locked it, or else EBUSY.

        In one operation: nobody can have locked it in between.
        """
        library = prototypes.load()
        operation = c_void_p(library.rados_create_write_op())
        held = _encode_held(lock, cookie)
        try:
            library.rados_write_op_exec(
                *(operation, b'lock', b'assert_locked', held, len(held), None)
            )
            library.rados_write_op_remove(operation)
            with self._client.in_use():
                result = library.rados_write_op_operate(
                    operation, self.io, name.encode(), None, 0
                )
                self._client.notice(result)
        finally:
            library.rados_release_write_op(operation)
        prototypes.check(result, f'remove object {name}')

    def break_lock(self, name: str, lock: str, locker: Locker) -> None:
        """Unlock what another has locked."""
        result = self._call(
            prototypes.load().rados_break_lock,
            *(name.encode(), lock.encode()),
            *(locker.client.encode(), locker.cookie.encode()),
        )
        prototypes.check(result, f'break the lock of object {name}')

    def lockers(self, name: str, lock: str) -> tuple[Locker, ...]:
        """Tell who holds a lock, without those that have expired."""
        exclusive = c_int()
        lengths = [c_size_t(4096) for _ in range(4)]
        buffers = [ctypes.create_string_buffer(4096) for _ in range(4)]
        pairs = [
            byref(one)
            for pair in zip(buffers, lengths, strict=True)
            for one in pair
        ]
        count = self._call(
            prototypes.load().rados_list_lockers,
            *(name.encode(), lock.encode(), byref(exclusive), *pairs),
        )
        if count == -errno.ENOENT:
            return ()
        prototypes.check(count, f'read who has locked object {name}')
        # A tag, and then three lists, of addresses the last.
        _, clients, cookies, _ = (b.raw.split(b'\0')[:count] for b in buffers)
        return tuple(
            Locker(client.decode(), cookie.decode())
            for client, cookie in zip(clients, cookies, strict=True)
        )
