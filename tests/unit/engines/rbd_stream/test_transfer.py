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
"""One transfer on a cloud in memory: whose fault what goes wrong is."""

from collections.abc import Sequence
import random

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import registration
from dcn_distributor.engines.rbd_stream import sources
from dcn_distributor.engines.rbd_stream import targets
from dcn_distributor.engines.rbd_stream import transfer as transferring
from tests.fakes import clusters
from tests.unit.engines.rbd_stream import clouds

CENTRAL, DCN0, DCN1 = (images.StoreId(store) for store in clouds.STORES)
CONTENT = random.Random(5).randbytes(3000)


def stream(
    cloud: clouds.Cloud,
    image: images.Image,
    read: Sequence[images.StoreId] = (CENTRAL,),
    to: Sequence[images.StoreId] = (DCN0,),
    doubted: frozenset[images.StoreId] = frozenset(),
    verify: transfers.Verify = transfers.Verify.FULL,
    narrow: Sequence[images.StoreId] = (),
    timeout_s: float = 15.0,
) -> transfers.Report:
    """Run a transfer to its end."""

    def handle(store: images.StoreId) -> clusters.FakeCluster:
        return clusters.FakeCluster(cloud.cephs[store])

    transfer = transferring.Transfer(
        image,
        [sources.Source(s, handle(s), s in narrow) for s in read],
        [
            targets.Target(
                sites.SiteName(store),
                store,
                handle(store),
                clouds.OBJECT,
                begins_narrow=store in narrow,
            )
            for store in to
        ],
        cloud.glance,
        transfers.Tuning(
            chunk_bytes=clouds.CHUNK,
            window_bytes=4 * clouds.CHUNK,
            verify=verify,
            timeout_s=timeout_s,
        ),
        registration.Turns(),
        link_rates.LinkRates(),
        on_change=lambda: None,
        doubted=doubted,
    )
    transfer.run()
    return transfer.report()


def with_copy_at_dcn1(cloud: clouds.Cloud) -> images.Image:
    image = cloud.add(CONTENT)
    report = stream(cloud, image, to=[DCN1])
    assert report.lanes[0].error is None
    return cloud.glance.get(image.id)


def errors(report: transfers.Report) -> list[type]:
    return [type(lane.error) for lane in report.lanes]


@pytest.mark.parametrize('verify', transfers.Verify)
@pytest.mark.parametrize('kind', ['read', 'look'])
def test_a_source_that_fails_is_named_and_no_target_blamed(
    cloud: clouds.Cloud, kind: str, verify: transfers.Verify
) -> None:
    image = cloud.add(CONTENT)
    cloud.cephs[CENTRAL].faults.fail(kind, nth=1)

    report = stream(cloud, image, to=[DCN0, DCN1], verify=verify)

    assert errors(report) == [exceptions.SourceUnavailable] * 2
    assert {str(lane.error)[:15] for lane in report.lanes} == {
        'source central:'
    }
    assert report.failed_source == CENTRAL


