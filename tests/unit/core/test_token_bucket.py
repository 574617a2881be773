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
"""A rate that many share: never more than it, never less, in equal parts."""

import heapq
import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import token_bucket

BURST_S = 0.1
LENGTH = 100


class Road:
    """Some who share a bucket; each is back as soon as it was let through.

    :ivar through: when, who, and how much
    """

    def __init__(self, bucket, lengths, rests_s):
        self.through = []
        self.now = 0.0
        self.bucket = bucket
        self.places = {}
        self._lengths = lengths
        self._rests_s = rests_s
        self._numbers = itertools.count()
        self._due = []
        for who in range(len(lengths)):
            self._look_again(who, 0.0)

    def run(self, until_s):
        """Let time pass."""
        while self._due and self._due[0][0] <= until_s:
            self.now, _, who = heapq.heappop(self._due)
            self._look(who)
        self.now = until_s

    def look_all(self):
        """Have all look now, as when the rate has changed."""
        waiting = {entry[2] for entry in self._due}
        self._due = []
        for who in sorted(waiting):
            self._look_again(who, 0.0)

    def sent(self, begin_s=0.0, end_s=float('inf')):
        """How much each got through, of what went within a time."""
        parts = dict.fromkeys(range(len(self._lengths)), 0)
        for at_s, who, length in self.through:
            if begin_s < at_s <= end_s:
                parts[who] += length
        return parts

    def _look(self, who):
        length = self._lengths[who]
        if who not in self.places:
            self.places[who] = self.bucket.join(length, self.now)
        wait_s = self.bucket.wait_s(self.places[who], self.now)
        if wait_s > 0:
            self._look_again(who, wait_s)
            return
        self.bucket.go(self.places.pop(who), length)
        self.through.append((self.now, who, length))
        self._look_again(who, self._rests_s[who])

    def _look_again(self, who, wait_s):
        # As a sleep ends: a bit too late.
        at_s = self.now + wait_s + 1e-6
        heapq.heappush(self._due, (at_s, next(self._numbers), who))


rates = st.floats(10.0, 1e4)
some_lengths = st.lists(st.integers(1, LENGTH), min_size=1, max_size=6)


@settings(deadline=None)
@given(rates, some_lengths, st.data())
def test_never_more_gets_through_than_the_rate_and_a_burst(
    rate_bytes_s, lengths, data
):
    rests_s = data.draw(
        st.lists(
            st.sampled_from([0.0, 0.0, 0.05, 3.0]),
            min_size=len(lengths),
            max_size=len(lengths),
        )
    )
    bucket = token_bucket.SharedBucket(rate_bytes_s, BURST_S)
    road = Road(bucket, lengths, rests_s)

    road.run(100 * LENGTH / rate_bytes_s)

    # Of any stretch of time, the end included: one whole length is on top.
    most = rate_bytes_s * BURST_S + max(lengths) + 1e-3
    lead = worst = 0.0
    last_s = 0.0
    for at_s, _, length in road.through:
        lead = max(0.0, lead - rate_bytes_s * (at_s - last_s)) + length
        worst, last_s = max(worst, lead), at_s
    assert worst <= most


@settings(deadline=None)
@given(rates, some_lengths)
def test_no_time_is_lost_while_anybody_waits(rate_bytes_s, lengths):
    bucket = token_bucket.SharedBucket(rate_bytes_s, BURST_S)
    road = Road(bucket, lengths, [0.0] * len(lengths))

    road.run(100 * LENGTH / rate_bytes_s)

    assert sum(road.sent().values()) >= 99 * LENGTH


@settings(deadline=None)
@given(rates, st.integers(2, 6), st.integers(20, 200))
def test_all_get_through_equally_often(rate_bytes_s, count, rounds):
    bucket = token_bucket.SharedBucket(rate_bytes_s, BURST_S)
    road = Road(bucket, [LENGTH] * count, [0.0] * count)

    road.run(rounds * LENGTH / rate_bytes_s)

    parts = road.sent().values()
    assert max(parts) - min(parts) <= LENGTH


@settings(deadline=None)
@given(rates, rates, st.integers(1, 4))
def test_another_rate_counts_at_once_for_who_waits(first, then, count):
    bucket = token_bucket.SharedBucket(first, BURST_S)
    road = Road(bucket, [LENGTH] * count, [0.0] * count)
    change_s = 20.5 * LENGTH / first
    road.run(change_s)

    bucket.set_rate(then, road.now)
    road.look_all()
    lasts_s = 50 * LENGTH / then
    road.run(change_s + lasts_s)

    sent = sum(road.sent(change_s).values())
    assert abs(sent - then * lasts_s) <= LENGTH + first * BURST_S + 1


@pytest.mark.parametrize('unsent', [0, 50, 100])
def test_what_was_not_sent_is_for_the_next(unsent):
    bucket = token_bucket.SharedBucket(100.0, BURST_S)
    bucket.go(bucket.join(100, 0.0), 100)
    place = bucket.join(100, 0.0)

    bucket.put_back(unsent)

    assert bucket.wait_s(place, 0.0) == pytest.approx((100 - unsent) / 100)


def test_what_is_put_back_is_not_saved_up():
    bucket = token_bucket.SharedBucket(100.0, BURST_S)
    bucket.go(bucket.join(1000, 0.0), 1000)

    bucket.put_back(1000)
    bucket.put_back(1000)

    places = [bucket.join(10, 0.0) for _ in range(3)]
    assert [bucket.wait_s(place, 0.0) for place in places] == [
        0.0,
        0.0,
        pytest.approx(0.1),
    ]


def test_a_clock_that_was_read_earlier_does_no_harm():
    bucket = token_bucket.SharedBucket(100.0, BURST_S)
    bucket.join(100, 10.0)
    place = bucket.join(100, 10.5)

    assert bucket.wait_s(place, 10.2) == pytest.approx(0.5)
    assert bucket.wait_s(place, 10.7) == pytest.approx(0.3)


@pytest.mark.parametrize('length', [40, 100, 160])
def test_what_goes_may_be_longer_or_shorter_than_was_asked(length):
    bucket = token_bucket.SharedBucket(100.0, BURST_S)

    bucket.go(bucket.join(100, 0.0), length)

    place = bucket.join(100, 0.0)
    assert bucket.wait_s(place, 0.0) == pytest.approx(length / 100)


@settings(deadline=None)
@given(rates, some_lengths, st.data())
def test_who_leaves_lets_those_behind_move_up_and_no_others(
    rate_bytes_s, lengths, data
):
    bucket = token_bucket.SharedBucket(rate_bytes_s, BURST_S)
    places = [bucket.join(length, 0.0) for length in lengths]
    leaving = data.draw(st.sets(st.sampled_from(range(len(lengths)))))

    for number in data.draw(st.permutations(sorted(leaving))):
        bucket.leave(places[number])

    stay = [n for n in range(len(lengths)) if n not in leaving]
    before = itertools.accumulate((lengths[n] for n in stay), initial=0)
    for number, before_bytes in zip(stay, before, strict=False):
        wait_s = bucket.wait_s(places[number], 0.0)
        assert wait_s == pytest.approx(before_bytes / rate_bytes_s)
