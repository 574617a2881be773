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
"""Verification and repair of copies on a cloud in memory."""

import hashlib
import random

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import sources
from dcn_distributor.engines.rbd_stream import verification
from tests.fakes import clusters
from tests.unit.engines.rbd_stream import clouds

BIG = 32768
EDGES = (images.StoreId('dcn0'), images.StoreId('dcn1'))
CONTENT = random.Random(3).randbytes(2000) + bytes(900) + b'end'


@pytest.fixture
def image(cloud: clouds.Cloud) -> images.Image:
    """An image with whole copies at both edges."""
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    engine.start(image, EDGES, transfers.Wishes())
    cloud.wait_for(engine, image.id)
    return cloud.glance.get(image.id)


def with_big_objects(cloud: clouds.Cloud) -> images.Image:
    """An image of two big objects; the first ends with zeros."""
    content = random.Random(4).randbytes(2 * BIG)
    content = content[:20000] + bytes(BIG - 20000) + content[BIG:]
    image = cloud.glance.add(
        size_bytes=len(content),
        hash_algo='sha512',
        hash_value=hashlib.sha512(content).hexdigest(),
        stores=frozenset(),
    )
    for store in clouds.STORES:
        cloud.cephs[store].pool.put(image.id, content, BIG)
        cloud.glance.add_location(
            image.id, cloud.glance.location(image.id, store)
        )
    return cloud.glance.get(image.id)


def verify(
    cloud: clouds.Cloud,
    image: images.Image,
    *,
    reads_source: bool = False,
    chunk_bytes: int = clouds.CHUNK,
) -> verification.Verification:
    def handle(store: str) -> clusters.FakeCluster:
        return clusters.FakeCluster(cloud.cephs[store])

    central = images.StoreId('central')
    source = sources.open_first(
        [sources.Source(central, handle('central'))], image
    )
    suspects = [
        verification.Suspect(sites.SiteName(s), s, handle(s)) for s in EDGES
    ]
    tuning = transfers.Tuning(
        chunk_bytes=chunk_bytes, window_bytes=4 * chunk_bytes
    )
    return verification.Verification(
        image, source, suspects, tuning, reads_source=reads_source
    )


