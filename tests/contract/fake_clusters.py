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
"""The fake clusters as worlds for the contract. See cluster_worlds."""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib

from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests import waiting
from tests.contract import cluster_worlds
from tests.fakes import ceph as fake_ceph
from tests.fakes import clusters as fake_clusters
from tests.fakes import timing


class FakeSite:
    """See Site."""

    def __init__(
        self,
        when: timing.Timing,
        fsid: str,
        settle: Callable[[Callable[[], bool]], None],
    ) -> None:
        self.ceph = fake_ceph.Ceph(when, fsid, claim_grace_s=0.5)
        self._settle = settle
        self.fsid = fsid
        self.pool = self.ceph.pool_name
        self._images = self.ceph.pool

    def connect(self) -> storage.Cluster:
        """See Site."""
        return self.connect_anew()

    def connect_anew(self, fsid: str | None = None) -> storage.Cluster:
        """See Site."""
        return fake_clusters.FakeCluster(self.ceph, fsid)

    def unreachable(self) -> storage.Cluster:
        """See Site."""
        other = fake_ceph.Ceph(self.ceph.when)
        other.faults.timeout_s = 0.2
        other.freeze()
        return fake_clusters.FakeCluster(other)

    def names(self) -> frozenset[str]:
        """See Site."""
        return frozenset(self._images.images)

    def look(self, name: str) -> cluster_worlds.Seen:
        """See Site."""
        image = self._images.find(name)
        maps = {'': image.object_map} | {
            each: snapshot.object_map
            for each, snapshot in image.snapshots.items()
        }
        return cluster_worlds.Seen(
            size_bytes=image.size_bytes,
            object_bytes=image.object_bytes,
            features=0,
            snapshots={
                each: snapshot.is_protected
                for each, snapshot in image.snapshots.items()
            },
            recorded={
                each: None if known is None else frozenset(known)
                for each, known in maps.items()
            },
            stored=frozenset(image.objects),
        )

    def put(
        self, name: str, data: bytes, object_bytes: int, *, stage: str = ''
    ) -> None:
        """See Site."""
        self._images.put(
            name, data, object_bytes, is_protected=stage != 'snapshot'
        )
        if stage == 'written':
            self._images.unprotect(name, 'snap')
            self._images.remove_snapshot(name, 'snap')

    def overwrite(self, name: str, offset: int, data: bytes) -> None:
        """See Site."""
        self._images.find(name).write(offset, data)

    def rename(self, old: str, new: str) -> None:
        """See Site."""
        self._images.rename(old, new)

    def clone(self, parent: str, name: str) -> None:
        """See Site."""
        self._images.clone(parent, name)

    def take_snapshot(self, name: str, snapshot: str) -> None:
        """See Site."""
        made = self._images.take_snapshot(name, snapshot)
        made.is_protected = snapshot == 'snap'

    def read(self, name: str, snapshot: str | None = 'snap') -> bytes:
        """See Site."""
        return self._images.read(name, snapshot)

    def flip(self, name: str, offset: int) -> None:
        """See Site."""
        self._images.flip(name, offset)

    def lose_object(self, name: str, number: int) -> None:
        """See Site."""
        del self._images.find(name).objects[number]

    def object_name(self, name: str, number: int) -> str:
        """See Site."""
        return _object_name(self._images.find(name).id, number)

    @contextlib.contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """See Site."""
        watchers = self._images.find(name).watchers
        watchers.add('somebody')
        try:
            yield
        finally:
            watchers.discard('somebody')

    def abandon(
        self,
        image_id: images.ImageId,
        size_bytes: int,
        object_bytes: int,
        writes: cluster_worlds.Writes,
    ) -> None:
        """See Site."""
        handle = fake_clusters.FakeCluster(self.ceph)
        copy = handle.open_copy(image_id, size_bytes, object_bytes)
        ends: list[object] = []
        for offset, data in writes:
            copy.write(offset, data, ends.append)
        self._settle(lambda: len(ends) == len(writes))
        handle.die()

    def strays(self) -> frozenset[str]:
        """See Site."""
        return frozenset(
            _object_name(rbd_id, number)
            for rbd_id, objects in self._images.strays().items()
            for number in objects
        )

    def marks(self) -> frozenset[str]:
        """See Site."""
        return frozenset(self.ceph.claims)


def _object_name(rbd_id: str, number: int) -> str:
    return f'rbd_data.{rbd_id}.{number:016x}'


class VirtualWorld:
    """Two sites in virtual time; answers come in any order."""

    def __init__(self) -> None:
        self._time = timing.World(seed=3, reorder_s=0.01)
        self.sites = _sites(self._time, self.settle)

    def settle(self, condition: Callable[[], bool]) -> None:
        """See World."""
        end = self._time.now() + 60.0
        while not condition():
            assert self._time.now() < end, 'not within a virtual minute'
            self._time.run_for(0.1)

    def together(self, *calls: Callable[[], None]) -> None:
        """See World; one after the other."""
        for call in calls:
            call()


class ThreadedWorld:
    """Two sites in real time; answers come from threads."""

    def __init__(self) -> None:
        self._time = timing.Threads()
        self.sites = _sites(self._time, self.settle)

    def settle(self, condition: Callable[[], bool]) -> None:
        """See World."""
        waiting.until('an answer', condition, pause_s=0.001)

    def together(self, *calls: Callable[[], None]) -> None:
        """See World."""
        with futures.ThreadPoolExecutor() as pool:
            for future in [pool.submit(call) for call in calls]:
                future.result()

    def close(self) -> None:
        """End the threads."""
        self._time.close()


def _sites(
    when: timing.Timing, settle: Callable[[Callable[[], bool]], None]
) -> tuple[FakeSite, FakeSite]:
    return (
        FakeSite(when, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', settle),
        FakeSite(when, '6ba7b811-9dad-11d1-80b4-00c04fd430c8', settle),
    )
