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
"""Words of operators, as agents tell them to each other."""

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import pauses

# 2026-12-01 06:00 UTC
MORNING_S = 1_796_104_800.0

words = st.builds(
    pauses.Word,
    kind=st.sampled_from(pauses.Kind),
    name=st.sampled_from(['north', 'dcn0']),
    rests=st.booleans(),
    by=st.sampled_from(['alice', 'bob']),
    at_s=st.integers(0, 3).map(float),
    why=st.sampled_from(['', 'works on the mast']),
)


@given(st.lists(words), st.randoms())
def test_all_agents_come_to_the_same_whatever_the_order(heard, chance):
    shuffled = [*heard, *heard]
    chance.shuffle(shuffled)

    one = pauses.NONE.merged(heard)
    other = pauses.NONE
    for word in shuffled:
        other = other.merged([word])

    assert one == other


@given(st.lists(words))
def test_the_last_word_counts(heard):
    told = pauses.NONE.merged(heard)

    for key in {word.key for word in heard}:
        last_s = max(word.at_s for word in heard if word.key == key)
        assert told.words[key].at_s == last_s


@given(st.lists(words))
def test_nothing_new_changes_nothing(heard):
    told = pauses.NONE.merged(heard)

    assert told.merged(heard) is told


@given(words)
def test_a_word_crosses_the_bus_unchanged(word):
    assert pauses.from_plain(pauses.plain(word)) == word


@given(st.dictionaries(st.text(), st.none() | st.text() | st.floats()))
def test_what_is_no_word_is_passed_over(value):
    assert pauses.from_plain(value) is None


def test_it_is_told_who_said_so_and_since_when():
    word = pauses.Word(
        pauses.Kind.LINK, 'north', True, 'alice', MORNING_S, 'storm'
    )

    assert word.reason() == (
        "link north paused by alice since 2026-12-01 06:00 UTC: 'storm'"
    )


def test_words_to_go_on_are_forgotten_once_all_have_heard_them():
    rests = pauses.Word(pauses.Kind.SITE, 'dcn0', True, 'a', 10.0)
    goes_on = pauses.Word(pauses.Kind.SITE, 'dcn1', False, 'a', 10.0)
    told = pauses.NONE.merged([rests, goes_on])

    assert [*told.without_old(20.0).words.values()] == [rests]
    assert told.without_old(10.0) == told
