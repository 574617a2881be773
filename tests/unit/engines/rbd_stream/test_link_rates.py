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
"""Links with a rate, in virtual time: what crosses them, and when."""

from collections.abc import Callable
import functools
import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import sites
from dcn_distributor.engines.rbd_stream import link_rates
from tests.fakes import ceph as fake_ceph
from tests.fakes import timing
from tests.unit.engines.rbd_stream import riding

CHUNK = riding.CHUNK
RATE = 10.0 * CHUNK
LATENCY_S = 0.02


def all_sites(**rates: tuple[str, float | None]) -> sites.Sites:
    """Sites by their names, each with its link and what that carries."""
    return sites.Sites(
        images.StoreId('central'),
        tuple(
            sites.Site(
                sites.SiteName(name),
                images.StoreId(name),
                {},
                link=links.Link(link, rate_bytes_s=rate),
            )
            for name, (link, rate) in rates.items()
        ),
    )


class Wan:
    """Some sites on links, and rides to them: one for each image.

    :ivar lanes: what each image that went to a site is at there; all have
        the same id here, so each has a pool of its own
    :ivar samples: what had been sent to each site, at every half second
    """

    def __init__(self) -> None:
        self.world = timing.World()
        self.rates = link_rates.LinkRates()
        self.lanes: dict[str, list[fake_ceph.Ceph]] = {}
        self.rides: list[riding.Ride] = []
        self.samples: list[dict[str, int]] = []

    def set_sites(self, **rates: tuple[str, float | None]) -> None:
        """Have sites.yaml say so from now on."""
        self.rates.set_sites(all_sites(**rates), self.world.now())
        for ride in self.rides:
            ride.drive.tell(lambda: None)

    def send(
        self,
        count: int,
        *names: str,
        content: bytes | None = None,
        read_at: str = 'central',
        rate_bytes_s: float | None = None,
    ) -> riding.Ride:
        """Have an image of so many chunks go to some sites."""
        source = self._site()
        source.pool.put(
            riding.IMAGE,
            content or self.world.rng.randbytes(count * CHUNK),
            riding.OBJECT,
        )
        ride = riding.Ride(
            self.world,
            source,
            [self._lane(name) for name in names],
            is_hashed=False,
            rates=self.rates,
            read_at=read_at,
            stores=names,
            rate_bytes_s=rate_bytes_s,
        )
        for number in range(len(names)):
            ride.open(number)
        self.rides.append(ride)
        return ride

    def _lane(self, name: str) -> fake_ceph.Ceph:
        site = self._site()
        self.lanes.setdefault(name, []).append(site)
        return site

    def _site(self) -> fake_ceph.Ceph:
        site = fake_ceph.Ceph(self.world, zero_block_bytes=1)
        site.faults.delay(LATENCY_S)
        return site

    def sent(self, *names: str) -> int:
        """How much has gone to some sites."""
        return sum(s.sent_bytes for n in names for s in self.lanes[n])

    def run(self, *at: tuple[float, Callable[[], None]]) -> None:
        """Go on until all has arrived; do something at some moments."""
        for moment_s, action in at:
            self.world.at(moment_s, action)
        for number in range(2000):
            self.world.at(number / 2, self._sample)
        riding.run_together(self.rides)

    def _sample(self) -> None:
        self.samples.append({name: self.sent(name) for name in self.lanes})

    def most_within(self, seconds: float, *names: str) -> int:
        """The most that went to some sites in any such time."""
        totals = [sum(one[n] for n in names) for one in self.samples]
        width = int(seconds * 2)
        return max(
            later - sooner
            for sooner, later in zip(totals, totals[width:], strict=False)
        )


def test_all_transfers_share_the_rate_of_a_link() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', RATE), dcn1=('wan', RATE))
    first = wan.send(200, 'dcn0', 'dcn1')
    second = wan.send(200, 'dcn0', 'dcn1')

    wan.run()

    assert first.filled == second.filled == {0, 1}
    most = RATE * 10 * 1.05 + 4 * CHUNK
    assert wan.most_within(10.0, 'dcn0', 'dcn1') <= most
    # Nor was any of it left unused.
    assert wan.world.now() == pytest.approx(800 * CHUNK / RATE, rel=0.02)


def test_lanes_on_a_link_get_equal_parts_of_it() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', RATE), dcn1=('wan', RATE))
    rides = [wan.send(150, 'dcn0', 'dcn1'), wan.send(150, 'dcn0')]
    parts: list[int] = []

    def note() -> None:
        parts.extend(
            lane.sent_bytes for ride in rides for lane in ride.pipeline.lanes
        )

    wan.run((30.0, note))

    assert len(parts) == 3
    assert max(parts) - min(parts) <= 4 * CHUNK
    assert min(parts) > 90 * CHUNK


def test_a_thin_link_keeps_no_other_waiting() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('thin', RATE), dcn1=('fat', None))
    ride = wan.send(100, 'dcn0', 'dcn1')

    wan.run()

    assert ride.filled_at_s[1] < 5.0
    assert ride.filled_at_s[0] == pytest.approx(100 * CHUNK / RATE, rel=0.05)


