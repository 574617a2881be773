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
"""The journal: what is remembered of placements, and what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import images
from dcn_distributor.core import placements
from dcn_distributor.core import transitions
from dcn_distributor.service import journal as journals
from tests.fakes import clock as fake_clock
from tests.fakes import images as fake_images


def event(image_id='a', store='dcn0', at_s=0.0, reason='because'):
    """Make what happened to one image in one store."""
    return transitions.Event(
        transitions.Transition(
            at_s,
            images.StoreId(store),
            placements.State.COPYING,
            'copy-image',
            0.0,
            reason,
            'req-1',
        ),
        fake_images.image(id=image_id),
        None,
        'everywhere',
        transitions.UNKNOWN,
    )


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return fake_clock.Clock(100.0)


def reasons(journal, image_id='a', store='dcn0'):
    """Read what is remembered of one cell."""
    entries = journal.timeline(images.ImageId(image_id)).entries
    return [entry.reason for entry in entries.get(store, ())]


def test_what_happened_is_told_in_its_order(clock):
    journal = journals.Journal('ctl-0', clock)
    journal.note(event(reason='first'))
    journal.note(event(reason='elsewhere', store='dcn1'))
    journal.note(event(reason='second'))

    assert reasons(journal) == ['first', 'second']
    assert reasons(journal, store='dcn1') == ['elsewhere']


def test_nothing_is_told_of_an_image_nothing_happened_to(clock):
    journal = journals.Journal('ctl-0', clock)
    journal.note(event(image_id='b'))

    timeline = journal.timeline(images.ImageId('a'))

    assert not timeline.entries
    assert timeline.since_s == {'ctl-0': 100.0}


def test_a_cell_keeps_its_last_entries_and_says_how_many_it_lost(clock):
    journal = journals.Journal('ctl-0', clock)
    for number in range(journals.ENTRIES_OF_A_CELL + 3):
        journal.note(event(reason=str(number)))

    timeline = journal.timeline(images.ImageId('a'))

    assert reasons(journal)[0] == '3'
    assert len(reasons(journal)) == journals.ENTRIES_OF_A_CELL
    assert timeline.forgotten == {'dcn0': 3}


def test_the_image_that_was_quiet_longest_is_forgotten_first(clock):
    journal = journals.Journal('ctl-0', clock, most=3)
    for image_id, at_s in (('a', 101.0), ('b', 102.0), ('a', 103.0)):
        journal.note(event(image_id=image_id, at_s=at_s))
    journal.note(event(image_id='c', at_s=104.0))

    assert not reasons(journal, 'b')
    assert len(reasons(journal, 'a')) == 2
    assert len(reasons(journal, 'c')) == 1


def test_after_something_is_forgotten_it_has_seen_all_since_then_only(clock):
    journal = journals.Journal('ctl-0', clock, most=1)
    journal.note(event(image_id='a', at_s=150.0))
    journal.note(event(image_id='b', at_s=160.0))

    timeline = journal.timeline(images.ImageId('a'))

    assert not timeline.entries
    assert timeline.since_s == {'ctl-0': 150.0}


_EVENTS = st.lists(
    st.tuples(st.sampled_from('abcd'), st.sampled_from(['dcn0', 'dcn1'])),
    max_size=120,
)


@given(_EVENTS, st.integers(1, 30))
def test_it_never_keeps_more_than_it_may(happened, most):
    journal = journals.Journal('ctl-0', fake_clock.Clock(), most=most)
    for number, (image_id, store) in enumerate(happened):
        journal.note(event(image_id, store, at_s=float(number)))

    kept = {
        image_id: journal.timeline(images.ImageId(image_id))
        for image_id in 'abcd'
    }
    counts = {
        image_id: sum(map(len, timeline.entries.values()))
        for image_id, timeline in kept.items()
    }
    newest = happened[-1][0] if happened else None

    assert sum(counts.values()) <= most or counts[newest] == sum(
        counts.values()
    )
    for (image_id, store), number in _last(happened).items():
        timeline = kept[image_id]
        if number > timeline.since_s['ctl-0']:
            assert timeline.entries[store][-1].at_s == number


def _last(happened):
    """Tell when something happened last to each cell."""
    return {cell: float(number) for number, cell in enumerate(happened)}
