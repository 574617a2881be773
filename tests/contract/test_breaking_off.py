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
"""A stream that is broken off is gone on with, by whoever it may be.

The engine rbd-stream on clusters, once fake and once real.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import time

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import engine as engines
from tests import waiting
from tests.contract import cluster_worlds
from tests.contract import filling
from tests.fakes import glance as fake_glance
from tests.fakes import stores

CENTRAL, EDGE = images.StoreId('central'), images.StoreId('dcn0')
SLOWLY = transfers.Wishes(rate_bytes_s=2.0 * filling.MIB)
REASON = 'the window of link wan-north closes'


class Pools(stores.Shelves):
    """What Glance finds behind a URL: what the clusters hold."""

    def __init__(self, world: cluster_worlds.World) -> None:
        super().__init__()
        self._by_fsid = {site.fsid: site for site in world.sites}

    def size_bytes(self, url: str) -> int | None:
        """See Stores."""
        fsid, _, name, _ = url.removeprefix('rbd://').split('/')
        site = self._by_fsid[fsid]
        if name not in site.names():
            return None
        seen = site.look(name)
        return seen.size_bytes if 'snap' in seen.snapshots else None


class Cloud:
    """Two sites of the world, a Glance, and an image at the first one."""

    def __init__(self, world: cluster_worlds.World) -> None:
        self._sites = dict(zip((CENTRAL, EDGE), world.sites, strict=True))
        self.edge = self._sites[EDGE]
        self.glance = fake_glance.FakeGlance(
            (CENTRAL, EDGE),
            time.time,
            details={
                store: images.StoreDetails(
                    filling.OBJECT, site.pool, site.fsid
                )
                for store, site in self._sites.items()
            },
            data=Pools(world),
        )
        data = filling.noise()
        self.image = self.glance.add(
            id=filling.new_id(),
            size_bytes=len(data),
            hash_algo='sha512',
            hash_value=hashlib.sha512(data).hexdigest(),
            stores=frozenset(),
        )
        self._sites[CENTRAL].put(self.image.id, data, filling.OBJECT)
        self.glance.add_location(
            self.image.id, self.glance.location(self.image.id, CENTRAL)
        )
        self.image = self.glance.get(self.image.id)

    @contextlib.contextmanager
    def engine(self) -> Iterator[engines.RbdStream]:
        """Start an engine, as a process of its own has it."""
        engine = engines.RbdStream(
            self.glance,
            self._connect,
            transfers.Tuning(
                chunk_bytes=filling.CHUNK, window_bytes=filling.CHUNK
            ),
            engines.Callbacks(lambda _: None, lambda: None),
        )
        central, edge = (
            sites.Site(
                sites.SiteName(store),
                store,
                {},
                sites.Cluster(store, 'dcn-distributor', site.pool),
            )
            for store, site in self._sites.items()
        )
        engine.set_sites(sites.Sites(CENTRAL, (edge,), central.cluster))
        engine.wait_for_checks(10.0)
        try:
            yield engine
        finally:
            engine.stop(10.0)

    def _connect(self, settings: sites.Cluster) -> storage.Cluster:
        return self._sites[images.StoreId(settings.conf)].connect_anew()


@pytest.fixture(
    params=['threads', pytest.param('ceph', marks=pytest.mark.lab)]
)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    name = {'threads': 'threaded_world', 'ceph': 'real_world_of_clusters'}
    return Cloud(request.getfixturevalue(name[request.param]))


def ended(engine: engines.RbdStream, image: images.Image) -> transfers.Lane:
    """Wait for the end of the image's only transfer, and take it."""
    reports = waiting.until(
        'the transfer ends',
        lambda: [r for r in engine.reports_of(image.id) if r.ended_s],
        pause_s=0.01,
    )
    engine.take(image.id, [EDGE])
    [lane] = reports[0].lanes
    return lane


@pytest.mark.parametrize('is_other', [False, True], ids=['same', 'another'])
def test_what_was_broken_off_is_resumed_at_once(
    cloud: Cloud, is_other: bool
) -> None:
    image, edge = cloud.image, cloud.edge
    with cloud.engine() as engine, cloud.engine() as other:
        engine.start(image, [EDGE], SLOWLY)
        waiting.until(
            'some of it is there',
            lambda: (
                engine.reports_of(image.id)[0].lanes[0].settled_bytes
                >= 2 * filling.CHUNK
            ),
            pause_s=0.01,
        )
        engine.break_off(image.id, [EDGE], REASON)
        lane = ended(engine, image)
        assert lane.phase is transfers.Phase.CANCELLED
        assert isinstance(lane.error, exceptions.Stopped)
        assert str(lane.error) == REASON
        assert image.id not in edge.names()

        heir = other if is_other else engine
        heir.start(image, [EDGE], transfers.NO_WISHES)
        lane = ended(heir, image)

    assert lane.error is None
    assert lane.resumed_bytes >= 2 * filling.CHUNK
    assert edge.read(image.id) == filling.noise()
    assert edge.names() == {image.id}
    assert not edge.marks()
    assert not edge.strays()
