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
"""The pipeline against clusters in memory: what lies there in the end."""

from collections.abc import Sequence
import functools

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import pipeline as pipelines
from dcn_distributor.engines.rbd_stream import pipeline_rules
from dcn_distributor.engines.rbd_stream import steps
from tests.fakes import ceph as fake_ceph
from tests.fakes import timing
from tests.unit.engines.rbd_stream import riding

CHUNK = riding.CHUNK

# Chunks of zeros, of data, of both, and a short end.
_CHUNKS = st.sampled_from(
    [bytes(CHUNK), b'abcd', b'efgh', b'\0\0\0x', b'y\0\0\0', b'\0zz\0']
)
CONTENTS = st.builds(
    lambda parts, rest: b''.join(parts) + rest,
    st.lists(_CHUNKS, max_size=24),
    st.sampled_from([b'', b'q', b'\0\0', b'rst']),
).filter(len)


def a_cloud(
    seed: int, content: bytes, sites: int, reorder_s: float = 0.5
) -> tuple[timing.World, fake_ceph.Ceph, Sequence[fake_ceph.Ceph]]:
    world = timing.World(seed, reorder_s)
    central = fake_ceph.Ceph(world, zero_block_bytes=2)
    central.pool.put(riding.IMAGE, content, riding.OBJECT)
    edges = [fake_ceph.Ceph(world, zero_block_bytes=2) for _ in range(sites)]
    for number, edge in enumerate(edges):
        edge.faults.delay(0.1 * number, 'write')
        edge.faults.delay(0.05, 'checksum')
    return world, central, edges


def random_content(count: int, seed: int = 1) -> bytes:
    return timing.World(seed).rng.randbytes(count * CHUNK)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 2**32),
    CONTENTS,
    st.integers(1, 3),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
    st.lists(
        st.sampled_from([0.0, 0.0, 0.3, 1.0, 4.0]), min_size=3, max_size=3
    ),
)
# One that fell behind overtakes the others, and the hash.
@example(
    1,
    b'abcd\0\0\0\0'
    + 4 * b'abcd'
    + b'\0\0\0\0abcd\0\0\0\0'
    + 2 * b'abcd'
    + bytes(8),
    3,
    1,
    True,
    False,
    [0.0, 0.0, 0.0],
)
def test_every_target_gets_the_image(
    seed: int,
    content: bytes,
    sites: int,
    window: int,
    is_hashed: bool,
    proves: bool,
    opened_s: list[float],
) -> None:
    world, central, edges = a_cloud(seed, content, sites)
    ride = riding.Ride(
        world,
        central,
        edges,
        window=window * CHUNK,
        is_hashed=is_hashed,
        proves=proves,
        patience_s=0.5,
    )
    for number in range(sites):
        world.at(opened_s[number], functools.partial(ride.open, number))

    ride.run()

    assert ride.filled == set(range(sites))
    for number, edge in enumerate(edges):
        ride.publish(number)
        assert edge.pool.read(riding.IMAGE) == content
        assert not edge.pool.strays()
        lane = ride.pipeline.lanes[number]
        assert lane.settled_bytes == len(content)
        # More than a window only where chunks take long, to one or two.
        far = min(2.0, 3.0 / sites)
        assert edge.peak_in_flight_bytes <= far * window * CHUNK


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 2**32),
    CONTENTS,
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.sampled_from(['source', 0, 1, 2]),
            st.sampled_from(
                [
                    ('read', 'corrupt'),
                    ('write', 'corrupt'),
                    ('read', 'fail'),
                    ('write', 'fail'),
                    ('checksum', 'fail'),
                    ('write', 'lose the answer'),
                ]
            ),
            st.integers(1, 12),
        ),
        max_size=6,
    ),
)
def test_no_fault_makes_it_lie(
    seed: int,
    content: bytes,
    sites: int,
    faults: list[tuple[object, tuple[str, str], int]],
) -> None:
    world, central, edges = a_cloud(seed, content, sites)
    for where, (kind, what), nth in faults:
        ceph = central if not isinstance(where, int) else edges[where % sites]
        if what == 'corrupt':
            ceph.faults.corrupt(kind, nth=nth)
        else:
            lost = what == 'lose the answer'
            ceph.faults.fail(kind, nth=nth, has_effect=lost)
    ride = riding.Ride(world, central, edges)

    ride.go()

    assert ride.filled | set(ride.lost) == set(range(sites))
    for number in ride.filled:
        ride.publish(number)
        assert edges[number].pool.read(riding.IMAGE) == content


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32), CONTENTS, st.integers(1, 2), st.data())
def test_another_pass_finishes_what_a_dead_one_left(
    seed: int, content: bytes, sites: int, data: st.DataObject
) -> None:
    world, central, edges = a_cloud(seed, content, sites)
    first = riding.Ride(world, central, edges)
    for number in range(sites):
        first.open(number)
    first.drive.begin()
    first.drive.turn()
    for _ in range(data.draw(st.integers(0, 80))):
        first.drive.take_in(0)
        if first.pipeline.is_over or not world.step():
            break
        first.drive.turn()
    for handle in first.handles:
        handle.die()
    world.run()
    for edge, decay in zip(
        edges, data.draw(st.lists(st.booleans(), min_size=2)), strict=False
    ):
        image = edge.pool.images[riding.IMAGE + '.dcn-distributor']
        if decay and image.objects:
            edge.pool.flip(
                riding.IMAGE + '.dcn-distributor',
                min(image.objects) * riding.OBJECT,
            )

    # What stands in the way of the second pass, beside what it finds.
    for edge in edges:
        if data.draw(st.booleans()):
            edge.faults.corrupt('write', nth=data.draw(st.integers(1, 4)))
        edge.faults.delay(data.draw(st.sampled_from([0.0, 9.0])), 'write')
    second = riding.Ride(
        world,
        central,
        edges,
        rate_bytes_s=data.draw(st.sampled_from([None, 8.0])),
        is_hashed=data.draw(st.booleans()),
    )
    second.go()

    assert second.filled == set(range(sites))
    for number, edge in enumerate(edges):
        second.publish(number)
        assert edge.pool.read(riding.IMAGE) == content


