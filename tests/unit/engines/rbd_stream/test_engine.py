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
"""The engine on a cloud in memory, with threads: what is there in the end."""

from collections.abc import Callable
import dataclasses
import random
import threading

from oslo_context import context
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import engine as engines
from tests import waiting
from tests.unit.engines.rbd_stream import clouds

EDGES = (images.StoreId('dcn0'), images.StoreId('dcn1'))
EVERYWHERE = (images.StoreId('central'), *EDGES)
NO_WISHES = transfers.Wishes()
DONE = transfers.Phase.DONE
FAILED = transfers.Phase.FAILED


def content(length: int = 3000, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def assert_at(cloud: clouds.Cloud, image: images.Image, *stores: str) -> None:
    """Check the copies: bytes, snapshot, location, and nothing else."""
    expected = cloud.cephs['central'].pool.read(image.id)
    assert cloud.glance.get(image.id).stores == {'central', *stores}
    for store in stores:
        pool = cloud.cephs[store].pool
        assert pool.read(image.id) == expected
        assert pool.images[image.id].snapshots['snap'].is_protected
    assert cloud.strays() == []


def wait_for_lock(engine: engines.RbdStream, image: images.Image) -> None:
    """Wait until all of a copy is sent, and an import is in its way."""
    waiting.until(
        'it waits for the lock',
        lambda: any(
            report.lanes[0].phase is transfers.Phase.PUBLISHING
            for report in engine.reports_of(image.id)
        ),
    )


def test_copies_arrive_and_are_registered(cloud: clouds.Cloud) -> None:
    image = cloud.add(content())
    engine = cloud.engine()

    engine.start(image, EDGES, NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert [lane.phase for lane in report.lanes] == [DONE, DONE]
    assert report.read_bytes == 3000
    assert report.source == 'central'
    assert image.id in cloud.woken
    assert not engine.reports_of(image.id)
    assert [r.image_id for r in engine.reports()] == [image.id]
    assert_at(cloud, image, *EDGES)


def test_whatever_is_logged_of_a_copy_names_the_event_it_is_for(
    cloud: clouds.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()
    seen: dict[str, str] = {}
    # The last step, which a thread of each target takes.
    monkeypatch.setattr(
        cloud.glance,
        'add_location',
        _noting(cloud.glance.add_location, seen),
    )

    context.RequestContext(request_id='req-event')
    engine.start(image, EDGES, NO_WISHES)
    context.RequestContext(request_id='req-another')
    cloud.wait_for(engine, image.id)

    assert set(seen.values()) == {'req-event'}
    assert all(name.startswith('deliver-') for name in seen)


def _noting(
    call: Callable[..., None], seen: dict[str, str]
) -> Callable[..., None]:
    """Note what oslo.log would write of each thread that calls."""

    def noted(*args: object, **kwargs: object) -> None:
        here = context.get_current()
        name = threading.current_thread().name
        seen[name] = '' if here is None else here.request_id
        call(*args, **kwargs)

    return noted


def test_an_image_without_a_byte_arrives(cloud: clouds.Cloud) -> None:
    image = cloud.add(b'\0')
    engine = cloud.engine()

    engine.start(image, EDGES, NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert [lane.error for lane in report.lanes] == [None, None]
    assert_at(cloud, image, *EDGES)


@pytest.mark.parametrize('size_bytes', [0, None])
def test_an_image_that_cannot_be_registered_is_not_begun(
    cloud: clouds.Cloud, size_bytes: int | None
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()

    with pytest.raises(exceptions.NotCopyable):
        engine.start(
            dataclasses.replace(image, size_bytes=size_bytes), EDGES, NO_WISHES
        )

    assert cloud.strays() == []
    assert cloud.glance.get(image.id).stores == {'central'}


@pytest.mark.parametrize('stores', [EDGES[:1], EDGES])
def test_no_two_transfers_of_an_image_go_to_a_store(
    cloud: clouds.Cloud, stores: tuple[images.StoreId, ...]
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()
    cloud.cephs['dcn0'].faults.delay(0.05, 'write')
    engine.start(image, EDGES[:1], NO_WISHES)

    with pytest.raises(exceptions.CopyInProgress):
        engine.start(image, stores, NO_WISHES)
    waiting.until(
        'it has ended', lambda: engine.reports_of(image.id)[0].ended_s
    )
    with pytest.raises(exceptions.CopyInProgress):
        engine.start(image, stores, NO_WISHES)

    cloud.wait_for(engine, image.id)
    assert_at(cloud, image, 'dcn0')


def test_a_slow_site_keeps_no_other_waiting(cloud: clouds.Cloud) -> None:
    image = cloud.add(content(20_000))
    engine = cloud.engine()
    slow = cloud.cephs['dcn0'].faults
    slow.delay(0.1, 'write')
    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for_data(engine, image.id)

    engine.start(image, EDGES[1:], NO_WISHES)
    waiting.until(
        'one of them has ended',
        lambda: [r for r in engine.reports_of(image.id) if r.ended_s],
    )

    assert 'dcn1' in cloud.glance.get(image.id).stores
    assert len(engine.reports()) == 2
    # What still runs stays, whoever says that it was booked.
    engine.take(image.id, EDGES)
    [report] = engine.reports_of(image.id)
    assert [lane.store for lane in report.lanes] == ['dcn0']
    slow.delay(0.0, 'write')
    cloud.wait_for(engine, image.id)
    assert_at(cloud, image, *EDGES)


def test_a_site_that_failed_is_tried_again_beside_a_slow_one(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content(20_000))
    engine = cloud.engine()
    slow = cloud.cephs['dcn0'].faults
    slow.delay(0.1, 'write')
    cloud.cephs['dcn1'].faults.fail('write')
    engine.start(image, EDGES, NO_WISHES)

    def phases() -> dict[str, transfers.Phase]:
        return {
            lane.store: lane.phase
            for report in engine.reports_of(image.id)
            for lane in report.lanes
        }

    waiting.until('one fails', lambda: phases()['dcn1'] is FAILED)
    engine.start(image, EDGES[1:], NO_WISHES)
    waiting.until('it is done', lambda: phases()['dcn1'] is DONE)

    assert not phases()['dcn0'].is_end
    waiting.until(
        'the second has ended',
        lambda: [r for r in engine.reports_of(image.id) if r.ended_s],
    )
    engine.take(image.id, EDGES[1:])
    assert phases().keys() == {'dcn0'}
    slow.delay(0.0, 'write')
    cloud.wait_for(engine, image.id)
    assert_at(cloud, image, *EDGES)


def test_all_transfers_of_a_deleted_image_are_called_off(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content(20_000))
    engine = cloud.engine()
    for store in EDGES:
        cloud.cephs[store].faults.delay(0.02, 'write')
        engine.start(image, [store], NO_WISHES)
    waiting.until(
        'both sites have some',
        lambda: all(cloud.cephs[store].sent_bytes > 1000 for store in EDGES),
    )

    cloud.glance.delete(image.id)
    engine.cancel(image.id)

    waiting.until(
        'both have ended',
        lambda: all(r.ended_s for r in engine.reports_of(image.id)),
    )
    assert cloud.strays() == []
    assert not any(ceph.pool.images for ceph in cloud.cephs.values())


@pytest.mark.parametrize('store', clouds.STORES)
@pytest.mark.parametrize(
    'step',
    [
        'connect',
        'open',
        'claim',
        'create_image',
        'write',
        'checksum',
        'write_map',
        'create_snapshot',
        'protect_snapshot',
        'rename_image',
        'unclaim',
    ],
)
def test_an_error_at_any_step_is_made_good_by_the_next_pass(
    cloud: clouds.Cloud, store: str, step: str
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()
    cloud.cephs[store].faults.fail(step)

    engine.start(image, EDGES, NO_WISHES)
    cloud.wait_for(engine, image.id)
    missing = sorted(set(EDGES) - cloud.glance.get(image.id).stores)
    if missing:
        engine.start(cloud.glance.get(image.id), missing, NO_WISHES)
        report = cloud.wait_for(engine, image.id)
        assert [lane.error for lane in report.lanes] == [None] * len(missing)
    engine.sweep(EVERYWHERE)

    waiting.until('all is swept', lambda: not cloud.strays())
    assert_at(cloud, image, *EDGES)


@pytest.mark.filterwarnings(
    # The threads of a process that was killed end by an exception.
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)
@pytest.mark.parametrize(
    'step',
    [
        'claim',
        'create_image',
        'write',
        'checksum',
        'write_map',
        'create_snapshot',
        'protect_snapshot',
        'rename_image',
        'unclaim',
    ],
)
def test_a_kill_at_any_step_is_made_good_by_the_next_process(
    cloud: clouds.Cloud, step: str
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()
    killed = []

    def kill() -> None:
        killed.append(step)
        cloud.kill()

    cloud.cephs['dcn1'].faults.call(step, kill, nth=1)
    engine.start(image, EDGES, NO_WISHES)
    waiting.until('the engine was killed', lambda: killed)

    missing = sorted(set(EDGES) - cloud.glance.get(image.id).stores)
    if missing:
        engine = cloud.engine()
        engine.start(cloud.glance.get(image.id), missing, NO_WISHES)
        report = cloud.wait_for(engine, image.id)
        assert [lane.error for lane in report.lanes] == [None] * len(missing)
    cloud.engine().sweep(EVERYWHERE)

    waiting.until('all is swept', lambda: not cloud.strays())
    assert_at(cloud, image, *EDGES)


def test_a_deleted_image_leaves_nothing(cloud: clouds.Cloud) -> None:
    image = cloud.add(content(20_000))
    cloud.cephs['dcn1'].faults.delay(0.02, 'write')
    engine = cloud.engine()
    engine.start(image, EDGES, NO_WISHES)
    waiting.until(
        'something was sent', lambda: cloud.cephs['dcn1'].sent_bytes > 1000
    )

    cloud.glance.delete(image.id)
    engine.cancel(image.id)
    report = cloud.wait_for(engine, image.id)

    assert all(lane.phase.is_end for lane in report.lanes)
    assert DONE not in [lane.phase for lane in report.lanes]
    assert cloud.strays() == []
    assert not any(ceph.pool.images for ceph in cloud.cephs.values())


def test_an_engine_that_stops_leaves_its_work_to_the_next(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content(20_000))
    cloud.cephs['dcn0'].faults.delay(0.02, 'write')
    engine = cloud.engine()
    engine.start(image, EDGES[:1], NO_WISHES)
    dcn0 = cloud.cephs['dcn0']
    waiting.until('half was sent', lambda: dcn0.sent_bytes > 10_000)

    engine.stop(within_s=5.0)
    again = cloud.engine()
    again.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(again, image.id)

    [lane] = report.lanes
    assert lane.resumed_bytes >= 9_000
    assert dcn0.sent_bytes <= 20_000 + 8 * clouds.CHUNK
    assert_at(cloud, image, 'dcn0')


def test_a_store_is_broken_off_and_the_others_go_on(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content(20_000))
    for store in EDGES:
        cloud.cephs[store].faults.delay(0.02, 'write')
    engine = cloud.engine()
    engine.start(image, EDGES, NO_WISHES)
    cloud.wait_for_data(engine, image.id)

    engine.break_off(image.id, [EDGES[0], images.StoreId('dcn9')], 'why')
    engine.break_off(images.ImageId('another'), EDGES, 'why')
    report = cloud.wait_for(engine, image.id)

    first, second = report.lanes
    assert first.phase is transfers.Phase.CANCELLED
    assert isinstance(first.error, exceptions.Stopped)
    assert str(first.error) == 'why'
    assert second.error is None
    assert cloud.glance.get(image.id).stores == {'central', 'dcn1'}

    # Nothing to break off any more: no effect on what begins later.
    engine.break_off(image.id, EDGES, 'why')
    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)
    assert report.lanes[0].resumed_bytes >= first.settled_bytes > 0
    assert_at(cloud, image, *EDGES)


def test_what_waits_for_a_lock_is_broken_off_and_left(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.glance.copy_to_stores(image.id, [EDGES[1]])
    engine = cloud.engine()
    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    wait_for_lock(engine, image)

    engine.break_off(image.id, EDGES[:1], 'why')
    report = cloud.wait_for(engine, image.id)
    assert isinstance(report.lanes[0].error, exceptions.Stopped)

    cloud.glance.finish_all()
    sent = cloud.cephs['dcn0'].sent_bytes
    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)
    assert cloud.cephs['dcn0'].sent_bytes == sent
    assert_at(cloud, image, *EDGES)


@pytest.mark.parametrize('store', ['central', 'dcn0'])
def test_what_has_not_begun_to_flow_is_broken_off(
    cloud: clouds.Cloud, store: str
) -> None:
    image = cloud.add(content())
    cloud.cephs[store].faults.delay(0.5, 'open')
    engine = cloud.engine()
    engine.start(image, EDGES[:1], NO_WISHES)

    engine.break_off(image.id, EDGES[:1], 'why')
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.Stopped)
    assert cloud.glance.get(image.id).stores == {'central'}
    cloud.cephs[store].faults.delay(0.0, 'open')
    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)
    assert_at(cloud, image, 'dcn0')


def test_nothing_is_registered_while_an_import_holds_the_lock(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.glance.copy_to_stores(image.id, [EDGES[1]])
    engine = cloud.engine()

    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    wait_for_lock(engine, image)
    waiting.passes(0.2)
    assert 'dcn0' not in cloud.glance.get(image.id).stores
    cloud.glance.finish_all()
    cloud.wait_for(engine, image.id)

    assert_at(cloud, image, *EDGES)


def test_a_source_that_rots_is_never_announced(cloud: clouds.Cloud) -> None:
    image = cloud.add(content())
    cloud.cephs['central'].pool.flip(image.id, 1234)
    engine = cloud.engine()

    engine.start(image, EDGES, NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert [type(lane.error) for lane in report.lanes] == [
        exceptions.VerificationFailed,
        exceptions.VerificationFailed,
    ]
    assert cloud.glance.get(image.id).stores == {'central'}


def test_another_source_makes_good_what_a_rotten_one_began(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    engine = cloud.engine()
    engine.start(image, EDGES[1:], NO_WISHES)
    cloud.wait_for(engine, image.id)
    good = cloud.cephs['dcn1'].pool.read(image.id)
    cloud.cephs['central'].pool.flip(image.id, 1234)
    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)

    cloud.cephs['central'].faults.fail('open', times=None)
    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert report.source == 'dcn1'
    assert report.lanes[0].sent_bytes <= clouds.CHUNK
    assert cloud.cephs['dcn0'].pool.read(image.id) == good


def test_a_quota_of_locations_is_told_and_nothing_left(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.glance.settings.image_location_quota = 1
    engine = cloud.engine()

    engine.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.LocationQuotaExceeded)
    assert_at(cloud, image)


def test_an_orphan_is_reported_and_kept(cloud: clouds.Cloud) -> None:
    image = cloud.add(content())
    pool = cloud.cephs['dcn0'].pool
    pool.create(image.id, 3000, clouds.OBJECT)
    engine = cloud.engine()

    engine.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.OrphanInTheWay)
    assert 'dcn-distributor clean' in str(report.lanes[0].error)
    assert image.id in pool.images


def test_an_orphan_is_removed_if_the_operator_wishes(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.cephs['dcn0'].pool.create(image.id, 3000, clouds.OBJECT)
    engine = cloud.engine(removes_orphans=True)

    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)

    assert_at(cloud, image, 'dcn0')


def test_an_orphan_that_is_open_is_nobodys_fault_and_removed_later(
    cloud: clouds.Cloud,
) -> None:
    """The connection of a glance-api that was killed lasts for a while."""
    image = cloud.add(content())
    pool = cloud.cephs['dcn0'].pool
    orphan = pool.create(image.id, 3000, clouds.OBJECT)
    orphan.watchers.add('a dead glance-api')
    engine = cloud.engine(removes_orphans=True)

    engine.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.CopyInProgress)
    assert image.id in pool.images
    orphan.watchers.clear()
    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)
    assert_at(cloud, image, 'dcn0')


def test_a_whole_copy_without_location_is_compared_and_taken(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    dcn0 = cloud.cephs['dcn0']
    dcn0.pool.put(image.id, content(), clouds.OBJECT)
    engine = cloud.engine()

    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)

    assert dcn0.sent_bytes == 0
    assert_at(cloud, image, 'dcn0')


def test_a_whole_copy_of_something_else_is_not_taken(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    other = content(seed=2)
    cloud.cephs['dcn0'].pool.put(image.id, other, clouds.OBJECT)
    engine = cloud.engine()

    engine.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.OrphanInTheWay)
    assert cloud.cephs['dcn0'].pool.read(image.id) == other
    assert cloud.glance.get(image.id).stores == {'central'}


def test_obstacles_are_named_and_vanish(cloud: clouds.Cloud) -> None:
    cloud.add(content())
    cloud.glance.settings.show_multiple_locations = False
    engine = cloud.engine()

    def told() -> str:
        return '; '.join(engine.obstacles(EDGES[0]))

    waiting.until('it is told', lambda: 'show_multiple_locations' in told())
    cloud.glance.settings.show_multiple_locations = True
    engine.set_sites(cloud.all_sites())

    waiting.until('nothing is in the way', lambda: not told())


@pytest.mark.filterwarnings(
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)
def test_a_registered_copy_is_safe_from_who_knows_an_older_image(
    cloud: clouds.Cloud,
) -> None:
    stale = cloud.add(content())
    engine = cloud.engine()
    killed = []

    def kill() -> None:
        killed.append(True)
        cloud.kill()

    cloud.cephs['dcn0'].faults.call('unclaim', kill)
    engine.start(stale, EDGES[:1], NO_WISHES)
    waiting.until(
        'it was killed before the claim was given up', lambda: killed
    )
    assert 'dcn0' in cloud.glance.get(stale.id).stores

    again = cloud.engine()
    again.start(stale, EDGES[:1], NO_WISHES)
    cloud.wait_for(again, stale.id)
    again.sweep(EVERYWHERE)

    waiting.until('all is swept', lambda: not cloud.strays())
    assert_at(cloud, stale, 'dcn0')


def test_a_copy_that_is_registered_is_done_whatever_comes_then(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.cephs['dcn0'].faults.fail('unclaim')
    engine = cloud.engine()

    engine.start(image, EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)
    engine.sweep(EVERYWHERE)

    assert [lane.phase for lane in report.lanes] == [DONE]
    waiting.until('all is swept', lambda: not cloud.strays())
    assert_at(cloud, image, 'dcn0')


def test_stores_of_other_agents_are_not_swept(cloud: clouds.Cloud) -> None:
    image = cloud.add(content())
    for store in EDGES:
        cloud.cephs[store].faults.fail('unclaim')
    engine = cloud.engine()
    engine.start(image, EDGES, NO_WISHES)
    cloud.wait_for(engine, image.id)
    left = len(cloud.strays())

    engine.sweep(EDGES[:1])

    waiting.until('half is swept', lambda: len(cloud.strays()) == left // 2)
    waiting.passes(0.3)
    assert len(cloud.strays()) == left // 2


def test_an_image_that_is_hidden_from_us_keeps_its_copy(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(content())
    cloud.cephs['dcn0'].faults.fail('unclaim')
    engine = cloud.engine()
    engine.start(image, EDGES[:1], NO_WISHES)
    cloud.wait_for(engine, image.id)
    cloud.glance.break_image(image.id, exceptions.ImageNotFound('no role'))

    engine.sweep(EVERYWHERE)

    waiting.passes(0.3)
    assert cloud.cephs['dcn0'].pool.read(image.id) == content()


def test_the_lock_of_a_dead_import_is_broken(cloud: clouds.Cloud) -> None:
    image = cloud.add(content())
    cloud.glance.copy_to_stores(image.id, [EDGES[1]])
    cloud.glance.step(image.id)
    cloud.glance.crash()
    cloud.passed_s += 3700
    engine = cloud.engine()

    engine.start(cloud.glance.get(image.id), EDGES[:1], NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert [lane.error for lane in report.lanes] == [None]
    assert cloud.glance.get(image.id).import_task is None
    assert 'dcn0' in cloud.glance.get(image.id).stores
