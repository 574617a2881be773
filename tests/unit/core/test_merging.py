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
"""What several agents told is merged: the same in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import merging
from dcn_distributor.core import pauses

STORES = ('dcn0', 'dcn1', 'dcn2')
IMAGES = ('i1', 'i2')

store = st.sampled_from(STORES)
image = st.sampled_from(IMAGES)
setback = st.fixed_dictionaries(
    {
        'failures': st.integers(1, 3),
        'reason': st.sampled_from(('a', 'b')),
        'next_try_s': st.one_of(st.none(), st.just(1.0)),
    }
)
order = st.fixed_dictionaries(
    {'engine': st.none(), 'failed': st.one_of(st.none(), st.just('full'))}
)
word = st.builds(
    pauses.Word,
    st.sampled_from(pauses.Kind),
    store,
    st.booleans(),
    st.sampled_from(('alice', 'bob')),
    st.integers(0, 3).map(float),
)
texts = st.lists(st.sampled_from(('x', 'y')))
remembered = st.fixed_dictionaries(
    {
        'host': st.sampled_from(('ctl-0', 'ctl-1', 'ctl-2')),
        'setbacks': st.dictionaries(image, st.dictionaries(store, setback)),
        'troubles': st.dictionaries(store, setback),
        'verified': st.dictionaries(image, texts),
        'obstacles': st.dictionaries(store, texts),
        'orders': st.dictionaries(image, st.dictionaries(store, order)),
        'events': st.dictionaries(store, st.integers(0, 9)),
        'looks': st.integers(0, 9),
        'links': st.dictionaries(
            store,
            st.fixed_dictionaries({'waits': st.just({'rbd-stream': 'x'})}),
        ),
        'pauses': st.lists(word.map(pauses.plain)),
    }
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
    max_leaves=6,
)


@given(st.lists(remembered, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_answers_does_not_matter(answers, random):
    shuffled = [*answers]
    random.shuffle(shuffled)

    assert merging.remembered(shuffled) == merging.remembered(answers)


@given(remembered)
def test_one_agent_heard_twice_tells_the_same(answer):
    once, twice = (
        merging.remembered([answer]),
        merging.remembered([answer] * 2),
    )

    for key in ('setbacks', 'troubles', 'verified', 'orders', 'links'):
        assert twice[key] == once[key]


@given(st.dictionaries(store, setback))
def test_what_agents_tell_of_their_own_stores_is_all_there(troubles):
    halves = [
        {
            'host': host,
            'troubles': {s: troubles[s] for s in sorted(troubles)[n::2]},
        }
        for n, host in enumerate(('ctl-0', 'ctl-1'))
    ]

    assert merging.remembered(halves)['troubles'] == troubles


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                (
                    'host',
                    'setbacks',
                    'pauses',
                    'links',
                    'looks',
                    'transfers',
                    'routes',
                    'accepted',
                    'refused',
                    'looking_at',
                    'entries',
                    'since_s',
                    'forgotten',
                )
            ),
            junk,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_not_as_expected_is_left_out(answers):
    merging.remembered(answers)
    merging.transfers(answers)
    merging.routes(answers)
    merging.copies(answers)
    merging.resync(answers)
    merging.timelines(answers)


def test_more_failures_count_while_a_link_moves():
    before = {'host': 'a', 'troubles': {'dcn0': {'failures': 5}}}
    after = {'host': 'b', 'troubles': {'dcn0': {'failures': 1}}}

    merged = merging.remembered([after, before])

    assert merged['troubles'] == {'dcn0': {'failures': 5}}
    assert merged['host'] == 'a, b'
    assert merged['hosts'] == ['a', 'b']


def test_an_order_taken_over_counts_before_the_one_that_failed():
    failed = {'orders': {'i1': {'dcn0': {'failed': 'full'}}}}
    taken = {'orders': {'i1': {'dcn0': {'failed': None}}}}

    for answers in ([failed, taken], [taken, failed]):
        merged = merging.remembered(answers)
        assert merged['orders']['i1']['dcn0']['failed'] is None


def test_streams_name_the_agent_that_runs_them():
    merged = merging.transfers(
        [
            {'host': 'b', 'transfers': [{'image_id': 'x', 'started_s': 2.0}]},
            {'host': 'a', 'transfers': [{'image_id': 'y', 'started_s': 1.0}]},
        ]
    )

    assert [(t['host'], t['image_id']) for t in merged['transfers']] == [
        ('a', 'y'),
        ('b', 'x'),
    ]


def test_a_copy_that_one_took_is_not_refused_by_another():
    merged = merging.copies(
        [
            {'host': 'a', 'accepted': ['dcn0'], 'waits': {'dcn0': 'why'}},
            {'host': 'b', 'refused': {'dcn0': 'no', 'dcn1': 'there'}},
        ]
    )

    assert merged['accepted'] == ['dcn0']
    assert merged['refused'] == {'dcn1': 'there'}
    assert merged['waits'] == {'dcn0': 'why'}


def test_of_resyncs_one_of_all_counts():
    some, all_of_them = {'looking_at': 2}, {'looking_at': None}

    assert merging.resync([some, all_of_them])['looking_at'] is None
    assert merging.resync([some, some])['looking_at'] == 2


def test_the_last_word_on_a_thing_counts():
    paused = pauses.Word(pauses.Kind.SITE, 'dcn0', True, 'alice', 1.0)
    later = pauses.Word(pauses.Kind.SITE, 'dcn0', True, 'bob', 2.0)

    merged = merging.remembered(
        [{'pauses': [pauses.plain(w)]} for w in (later, paused)]
    )

    assert merged['pauses'] == [pauses.plain(later)]
