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
"""What a member knows while its coordinator hangs, fails and comes back."""

import threading

import pytest

from dcn_distributor.clients import coordination
from dcn_distributor.clients import groups
from dcn_distributor.core import membership
from tests import waiting
from tests.fakes import clock as clocks

ME = membership.Stay('controller-1', 'p1', 0)
OTHER = membership.Stay('controller-2', 'p2', 1)
LEASE = membership.Lease(0.3)


class Coordinator:
    """Keeps a group in memory; what it does is for a test to say.

    :ivar error: what beats raise
    :ivar hangs: whether beats wait until told
    """

    def __init__(self):
        self.ids = set()
        self.error = None
        self.answering = threading.Event()
        self.answering.set()
        self.left = 0

    def presence(self, stay):
        """See groups.Coordinator."""
        return Presence(self, stay.id)

    def ring(self, members):
        """See groups.Coordinator."""
        return coordination.Ring(members)


class Presence:
    """One stay; see groups.Presence."""

    def __init__(self, coordinator, member):
        self.coordinator = coordinator
        self.member = member

    def join(self):
        """See groups.Presence."""
        self._answer()
        self.coordinator.ids.add(self.member)

    def beat(self, clock):
        """See groups.Presence."""
        begun = clock()
        self._answer()
        ids = frozenset(self.coordinator.ids)
        return membership.Reading(ids, begun, clock())

    def leave(self):
        """See groups.Presence."""
        self._answer()
        self.coordinator.ids.discard(self.member)
        self.coordinator.left += 1

    def _answer(self):
        self.coordinator.answering.wait()
        if self.coordinator.error is not None:
            raise self.coordinator.error


class World:
    """One member, and a clock that stands still."""

    def __init__(self):
        self.coordinator = Coordinator()
        self.clock = clocks.Clock()
        self.calls = 0
        self.hears = True
        self.group = groups.Coordinated(
            self.coordinator,
            ME,
            LEASE,
            self.count,
            lambda: self.hears,
            self.clock,
        )

    def count(self):
        """Count what it is told."""
        self.calls += 1

    def until_in(self):
        """Wait until all links are its own."""
        waiting.until(
            'it is in', lambda: self.group.is_ours('link'), pause_s=0.005
        )


@pytest.fixture
def world():
    made = World()
    yield made
    made.coordinator.answering.set()
    made.group.stop()


def test_first_answer_after_a_stop_of_the_process_is_out(world):
    world.group.start()
    world.until_in()
    world.coordinator.answering.clear()

    # The clock has gone on; no thread of ours has.
    world.clock.advance(LEASE.trust_s)

    assert not world.group.is_ours('link')
    assert world.group.owner('link') is None
    assert world.group.members() == ()
    assert 'cut off' in world.group.problem()


def test_who_does_not_hear_hands_its_links_to_who_does(world):
    world.group.start()
    world.until_in()
    world.hears = False
    waiting.until(
        'it says so',
        lambda: {i for i in world.coordinator.ids if i.endswith('.deaf')},
    )
    waiting.until('the first has left', lambda: world.coordinator.left)
    # Nobody hears: better late than not at all.
    world.until_in()

    world.coordinator.ids.add(OTHER.id)
    waiting.until(
        'the other has it', lambda: world.group.owner('link') == OTHER.name
    )
    assert world.group.members() == (ME.name, OTHER.name)
    assert world.group.problem() is None

    world.coordinator.ids.remove(OTHER.id)
    world.hears = True
    waiting.until('it has left anew', lambda: world.coordinator.left == 2)
    world.until_in()
    (last,) = world.coordinator.ids
    assert membership.Stay.parse(last) == membership.Stay(
        ME.name, ME.process, 3
    )


def test_who_comes_back_does_so_in_another_stay(world):
    world.group.start()
    world.until_in()
    (first,) = world.coordinator.ids
    world.coordinator.answering.clear()
    world.clock.advance(LEASE.trust_s)

    world.coordinator.answering.set()
    world.until_in()

    waiting.until('the first has left', lambda: world.coordinator.left)
    (second,) = world.coordinator.ids
    assert membership.Stay.parse(second).number == 2
    assert membership.Stay.parse(first).number == 1


def test_beat_that_fails_takes_nothing_before_the_lease_ends(world):
    world.group.start()
    world.until_in()

    world.coordinator.error = OSError(113, 'No route to host')
    calls = world.calls
    world.clock.advance(LEASE.trust_s - 0.01)

    assert world.group.is_ours('link')
    assert world.calls == calls
    world.clock.advance(0.01)
    waiting.until(
        'it knows why', lambda: 'No route to host' in world.group.problem()
    )


def test_entry_that_is_lost_is_made_anew(world):
    world.group.start()
    world.until_in()
    (first,) = world.coordinator.ids

    world.coordinator.ids.clear()

    waiting.until('it has joined', lambda: world.coordinator.ids - {first})
    world.until_in()


def test_who_joins_others_says_what_it_waits_for(world):
    begun = world.clock.now
    world.coordinator.ids.add(OTHER.id)
    world.group.start()
    waiting.until('it has joined', world.group.members)

    owners = {world.group.owner(f'link-{n}') for n in range(40)}

    assert owners == {None, OTHER.name}
    assert 'has joined the other agents' in world.group.problem()

    def time_passes():
        world.clock.advance(LEASE.timeout_s / 20)
        return world.group.problem() is None

    waiting.until('it is in', time_passes)
    assert world.clock.now >= begun + LEASE.timeout_s


def test_second_of_a_name_is_told_of_the_first(world):
    world.coordinator.ids.add(membership.Stay(ME.name, 'p9', 1).id)
    world.group.start()
    waiting.until('it has joined', world.group.members)

    assert "the host name 'controller-1'" in world.group.problem()
    assert not world.group.is_ours('link')


def test_bug_of_who_is_told_does_not_keep_others_from_being_told():
    world = World()

    def count():
        world.calls += 1
        raise RuntimeError('a bug')

    group = groups.Coordinated(
        world.coordinator, ME, LEASE, count, lambda: True, world.clock
    )
    group.start()
    waiting.until('it is told of itself', lambda: world.calls == 1)
    world.coordinator.ids.add(OTHER.id)
    waiting.until('it is told of the other', lambda: world.calls == 2)
    group.stop()

    assert world.coordinator.ids == {OTHER.id}


def test_stop_from_within_a_callback_leaves():
    world = World()
    group = groups.Coordinated(
        world.coordinator,
        ME,
        LEASE,
        lambda: group.stop(),
        lambda: True,
        world.clock,
    )

    group.start()

    waiting.until('it has left', lambda: world.coordinator.left == 1)
    assert world.coordinator.ids == set()


def test_stop_before_start_leaves_nothing_behind(world):
    world.group.stop()

    assert not world.group.is_ours('link')
    assert world.coordinator.left == 0


def _raised(text):
    """Raise an error as a library does that hides the one below it."""
    try:
        raise ConnectionRefusedError(111, 'Connection refused')
    except OSError:
        raise RuntimeError(text)


@pytest.mark.parametrize('text', ['', 'a page of text'])
def test_reason_is_what_was_at_the_bottom(text):
    with pytest.raises(RuntimeError) as caught:
        _raised(text)

    assert groups.reason(caught.value) == 'Connection refused'


def test_error_without_words_is_told_by_its_kind():
    assert groups.reason(TimeoutError()) == 'TimeoutError'
