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
"""What verify finds, whatever is wrong."""

from collections.abc import Callable
import dataclasses
import hashlib

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import copy_trials
from dcn_distributor.bootstrap import trials
from dcn_distributor.bootstrap import verification
from dcn_distributor.core import cephx
from dcn_distributor.core import images
from dcn_distributor.core import rings
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples

CLOUD = samples.load('multi-ceph')
RING = samples.ring_for(CLOUD)
DATA = b'an image'
IMAGE = images.Image(
    id=images.ImageId('00000000-0000-0000-0000-000000000001'),
    name='dcn-distributor-verify',
    status='active',
    visibility='private',
    owner='me',
    tags=frozenset(),
    properties={},
    disk_format='raw',
    container_format='bare',
    size_bytes=len(DATA),
    is_hidden=False,
    is_protected=False,
    stores=frozenset(),
)


class World:
    """Clusters and Glances in memory: the two ports of trials.

    :ivar copies: what lies in each store
    :ivar lost: stores whose copies are other bytes
    :ivar unprotected: stores whose copies have no protected snapshot
    :ivar failing: stores that Glance cannot bring anything to
    :ivar open_to: entities, by their secret, that a cluster lets in besides
    """

    def __init__(self) -> None:
        self.copies: dict[images.StoreId, bytes] = {}
        self.lost: set[str] = set()
        self.unprotected: set[str] = set()
        self.failing: set[str] = set()
        self.open_to: dict[str, set[cephx.Secret]] = {}
        self.shut: set[str] = set()
        self.methods: dict[str, set[str]] = {}
        self.more_stores: dict[str, set[str]] = {}
        self.tried: list[tuple[str, str]] = []
        self.deleted = 0
        self.staged = b''

    # -- keys

    def try_pool(
        self, ceph: stacks.Ceph, entity: cephx.Entity, pool: str
    ) -> None:
        """See trials.Keys."""
        self.try_secret(ceph, entity)
        self.tried.append((ceph.name, pool))

    def try_secret(self, ceph: stacks.Ceph, entity: cephx.Entity) -> None:
        """See trials.Keys."""
        known = {e.secret for e in self._of(ceph).entities.values()}
        if ceph.name in self.shut:
            raise exceptions.ClusterUnavailable(f'{ceph.name}: no answer')
        if entity.secret not in known | self.open_to.get(ceph.name, set()):
            raise exceptions.AccessDenied(f'{ceph.name}: refused')

    def read_copy(
        self,
        ceph: stacks.Ceph,
        entity: cephx.Entity,
        pool: str,
        image_id: images.ImageId,
    ) -> tuple[str, bool]:
        """See trials.Keys."""
        self.try_secret(ceph, entity)
        store = images.StoreId(ceph.name)
        if store not in self.copies:
            raise exceptions.CopyNotFound(f'{ceph.name}: none')
        data = b'other' if store in self.lost else self.copies[store]
        return hashlib.sha512(data).hexdigest(), store not in self.unprotected

    def _of(self, ceph: stacks.Ceph) -> rings.Known:
        (site,) = (s for s in CLOUD.sites if s.ceph == ceph)
        return RING.of(site.name)

    # -- Glance

    def glance(self, site: stacks.Site) -> 'Glance':
        """Connect to one."""
        return Glance(self, site)

    def bring(self, store: images.StoreId, data: bytes) -> None:
        """Have data come to a store, if it can."""
        if store not in self.failing:
            self.copies[store] = data

    def waiter(self) -> Callable[[], None]:
        """Wait thrice."""
        left = iter(range(3))

        def wait() -> None:
            if next(left, None) is None:
                raise StopIteration

        return wait

    def around(self) -> trials.Surroundings:
        """Give both."""
        return trials.Surroundings(self, self.glance, self.waiter)


