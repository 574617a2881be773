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
"""Whatever comes together: a pipeline ends, and what it filled is right."""

from collections.abc import Sequence
import functools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from tests.fakes import ceph as fake_ceph
from tests.fakes import timing
from tests.unit.engines.rbd_stream import riding
from tests.unit.engines.rbd_stream import test_pipeline

CHUNK = riding.CHUNK

_DELAYS_S = st.sampled_from([0.0, 0.05, 0.5, 3.0])
_MOMENTS_S = st.sampled_from([0.0, 0.0, 1.0, 9.0])


def leave_a_draft(
    world: timing.World,
    central: fake_ceph.Ceph,
    edges: Sequence[fake_ceph.Ceph],
    events: int,
) -> None:
    """Let another pass die after so many events."""
    ride = riding.Ride(world, central, edges)
    for number in range(len(edges)):
        ride.open(number)
    ride.drive.begin()
    ride.drive.turn()
    for _ in range(events):
        ride.drive.take_in(0)
        if ride.pipeline.is_over or not world.step():
            break
        ride.drive.turn()
    for handle in ride.handles:
        handle.die()
    world.run()


def make_troubles(ceph: fake_ceph.Ceph, data: st.DataObject) -> None:
    for kind in ('read', 'write', 'checksum'):
        ceph.faults.delay(data.draw(_DELAYS_S), kind)
    if data.draw(st.integers(0, 2)) == 0:
        ceph.checksum_obstacle = 'too old'


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 2**32),
    test_pipeline.CONTENTS,
    st.integers(1, 3),
    st.data(),
)
def test_it_ends_and_what_is_filled_is_right(
    seed: int, content: bytes, sites: int, data: st.DataObject
) -> None:
    draw = data.draw
    world, central, edges = test_pipeline.a_cloud(
        seed, content, sites, reorder_s=draw(st.sampled_from([0.0, 0.5]))
    )
    if draw(st.booleans()):
        leave_a_draft(world, central, edges, draw(st.integers(0, 60)))
    make_troubles(central, data)
    for edge in edges:
        make_troubles(edge, data)
        if draw(st.booleans()):
            edge.faults.corrupt('write', nth=draw(st.integers(1, 5)))
    ride = riding.Ride(
        world,
        central,
        edges,
        window=draw(st.integers(1, 6)) * CHUNK,
        patience_s=draw(st.sampled_from([0.0, 0.5, 2.0])),
        rate_bytes_s=draw(st.sampled_from([None, 8.0])),
        is_hashed=draw(st.booleans()),
        is_narrow=draw(st.booleans()),
        is_source_narrow=draw(st.booleans()),
    )
    began_s = world.now()
    for number in range(sites):
        moment_s = began_s + draw(_MOMENTS_S)
        world.at(moment_s, functools.partial(ride.open, number))
    hangs = {0} if sites > 1 and draw(st.booleans()) else set()
    for number in hangs:
        world.at(began_s + 2.0, edges[number].freeze)

    ride.run()

    assert ride.filled | set(ride.lost) == set(range(sites))
    assert set(ride.lost) <= hangs
    for number in ride.filled - hangs:
        ride.publish(number)
        assert edges[number].pool.read(riding.IMAGE) == content
