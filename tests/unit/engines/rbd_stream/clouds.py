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
"""A cloud in memory: Glance, and the clusters behind its stores."""

from collections.abc import Callable
import hashlib
import time

from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import engine as engines
from dcn_distributor.engines.rbd_stream import registration as registrations
from tests import waiting
from tests.fakes import ceph as fake_ceph
from tests.fakes import clusters
from tests.fakes import glance as fake_glance
from tests.fakes import timing

STORES = ('central', 'dcn0', 'dcn1')
CHUNK = 64
OBJECT = 256


class Pools:
    """tests.fakes.stores.Stores: the data is in the clusters' pools."""

    def __init__(self, cephs: dict[str, fake_ceph.Ceph]) -> None:
        self._by_fsid = {ceph.fsid: ceph for ceph in cephs.values()}

    def size_bytes(self, url: str) -> int | None:
        """See Stores."""
        ceph, name = self._find(url)
        with ceph.lock:
            image = ceph.pool.images.get(name)
            if image is None or storage.SNAPSHOT not in image.snapshots:
                return None
            return image.size_bytes

    def is_taken(self, url: str) -> bool:
        """See Stores."""
        ceph, name = self._find(url)
        return name in ceph.pool.images

    def put(self, url: str, size_bytes: int) -> None:
        """See Stores."""
        ceph, name = self._find(url)
        ceph.pool.put(name, bytes(size_bytes), OBJECT)

    def copy(self, source: str, target: str) -> None:
        """See Stores."""
        ceph, name = self._find(source)
        far, far_name = self._find(target)
        far.pool.put(far_name, ceph.pool.read(name), OBJECT)

    def tear(self, url: str) -> None:
        """See Stores."""
        ceph, name = self._find(url)
        ceph.pool.create(name, OBJECT, OBJECT)

    def remove(self, url: str) -> None:
        """See Stores."""
        ceph, name = self._find(url)
        if name in ceph.pool.images:
            ceph.pool.unprotect(name, storage.SNAPSHOT)
            ceph.pool.remove_snapshot(name, storage.SNAPSHOT)
            ceph.pool.remove(name)

    def _find(self, url: str) -> tuple[fake_ceph.Ceph, str]:
        fsid, _, name, _ = url.removeprefix('rbd://').split('/')
        return self._by_fsid[fsid], name


class Cloud:
    """Three sites, a Glance, and engines, which are processes that may die.

    Real time and threads: whatever is under way, wait_for() an end.
    """

    def __init__(self, seed: int = 0) -> None:
        self.when = timing.Threads(seed=seed)
        self.cephs = {
            store: fake_ceph.Ceph(
                self.when,
                f'00000000-0000-4000-8000-{number:012}',
                zero_block_bytes=16,
            )
            for number, store in enumerate(STORES)
        }
        self.passed_s = 0.0
        self.glance = fake_glance.FakeGlance(
            STORES,
            # Glance's tasks look older by what has passed.
            lambda: time.time() - 3700 + self.passed_s,
            details={
                images.StoreId(store): images.StoreDetails(
                    OBJECT, 'images', ceph.fsid
                )
                for store, ceph in self.cephs.items()
            },
            data=Pools(self.cephs),
        )
        self.woken: list[images.ImageId] = []
        self._handles: list[clusters.FakeCluster] = []
        self._engines: list[engines.RbdStream] = []

    def close(self) -> None:
        """End all threads."""
        for engine in self._engines:
            engine.stop(within_s=0.0)
        self.when.close()

    def add(self, content: bytes) -> images.Image:
        """Add an image, with its data at central."""
        image = self.glance.add(
            size_bytes=len(content),
            hash_algo='sha512',
            hash_value=hashlib.sha512(content).hexdigest(),
            stores=frozenset(),
        )
        self.cephs['central'].pool.put(image.id, content, OBJECT)
        self.glance.add_location(
            image.id, self.glance.location(image.id, 'central')
        )
        return self.glance.get(image.id)

    def engine(
        self,
        removes_orphans: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> engines.RbdStream:
        """Start an engine with connections of its own."""
        engine = engines.RbdStream(
            self.glance,
            self._connect,
            transfers.Tuning(chunk_bytes=CHUNK, window_bytes=4 * CHUNK),
            engines.Callbacks(self.woken.append, changed),
            removes_orphans=removes_orphans,
        )
        self._engines.append(engine)
        engine.set_sites(self.all_sites())
        engine.wait_for_checks(10.0)
        return engine

    def kill(self) -> None:
        """Kill all engines started so far."""
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.die()

    def all_sites(self, **on: links.Link) -> sites.Sites:
        """What sites.yaml says; `on` which link some of the sites hang."""
        central, *edges = (
            sites.Site(
                sites.SiteName(store),
                images.StoreId(store),
                {},
                sites.Cluster(store, 'dcn-distributor', 'images'),
                on.get(store, links.Link(store)),
            )
            for store in STORES
        )
        return sites.Sites(central.store, tuple(edges), central.cluster)

    def wait_for(
        self, engine: engines.RbdStream, image_id: images.ImageId
    ) -> transfers.Report:
        """Wait for the end of an image's only transfer, and take it."""

        def ended() -> transfers.Report | None:
            [report] = engine.reports_of(image_id)
            return report if report.ended_s is not None else None

        report = waiting.until('the transfer ends', ended, pause_s=0.01)
        assert report is not None
        engine.take(image_id, [lane.store for lane in report.lanes])
        return report

    def wait_for_data(
        self, engine: engines.RbdStream, image_id: images.ImageId
    ) -> None:
        """Wait until a transfer to one site has sent something."""
        waiting.until(
            'data flows',
            lambda: any(
                report.lanes[0].sent_bytes
                for report in engine.reports_of(image_id)
            ),
            pause_s=0.01,
        )

    def strays(self) -> list[str]:
        """Name what should not be there once all is over."""
        found = []
        for store, ceph in self.cephs.items():
            found += [
                f'{store}: {name}'
                for name in ceph.pool.images
                if name.endswith(storage.DRAFT_SUFFIX)
            ]
            found += [f'{store}: claim {name}' for name in ceph.claims]
            found += [f'{store}: objects {rbd}' for rbd in ceph.pool.strays()]
        return found

    def _connect(self, settings: sites.Cluster) -> clusters.FakeCluster:
        handle = clusters.FakeCluster(self.cephs[settings.conf])
        self._handles.append(handle)
        return handle


def registration(
    cloud: Cloud,
    image_id: images.ImageId,
    store: images.StoreId,
    turns: registrations.Turns | None = None,
) -> registrations.Registration:
    """Make one that does not wait for a lock."""
    return registrations.Registration(
        cloud.glance,
        image_id,
        store,
        turns or registrations.Turns(),
        lock_wait_s=0.0,
        clock=time.monotonic,
        wall_clock=time.time,
    )
