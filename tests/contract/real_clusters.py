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
"""Two clusters of a lab as a world for the contract. See cluster_worlds.

The implementation is used as the agent does, with the agent's key.
"""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
from pathlib import Path
import signal
import subprocess
import sys
from typing import TypeVar

import rados

from dcn_distributor.clients.ceph import claim_index
from dcn_distributor.clients.ceph import cluster as ceph_cluster
from dcn_distributor.clients.ceph import connections
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from lab import deployment
from lab import rados_options
from lab import rbd_images
from tests import waiting
from tests.contract import cluster_worlds
from tests.contract import dying_pass

USER = 'dcn-distributor'
TIMEOUT_S = 10.0
UNREACHABLE_S = 1.0
_INDEX = f'{connections.NAMESPACE}/{claim_index.NAME}'
DEADLINE_S = 90.0
_LIMIT_S = 60

Opened = TypeVar('Opened', bound=storage.Readable | storage.Copy)


class _Handle(ceph_cluster.Cluster):
    """Knows what was opened by it, so that it can be used by another test."""

    to_be_closed: list[storage.Readable | storage.Copy]

    def _note(self, opened: Opened) -> Opened:
        self.to_be_closed.append(opened)
        return opened

    def open_snapshot(self, image_id: images.ImageId) -> storage.Readable:
        return self._note(super().open_snapshot(image_id))

    def open_copy(
        self, image_id: images.ImageId, size_bytes: int, object_bytes: int
    ) -> storage.Copy:
        return self._note(
            super().open_copy(image_id, size_bytes, object_bytes)
        )

    def open_published(self, image_id: images.ImageId) -> storage.Copy:
        return self._note(super().open_published(image_id))


def administrator(conf: str) -> rados.Rados:
    """Give a handle, not connected, that waits for no cluster for ever."""
    return rados.Rados(conffile=conf, conf=rados_options.time_limits(_LIMIT_S))


