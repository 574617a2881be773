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
"""Connections to one cluster: made in parallel, kept warm, replaced if lost.

Every Rados handle has TCP streams of its own. To connect takes a dozen round
trips, and what bounds a long link is often one stream; so there are several,
and each is used as soon as it stands, whatever becomes of the others. The
longer a round trip turns out to be, the more of them are made.
"""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import itertools
import math
import threading
import time
from typing import Any

import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import in_flight
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.clients.ceph import round_trips
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import sites

# Where claims lie, and what check() writes.
NAMESPACE = 'dcn_distributor'

# For how long close() waits. A process that ends under a handle in use
# would crash.
_CLOSING_S = 3.0

# One connection carries the kernel's send buffer in a round trip, 4 MiB as it
# comes, but waits for its OSD about a quarter of the time: with one for each
# of these, 1 Gbit/s is filled.
_ROUND_TRIP_S = 0.025

# So many times as many as asked for, at most.
_MORE = 3


def settings(options: ceph_options.Options) -> dict[str, str]:
    """Give what a handle is set to before it connects."""
    # These are whole seconds to librados, which refuses fractions.
    timeout = str(math.ceil(options.timeout_s))
    # Only an operation that is older than this has librados ask whether an
    # OSD has another address now. With the default of 10 s, calls that time
    # out sooner would do so for ever once an OSD was restarted (ceph:
    # Objecter::tick; seen with 16.2).
    is_late_s = min(10.0, options.timeout_s / 4)
    return {
        'client_mount_timeout': timeout,
        'rados_mon_op_timeout': timeout,
        'rados_osd_op_timeout': timeout,
        'objecter_timeout': f'{is_late_s:g}',
        'objecter_tick_interval': f'{is_late_s / 2:g}',
        # Images are read once and from end to end: a cache only copies.
        'rbd_cache': 'false',
        # Removing an image of many objects waits for the link otherwise.
        'rbd_concurrent_management_ops': '64',
        'rbd_move_to_trash_on_remove': 'false',
        # Glance has images in the pool: it need not be validated each time.
        'rbd_validate_pool': 'false',
        'log_to_stderr': 'false',
        'err_to_stderr': 'false',
        # Several handles of one process would fight for one socket.
        'admin_socket': '',
    }


