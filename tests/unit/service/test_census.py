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
"""The count of all copies."""

import dataclasses
import itertools

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.service import census
from tests.fakes import clock as fake_clock
from tests.fakes import images as fake_images

NAMES = ('dcn0', 'dcn1', 'dcn2')
HOUR_S = 3600.0


def some_sites(names):
    return sites.Sites(
        images.StoreId('central'),
        tuple(
            sites.Site(
                sites.SiteName(name), images.StoreId(f'{name}-store'), {}
            )
            for name in names
        ),
    )


SITES = some_sites(NAMES)


def decide(*wanted):
    return decisions.Decisions(
        0,
        tuple(
            decisions.Decision(site, site.name in wanted, None, 'reason')
            for site in SITES
        ),
    )


def stores(*names):
    return frozenset(images.StoreId(f'{name}-store') for name in names)


class World:
    """A count, and a clock that tests set."""

    def __init__(self):
        self.clock = fake_clock.Clock()
        self.counting = census.Counting(self.clock)

    def count(self, *seen):
        """Count images, each with its decisions and history."""
        self.counting.begin(SITES)
        for image, decided, history in seen:
            self.counting.add(image, decided, history)
        self.counting.end()
        return self.counting.last

    def image(self, age_s, *there):
        """Make an image of an age that is at these sites."""
        return fake_images.image(
            stores=stores(*there), created_at_s=self.clock.now - age_s
        )


@pytest.fixture
def world():
    return World()


def states(found, name):
    """What is not 0."""
    counts = found.replicas[sites.SiteName(name)]
    return {state.value: count for state, count in counts.items() if count}


def test_nothing_is_known_before_the_first_count_has_ended(world):
    world.counting.begin(SITES)

    assert world.counting.last is None


def test_each_copy_counts_with_its_state(world):
    request = histories.Request((*stores('dcn1'),), 0.0, 0.0)
    history = histories.History(
        request=request,
        setbacks={
            store: histories.Setback(2, 'reason', 0.0)
            for store in stores('dcn2')
        },
        verified=stores('dcn0'),
    )

    found = world.count(
        (world.image(HOUR_S, 'dcn0'), decide(*NAMES), history),
        (world.image(HOUR_S, 'dcn0'), decide('dcn0'), histories.EMPTY),
        (world.image(HOUR_S, 'dcn1'), decide('dcn2'), histories.EMPTY),
    )

    assert states(found, 'dcn0') == {'verified': 1, 'present': 1}
    assert states(found, 'dcn1') == {'copying': 1, 'present': 1}
    assert states(found, 'dcn2') == {'failed': 1, 'absent': 1}
    assert found.desired == {'dcn0': 2, 'dcn1': 1, 'dcn2': 2}


def test_an_import_of_somebody_else_counts_as_one(world):
    image = fake_images.image(
        stores=frozenset(), import_task='task', importing_to=(*stores('dcn0'),)
    )

    found = world.count((image, decide('dcn0'), histories.EMPTY))

    assert states(found, 'dcn0') == {'copying': 1}


def test_an_image_without_data_is_not_missed(world):
    image = fake_images.image(status='queued', stores=frozenset())

    found = world.count((image, decide(*NAMES), histories.EMPTY))

    assert set(found.desired.values()) == {0}
    assert found.converged_s['dcn0'] == world.clock.now


def test_a_count_that_was_broken_off_is_not_seen(world):
    before = world.count()
    world.counting.begin(SITES)
    world.counting.add(world.image(0.0), decide(*NAMES), histories.EMPTY)

    assert world.counting.last is before
    assert world.count().desired['dcn0'] == 0


def test_all_is_there_up_to_the_begin_of_the_count(world):
    world.clock.advance(HOUR_S)
    begun_s = world.clock.now
    world.counting.begin(SITES)
    world.clock.advance(100.0)
    world.counting.end()

    assert world.counting.last.converged_s['dcn0'] == begun_s
    assert world.counting.last.ended_s == world.clock.now


def test_a_site_is_behind_by_the_age_of_the_oldest_copy_it_lacks(world):
    world.clock.advance(10 * HOUR_S)
    found = world.count(
        (world.image(4 * HOUR_S, 'dcn0'), decide(*NAMES), histories.EMPTY),
        (world.image(HOUR_S), decide(*NAMES), histories.EMPTY),
        (world.image(2 * HOUR_S), decide('dcn0'), histories.EMPTY),
    )
    now = world.clock.now

    assert found.converged_s == {
        'dcn0': now - 2 * HOUR_S,
        'dcn1': now - 4 * HOUR_S,
        'dcn2': now - 4 * HOUR_S,
    }