class RealSite:
    """See Site."""

    def __init__(self, lab: deployment.Lab, name: str, scratch: Path) -> None:
        self._lab = lab
        self._name = name
        self._scratch = scratch
        self._pool = rbd_images.Pool(lab.ceph_conf(name))
        self._handle = administrator(lab.ceph_conf(name))
        self._handle.connect()
        self._claims = self._handle.open_ioctx(self._pool.name)
        self._claims.set_namespace(connections.NAMESPACE)
        # To connect takes longer than many a test: handles are used again.
        self._idle: list[_Handle] = []
        self._used: list[_Handle] = []
        self._other: list[_Handle] = []
        self._names: frozenset[str] = frozenset()
        self._objects: frozenset[str] = frozenset()
        self._first_objects = self._pool.objects()
        self._cleaner = futures.ThreadPoolExecutor(max_workers=1)
        self._removals: list[futures.Future[None]] = []
        self.fsid = self._pool.fsid
        self.pool = self._pool.name

    def begin(self) -> None:
        """Note what is there already: a test is not to see it."""
        self._names = self._pool.names()
        self._objects = self._pool.objects() | self._indexed()

    def end(self) -> None:
        """Close what was opened, remove what was made."""
        for handle in self._used + self._other:
            for opened in handle.to_be_closed:
                opened.close()
            handle.to_be_closed.clear()
        self._idle += self._used
        self._used = []
        self._close(self._other)
        # The next test has other names, and need not wait for this.
        removal = self._cleaner.submit(self._pool.wipe, self.names())
        self._removals.append(removal)

    def _close(self, handles: list[_Handle]) -> None:
        while handles:
            handles.pop().close()

    def close(self) -> None:
        """Remove what is left, and let go of the cluster."""
        self._close(self._idle)
        with self._cleaner:
            for removal in self._removals:
                removal.result()
        self._objects = self._first_objects
        found = self._pool.marks() - self._objects
        self._pool.wipe_objects(self.strays() | found)
        self._claims.close()
        self._handle.shutdown()
        self._pool.close()

    def _settings(self, fsid: str | None = None) -> sites.Cluster:
        conf = self._lab.ceph_conf(self._name, f'client.{USER}')
        return sites.Cluster(conf, USER, self.pool, fsid)

    def _open(self, settings: sites.Cluster, timeout_s: float) -> _Handle:
        options = ceph_options.Options(connections=2, timeout_s=timeout_s)
        handle = _Handle(settings, options)
        handle.to_be_closed = []
        return handle

    def connect(self) -> storage.Cluster:
        """See Site."""
        handle = (
            self._idle.pop()
            if self._idle
            else self._open(self._settings(), TIMEOUT_S)
        )
        self._used.append(handle)
        return handle

    def connect_anew(self, fsid: str | None = None) -> storage.Cluster:
        """See Site."""
        self._other.append(self._open(self._settings(fsid), TIMEOUT_S))
        return self._other[-1]

    def unreachable(self) -> storage.Cluster:
        """See Site; nothing listens on port 1."""
        conf = self._scratch / 'unreachable.conf'
        conf.write_text(
            '[global]\nmon_host = 127.0.0.1:1\nauth_client_required = none\n'
        )
        settings = sites.Cluster(str(conf), USER, self.pool)
        self._other.append(self._open(settings, UNREACHABLE_S))
        return self._other[-1]

    def names(self) -> frozenset[str]:
        """See Site."""
        return self._pool.names() - self._names

    def look(self, name: str) -> cluster_worlds.Seen:
        """See Site."""
        stored = self._pool.look(name)
        details = set(stored.traces)
        for snapshot, encoded in stored.maps.items():
            details.add(f'map {snapshot} {encoded and encoded.hex()}')
        return cluster_worlds.Seen(
            size_bytes=stored.size_bytes,
            object_bytes=stored.object_bytes,
            features=stored.features,
            snapshots=stored.snapshots,
            recorded={
                snapshot: None if encoded is None else _numbers(encoded)
                for snapshot, encoded in stored.maps.items()
            },
            stored=stored.objects,
            details=frozenset(details),
        )

    def put(
        self, name: str, data: bytes, object_bytes: int, *, stage: str = ''
    ) -> None:
        """See Site."""
        self._pool.put(name, data, object_bytes, stage=stage)

    def overwrite(self, name: str, offset: int, data: bytes) -> None:
        """See Site."""
        self._pool.overwrite(name, offset, data)

    def rename(self, old: str, new: str) -> None:
        """See Site."""
        self._pool.rename(old, new)

    def clone(self, parent: str, name: str) -> None:
        """See Site."""
        self._pool.clone(parent, name)

    def take_snapshot(self, name: str, snapshot: str) -> None:
        """See Site."""
        self._pool.take_snapshot(name, snapshot)

    def read(self, name: str, snapshot: str | None = 'snap') -> bytes:
        """See Site."""
        return self._pool.read(name, snapshot)

    def flip(self, name: str, offset: int) -> None:
        """See Site."""
        self._pool.flip(name, offset)

    def lose_object(self, name: str, number: int) -> None:
        """See Site."""
        self._pool.lose_object(name, number)

    def object_name(self, name: str, number: int) -> str:
        """See Site."""
        return self._pool.object_name(name, number)

    def watched(self, name: str) -> contextlib.AbstractContextManager[None]:
        """See Site."""
        return self._pool.watched(name)

    def abandon(
        self,
        image_id: images.ImageId,
        size_bytes: int,
        object_bytes: int,
        writes: cluster_worlds.Writes,
    ) -> None:
        """See Site."""
        settings = self._settings()
        command = [
            *(sys.executable, '-m', dying_pass.__name__),
            *(settings.conf, settings.user, settings.pool, image_id),
            *(str(size_bytes), str(object_bytes)),
            *(str(offset) for offset, _ in writes),
        ]
        data = b''.join(data for _, data in writes)
        process = subprocess.run(command, input=data, timeout=DEADLINE_S)
        assert process.returncode == -signal.SIGKILL

    def strays(self) -> frozenset[str]:
        """See Site."""
        return self._pool.strays() - self._objects

    def objects_of(self, rbd_id: str) -> frozenset[str]:
        """Return the names of all objects of an image, by its internal id."""
        return frozenset(
            name
            for name in self._pool.objects()
            if name.startswith('rbd_') and rbd_id in name.split('.')
        )

    def marks(self) -> frozenset[str]:
        """See Site; the index of claims counts by what it names."""
        found = self._pool.marks() | self._indexed()
        return found - self._objects - {_INDEX}

    def _indexed(self) -> frozenset[str]:
        with rados.ReadOpCtx() as operation:
            found, _ = self._claims.get_omap_keys(operation, '', 10_000)
            try:
                self._claims.operate_read_op(operation, claim_index.NAME)
            except rados.ObjectNotFound:
                return frozenset()
            return frozenset(f'{_INDEX}: {name}' for name, _ in found)


def _numbers(encoded: bytes) -> frozenset[int]:
    """Read the numbers of the objects that exist from an object map.

    Two bits each behind a header of 18 bytes, which ends with their number
    (ceph: common/bit_vector.hpp).
    """
    count = int.from_bytes(encoded[10:18], 'little')
    return frozenset(
        number
        for number in range(count)
        if encoded[18 + number // 4] >> 2 * (3 - number % 4) & 3
    )


class RealWorld:
    """See World."""

    def __init__(self, lab: deployment.Lab, scratch: Path) -> None:
        first, second = lab.sites[:2]
        self.sites = (
            RealSite(lab, first, scratch),
            RealSite(lab, second, scratch),
        )

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep a test's images apart from all others, and remove them."""
        for site in self.sites:
            site.begin()
        try:
            yield
        finally:
            for site in self.sites:
                site.end()

    def close(self) -> None:
        """Let go of the clusters."""
        for site in self.sites:
            site.close()

    def settle(self, condition: Callable[[], bool]) -> None:
        """See World."""
        waiting.until(
            'what the clusters are to do',
            condition,
            deadline_s=DEADLINE_S,
            pause_s=0.005,
        )

    def together(self, *calls: Callable[[], None]) -> None:
        """See World."""
        with futures.ThreadPoolExecutor() as pool:
            for future in [pool.submit(call) for call in calls]:
                future.result()
