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
"""Who fills or repairs an image: claims, that other agents respect.

A claim is an object with the image's id for its name, in a namespace of our
own in the same pool. Whoever holds the lock of it holds the claim. The lock
expires unless it is renewed; that of a process which is dead for sure, on
this host, is broken at once. The object outlives the lock: its content, a
JSON document, tells which RBD image is ours, when that has no longer a name
of ours to tell it by.

An index names all images that are claimed. A process may die between any two
steps, so an image is entered there before the object can exist, and taken
out when that is gone; and it is entered again with the content, because
whoever had the claim before may have taken it out late. Only one that dies
between that and its content leaves an object, empty, that nothing names; it
is found when the image is claimed again.
"""

from collections.abc import Callable
import contextlib
import dataclasses
import errno
import functools
import json
import logging
import threading
import time
import uuid

import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claim_index
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import holders
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images

LOG = logging.getLogger(__name__)

RENEWAL_S = 5.0
_DURATION_S = 30.0
_LOCK = 'claim'
_VERSION = 1
# What check() writes in the namespace is no claim.
CHECK_PREFIX = 'check.'


class Claim:
    """A claim that is held, until give_up() or remove()."""

    def __init__(
        self,
        image_id: images.ImageId,
        cookie: str,
        connections: ceph_connections.Connections,
        index: claim_index.ClaimIndex,
        durations: 'Durations',
        on_end: Callable[['Claim'], None],
    ) -> None:
        self.image_id = image_id
        self._cookie = cookie
        self._connections = connections
        self._index = index
        self._durations = durations
        self._on_end = on_end
        self._lock = threading.Lock()
        self._is_lost = False
        self._is_removed = False
        self._renewed_s = time.monotonic()

    def check(self) -> None:
        """Raise unless it is held for sure, and for a call's time more.

        CopyInProgress if another may have it by now, ClusterUnavailable if
        it could not be renewed in time.
        """
        with self._lock:
            age_s = time.monotonic() - self._renewed_s
            is_lost = self._is_lost
        if is_lost:
            raise exceptions.CopyInProgress(
                f'image {self.image_id}: the claim in '
                f'{self._connections.label} was lost'
            )
        if age_s > self._durations.trusted_s:
            raise exceptions.ClusterUnavailable(
                f'image {self.image_id}: the claim in '
                f'{self._connections.label} was not renewed for {age_s:.0f} s'
            )

    @property
    def is_lost(self) -> bool:
        """Whether another may have it by now."""
        with self._lock:
            return self._is_lost

    @property
    def is_removed(self) -> bool:
        """Whether remove() has removed it."""
        with self._lock:
            return self._is_removed

    def renew(self) -> None:
        """Hold it for its duration again. Raises nothing."""
        began_s = time.monotonic()
        try:
            _standing_pool(self._connections).lock(
                self.image_id,
                _LOCK,
                self._cookie,
                self._durations.lock_s,
                native.MUST_RENEW,
            )
        except (rados.Error, exceptions.DistributorError) as exc:
            number = errors.number_of(exc)
            LOG.debug('image=%s claim not renewed: %s', self.image_id, exc)
            if number in (errno.ENOENT, errno.EBUSY, errno.EEXIST):
                with self._lock:
                    self._is_lost = True
            return
        with self._lock:
            self._renewed_s = began_s

    def rbd_id(self) -> str | None:
        """Read the internal id of the image we made, if that is recorded."""
        connection = self._connections.first()
        with connection.translated(f'read claim {self.image_id}'):
            pool = connection.pool(namespace=ceph_connections.NAMESPACE)
            try:
                content = pool.read(self.image_id)
            except rados.ObjectNotFound:
                return None
        return _decode(content)

    def record(self, rbd_id: str) -> None:
        """Write down which image is ours; it outlives the claim."""
        tasks.together(
            lambda: self._write(rbd_id),
            lambda: self._index.add(self.image_id),
        )

    def _write(self, rbd_id: str) -> None:
        content = json.dumps({'version': _VERSION, 'rbd_id': rbd_id})
        connection = self._connections.first()
        with connection.translated(f'write claim {self.image_id}'):
            connection.pool(namespace=ceph_connections.NAMESPACE).write_full(
                self.image_id, content.encode()
            )

    def give_up(self) -> None:
        """Let another pass have it, with what is recorded.

        Nothing if it was removed. Where the connections were closed before,
        it lasts until its lock expires.
        """
        if self.is_removed:
            return
        self._on_end(self)
        with errors.translated(f'unlock claim {self.image_id}'):
            pool = _standing_pool(self._connections)
            try:
                pool.unlock(self.image_id, _LOCK, self._cookie)
            except rados.ObjectNotFound:
                # Another connection locked it, or nobody holds it any more.
                for locker in pool.lockers(self.image_id, _LOCK):
                    if locker.cookie == self._cookie:
                        pool.break_lock(self.image_id, _LOCK, locker)

    def remove(self) -> None:
        """Give it up for good. Raises CopyInProgress if it is held no more.

        What another has taken since is left to it.
        """
        self._on_end(self)
        self._remove(_standing_pool(self._connections))
        with self._lock:
            self._is_removed = True
        if self._connections.is_closed:
            # That would open them again, and nobody would close them.
            return
        try:
            self._index.remove(self.image_id)
        except exceptions.DistributorError as exc:
            # Whoever clears up what the index names finds nothing there.
            LOG.debug('image=%s still listed: %s', self.image_id, exc)

    def _remove(self, pool: native.Pool) -> None:
        with errors.translated(f'remove claim {self.image_id}'):
            try:
                pool.remove_locked(self.image_id, _LOCK, self._cookie)
            except rados.ObjectNotFound:
                return
            except rados.Error as exc:
                if errors.number_of(exc) != errno.EBUSY:
                    raise
                raise exceptions.CopyInProgress(
                    f'image {self.image_id}: the claim in '
                    f'{self._connections.label} was lost'
                ) from exc