@pytest.mark.parametrize(
    ('then', 'end_s'),
    [
        pytest.param(('wan', 4 * RATE), 10 + 300 / 40, id='raised'),
        pytest.param(('wan', RATE / 2), 10 + 300 / 5, id='lowered'),
        pytest.param(('wan', None), 10 + 300 / 200, id='taken away'),
        pytest.param(('other', 4 * RATE), 10 + 300 / 40, id='moved'),
        pytest.param(('free', None), 10 + 300 / 200, id='moved to a free one'),
    ],
)
def test_what_runs_goes_on_at_another_rate(
    then: tuple[str, float | None], end_s: float
) -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', RATE))
    wan.send(400, 'dcn0')

    wan.run((10.0, lambda: wan.set_sites(dcn0=then)))

    assert wan.world.now() == pytest.approx(end_s, abs=1.0)


def test_what_runs_is_slowed_down_by_a_rate_that_is_set() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', None))
    wan.send(400, 'dcn0')

    sent: list[int] = []

    def slow_down() -> None:
        sent.append(wan.sent('dcn0'))
        wan.set_sites(dcn0=('wan', RATE))

    wan.run((1.0, slow_down))

    assert sent[0] > 10 * RATE
    end_s = 1 + (400 * CHUNK - sent[0]) / RATE
    assert wan.world.now() == pytest.approx(end_s, abs=1.0)


def test_a_rate_far_too_small_is_raised_at_once() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', 0.001))
    wan.send(50, 'dcn0')

    wan.run((10.0, lambda: wan.set_sites(dcn0=('wan', RATE))))

    assert wan.world.now() == pytest.approx(10 + 50 / 10, abs=1.0)


@pytest.mark.parametrize(
    ('read_at', 'seconds'), [('dcn1', 20.0), ('central', 10.0)]
)
def test_what_is_read_at_a_site_crosses_its_link(
    read_at: str, seconds: float
) -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', RATE), dcn1=('wan', RATE))
    wan.send(100, 'dcn0', read_at=read_at)

    wan.run()

    assert wan.world.now() == pytest.approx(seconds, rel=0.05)


def test_what_is_not_sent_leaves_room_for_more() -> None:
    wan = Wan()
    wan.set_sites(dcn0=('wan', RATE))
    wan.send(0, 'dcn0', content=b'\0ab\0' * 400)

    wan.run()

    assert wan.sent('dcn0') == 800
    assert wan.world.now() == pytest.approx(800 / RATE, rel=0.05)


def test_a_lane_that_is_lost_leaves_its_turn_to_others() -> None:
    wan = Wan()
    others = [f'dcn{number}' for number in range(1, 9)]
    wan.set_sites(**dict.fromkeys(['dcn0', *others], ('wan', RATE / 20)))
    stay = wan.send(10, 'dcn0')
    rides = [wan.send(10, name) for name in others]
    error = exceptions.Stopped('the window closes')

    def break_off() -> None:
        for ride in rides:
            ride.drive.fail(0, error)

    wan.run((5.0, break_off))

    # Three of all chunks were sent by then, two of them to the one that
    # stays, which would have waited for 15 s more.
    assert stay.filled == {0}
    assert all(ride.lost == {0: error} for ride in rides)
    assert stay.filled_at_s[0] == pytest.approx(6 + 7 / 0.5, abs=1.5)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 40),
            st.sets(st.sampled_from(['dcn0', 'dcn1', 'dcn2']), min_size=1),
            st.sampled_from(['central', 'dcn3']),
            st.sampled_from([None, None, RATE / 2]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(
        st.tuples(
            st.floats(0.0, 20.0),
            st.lists(
                st.tuples(
                    st.sampled_from(['north', 'south']),
                    st.sampled_from([None, RATE / 4, RATE, 10 * RATE]),
                ),
                min_size=4,
                max_size=4,
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_whatever_the_links_carry_all_arrives_without_a_busy_wait(
    sends: list[tuple[int, set[str], str, float | None]],
    changes: list[tuple[float, list[tuple[str, float | None]]]],
) -> None:
    wan = Wan()

    def change(told: list[tuple[str, float | None]]) -> None:
        # All sites on a link see the same of it.
        rate_of = dict(told)
        wan.set_sites(
            **{
                f'dcn{number}': (link, rate_of[link])
                for number, (link, _) in enumerate(told)
            }
        )

    change(changes[0][1])
    for count, names, read_at, rate_bytes_s in sends:
        wan.send(
            count, *sorted(names), read_at=read_at, rate_bytes_s=rate_bytes_s
        )

    wan.run(
        *(
            (moment_s, functools.partial(change, told))
            for moment_s, told in changes
        )
    )

    lanes = list(
        itertools.chain.from_iterable(r.pipeline.lanes for r in wan.rides)
    )
    assert all(ride.lost == {} for ride in wan.rides)
    assert all(lane.is_filled for lane in lanes)
    for ride in wan.rides:
        chunks = len(ride.chunks)
        events = chunks + 2 * chunks * len(ride.pipeline.lanes)
        assert ride.turns <= 4 * events + 40
