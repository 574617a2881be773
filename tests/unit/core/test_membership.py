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
"""Who may act for a link: never two at a time, and not for want of time."""

import hypothesis
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import membership
from tests.fakes import clock as clocks
from tests.fakes import groups

LEASE = membership.Lease(30.0)
ME = membership.Stay('controller-1', 'p1', 1)
OTHER = membership.Stay('controller-2', 'p2', 1)
LINKS = tuple(f'link-{number}' for number in range(12))


def reading(begun, *stays, renewed=None):
    ids = frozenset(s.id for s in stays)
    return membership.Reading(ids, begun, renewed or begun)


def first(read, asked=100.0, stay=ME):
    return membership.first_view(stay, asked, asked, read, LEASE)


@pytest.mark.parametrize(
    'stay',
    [
        ME,
        membership.Stay('a@b', 'p', 12),
        membership.Stay('a.b.c', 'p', 0),
        membership.Stay('a', 'p', 3, is_deaf=True),
    ],
)
def test_id_can_be_read_again(stay):
    assert membership.Stay.parse(stay.id) == stay


@pytest.mark.parametrize('text', ['', '@', 'a', 'a@', 'a@b', '@b.1', 'a@b.x'])
def test_id_of_another_make_is_a_name(text):
    assert membership.Stay.parse(text) == membership.Stay(text, '', 0)


def test_lease_is_trusted_for_less_than_it_lasts():
    assert LEASE.beat_s * 3 < LEASE.trust_s < LEASE.timeout_s


def test_who_finds_nobody_acts_at_once():
    former = membership.Stay(ME.name, ME.process, 0)

    view = first(reading(101.0, ME, former))

    assert view.standing(101.0) is membership.Standing.IN
    assert view.members == (ME.name,)


def test_who_finds_others_acts_one_lease_after_joining():
    view = first(reading(101.0, ME, OTHER))
    later = membership.next_view(view, reading(126.0, ME, OTHER), LEASE)

    assert view.members == (ME.name, OTHER.name)
    assert later.standing(129.9) is membership.Standing.JOINING
    assert later.next_change(129.9) == 130.0
    assert later.standing(130.0) is membership.Standing.IN


def test_view_counts_from_the_begin_of_the_beat():
    view = first(reading(101.0, ME))

    assert view.standing(127.9) is membership.Standing.IN
    assert view.standing(128.0) is membership.Standing.OUT
    assert view.next_change(127.9) == 128.0


@pytest.mark.parametrize(
    'read',
    [
        pytest.param(reading(101.0, OTHER), id='not listed'),
        pytest.param(reading(127.0, ME), id='stopped after joining'),
        pytest.param(reading(101.0, ME, renewed=127.0), id='renewed late'),
    ],
)
def test_stay_that_has_lapsed_already_has_no_view(read):
    assert first(read) is None


def test_stay_that_took_longer_than_its_lease_to_begin_has_no_view():
    read = reading(128.0, ME)

    assert membership.first_view(ME, 100.0, 127.5, read, LEASE) is None


@pytest.mark.parametrize(
    'read',
    [
        pytest.param(reading(102.0, OTHER), id='not listed any more'),
        pytest.param(
            reading(102.0, membership.Stay(ME.name, 'p3', 1)),
            id='another of the name is listed',
        ),
        pytest.param(reading(128.0, ME), id='stopped for too long'),
        pytest.param(reading(102.0, ME, renewed=128.0), id='renewed late'),
    ],
)
def test_stay_that_has_lapsed_is_over_though_the_group_answers(read):
    view = first(reading(101.0, ME))

    assert membership.next_view(view, read, LEASE) is None


def test_second_of_a_name_waits_for_the_first():
    namesake = membership.Stay(ME.name, 'p3', 7)
    view = first(reading(101.0, ME, namesake))
    waiting = membership.next_view(view, reading(126.0, ME, namesake), LEASE)
    waiting = membership.next_view(
        waiting, reading(151.0, ME, namesake), LEASE
    )
    free = membership.next_view(waiting, reading(160.0, ME), LEASE)

    assert waiting.standing(151.0) is membership.Standing.JOINING
    assert free.standing(160.0) is membership.Standing.IN