@dataclasses.dataclass(frozen=True, slots=True)
class Durations:
    """For how long a lock lasts, and how long its holder trusts in it.

    The difference is what a call may still take that was begun under it.
    """

    lock_s: float
    trusted_s: float

    @classmethod
    def for_timeout(cls, timeout_s: float) -> 'Durations':
        """Choose them for calls that take so long at most."""
        lock_s = max(_DURATION_S, 2 * timeout_s)
        return cls(lock_s, lock_s - timeout_s)


class Claims:
    """The claims of one pool, and those of them that are held here."""

    def __init__(
        self,
        connections: ceph_connections.Connections,
        identity: str,
        timeout_s: float,
    ) -> None:
        self._connections = connections
        self._identity = identity
        self._durations = Durations.for_timeout(timeout_s)
        self._index = claim_index.ClaimIndex(connections)
        self._lock = threading.Lock()
        self._held: set[Claim] = set()
        self._renewing: set[Claim] = set()

    def take(self, image_id: images.ImageId) -> Claim:
        """Claim an image. Raises CopyInProgress while another holds it."""
        identity = self._identity or holders.identity_of_process()
        cookie = f'{identity}/{uuid.uuid4().hex}'
        claim = Claim(
            image_id,
            cookie,
            self._connections,
            self._index,
            self._durations,
            self._forget,
        )
        self._index.add(image_id)
        with errors.translated(
            f'claim image {image_id} in {self._connections.label}'
        ):
            self._lock_living(image_id, cookie)
        with self._lock:
            self._held.add(claim)
        return claim

    def _lock_living(self, image_id: images.ImageId, cookie: str) -> None:
        """Lock it, if only the dead are in the way."""
        pool = _pool(self._connections)
        if not self._lock_object(pool, image_id, cookie):
            self._break_dead(pool, image_id)
            if not self._lock_object(pool, image_id, cookie):
                raise exceptions.CopyInProgress(
                    f'image {image_id}: another process claims it'
                )

    def _lock_object(
        self, pool: native.Pool, image_id: images.ImageId, cookie: str
    ) -> bool:
        try:
            pool.lock(image_id, _LOCK, cookie, self._durations.lock_s, 0)
        except rados.Error as exc:
            if errors.number_of(exc) == errno.EBUSY:
                return False
            raise
        return True

    def _break_dead(self, pool: native.Pool, image_id: images.ImageId) -> None:
        """Break the lock of a dead process. Raises CopyInProgress."""
        for locker in pool.lockers(image_id, _LOCK):
            if not holders.is_dead(locker.cookie):
                holder = holders.describe(locker.cookie)
                raise exceptions.CopyInProgress(
                    f'image {image_id}: {holder} claims it in '
                    f'{self._connections.label}'
                )
            LOG.info('image=%s claim of a dead process broken', image_id)
            with contextlib.suppress(rados.ObjectNotFound):
                pool.break_lock(image_id, _LOCK, locker)

    def _forget(self, claim: Claim) -> None:
        with self._lock:
            self._held.discard(claim)

    def renew(self) -> None:
        """Begin to renew all that are held; returns at once. Raises nothing.

        Each by itself: one whose placement group hangs must not have the
        others lapse.
        """
        with self._lock:
            due = self._held - self._renewing
            self._renewing |= due
        for claim in due:
            tasks.start('ceph-renew', functools.partial(self._renew, claim))

    def _renew(self, claim: Claim) -> None:
        try:
            claim.renew()
        finally:
            with self._lock:
                self._renewing.discard(claim)
        if claim.is_lost:
            self._forget(claim)

    def exists(self, image_id: images.ImageId) -> bool:
        """Tell whether one stands, held or left behind."""
        connection = self._connections.first()
        with connection.translated(f'look at claim {image_id}'):
            pool = connection.pool(namespace=ceph_connections.NAMESPACE)
            try:
                pool.stat(image_id)
            except rados.ObjectNotFound:
                return False
            return True

    def list(self) -> frozenset[images.ImageId]:
        """List the images that one stands for."""
        return self._index.list()


def _pool(connections: ceph_connections.Connections) -> native.Pool:
    return connections.native_pool(namespace=ceph_connections.NAMESPACE)


def _standing_pool(
    connections: ceph_connections.Connections,
) -> native.Pool:
    return connections.standing_native_pool(
        namespace=ceph_connections.NAMESPACE
    )


def _decode(content: bytes) -> str | None:
    """Read what record() wrote; None for what it did not write."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get('version') != _VERSION:
        return None
    found = document.get('rbd_id')
    return found if isinstance(found, str) else None