@pytest.mark.parametrize('is_hashed', [True, False])
def test_what_is_there_is_not_sent_again(is_hashed: bool) -> None:
    content = random_content(40)
    world, central, [edge] = a_cloud(3, content, 1)
    first = riding.Ride(world, central, [edge])
    first.open(0)
    first.drive.begin()
    while edge.sent_bytes < len(content) // 2:
        first.drive.turn()
        first.drive.take_in(0) or world.step()
    first.handles[0].die()
    world.run()
    sent_before = edge.sent_bytes

    second = riding.Ride(world, central, [edge], is_hashed=is_hashed)
    second.go()

    window = 4 * CHUNK
    assert second.filled == {0}
    assert edge.sent_bytes <= len(content) + window
    resent = sent_before + second.pipeline.lanes[0].sent_bytes - len(content)
    assert resent <= window
    if not is_hashed:
        # What is read before the target is open may turn out to be there.
        sent_bytes = second.pipeline.lanes[0].sent_bytes
        assert second.pipeline.read_bytes <= sent_bytes + window


@pytest.mark.parametrize('is_hashed', [True, False])
@pytest.mark.parametrize('trouble', ['rate', 'damage', 'falls behind'])
def test_what_differs_is_sent_whatever_delays_that(
    is_hashed: bool, trouble: str
) -> None:
    content = random_content(24)
    world, central, edges = a_cloud(15, content, 2, reorder_s=0.0)
    first = riding.Ride(world, central, edges)
    first.go()
    first.leave()
    world.run()
    for edge in edges:
        for number in range(0, 12, 2):
            edge.pool.flip(
                riding.IMAGE + '.dcn-distributor', number * riding.OBJECT
            )
    if trouble == 'damage':
        edges[0].faults.corrupt('write', nth=2)
    if trouble == 'falls behind':
        edges[0].faults.delay(20.0, 'write')

    second = riding.Ride(
        world,
        central,
        edges,
        window=2 * CHUNK,
        patience_s=0.5,
        rate_bytes_s=4.0 if trouble == 'rate' else None,
        is_hashed=is_hashed,
    )
    second.go()

    assert second.filled == {0, 1}
    for number, edge in enumerate(edges):
        second.publish(number)
        assert edge.pool.read(riding.IMAGE) == content