def test_good_copies_are_good_and_nothing_is_read(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    before = [ceph.read_bytes for ceph in cloud.cephs.values()]

    verdicts = verify(cloud, image).compare()

    assert [v.is_good for v in verdicts] == [True, True]
    assert [v.compared_bytes for v in verdicts] == [len(CONTENT)] * 2
    assert [ceph.read_bytes for ceph in cloud.cephs.values()] == before


@pytest.mark.parametrize('offset', [0, 777, 1999, 2900])
def test_a_flipped_bit_is_found_named_and_repaired(
    cloud: clouds.Cloud, image: images.Image, offset: int
) -> None:
    cloud.cephs['dcn1'].pool.flip(image.id, offset)
    checking = verify(cloud, image)

    found = checking.compare()
    repaired = checking.repair(found)

    assert [v.is_good for v in found] == [True, False]
    [damage] = found[1].damages
    assert damage.offset <= offset < damage.offset + damage.length
    assert damage.name
    assert [v.is_good for v in repaired] == [True, True]
    assert cloud.cephs['dcn1'].pool.read(image.id) == CONTENT
    assert cloud.strays() == []


def test_data_where_zeros_belong_is_found_and_repaired(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    pool = cloud.cephs['dcn0'].pool
    pool.write_raw(pool.images[image.id], 2500, b'stray')
    checking = verify(cloud, image)

    found = checking.compare()
    checking.repair(found)

    assert [v.is_good for v in found] == [False, True]
    assert pool.read(image.id) == CONTENT


def test_a_missing_copy_is_told(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.glance.delete_from_store(image.id, 'dcn0')

    verdicts = verify(cloud, image).compare()

    assert isinstance(verdicts[0].error, exceptions.CopyNotFound)
    assert verdicts[1].is_good


def test_reading_the_source_finds_it_rotten(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['central'].pool.flip(image.id, 5)

    by_sums = verify(cloud, image).compare()
    by_hash = verify(cloud, image, reads_source=True).compare()

    assert not any(v.is_good for v in by_sums)
    assert {type(v.error) for v in by_hash} == {exceptions.VerificationFailed}


def test_progress_is_told_of_the_copies_that_are_compared(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.glance.delete_from_store(image.id, 'dcn0')
    checking = verify(cloud, image)
    assert checking.progress() == {}

    checking.compare()

    assert checking.progress() == {'dcn1': len(CONTENT)}


def test_copies_none_of_which_is_there_are_all_told(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    for store in EDGES:
        cloud.glance.delete_from_store(image.id, store)

    verdicts = verify(cloud, image, reads_source=True).compare()

    assert [type(v.error) for v in verdicts] == [exceptions.CopyNotFound] * 2


def test_objects_that_the_copy_never_had_are_repaired_for_all_to_see(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.glance.delete_from_store(image.id, 'dcn1')
    pool = cloud.cephs['dcn1'].pool
    hole = slice(clouds.OBJECT, 3 * clouds.OBJECT)
    pool.put(
        image.id,
        CONTENT[: hole.start]
        + bytes(2 * clouds.OBJECT)
        + CONTENT[hole.stop :],
        clouds.OBJECT,
    )
    checking = verify(cloud, image)

    repaired = checking.repair(checking.compare())

    assert [v.is_good for v in repaired] == [True, True]
    # What the object map denies reads as zeros, whatever is stored.
    assert pool.read(image.id) == CONTENT
    assert cloud.strays() == []


@pytest.mark.parametrize('offset', [0, 100, 9000, 16383, 19999])
@pytest.mark.parametrize('shorter', ['central', 'dcn0', None])
def test_damage_is_narrowed_whatever_zeros_are_stored_behind_it(
    cloud: clouds.Cloud, offset: int, shorter: str | None
) -> None:
    image = with_big_objects(cloud)
    cloud.cephs['dcn0'].pool.flip(image.id, offset)
    if shorter is not None:
        stored = cloud.cephs[shorter].pool.images[image.id].objects[0]
        assert stored.head is not None
        stored.head = stored.head[:20000]

    found = verify(cloud, image, chunk_bytes=BIG).compare()

    [damage] = found[0].damages
    assert (damage.offset, damage.length) == (offset // 4096 * 4096, 4096)
    assert found[1].is_good


def test_stray_data_behind_a_short_object_is_narrowed(
    cloud: clouds.Cloud,
) -> None:
    image = with_big_objects(cloud)
    stored = cloud.cephs['central'].pool.images[image.id].objects[0]
    assert stored.head is not None
    stored.head = stored.head[:20000]
    cloud.cephs['dcn0'].pool.flip(image.id, 30000)

    found = verify(cloud, image, chunk_bytes=BIG).compare()

    [damage] = found[0].damages
    assert (damage.offset, damage.length) == (7 * 4096, 4096)


@pytest.mark.parametrize('nth', [2, 3, 4, 5])
def test_a_site_that_fails_costs_its_own_verdict_only(
    cloud: clouds.Cloud, nth: int
) -> None:
    image = with_big_objects(cloud)
    for store in EDGES:
        cloud.cephs[store].pool.flip(image.id, 100)
        cloud.cephs[store].pool.flip(image.id, BIG + 100)
    cloud.cephs['dcn0'].faults.fail('checksum', nth=nth, times=None)

    found = verify(cloud, image, chunk_bytes=BIG).compare()

    assert [d.offset for d in found[1].damages] == [0, BIG]
    assert [d.length for d in found[1].damages] == [4096, 4096]
    if nth == 2:
        assert isinstance(found[0].error, exceptions.ClusterUnavailable)
    else:
        assert [d.offset for d in found[0].damages] == [0, BIG]
        assert found[0].damages[1].length == BIG


def test_a_source_that_fails_is_named(
    cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['central'].faults.fail('checksum', nth=2, times=None)

    found = verify(cloud, image).compare()

    assert [type(v.error) for v in found] == [
        exceptions.SourceUnavailable,
        exceptions.SourceUnavailable,
    ]
    assert 'source central' in str(found[0].error)
