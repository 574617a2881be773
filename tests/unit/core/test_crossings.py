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
"""What crosses a link, in virtual time: the rules hold at every moment."""

import collections
import datetime
import itertools
import math
import zoneinfo

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import crossings
from dcn_distributor.core import windows

# 2026-03-28, 12:00 UTC: the clock in Oslo goes ahead that night.
NOON_S = datetime.datetime(
    2026, 3, 28, 12, tzinfo=datetime.timezone.utc
).timestamp()
OSLO = zoneinfo.ZoneInfo('Europe/Oslo')
NIGHTLY = windows.Window(
    frozenset(range(7)), datetime.time(1), datetime.time(5, 30), OSLO
)
HOUR_S = 3600.0

_TIMES = st.builds(datetime.time, st.integers(0, 23), st.sampled_from([0, 30]))
_JOBS = st.lists(
    st.builds(
        crossings.Job,
        left_bytes=st.integers(0, 10**7),
        not_before_s=st.sampled_from(
            [0.0, NOON_S + 60, NOON_S + 86_400, math.inf]
        ),
        is_import=st.booleans(),
        is_under_way=st.just(False),
        cap_bytes_s=st.sampled_from([math.inf, 2e3, 7e3]),
    ),
    max_size=12,
)
_WINDOWS = st.lists(
    st.builds(
        windows.Window,
        st.frozensets(st.integers(0, 6), min_size=1),
        _TIMES,
        _TIMES,
        st.just(OSLO),
    ),
    max_size=2,
).map(tuple)
_ROADS = st.builds(
    crossings.Road,
    st.integers(1, 4),
    st.sampled_from([1e4, 3e4]),
    _WINDOWS,
)


def under_way(jobs, road):
    """Have the first jobs be under way, as many as there is room for."""
    return [
        crossings.Job(
            job.left_bytes,
            job.not_before_s,
            job.is_import,
            place < road.slots and job.not_before_s == 0.0,
            job.cap_bytes_s,
        )
        for place, job in enumerate(jobs)
    ]


@st.composite
def plays(draw):
    """Jobs, some of them under way, and their road."""
    road = draw(_ROADS)
    jobs = draw(_JOBS)
    return (under_way(jobs, road) if draw(st.booleans()) else jobs), road


@given(plays())
def test_streams_move_in_windows_only_and_imports_begin_there(play):
    jobs, road = play
    begun = {p for p, job in enumerate(jobs) if job.is_under_way}

    for spell in crossings.spells(jobs, road, NOON_S):
        is_open = windows.is_open(road.windows, spell.begins_s)
        closes_s = windows.closes_at(road.windows, spell.begins_s)
        for place, speed in spell.speeds.items():
            assert is_open or place in begun
            if speed and not jobs[place].is_import:
                assert is_open
                assert closes_s is None or spell.ends_s <= closes_s
        begun.update(spell.speeds)


@given(plays())
def test_a_link_never_carries_more_than_it_may(play):
    jobs, road = play

    for spell in crossings.spells(jobs, road, NOON_S):
        assert len(spell.speeds) <= road.slots
        assert sum(spell.speeds.values()) <= road.rate_bytes_s * (1 + 1e-9)
        assert all(
            speed <= jobs[place].cap_bytes_s * (1 + 1e-9)
            for place, speed in spell.speeds.items()
        )


@given(plays())
def test_rate_that_somebody_could_use_is_used(play):
    jobs, road = play

    for spell in crossings.spells(jobs, road, NOON_S):
        if spell.speeds and windows.is_open(road.windows, spell.begins_s):
            wishes = [jobs[place].cap_bytes_s for place in spell.speeds]
            assert sum(spell.speeds.values()) == pytest.approx(
                min(road.rate_bytes_s, sum(wishes))
            )


@given(plays())
def test_all_bytes_arrive_and_no_more(play):
    jobs, road = play
    carried = collections.Counter()

    for spell in crossings.spells(jobs, road, NOON_S):
        for place, speed in spell.speeds.items():
            carried[place] += speed * (spell.ends_s - spell.begins_s)

    for place, job in enumerate(jobs):
        expected = job.left_bytes
        if math.isinf(job.not_before_s) and not job.is_under_way:
            expected = 0
        assert carried[place] == pytest.approx(expected, abs=1)


@given(plays())
def test_every_job_that_may_ever_begin_has_its_trip(play):
    jobs, road = play

    trips = crossings.trips(jobs, road, NOON_S)

    assert len(trips) == len(jobs)
    for job, trip in zip(jobs, trips, strict=True):
        if job.is_under_way:
            assert trip.starts_s == NOON_S
        elif math.isinf(job.not_before_s):
            assert trip == crossings.NOWHERE
        else:
            assert trip.starts_s >= max(NOON_S, job.not_before_s)
        if trip.starts_s is not None:
            assert trip.ends_s >= trip.starts_s