def test_one_reading_serves_all() -> None:
    content = random_content(60)
    world, central, edges = a_cloud(4, content, 3, reorder_s=0.01)
    for edge in edges:
        edge.faults.delay(0.1, 'write')

    ride = riding.Ride(world, central, edges)
    ride.go()

    assert ride.filled == {0, 1, 2}
    assert ride.pipeline.read_bytes == len(content)


def test_a_slow_target_does_not_stop_the_others() -> None:
    content = random_content(200)
    world, central, edges = a_cloud(5, content, 2, reorder_s=0.0)
    edges[0].faults.delay(0.1, 'write')
    edges[1].faults.delay(5.0, 'write')

    ride = riding.Ride(world, central, edges)
    ride.go()

    assert ride.filled == {0, 1}
    alone_s = 200 / 4 * 0.1
    assert ride.filled_at_s[0] < alone_s + 2.0 + 0.2 * alone_s + 6.0
    assert ride.filled_at_s[1] > 200
    for number, edge in enumerate(edges):
        ride.publish(number)
        assert edge.pool.read(riding.IMAGE) == content


def test_no_patience_is_no_haste() -> None:
    content = random_content(100)
    world, central, edges = a_cloud(18, content, 2, reorder_s=0.0)
    edges[1].faults.delay(5.0, 'write')
    ride = riding.Ride(world, central, edges, patience_s=0.0)

    ride.go()

    assert ride.filled == {0, 1}
    assert ride.turns < 2000


def test_a_hung_target_costs_its_own_copy_only() -> None:
    content = random_content(200)
    world, central, edges = a_cloud(6, content, 2, reorder_s=0.0)
    edges[0].faults.delay(0.1, 'write')
    ride = riding.Ride(world, central, edges)
    ride.open(0)
    ride.open(1)
    edges[1].freeze()

    ride.run()

    assert ride.filled == {0}
    assert isinstance(ride.lost[1], exceptions.ClusterUnavailable)
    assert ride.filled_at_s[0] < 200 / 4 * 0.1 + 5.0


@pytest.mark.parametrize('is_hashed', [True, False])
@pytest.mark.parametrize('trouble', ['hangs', 'is slow'])
def test_a_target_that_is_compared_slowly_does_not_stop_the_others(
    is_hashed: bool, trouble: str
) -> None:
    content = random_content(200)
    world, central, edges = a_cloud(17, content, 2, reorder_s=0.0)
    first = riding.Ride(world, central, edges)
    first.go()
    first.leave()
    world.run()
    for edge in edges:
        edge.pool.flip(riding.IMAGE + '.dcn-distributor', 1)
    begun_s = world.now()
    second = riding.Ride(world, central, edges, is_hashed=is_hashed)
    for number in range(2):
        second.open(number)
    edges[1].faults.delay(25.0, 'checksum')
    if trouble == 'hangs':
        edges[1].freeze()

    second.run()

    assert second.filled_at_s[0] - begun_s < 10.0
    assert trouble == 'hangs' or second.filled == {0, 1}
    for number in second.filled:
        second.publish(number)
        assert edges[number].pool.read(riding.IMAGE) == content


def test_a_target_that_opens_late_is_filled_all_the_same() -> None:
    content = random_content(30)
    world, central, edges = a_cloud(7, content, 2)
    ride = riding.Ride(world, central, edges)
    ride.open(0)
    world.at(60.0, lambda: ride.open(1))

    ride.run()

    assert ride.filled == {0, 1}
    assert ride.filled_at_s[0] < 30
    ride.publish(1)
    assert edges[1].pool.read(riding.IMAGE) == content


def test_a_target_that_opens_late_may_overtake_the_others() -> None:
    content = random_content(300)
    hole = slice(100 * CHUNK, 100 * CHUNK + riding.OBJECT)
    content = content[: hole.start] + bytes(8) + content[hole.stop :]
    world, central, edges = a_cloud(16, content, 2, reorder_s=0.0)
    edges[0].faults.delay(0.4, 'write')
    edges[1].faults.delay(0.01, 'write')
    ride = riding.Ride(world, central, edges)
    ride.open(0)
    world.at(5.0, lambda: ride.open(1))

    ride.run()

    assert ride.filled == {0, 1}
    assert ride.filled_at_s[1] < ride.filled_at_s[0]
    for number, edge in enumerate(edges):
        ride.publish(number)
        assert edge.pool.read(riding.IMAGE) == content