class Connection:
    """One Rados handle and what was opened on it. Any thread may use it."""

    def __init__(self, handle: rados.Rados, pool: str) -> None:
        self.handle = handle
        self.is_lost = False
        self._pool = pool
        self._lock = threading.Lock()
        self._pools: dict[tuple[int | None, str, int | None], Any] = {}
        self.in_flight = in_flight.InFlight(self._close)

    def pool(
        self,
        pool_id: int | None = None,
        *,
        namespace: str = '',
        snap_id: int | None = None,
    ) -> rados.Ioctx:
        """Open a pool, by default that of the images; kept open.

        Writes to it fail with ENOSPC or EDQUOT where the cluster or pool is
        full: by default they would wait until there is space again.
        """
        key = (pool_id, namespace, snap_id)
        with self._lock:
            found = self._pools.get(key)
            if found is None:
                found = self._open(*key)
                self._pools[key] = found
            return found

    def _open(
        self, pool_id: int | None, namespace: str, snap_id: int | None
    ) -> rados.Ioctx:
        if pool_id is None:
            ioctx = self.handle.open_ioctx(self._pool)
        else:
            ioctx = self.handle.open_ioctx2(pool_id)
        ioctx.set_namespace(namespace)
        ioctx.set_osdmap_full_try()
        if snap_id is not None:
            ioctx.set_read(snap_id)
        return ioctx

    def greet(self, on_timed: Callable[[float], None]) -> None:
        """Have streams opened to the OSDs; returns at once.

        That takes eight round trips with each of them, which the first
        chunks would have to wait for. Afterwards `on_timed` is told what one
        takes, in seconds, unless an OSD does not answer. Raises rados.Error.
        """
        if not self.handle.pool_exists(self._pool):
            return
        pool = self.pool()
        self.enter()
        tasks.start('ceph-greet', lambda: self._greet(pool, on_timed))

    def _greet(
        self, pool: rados.Ioctx, on_timed: Callable[[float], None]
    ) -> None:
        """Ask for objects that are not there, in many placement groups."""
        try:
            took_s = None
            if round_trips.greet(pool):
                took_s = round_trips.shortest_s(pool)
            if took_s is not None:
                on_timed(took_s)
        finally:
            self.leave()

    def enter(self) -> None:
        """Keep it from being closed until leave().

        Raises ClusterUnavailable if it is closed.
        """
        if not self.in_flight.enter():
            raise exceptions.ClusterUnavailable(
                f'pool {self._pool}: the connection was closed'
            )

    def leave(self) -> None:
        """End what enter() began."""
        self.in_flight.leave()

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Begin within what calls leave() at its end; undone by an error."""
        self.enter()
        try:
            yield
        except BaseException:
            self.leave()
            raise

    @contextlib.contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Make calls within: errors of the bindings are raised as ours.

        It is kept from being closed; notices if it is lost.
        """
        self.enter()
        try:
            yield
        except (rados.Error, rbd.Error) as exc:
            self._notice(errors.number_of(exc))
            raise errors.translate(exc, what) from exc
        finally:
            self.leave()

    def error(self, number: int, what: str) -> exceptions.DistributorError:
        """Make an error from an error number; notice if it is lost."""
        self._notice(abs(number))
        return errors.from_number(number, what)

    def _notice(self, number: int) -> None:
        if number in errors.LOST:
            self.is_lost = True

    def close(self) -> None:
        """Disconnect, in the background, when all calls have ended."""
        self.in_flight.close()

    def _close(self) -> None:
        # All of it, last come first, whatever fails on the way.
        with contextlib.ExitStack() as open_still:
            open_still.callback(self.handle.shutdown)
            for ioctx in self._pools.values():
                open_still.callback(ioctx.close)
                open_still.callback(round_trips.let_callbacks_return, ioctx)