def test_new_images_that_come_all_the_time_keep_no_site_behind(world):
    for _ in range(5):
        world.clock.advance(HOUR_S)
        found = world.count(
            (world.image(60.0), decide('dcn0'), histories.EMPTY)
        )

        assert found.converged_s['dcn0'] == world.clock.now - 60.0


def test_an_old_image_that_a_new_policy_wants_is_behind_only_since(world):
    world.clock.advance(HOUR_S)
    before_s = world.clock.now
    world.count()
    for _ in range(3):
        world.clock.advance(HOUR_S)
        found = world.count(
            (world.image(1000 * HOUR_S), decide('dcn0'), histories.EMPTY)
        )

        assert found.converged_s['dcn0'] == before_s


def test_nobody_is_blamed_for_the_time_before_the_start(world):
    started_s = world.clock.now
    world.clock.advance(60.0)
    found = world.count(
        (world.image(1000 * HOUR_S), decide('dcn0'), histories.EMPTY)
    )

    assert found.converged_s['dcn0'] == started_s


NAMED = st.frozensets(st.sampled_from(NAMES))


@given(
    st.lists(
        st.tuples(NAMED, NAMED, NAMED, NAMED, NAMED, st.integers(1, 5000)),
        max_size=30,
    )
)
def test_it_counts_as_one_would_by_hand(drawn):
    world = World()
    world.clock.advance(10_000)
    seen = [
        (
            world.image(age_s, *there),
            decide(*wanted),
            histories.History(
                request=histories.Request((*stores(*copying),), 0.0, 0.0),
                setbacks={
                    store: histories.Setback(1, '', 0.0)
                    for store in stores(*failed)
                },
                verified=stores(*verified),
            ),
        )
        for there, wanted, copying, failed, verified, age_s in drawn
    ]

    found = world.count(*seen)

    for name in NAMES:
        by_hand = [_state(name, *row[:5]) for row in drawn]
        assert states(found, name) == {
            state: by_hand.count(state) for state in {*by_hand} - {None}
        }
        missing = [row[5] for row in drawn if name in row[1] - row[0]]
        behind_s = world.clock.now - found.converged_s[name]
        assert behind_s == max(missing, default=0)


def _state(name, there, wanted, copying, failed, verified):
    if name in there:
        return 'verified' if name in verified else 'present'
    if name in copying:
        return 'copying'
    if name not in wanted:
        return None
    return 'failed' if name in failed else 'absent'


@given(st.lists(st.integers(0, 2**70), max_size=200))
def test_sums_are_sums(numbers):
    sums = census.Sums()
    for number in numbers:
        sums.add(number)

    for place in (0, 1, 7, 63, 69, 70, 71):
        assert sums.of(place) == sum(n >> place & 1 for n in numbers)


def test_states_are_those_of_placements(world):
    found = world.count()

    shown = set(itertools.chain(*found.replicas.values()))
    assert shown == {*placements.State} - {placements.State.UNWANTED}


@pytest.mark.parametrize(
    ('size_bytes', 'name'),
    [
        (0, '1GiB'),
        (2**30, '1GiB'),
        (2**30 + 1, '10GiB'),
        (100 * 2**30, '100GiB'),
        (2**50, '+Inf'),
    ],
)
def test_a_size_is_of_one_class(size_bytes, name):
    assert observing.size_class(size_bytes) == name
    assert name in observing.SIZE_CLASSES


def test_a_deadline_is_measured_by_what_has_been_missing_longest(world):
    [decision] = [d for d in decide('dcn0').by_site if d.wanted]
    hasty = decisions.Decisions(
        0, (dataclasses.replace(decision, deadline_s=HOUR_S),)
    )

    found = world.count(
        (world.image(HOUR_S / 2), hasty, histories.EMPTY),
        (world.image(3 * HOUR_S), hasty, histories.EMPTY),
        (world.image(9 * HOUR_S, 'dcn0'), hasty, histories.EMPTY),
        (world.image(9 * HOUR_S), decide('dcn1'), histories.EMPTY),
    )

    assert found.objective == {'dcn0': 3.0, 'dcn1': 0.0, 'dcn2': 0.0}
