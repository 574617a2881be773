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
"""What the fake clusters have beyond the contract: time, faults, RADOS."""

from collections.abc import Callable
import functools

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.fakes import ceph
from tests.fakes import clusters
from tests.fakes import copies
from tests.fakes import faults
from tests.fakes import rbd_pool
from tests.fakes import timing

ID = images.ImageId('1')
DATA = b'abcdefghijkl'
OBJECT = 4


def _site(
    world: timing.Timing | None = None, **options: float
) -> tuple[ceph.Ceph, clusters.FakeCluster]:
    site = ceph.Ceph(world or timing.Instant(), **options)  # type: ignore
    return site, clusters.FakeCluster(site)


def _write_all(
    copy: copies.FakeCopy, data: bytes = DATA, length: int = 2
) -> list[tuple[int, object]]:
    """Write chunks; return a list that fills with offsets and answers."""
    ends: list[tuple[int, object]] = []

    def note(offset: int, answer: object) -> None:
        ends.append((offset, answer))

    for offset in range(0, len(data), length):
        chunk = data[offset : offset + length]
        copy.write(offset, chunk, functools.partial(note, offset))
    return ends


def _head(copy: copies.FakeCopy) -> bytes:
    """Return what is stored of a copy, whatever its maps say."""
    answers: list[bytes] = []
    copy.read(0, copy.size_bytes, answers.append)  # type: ignore
    return answers[0]


# -- time -------------------------------------------------------------------


def _history(seed: int) -> list[tuple[int, object]]:
    world = timing.World(seed, reorder_s=0.1)
    _, cluster = _site(world)
    ends = _write_all(cluster.open_copy(ID, len(DATA), OBJECT))
    world.run()
    return ends


def test_equal_seeds_give_equal_histories() -> None:
    assert _history(1) == _history(1)
    assert _history(1) != _history(2)


def test_answers_come_in_any_order() -> None:
    offsets = [offset for offset, _ in _history(1)]

    assert offsets != sorted(offsets)
    assert sorted(offsets) == list(range(0, len(DATA), 2))


def test_nothing_happens_before_its_time() -> None:
    world = timing.World()
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.delay(0.5, 'write')

    ends = _write_all(copy)

    assert ends == []
    world.run_for(0.4)
    assert ends == []
    world.run_for(0.2)
    assert len(ends) == 6


def test_link_brings_so_much_in_a_second() -> None:
    world = timing.World()
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.write_bytes_s = 4.0

    ends = _write_all(copy)

    assert site.in_flight_bytes == len(DATA)
    world.run_for(1.6)
    assert [offset for offset, _ in ends] == [0, 2, 4]
    world.run()
    assert world.now() == pytest.approx(3.0)
    assert (site.in_flight_bytes, site.peak_in_flight_bytes) == (0, 12)
    assert site.sent_bytes == 12


def test_blocking_steps_let_time_pass() -> None:
    world = timing.World()
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.delay(1.0)
    ends = _write_all(copy)

    copy.record_objects([0, 1, 2])

    assert world.now() == 1.0
    assert len(ends) == 6


def test_blocking_within_done_is_a_mistake() -> None:
    world = timing.World()
    _, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)

    copy.write(0, b'ab', lambda _: copy.rename())

    with pytest.raises(AssertionError, match='blocking'):
        world.run()


def test_stuck_world_is_told() -> None:
    world = timing.World()
    with pytest.raises(AssertionError, match='stuck'):
        world.run_until(lambda: False)


# -- a hung cluster ---------------------------------------------------------


def test_frozen_cluster_answers_after_the_timeout_only() -> None:
    world = timing.World()
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.freeze()

    ends = _write_all(copy)

    world.run_for(29.0)
    assert ends == []
    world.run_for(2.0)
    assert [type(answer) for _, answer in ends] == [
        exceptions.ClusterUnavailable
    ] * 6
    with pytest.raises(exceptions.ClusterUnavailable):
        copy.rename()
    assert world.now() == pytest.approx(61.0, abs=1.0)


def test_thawed_cluster_answers_what_has_waited() -> None:
    world = timing.World()
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.freeze()
    world.at(20.0, site.thaw)

    ends = _write_all(copy)
    copy.record_objects([0, 1, 2])

    assert world.now() == pytest.approx(20.0, abs=1.0)
    world.run()
    assert [answer for _, answer in ends] == [2] * 6


def _late_bytes(seed: int) -> bytes:
    world = timing.World(seed)
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.freeze()
    ends = _write_all(copy)
    world.run_for(40.0)
    assert len(ends) == 6
    copy.close()
    site.thaw()
    world.run()
    assert len(ends) == 6
    image = site.pool.images[clusters.draft_name(ID)]
    return b''.join(
        bytes(image.stored(number) or b'').ljust(OBJECT, b'\0')
        for number in range(3)
    )


def test_writes_given_up_may_still_take_effect() -> None:
    left = {_late_bytes(seed) for seed in range(20)}

    assert len(left) > 5
    assert any(bytes(2) in each for each in left)