@dataclasses.dataclass
class Glance:
    """A site's Glance."""

    world: World
    site: stacks.Site

    def stores(self) -> frozenset[images.StoreId]:
        """See trials.Glance."""
        more = self.world.more_stores.get(self.site.name, set())
        return frozenset(
            [s.store for s in CLOUD.stores_of(self.site)]
            + [images.StoreId(name) for name in more]
        )

    def import_methods(self) -> frozenset[str]:
        """See trials.Glance."""
        usual = set(CLOUD.import_methods)
        return frozenset(self.world.methods.get(self.site.name, usual))

    def create(self, name: str) -> images.ImageId:
        """See trials.Glance."""
        return IMAGE.id

    def upload(self, image_id: images.ImageId, data: bytes) -> None:
        """See trials.Glance."""
        self.world.bring(CLOUD.central.store, data)

    def stage(self, image_id: images.ImageId, data: bytes) -> None:
        """See trials.Glance."""
        self.world.staged = data

    def import_staged(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """See trials.Glance."""
        for store in stores:
            self.world.bring(store, self.world.staged)

    def copy_to_stores(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """See trials.Glance."""
        for store in stores:
            self.world.bring(store, self.world.copies[CLOUD.central.store])

    def get(self, image_id: images.ImageId) -> images.Image:
        """See trials.Glance."""
        return dataclasses.replace(
            IMAGE,
            stores=frozenset(self.world.copies),
            failed_import=frozenset(map(images.StoreId, self.world.failing)),
        )

    def delete(self, image_id: images.ImageId) -> None:
        """See trials.Glance."""
        self.world.copies.clear()
        self.world.deleted += 1


def _all(world: World) -> list[trials.Finding]:
    return [
        *verification.pairs(CLOUD, RING, CLOUD.sites, world),
        *verification.glances(CLOUD, CLOUD.sites, world.around()),
        *copy_trials.copies(CLOUD, RING, CLOUD.sites, world.around(), DATA),
    ]


def _bad(world: World) -> set[tuple[str, str]]:
    return {
        (each.check, each.subject) for each in _all(world) if not each.is_good
    }


def test_all_is_good_where_nothing_is_wrong() -> None:
    world = World()

    assert _bad(world) == set()
    assert world.deleted == 1
    assert not world.copies
    assert {name for name, _ in world.tried} == {'central', 'dcn0', 'dcn1'}


def test_cluster_that_lets_a_strangers_key_in_is_found() -> None:
    world = World()
    mine = RING.of(CLOUD.site('dcn0').name).entities['client.glance']
    world.open_to['dcn1'] = {mine.secret}

    assert _bad(world) == {('key is refused', 'dcn0 -> dcn1')}


def test_cluster_that_does_not_answer_stops_no_other_check() -> None:
    world = World()
    world.shut = {'dcn1'}

    assert _bad(world) == {
        ('key opens', 'dcn1 -> dcn1'),
        ('key opens', 'central -> dcn1'),
        # Nobody can tell: that is no refusal.
        ('key is refused', 'central -> dcn1'),
        ('key is refused', 'dcn0 -> dcn1'),
        ('bytes', 'dcn1'),
    }


def test_glance_with_other_stores_or_methods_is_found() -> None:
    world = World()
    world.more_stores['dcn0'] = {'dcn1'}
    world.methods['dcn1'] = {'web-download'}

    assert _bad(world) == {('stores', 'dcn0'), ('import methods', 'dcn1')}


def test_store_that_nothing_gets_to_is_found_and_the_image_removed() -> None:
    world = World()
    world.failing = {'dcn1'}

    assert _bad(world) == {('copy', 'dcn1'), ('bytes', 'dcn1')}
    assert world.deleted == 1


def test_copies_that_are_not_whole_are_found() -> None:
    world = World()
    world.lost, world.unprotected = {'dcn0'}, {'dcn1'}

    assert _bad(world) == {('bytes', 'dcn0'), ('bytes', 'dcn1')}
    assert world.deleted == 1


def test_glance_that_nobody_can_ask_is_not_said_to_be_good() -> None:
    site = CLOUD.site('dcn0')
    nowhere = dataclasses.replace(site.glance, url=None)
    cloud = samples.with_site(CLOUD, 'dcn0', glance=nowhere)

    found = list(verification.glances(cloud, cloud.sites, World().around()))

    bad = [each for each in found if not each.is_good]
    assert [(each.check, each.subject) for each in bad] == [('stores', 'dcn0')]
    assert 'glance.url' in bad[0].detail
