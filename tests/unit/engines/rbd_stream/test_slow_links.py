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
"""Copies over slow links: what is on its way arrives in time, or nothing."""

import functools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from tests.fakes import ceph as fake_ceph
from tests.fakes import timing
from tests.unit.engines.rbd_stream import riding

CHUNK = riding.CHUNK
TIMEOUT_S = 15.0
SLOWEST = 2 * CHUNK / TIMEOUT_S


def a_site(
    world: timing.World, content: bytes
) -> tuple[fake_ceph.Ceph, fake_ceph.Ceph]:
    central = fake_ceph.Ceph(world, zero_block_bytes=1)
    central.pool.put(riding.IMAGE, content, riding.OBJECT)
    edge = fake_ceph.Ceph(world, zero_block_bytes=1)
    edge.faults.timeout_s = TIMEOUT_S
    edge.faults.delay(0.05)
    return central, edge


def content(count: int) -> bytes:
    return timing.World(1).rng.randbytes(count * CHUNK)


@settings(deadline=None, max_examples=100)
@given(
    st.floats(SLOWEST, 40 * SLOWEST),
    st.integers(1, 8),
    st.integers(1, 60),
    st.booleans(),
    st.booleans(),
)
def test_a_narrow_begin_ends_well_on_every_link(
    rate_bytes_s: float,
    window: int,
    count: int,
    is_hashed: bool,
    reads_back: bool,
) -> None:
    world = timing.World()
    central, edge = a_site(world, content(count))
    edge.faults.write_bytes_s = rate_bytes_s
    if reads_back:
        edge.checksum_obstacle = 'too old'
        edge.faults.read_bytes_s = rate_bytes_s
    ride = riding.Ride(
        world,
        central,
        [edge],
        window=window * CHUNK,
        is_hashed=is_hashed,
        is_narrow=True,
    )

    ride.go()

    assert ride.filled == {0}
    ride.publish(0)
    assert edge.pool.read(riding.IMAGE) == content(count)
    # No more was spent than the link needs, but for latencies.
    spent_s = count * CHUNK / rate_bytes_s
    assert reads_back or world.now() < 1.02 * spent_s + 0.5 * count + 10


def test_what_a_wide_begin_loses_a_narrow_one_sends() -> None:
    world = timing.World()
    central, edge = a_site(world, content(40))
    edge.faults.write_bytes_s = SLOWEST
    wide = riding.Ride(world, central, [edge], window=4 * CHUNK)
    wide.go()
    wide.leave()
    world.run()

    careful = riding.Ride(
        world, central, [edge], window=4 * CHUNK, is_narrow=True
    )
    careful.go()

    assert isinstance(wide.lost[0], exceptions.ClusterUnavailable)
    assert careful.filled == {0}
    careful.publish(0)
    assert edge.pool.read(riding.IMAGE) == content(40)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 8), st.floats(0.5, 0.95))
def test_a_link_that_gets_slower_is_followed(
    window: int, factor: float
) -> None:
    world = timing.World()
    central, edge = a_site(world, content(400))

    def slow_down(rate_bytes_s: float) -> None:
        edge.faults.write_bytes_s = max(SLOWEST, rate_bytes_s)
        if rate_bytes_s > SLOWEST:
            world.at(
                world.now() + 4 * TIMEOUT_S,
                lambda: slow_down(rate_bytes_s * factor),
            )

    slow_down(window * CHUNK / (TIMEOUT_S / 4))
    ride = riding.Ride(world, central, [edge], window=window * CHUNK)

    ride.go()

    assert ride.filled == {0}


@pytest.mark.parametrize('window', [1, 4, 16])
def test_a_narrow_begin_is_soon_as_wide_as_the_link(window: int) -> None:
    world = timing.World()
    central, edge = a_site(world, content(400))
    ride = riding.Ride(
        world, central, [edge], window=window * CHUNK, is_narrow=True
    )

    ride.go()

    assert edge.peak_in_flight_bytes == window * CHUNK
    # 0.05 s for each write, and as much latency until the window is open.
    assert world.now() < 400 / window * 0.05 + window * 0.1 + 1


def test_proofs_that_are_slow_do_not_pile_up() -> None:
    world = timing.World()
    central, edge = a_site(world, content(200))
    edge.checksum_obstacle = 'too old'
    edge.faults.read_bytes_s = CHUNK / 3.0
    ride = riding.Ride(world, central, [edge], window=8 * CHUNK)

    ride.go()

    assert ride.filled == {0}
    assert edge.peak_in_flight_bytes <= 8 * CHUNK


@settings(deadline=None, max_examples=100)
@given(
    st.floats(SLOWEST, 40 * SLOWEST),
    st.integers(1, 8),
    st.integers(1, 40),
    st.booleans(),
)
def test_a_narrow_source_is_read_on_every_link(
    rate_bytes_s: float, window: int, count: int, is_hashed: bool
) -> None:
    world = timing.World()
    central, edge = a_site(world, content(count))
    central.faults.timeout_s = TIMEOUT_S
    central.faults.read_bytes_s = rate_bytes_s
    ride = riding.Ride(
        world,
        central,
        [edge],
        window=window * CHUNK,
        is_hashed=is_hashed,
        is_source_narrow=True,
    )

    ride.go()

    assert ride.lost == {}
    assert ride.filled == {0}


def test_lanes_that_fell_behind_read_no_more_than_the_source_carries() -> None:
    world = timing.World()
    central, first = a_site(world, content(100))
    edges = [first, *(a_site(world, b'x')[1] for _ in range(3))]
    central.faults.timeout_s = TIMEOUT_S
    central.faults.read_bytes_s = 2 * 4 * CHUNK / TIMEOUT_S
    ride = riding.Ride(world, central, edges, window=4 * CHUNK, patience_s=0.1)
    ride.open(0)
    for number in range(1, 4):
        world.at(30.0 * number, functools.partial(ride.open, number))

    ride.run()

    assert ride.lost == {}
    assert ride.filled == {0, 1, 2, 3}


def test_a_source_far_away_is_read_as_wide_as_the_windows() -> None:
    world = timing.World()
    central, edge = a_site(world, content(100))
    central.faults.delay(0.5, 'read')
    ride = riding.Ride(world, central, [edge], window=8 * CHUNK)

    ride.go()

    assert central.peak_in_flight_bytes == 8 * CHUNK
    assert world.now() < 100 / 8 * 0.5 + 5