# -- a killed process -------------------------------------------------------


def _bytes_after_death(seed: int) -> bytes:
    world = timing.World(seed)
    site, cluster = _site(world)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    ends = _write_all(copy)
    for _ in range(3):
        world.step()

    cluster.die()
    world.run()

    assert len(ends) == 3
    with pytest.raises(ceph.Killed):
        copy.take_snapshot()
    with pytest.raises(ceph.Killed):
        cluster.remains(ID)
    successor = clusters.FakeCluster(site).open_copy(ID, len(DATA), OBJECT)
    answers: list[bytes] = []
    successor.read(0, len(DATA), answers.append)  # type: ignore
    world.run()
    return answers[0]


def test_what_was_in_flight_at_death_happens_or_not() -> None:
    left = {_bytes_after_death(seed) for seed in range(20)}

    assert len(left) > 4
    for data in left:
        assert data.startswith(DATA[:6])


def test_claim_of_the_dead_lasts_for_its_time() -> None:
    world = timing.World()
    site, cluster = _site(world, claim_grace_s=30.0)
    cluster.open_copy(ID, len(DATA), OBJECT)
    cluster.die()
    other = clusters.FakeCluster(site)

    with pytest.raises(exceptions.CopyInProgress):
        other.open_copy(ID, len(DATA), OBJECT)
    world.run_for(31.0)
    other.open_copy(ID, len(DATA), OBJECT)


def _publish_and_die(step: int) -> tuple[ceph.Ceph, bool]:
    """Make a copy, and be killed at a step; tell whether it came to that."""
    site, cluster = _site()
    site.faults.call(faults.ANY, cluster.die, nth=step)
    try:
        copy = cluster.open_copy(ID, len(DATA), OBJECT)
        _write_all(copy)
        copy.record_objects([0, 1, 2])
        copy.take_snapshot()
        copy.rename()
        copy.release()
    except ceph.Killed:
        return site, True
    return site, False


def test_process_is_killed_before_any_step() -> None:
    """Whenever that is, another pass makes the copy, and nothing is left."""
    step = 1
    while True:
        site, was_killed = _publish_and_die(step)
        if not was_killed:
            break
        site.faults.forget()
        if site.pool.images.get(ID) is None or ID in site.claims:
            copy = clusters.FakeCluster(site).open_copy(ID, len(DATA), OBJECT)
            _write_all(copy)
            copy.record_objects([0, 1, 2])
            copy.take_snapshot()
            copy.rename()
            copy.release()
        assert site.pool.read(ID) == DATA
        assert site.pool.images.keys() == {ID}
        assert (site.claims, site.pool.strays()) == ({}, {})
        step += 1

    # connect, claim, create, six writes, map, snapshot, protect, rename,
    # unclaim.
    assert step - 1 == 14


# -- faults -----------------------------------------------------------------


def test_the_call_that_was_chosen_fails() -> None:
    site, cluster = _site()
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.fail('write', nth=2, times=2)

    ends = _write_all(copy)

    failed = [offset for offset, answer in ends if not isinstance(answer, int)]
    assert failed == [2, 4]
    assert _head(copy) == b'ab\0\0\0\0ghijkl'


def test_answer_alone_is_lost() -> None:
    site, cluster = _site()
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.fail('write', has_effect=True)
    site.faults.fail('rename_image', has_effect=True)

    ends = _write_all(copy)
    with pytest.raises(exceptions.ClusterUnavailable):
        copy.rename()

    assert isinstance(ends[0][1], exceptions.ClusterUnavailable)
    assert _head(copy) == DATA
    assert site.pool.images.keys() == {ID}
    copy.rename()


def test_any_error_can_be_chosen() -> None:
    site, cluster = _site()
    site.faults.fail('look', exceptions.AccessDenied('caps'), times=None)

    for _ in range(3):
        with pytest.raises(exceptions.AccessDenied):
            cluster.check()


@pytest.mark.parametrize(
    'fault',
    [
        lambda site: site.faults.fall_short(nth=2),
        lambda site: site.faults.fail('read', nth=2),
    ],
    ids=['short', 'failed'],
)
def test_one_read_fails(fault: Callable[[ceph.Ceph], None]) -> None:
    site, cluster = _site()
    site.pool.put(ID, DATA, OBJECT)
    image = cluster.open_snapshot(ID)
    fault(site)

    answers: list[object] = []
    for offset in (0, 2, 4):
        image.read(offset, 2, answers.append)

    assert answers[0::2] == [b'ab', b'ef']
    assert isinstance(answers[1], exceptions.ClusterUnavailable)


def test_bit_flips_on_its_way() -> None:
    site, cluster = _site()
    site.pool.put('2', DATA, OBJECT)
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.corrupt('write', nth=2)
    site.faults.corrupt('read')

    _write_all(copy)
    answers: list[object] = []
    cluster.open_snapshot(images.ImageId('2')).read(0, 4, answers.append)

    assert answers == [b'abbd']
    assert _head(copy) == b'abceefghijkl'