def test_first_of_a_name_keeps_it():
    namesake = membership.Stay(ME.name, 'p3', 7)
    view = first(reading(101.0, ME))
    later = membership.next_view(view, reading(110.0, ME, namesake), LEASE)

    assert later.standing(110.0) is membership.Standing.IN


def test_links_are_for_those_that_hear_and_for_all_if_none_does():
    deaf = ME.next(is_deaf=True)
    other = OTHER.next(is_deaf=True)

    def takers(stay, *others):
        read = reading(101.0, stay, *others)
        return first(read, stay=stay).takers

    assert takers(ME, OTHER) == (ME.name, OTHER.name)
    assert takers(deaf, OTHER) == (OTHER.name,)
    assert takers(ME, other) == (ME.name,)
    assert takers(deaf, other) == (ME.name, OTHER.name)
    # It may still be listed as it was before.
    assert takers(deaf, ME, OTHER) == (OTHER.name,)


EVENTS = (
    *('start', 'stop', 'die', 'cut_off', 'join', 'freeze', 'thaw'),
    *('deafen', 'hear', 'go', *(f'hang in {steps}' for steps in range(7))),
)


def befall(coordinator, agents, event, number):
    """Let something befall an agent, or the coordinator."""
    agent = agents[number]
    if event == 'start':
        # Another process of the same name, and sometimes beside the first.
        agents[number] = coordinator.group(f'controller-{number % 3}')
        agents[number].start()
    elif event in ('stop', 'die'):
        getattr(agent, event)()
    elif event in ('deafen', 'hear'):
        agent.is_deaf = event == 'deafen'
    elif event == 'go':
        agent.steps = None
    elif event.startswith('hang'):
        agent.steps = int(event.split()[-1])
    elif event in ('cut_off', 'join'):
        agent.is_cut_off = event == 'cut_off'
    elif number == 0:
        coordinator.is_frozen = event == 'freeze'
    else:
        agent.is_stopped = event == 'freeze'


@hypothesis.settings(deadline=None, max_examples=150)
@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.integers(0, 3),
            st.sampled_from([0.3, 1.1, 7.0, 13.0, 20.0, 28.0, 31.0]),
        ),
        min_size=5,
        max_size=30,
    )
)
# A renewal that comes late brings back an entry that others saw lapse,
@hypothesis.example(
    [
        ('die', 2, 0.3),
        ('die', 3, 62.0),
        ('freeze', 1, 14.0),
        ('hang in 2', 1, 0.0),
        ('thaw', 1, 20.0),
        ('go', 1, 1.0),
    ]
)
# also the first one after joining.
@hypothesis.example(
    [
        *(('die', number, 0.3) for number in (1, 2, 3)),
        ('start', 1, 0.0),
        ('hang in 3', 1, 20.0),
        ('hang in 1', 1, 13.0),
        ('deafen', 0, 1.1),
        ('hang in 0', 0, 0.3),
        ('go', 1, 28.0),
    ]
)
def test_no_link_is_ever_that_of_two(story):
    coordinator = groups.Coordinator(clocks.Clock(), LEASE)
    agents = [coordinator.group(f'controller-{n % 3}') for n in range(4)]
    everybody = list(agents)
    for agent in agents:
        agent.start()

    for event, number, seconds in story:
        befall(coordinator, agents, event, number)
        everybody += [a for a in agents if a not in everybody]
        for _ in range(4):
            coordinator.advance(seconds / 4)
            for link in LINKS:
                owners = [a for a in everybody if a.is_ours(link)]
                assert len(owners) < 2, f'{link} after {event}'


@hypothesis.given(
    st.sets(st.integers(0, 9), min_size=1),
    st.sets(st.integers(0, 9)),
    st.sampled_from(LINKS),
)
def test_whoever_is_left_shares_all_links(numbers, deaf, link):
    coordinator = groups.Coordinator(clocks.Clock(), LEASE)
    agents = [coordinator.group(f'controller-{n}') for n in numbers]
    for number, agent in zip(numbers, agents, strict=True):
        agent.is_deaf = number in deaf
        agent.start()
    coordinator.advance(2 * LEASE.timeout_s)

    assert len({agent.owner(link) for agent in agents}) == 1
    assert sum(agent.is_ours(link) for agent in agents) == 1