class Connections:
    """All that there are to one cluster."""

    def __init__(
        self, cluster: sites.Cluster, options: ceph_options.Options
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._lock = threading.Lock()
        self._slots = _empty_slots(options)
        self._native: futures.Future[native.Client] | None = None
        self._turn = itertools.count()
        self._used_s = time.monotonic()

    @property
    def label(self) -> str:
        """What errors call the cluster."""
        return f'pool {self._cluster.pool} of {self._cluster.conf}'

    @property
    def idle_s(self) -> float:
        """For how long nobody has asked for a connection."""
        return time.monotonic() - self._used_s

    @property
    def is_closed(self) -> bool:
        """Whether all were closed, or none was asked for yet."""
        with self._lock:
            return self._native is None

    def first(self) -> Connection:
        """Give a connection, the first that stands; connect if need be.

        Raises ClusterUnavailable, AccessDenied.
        """
        slots = self._warm()
        waiting = set(slots)
        while waiting:
            done, waiting = futures.wait(
                waiting, return_when=futures.FIRST_COMPLETED
            )
            for slot in done:
                if slot.exception() is None:
                    return slot.result()
        return slots[0].result()

    def next(self) -> Connection:
        """Give one of those that stand, in turn; never waits.

        Raises ClusterUnavailable if there is none.
        """
        standing = self.standing()
        if not standing:
            raise exceptions.ClusterUnavailable(f'{self.label}: not connected')
        return standing[next(self._turn) % len(standing)]

    def standing(self) -> list[Connection]:
        """Give all that stand now."""
        return [
            slot.result()
            for slot in self._warm()
            if slot.done() and slot.exception() is None
        ]

    def native_client(self) -> native.Client:
        """Give the connection by the C API; connect if need be."""
        self._warm()
        client = self._native
        assert client is not None
        return client.result()

    def all(self) -> list[Callable[[], Connection]]:
        """Give what waits for each of them, those that stand included."""
        return [slot.result for slot in self._warm()]

    def native_pool(self, *, namespace: str) -> native.Pool:
        """Open a namespace of the pool by the C API; kept open."""
        with errors.translated(f'open {self.label}'):
            return self.native_client().named_pool(
                self._cluster.pool, namespace
            )

    def standing_native_pool(self, *, namespace: str) -> native.Pool:
        """As native_pool(), but raises ClusterUnavailable after close().

        For what ends late: it must not open again what nobody closes then.
        """
        if self.is_closed:
            raise exceptions.ClusterUnavailable(f'{self.label}: closed')
        return self.native_pool(namespace=namespace)

    def new_native_pool(
        self, pool_id: int | None, *, snap_id: int | None = None
    ) -> native.Pool:
        """Open a pool by the C API, for a caller that closes it.

        None is that of the images.
        """
        with errors.translated(f'open {self.label}'):
            client = self.native_client()
            if pool_id is None:
                pool_id = client.number_of(self._cluster.pool)
            return client.pool(pool_id, snap_id=snap_id)

    def _warm(self) -> list['futures.Future[Connection]']:
        """See to it that all stand or are being made."""
        self._used_s = time.monotonic()
        with self._lock:
            for number, slot in enumerate(self._slots):
                if slot is None or _is_useless(slot):
                    if slot is not None:
                        _close_if_there(slot)
                    self._slots[number] = tasks.start(
                        'ceph-connect', self._connect
                    )
            if self._native is None or _is_useless(self._native):
                if self._native is not None:
                    _close_if_there(self._native)
                self._native = tasks.start(
                    'ceph-connect', self._connect_native
                )
            return [slot for slot in self._slots if slot is not None]

    def _connect(self) -> Connection:
        with errors.translated(f'connect to {self.label}'):
            handle = rados.Rados(
                rados_id=self._cluster.user, conffile=self._cluster.conf
            )
            try:
                for name, value in settings(self._options).items():
                    # Not all are known to all releases.
                    with contextlib.suppress(rados.ObjectNotFound):
                        handle.conf_set(name, value)
                handle.connect()
                connection = Connection(handle, self._cluster.pool)
                connection.greet(self._make_more)
            except rados.Error:
                handle.shutdown()
                raise
            return connection

    def _make_more(self, round_trip_s: float) -> None:
        """Have as many made as fill a link of this length."""
        wanted = math.ceil(round_trip_s / _ROUND_TRIP_S)
        with self._lock:
            if self._native is None:
                return
            count = min(wanted, _MORE * self._options.connections)
            missing = max(0, count - len(self._slots))
            self._slots += [
                tasks.start('ceph-connect', self._connect)
                for _ in range(missing)
            ]

    def _connect_native(self) -> native.Client:
        client = native.Client(
            self._cluster.conf, self._cluster.user, settings(self._options)
        )
        with errors.translated(f'connect to {self.label}'):
            client.connect()
        return client

    def close(self) -> None:
        """Disconnect all; a hung one goes on in the background."""
        with self._lock:
            slots: list[futures.Future[Any] | None] = [
                *self._slots,
                self._native,
            ]
            self._slots, self._native = _empty_slots(self._options), None
        begun = [slot for slot in slots if slot is not None]
        for slot in begun:
            slot.add_done_callback(_close_if_there)
        end_s = time.monotonic() + _CLOSING_S
        for slot in begun:
            if slot.done() and slot.exception() is None:
                slot.result().in_flight.wait(end_s - time.monotonic())


def _empty_slots(
    options: ceph_options.Options,
) -> list['futures.Future[Connection] | None']:
    return [None] * options.connections


def _is_useless(slot: 'futures.Future[Any]') -> bool:
    return slot.done() and (
        slot.exception() is not None or slot.result().is_lost
    )


def _close_if_there(slot: 'futures.Future[Any]') -> None:
    if slot.exception() is None:
        slot.result().close()