def test_a_source_that_holds_another_image_is_found_out() -> None:
    world, central, edges = a_cloud(8, random_content(9), 2)
    ride = riding.Ride(world, central, edges, expected_hash='0' * 128)

    ride.go()

    assert ride.filled == set()
    assert {type(e) for e in ride.lost.values()} == {
        exceptions.VerificationFailed
    }


def test_a_chunk_damaged_on_its_way_is_named_and_sent_again() -> None:
    content = random_content(9)
    world, central, [edge] = a_cloud(9, content, 1)
    edge.faults.corrupt('write', nth=3)
    ride = riding.Ride(world, central, [edge])

    ride.go()

    lane = ride.pipeline.lanes[0]
    assert ride.filled == {0}
    assert len(lane.damaged) == 1
    assert lane.sent_bytes == len(content) + CHUNK


def test_a_target_that_keeps_nothing_is_given_up() -> None:
    world, central, [edge] = a_cloud(10, random_content(9), 1)
    edge.faults.corrupt('write', times=None)
    ride = riding.Ride(world, central, [edge])

    ride.go()

    assert isinstance(ride.lost[0], exceptions.VerificationFailed)
    assert 'offset' in str(ride.lost[0])


def test_a_target_whose_osds_cannot_compute_is_read_back() -> None:
    content = random_content(9)
    world, central, [edge] = a_cloud(11, content, 1)
    edge.checksum_obstacle = 'too old'
    edge.faults.corrupt('write', nth=2)
    ride = riding.Ride(world, central, [edge])

    ride.go()

    assert ride.filled == {0}
    ride.publish(0)
    assert edge.pool.read(riding.IMAGE) == content


def test_a_rate_is_kept_to() -> None:
    content = random_content(100)
    world, central, edges = a_cloud(12, content, 2, reorder_s=0.0)
    ride = riding.Ride(world, central, edges, rate_bytes_s=40.0)

    ride.go()

    assert ride.filled == {0, 1}
    assert 2 * len(content) / 40.0 * 0.95 < world.now()
    assert world.now() < 2 * len(content) / 40.0 * 1.1 + 1


def test_holes_are_neither_read_nor_sent() -> None:
    content = bytes(50 * CHUNK) + b'data' + bytes(50 * CHUNK)
    world, central, [edge] = a_cloud(13, content, 1)
    ride = riding.Ride(world, central, [edge])

    ride.go()

    assert ride.filled == {0}
    assert edge.sent_bytes <= CHUNK
    assert ride.pipeline.read_bytes <= riding.OBJECT


def test_a_rate_is_shared_in_equal_parts() -> None:
    content = random_content(100)
    world, central, edges = a_cloud(14, content, 2, reorder_s=0.0)
    ride = riding.Ride(world, central, edges, rate_bytes_s=40.0)

    ride.go()

    first, second = ride.filled_at_s.values()
    assert abs(first - second) < 2.0
    assert ride.pipeline.read_bytes == len(content)


def test_what_comes_next_is_read_while_the_window_is_under_way() -> None:
    chunk_bytes, window = 16, 4
    size_bytes = 20 * chunk_bytes
    pipeline = pipelines.Pipeline(
        chunking.cut(size_bytes, chunk_bytes, [storage.Extent(0, size_bytes)]),
        pipeline_rules.Rules(
            window * chunk_bytes, patience_s=2.0, timeout_s=15.0
        ),
        token_bucket.TokenBucket(None),
        link_rates.unlimited(1),
    )
    pipeline.lane_began(0, is_fresh=True)

    read = written = 0
    while todo := pipeline.step(0.0)[0]:
        written += sum(isinstance(step, steps.Write) for step in todo)
        for step in todo:
            if isinstance(step, steps.Read):
                read += 1
                pipeline.was_read(step.index, b'x' * chunk_bytes, 0.0)

    assert (read, written) == (window + window // 2, window)
