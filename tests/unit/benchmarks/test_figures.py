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
"""What is made of the samples: medians, bounds, what a link carried."""

from hypothesis import given
from hypothesis import strategies
import pytest

from benchmarks import figures

SECONDS = strategies.floats(0.001, 10_000)
COURSES = strategies.lists(
    strategies.tuples(SECONDS, strategies.integers(0, 2**40)),
    min_size=2,
    max_size=40,
).map(
    lambda pairs: [
        *zip(
            sorted(at for at, _ in pairs),
            sorted(count for _, count in pairs),
            strict=True,
        )
    ]
)


@given(strategies.lists(SECONDS, min_size=1, max_size=9))
def test_a_median_lies_between_the_lowest_and_the_highest(
    values: list[float],
) -> None:
    summary = figures.Summary.of(values)

    assert summary.low == min(values)
    assert summary.high == max(values)
    assert sum(v < summary.median for v in values) <= len(values) / 2
    assert sum(v > summary.median for v in values) <= len(values) / 2


@pytest.mark.parametrize(
    ('aim', 'is_met'),
    [
        (figures.Aim('x', 1.0, at_most=1.0), True),
        (figures.Aim('x', 1.01, at_most=1.0), False),
        (figures.Aim('x', 5.0, at_least=5.0), True),
        (figures.Aim('x', 4.99, at_least=5.0), False),
        (figures.Aim('x', 4.0), True),
    ],
    ids=['just met', 'too much', 'just enough', 'too little', 'no aim'],
)
def test_an_aim_says_whether_it_is_met(aim: figures.Aim, is_met: bool) -> None:
    assert aim.is_met is is_met
    assert ('NOT MET' in str(aim)) is not is_met


def test_the_bound_of_a_gibibyte_over_50_ms_and_1_gbit() -> None:
    assert figures.bound_s(2**30, 1000.0, 50.0) == pytest.approx(13.277, 0.001)


def test_what_flows_evenly_flows_at_its_rate() -> None:
    samples = [(at / 10, at * 1000) for at in range(101)]

    flow = figures.flow(samples)

    assert flow.bytes_per_s == pytest.approx(10_000)
    assert flow.seconds == pytest.approx(9.8)


def test_pauses_before_and_after_the_data_do_not_count() -> None:
    data = [(10 + at / 10, 50 + at * 1000) for at in range(101)]
    samples = [(0.0, 0), (9.99, 50), *data, (40.0, data[-1][1] + 50)]

    assert figures.flow(samples).bytes_per_s == pytest.approx(10_000, 0.01)


def test_a_pause_amid_the_data_counts() -> None:
    samples = [(0.0, 0), (1.0, 1000), (2.0, 1000), (3.0, 2000)]

    assert figures.flow(samples).seconds == pytest.approx(2.96)


@given(COURSES)
def test_a_flow_is_a_part_of_what_was_seen(
    samples: list[tuple[float, int]],
) -> None:
    flow = figures.flow(samples)

    assert 0 <= flow.seconds <= samples[-1][0] - samples[0][0]
    assert flow.carried_bytes <= samples[-1][1] - samples[0][1]
    assert flow.bytes_per_s >= 0


def test_nothing_flows_where_nothing_was_seen() -> None:
    assert figures.flow([]).bytes_per_s == 0
    assert figures.flow([(1.0, 5), (2.0, 5)]).bytes_per_s == 0


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [['', 'seconds'], ['rbd', '1.20'], ['copy-image', '12.00']]

    assert figures.table(rows).splitlines() == [
        '            seconds',
        'rbd            1.20',
        'copy-image    12.00',
    ]
