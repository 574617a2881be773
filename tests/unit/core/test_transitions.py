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
"""Timelines cross the bus whole, and those of several agents are one."""

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.core import transitions

HOSTS = st.sampled_from(['ctl-0', 'ctl-1', 'ctl-2'])
STORES = st.sampled_from(['dcn0', 'dcn1', 'dcn2'])
TIMES = st.floats(0, 2e9, allow_nan=False)

ENTRIES = st.builds(
    transitions.Entry,
    host=HOSTS,
    at_s=TIMES,
    state=st.sampled_from(['copying', 'present', 'failed']),
    engine=st.sampled_from(['copy-image', 'rbd-stream']),
    seconds=TIMES,
    reason=st.text(max_size=5),
    attempt=st.integers(1, 9),
    error=st.none() | st.just('put_off'),
    trace=st.just('req-1'),
    sent_bytes=st.none() | st.integers(0, 2**50),
)
TIMELINES = st.builds(
    transitions.Timeline,
    entries=st.dictionaries(
        STORES, st.lists(ENTRIES, min_size=1, max_size=3).map(tuple)
    ),
    since_s=st.dictionaries(HOSTS, TIMES),
    forgotten=st.dictionaries(STORES, st.integers(1, 9)),
)


@given(TIMELINES)
def test_a_timeline_crosses_the_bus_whole(timeline):
    told = json.loads(json.dumps(transitions.plain(timeline)))

    assert transitions.from_plain(told) == timeline


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(['host', 'at_s', 'state', 'dcn0']), inner
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(['entries', 'since_s', 'forgotten']), JSON)
)
def test_whatever_an_agent_of_another_release_says_can_be_read(answer):
    timeline = transitions.from_plain(answer)

    assert all(
        isinstance(entry, transitions.Entry)
        for entries in timeline.entries.values()
        for entry in entries
    )


@pytest.mark.parametrize('missing', ['host', 'at_s', 'reason'])
def test_an_entry_that_lacks_something_is_left_out(missing):
    whole = transitions.Timeline({'dcn0': (_entry(), _entry(at_s=2.0))})
    told = transitions.plain(whole)
    del told['entries']['dcn0'][0][missing]

    timeline = transitions.from_plain(told)

    assert [e.at_s for e in timeline.entries['dcn0']] == [2.0]


@given(st.lists(TIMELINES, max_size=3), st.randoms())
def test_the_order_of_agents_does_not_matter(timelines, rng):
    shuffled = [*timelines]
    rng.shuffle(shuffled)

    assert transitions.merged(timelines) == transitions.merged(shuffled)


@given(st.lists(TIMELINES, max_size=3))
def test_nothing_is_lost_and_all_is_in_the_order_of_time(timelines):
    merged = transitions.merged(timelines)

    for store, entries in merged.entries.items():
        told = [e for t in timelines for e in t.entries.get(store, ())]
        assert sorted(map(repr, entries)) == sorted(map(repr, told))
        times = [entry.at_s for entry in entries]
        assert times == sorted(times)
    assert set(merged.since_s) == {h for t in timelines for h in t.since_s}


def test_traffic_is_that_of_the_stream_to_the_store():
    store = images.StoreId('dcn0')
    report = transfers.Report(
        images.ImageId('a'),
        9,
        images.StoreId('central'),
        transfers.Verify.FULL,
        1.0,
        None,
        5,
        (
            transfers.Lane('x', 'dcn1', transfers.Phase.COPYING),
            transfers.Lane('y', store, transfers.Phase.DONE, sent_bytes=5),
        ),
    )

    traffic = transitions.traffic([report], store)

    assert traffic == transitions.Traffic(images.StoreId('central'), 5)
    assert transitions.traffic([], store) == transitions.UNKNOWN


def _entry(at_s=1.0):
    return transitions.Entry(
        'ctl-0', at_s, 'copying', 'copy-image', 0.0, '', 1, None, 'req-1', None
    )