def test_a_target_that_fails_is_not_the_source_s_fault(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    cloud.cephs[DCN0].faults.fail('write', nth=3)

    report = stream(cloud, image, to=[DCN0, DCN1])

    assert errors(report) == [exceptions.ClusterUnavailable, type(None)]
    assert report.failed_source is None


def test_bytes_that_are_not_the_image_are_no_end_while_a_source_is_left(
    cloud: clouds.Cloud,
) -> None:
    image = with_copy_at_dcn1(cloud)
    cloud.cephs[CENTRAL].pool.flip(image.id, 1234)

    first = stream(cloud, image, read=[CENTRAL, DCN1])
    second = stream(
        cloud, image, read=[DCN1, CENTRAL], doubted=frozenset([CENTRAL])
    )

    assert errors(first) == [exceptions.SourceUnavailable]
    assert 'hash' in str(first.lanes[0].error)
    assert first.failed_source == CENTRAL
    assert errors(second) == [type(None)]
    assert second.failed_source is None
    assert cloud.cephs[DCN0].pool.read(image.id) == CONTENT


def test_bytes_that_are_not_the_image_anywhere_are_the_end(
    cloud: clouds.Cloud,
) -> None:
    image = with_copy_at_dcn1(cloud)
    for store in (CENTRAL, DCN1):
        cloud.cephs[store].pool.flip(image.id, 1234)

    report = stream(
        cloud, image, read=[DCN1, CENTRAL], doubted=frozenset([CENTRAL])
    )

    assert errors(report) == [exceptions.VerificationFailed]
    assert report.failed_source == DCN1
    assert cloud.glance.get(image.id).stores == {CENTRAL, DCN1}


@pytest.mark.parametrize('away', [CENTRAL, DCN1])
def test_a_source_that_does_not_answer_may_serve_later(
    cloud: clouds.Cloud, away: images.StoreId
) -> None:
    image = with_copy_at_dcn1(cloud)
    [bare] = {CENTRAL, DCN1} - {away}
    cloud.cephs[away].faults.fail('open', times=None)
    cloud.cephs[bare].faults.fail(
        'open', exceptions.CopyNotFound('none here'), times=None
    )

    report = stream(cloud, image, read=[CENTRAL, DCN1])

    assert errors(report) == [exceptions.SourceUnavailable]
    assert f'{bare}: none here' in str(report.lanes[0].error)


def test_sources_that_all_have_no_copy_are_the_end(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)

    report = stream(cloud, image, read=[DCN1])

    assert errors(report) == [exceptions.CopyNotFound]


@pytest.mark.parametrize('verify', transfers.Verify)
def test_a_whole_copy_of_small_objects_is_compared_and_taken(
    cloud: clouds.Cloud, verify: transfers.Verify
) -> None:
    image = cloud.add(CONTENT)
    dcn0 = cloud.cephs[DCN0]
    dcn0.pool.put(image.id, CONTENT, clouds.CHUNK // 4)

    report = stream(cloud, image, verify=verify)

    assert errors(report) == [type(None)]
    assert any('by reading it' in note for note in report.lanes[0].notes)
    assert dcn0.sent_bytes == 0
    assert cloud.glance.get(image.id).stores == {CENTRAL, DCN0}


@pytest.mark.parametrize('verify', transfers.Verify)
def test_damage_in_any_object_of_a_whole_copy_is_seen(
    cloud: clouds.Cloud, verify: transfers.Verify
) -> None:
    image = cloud.add(CONTENT)
    dcn0 = cloud.cephs[DCN0]
    dcn0.pool.put(image.id, CONTENT, clouds.CHUNK // 4)
    dcn0.pool.flip(image.id, clouds.CHUNK - 1)

    report = stream(cloud, image, verify=verify)

    assert errors(report) == [exceptions.OrphanInTheWay]
    assert cloud.glance.get(image.id).stores == {CENTRAL}


@pytest.mark.parametrize('narrow', [CENTRAL, DCN0, None])
def test_what_is_narrow_is_used_for_one_at_a_time_until_that_is_quick(
    cloud: clouds.Cloud, narrow: images.StoreId | None
) -> None:
    image = cloud.add(CONTENT)
    cloud.cephs[CENTRAL].faults.delay(0.005, 'read')
    cloud.cephs[DCN0].faults.delay(0.01, 'write')

    # An eighth of the time-out is less than any call takes.
    report = stream(
        cloud,
        image,
        narrow=[] if narrow is None else [narrow],
        timeout_s=0.039,
    )

    assert errors(report) == [type(None)]
    at_once = {
        store: cloud.cephs[store].peak_in_flight_bytes // clouds.CHUNK
        for store in (CENTRAL, DCN0)
    }
    if narrow is None:
        assert min(at_once.values()) > 1
    else:
        assert at_once[narrow] == 1


def test_a_chunk_that_did_not_stay_is_named_and_repaired(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    cloud.cephs[DCN0].faults.corrupt('write', nth=3)

    report = stream(cloud, image)

    [damage] = report.lanes[0].damages
    assert damage.is_repaired
    assert damage.length == clouds.CHUNK
    assert damage.offset % clouds.CHUNK == 0
    rbd_id = cloud.cephs[DCN0].pool.images[image.id].id
    number = damage.offset // clouds.OBJECT
    assert damage.name == f'rbd_data.{rbd_id}.{number:016x}'
    assert cloud.cephs[DCN0].pool.read(image.id) == CONTENT


def test_a_chunk_that_never_stays_is_named(cloud: clouds.Cloud) -> None:
    image = cloud.add(CONTENT)
    cloud.cephs[DCN0].faults.corrupt('write', times=None)

    report = stream(cloud, image)

    assert errors(report) == [exceptions.VerificationFailed]
    assert report.lanes[0].damages
    assert not any(damage.is_repaired for damage in report.lanes[0].damages)
    offsets = [damage.offset for damage in report.lanes[0].damages]
    assert offsets == sorted(set(offsets))