@given(plays())
def test_none_goes_before_its_like_that_was_ready_and_comes_first(play):
    jobs, road = play
    trips = crossings.trips(jobs, road, NOON_S)

    for place, (job, trip) in enumerate(zip(jobs, trips, strict=True)):
        for other, late in zip(jobs[:place], trips[:place], strict=True):
            if (
                not job.is_under_way
                and not other.is_under_way
                and job.is_import == other.is_import
                and trip.starts_s is not None
                and other.not_before_s <= trip.starts_s
            ):
                assert late.starts_s <= trip.starts_s


@given(plays())
def test_imports_end_in_a_window_if_they_can_and_go_one_by_one(play):
    jobs, road = play
    alone = [j for j in jobs if j.is_import and not j.is_under_way]

    trips = [
        trip
        for trip in crossings.trips(alone, road, NOON_S)
        if trip.starts_s is not None
    ]

    for job, trip in zip(
        (j for j in alone if j.not_before_s < math.inf), trips, strict=True
    ):
        closes_s = windows.closes_at(road.windows, trip.starts_s)
        speed = min(road.rate_bytes_s, job.cap_bytes_s)
        needs_s = job.left_bytes / road.rate_bytes_s
        if closes_s is not None and needs_s <= windows.longest_s(
            road.windows, trip.starts_s
        ):
            assert trip.starts_s + needs_s <= closes_s
        assert trip.ends_s - trip.starts_s == pytest.approx(
            job.left_bytes / speed, abs=1
        )
    trips.sort(key=lambda trip: trip.starts_s)
    for first, second in itertools.pairwise(trips):
        assert first.ends_s <= second.starts_s


@given(plays())
@settings(max_examples=50)
def test_without_a_rate_only_what_finds_room_is_known(play):
    jobs, road = play
    unknown = crossings.Road(road.slots, None, road.windows)

    trips = crossings.trips(jobs, unknown, NOON_S)

    assert all(trip.ends_s is None for trip in trips)
    known = [trip for trip in trips if trip.starts_s is not None]
    possible = [
        job for job in jobs if job.is_under_way or job.not_before_s < math.inf
    ]
    assert len(known) == min(road.slots, len(possible))


def test_a_stream_is_broken_off_and_goes_on_the_next_night():
    # That night has 3.5 hours.
    road = crossings.Road(1, 1e6, (NIGHTLY,))
    job = crossings.Job(1e6 * 4 * HOUR_S)

    (trip,) = crossings.trips([job], road, NOON_S)

    assert trip.starts_s == NOON_S + 12 * HOUR_S
    next_night_s = NOON_S + 35 * HOUR_S
    assert trip.ends_s == pytest.approx(next_night_s + 0.5 * HOUR_S)


def test_an_import_waits_for_a_night_that_is_long_enough():
    road = crossings.Road(1, 1e6, (NIGHTLY,))
    job = crossings.Job(1e6 * 4 * HOUR_S, is_import=True)

    (trip,) = crossings.trips([job], road, NOON_S)

    assert trip.starts_s == NOON_S + 35 * HOUR_S
    assert trip.ends_s == pytest.approx(NOON_S + 39 * HOUR_S)


def test_an_import_that_fits_into_no_night_goes_on_into_the_day():
    road = crossings.Road(1, 1e6, (NIGHTLY,))
    job = crossings.Job(1e6 * 6 * HOUR_S, is_import=True)

    (trip,) = crossings.trips([job], road, NOON_S)

    assert trip.starts_s == NOON_S + 12 * HOUR_S
    assert trip.ends_s == pytest.approx(NOON_S + 18 * HOUR_S)


def test_two_streams_share_the_rate():
    road = crossings.Road(2, 100.0)
    jobs = [crossings.Job(100), crossings.Job(300), crossings.Job(100)]

    trips = crossings.trips(jobs, road, 0.0)

    assert [trip.starts_s for trip in trips] == [0.0, 0.0, 2.0]
    assert [trip.ends_s for trip in trips] == pytest.approx([2.0, 5.0, 4.0])


def test_what_a_slow_stream_leaves_the_others_have():
    road = crossings.Road(2, 100.0)
    jobs = [crossings.Job(100, cap_bytes_s=10.0), crossings.Job(900)]

    trips = crossings.trips(jobs, road, 0.0)

    assert [trip.ends_s for trip in trips] == pytest.approx([10.0, 10.0])


def test_a_blocked_import_holds_up_no_stream():
    road = crossings.Road(2, 100.0)
    jobs = [
        crossings.Job(100, is_import=True),
        crossings.Job(100, is_import=True),
        crossings.Job(100),
    ]

    trips = crossings.trips(jobs, road, 0.0)

    assert [trip.starts_s for trip in trips] == pytest.approx([0.0, 2.0, 0.0])


def test_what_is_later_than_a_year_from_now_is_not_told():
    road = crossings.Road(1, 1000.0)
    jobs = [crossings.Job(10**18), crossings.Job(1)]

    first, second = crossings.trips(jobs, road, 0.0)

    assert first == crossings.Trip(0.0, None)
    assert second == crossings.NOWHERE
