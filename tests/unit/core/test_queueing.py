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
"""Whose turn it is."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import images
from dcn_distributor.core import queueing

ranks = st.builds(
    queueing.Rank,
    urgency=st.integers(-3, 3),
    due_s=st.sampled_from([100.0, 200.0, math.inf]),
    size_bytes=st.integers(0, 3),
)


def a_line(entries):
    line = queueing.Line()
    for number, rank in enumerate(entries):
        line.add(images.ImageId(str(number)), rank)
    return line


def test_priority_goes_before_deadline_and_deadline_before_size():
    rank = queueing.Rank.of
    line = a_line([rank(0, 1), rank(0, 9, 50.0), rank(0, 9, 40.0), rank(5, 9)])

    assert [line.take() for _ in range(3)] == ['3', '2', '1']


@given(st.lists(ranks, max_size=12))
def test_everybody_has_a_turn_and_only_one(entries):
    line = a_line(entries)

    taken = [line.take() for _ in entries]

    assert sorted(taken) == sorted(str(n) for n in range(len(entries)))
    assert len(line) == 0


@given(st.lists(ranks, max_size=6), ranks, ranks)
def test_nobody_waits_for_ever_whatever_keeps_coming(before, rank, later):
    line = a_line(before)
    line.add(images.ImageId('patient'), rank)
    newcomers = iter(range(100, 1000))

    turns = 0
    while 'patient' in line:
        line.add(images.ImageId(str(next(newcomers))), later)
        line.take()
        turns += 1

    assert turns <= queueing.EVERY * (len(before) + 1)


@given(st.lists(st.tuples(st.integers(0, 4), ranks), max_size=20))
def test_who_comes_again_keeps_the_best_rank_and_the_first_place(visits):
    line = queueing.Line()
    best = {}
    for number, rank in visits:
        image_id = images.ImageId(str(number))
        line.add(image_id, rank)
        best.setdefault(image_id, rank)
        best[image_id] = min(best[image_id], rank)

    expected = min(best, key=lambda i: (best[i], [*best].index(i)), default='')

    assert len(line) == len(best)
    assert not best or line.take() == expected