def test_full_cluster_takes_nothing() -> None:
    site, cluster = _site()
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    site.faults.is_full = True

    ends = _write_all(copy)

    assert {type(answer) for _, answer in ends} == {exceptions.StoreFull}
    with pytest.raises(exceptions.StoreFull):
        copy.take_snapshot()
    copy.discard()
    assert (site.pool.images, site.claims) == ({}, {})


def test_what_the_contract_forbids_is_refused() -> None:
    site, cluster = _site()
    site.pool.put('2', DATA, OBJECT)
    site.checksum_obstacle = 'too old'
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    repair = cluster.open_published(images.ImageId('2'))
    copy.take_snapshot()

    calls: tuple[Callable[[], object], ...] = (
        lambda: copy.write(0, b'ab', lambda _: None),
        lambda: copy.checksum(0, 2, lambda _: None),
        lambda: copy.record_objects([3]),
        lambda: repair.write(3, b'ab', lambda _: None),
        lambda: repair.write(12, b'a', lambda _: None),
        repair.take_snapshot,
        repair.rename,
        repair.discard,
    )
    for call in calls:
        with pytest.raises(ValueError, match=r'.'):
            call()


# -- RADOS and librbd -------------------------------------------------------


def test_raw_write_changes_the_snapshot() -> None:
    pool = rbd_pool.Pool()
    image = pool.put('1', DATA, OBJECT)

    pool.write_raw(image, 0, b'X')
    image.write(4, b'Y')
    pool.write_raw(image, 5, b'Z')

    assert pool.read('1') == b'Xbcdefghijkl'
    assert pool.read('1', None) == b'XbcdYZghijkl'


def test_later_snapshots_see_later_data() -> None:
    pool = rbd_pool.Pool()
    image = pool.put('1', DATA, OBJECT)
    image.write(0, b'1')
    pool.take_snapshot('1', 'second')
    image.write(0, b'2')

    assert pool.read('1')[:1] == b'a'
    assert pool.read('1', 'second')[:1] == b'1'
    assert pool.read('1', None)[:1] == b'2'
    pool.remove_snapshot('1', 'second')
    assert pool.read('1')[:1] == b'a'


def test_object_that_the_map_denies_is_not_seen() -> None:
    pool = rbd_pool.Pool()
    image = pool.create('1', len(DATA), OBJECT)
    for offset in (0, 4, 8):
        pool.write_raw(image, offset, DATA[offset : offset + 4])
    image.object_map = {0, 2}
    pool.take_snapshot('1', 'snap')

    assert pool.read('1') == DATA[:4] + bytes(4) + DATA[8:]
    image.object_map = {0, 1, 2}
    assert pool.read('1', None) == DATA
    assert pool.read('1') == DATA[:4] + bytes(4) + DATA[8:]


def test_copy_whose_objects_are_not_recorded_is_empty() -> None:
    site, cluster = _site()
    copy = cluster.open_copy(ID, len(DATA), OBJECT)
    _write_all(copy)

    copy.take_snapshot()
    copy.rename()
    copy.release()

    assert site.pool.read(ID) == bytes(len(DATA))
    checks: list[storage.Checksum] = []
    cluster.open_snapshot(ID).checksum(0, 4, checks.append)  # type: ignore
    assert checks[0].covered == 4


def test_objects_that_the_map_denies_outlive_their_image() -> None:
    pool = rbd_pool.Pool()
    image = pool.create('1', len(DATA), OBJECT)
    pool.write_raw(image, 0, b'a')
    pool.write_raw(image, 4, b'b')
    image.object_map = {0}

    pool.remove('1')

    assert [list(objects) for objects in pool.strays().values()] == [[1]]


def test_late_write_to_a_removed_image_is_a_stray() -> None:
    pool = rbd_pool.Pool()
    image = pool.create('1', len(DATA), OBJECT)
    pool.remove('1')

    pool.write_raw(image, 0, b'a')

    assert list(pool.strays()) == [image.id]


def test_images_in_use_are_not_removed() -> None:
    pool = rbd_pool.Pool()
    pool.put('1', DATA, OBJECT)
    pool.clone('1', '2').watchers.add('somebody')

    with pytest.raises(rbd_pool.HasSnapshots):
        pool.remove('1')
    with pytest.raises(rbd_pool.InUse):
        pool.remove_snapshot('1', 'snap')
    with pytest.raises(rbd_pool.InUse):
        pool.unprotect('1', 'snap')
    with pytest.raises(rbd_pool.InUse):
        pool.remove('2')
    with pytest.raises(rbd_pool.NameTaken):
        pool.rename('1', '2')
    pool.images['2'].watchers.clear()
    pool.remove('2')
    pool.unprotect('1', 'snap')
    pool.remove_snapshot('1', 'snap')
    pool.remove('1')
    assert (pool.images, pool.strays()) == ({}, {})
