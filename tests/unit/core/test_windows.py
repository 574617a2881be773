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
"""Windows against a clock that is looked at minute by minute."""

import datetime
import functools
import math
import zoneinfo

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import windows

MINUTE_S = 60
DAY_S = 86_400
WEEK_S = 7 * DAY_S
LOOK_AHEAD_S = 16 * DAY_S

# With and without changes of the clock in 2026, by an hour or half of one,
# in the night, at midnight and on days that others do not have.
ZONES = [
    'Africa/Cairo',
    'Africa/Casablanca',
    'America/New_York',
    'America/Santiago',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'Europe/Oslo',
    'Pacific/Apia',
    'UTC',
]
OSLO = zoneinfo.ZoneInfo('Europe/Oslo')


def at(written, zone='UTC'):
    """Return the moment at which the clock shows this."""
    clock = datetime.datetime.fromisoformat(written)
    return clock.replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()


def window(begin, end, days=windows.EVERY_DAY, zone='Europe/Oslo'):
    return windows.Window(
        frozenset(days),
        datetime.time.fromisoformat(begin),
        datetime.time.fromisoformat(end),
        zoneinfo.ZoneInfo(zone),
    )


@functools.cache
def changes(zone):
    """List when the clock of a zone is changed in 2026, if it is."""
    start = int(at('2026-01-01T00:00'))
    offsets = {
        second: datetime.datetime.fromtimestamp(
            second, zoneinfo.ZoneInfo(zone)
        ).utcoffset()
        for second in range(start, start + 365 * DAY_S, 30 * MINUTE_S)
    }
    return [s for s in offsets if offsets[s] != offsets.get(s - 1800)][1:]


@functools.cache
def minute_of_week(zone, minute):
    """Return what the clock shows, as minutes since Monday 00:00."""
    clock = datetime.datetime.fromtimestamp(
        minute * MINUTE_S, zoneinfo.ZoneInfo(zone)
    )
    return clock.weekday() * 1440 + clock.hour * 60 + clock.minute


def minutes_of_week(one):
    """Name the minutes that a window has in a week no one changes."""
    begin = one.begin.hour * 60 + one.begin.minute
    end = one.end.hour * 60 + one.end.minute
    last = end if end > begin else end + 1440
    return frozenset(
        (day * 1440 + minute) % 10080
        for day in one.days
        for minute in range(begin, last)
    )


class Oracle:
    """Says of single minutes whether any window is open."""

    def __init__(self, some):
        self._some = [(w.zone.key, minutes_of_week(w)) for w in some]

    def is_open(self, now):
        """Tell whether any is open in this minute."""
        minute = math.floor(now) // MINUTE_S
        return not self._some or any(
            minute_of_week(zone, minute) in minutes
            for zone, minutes in self._some
        )

    def first(self, now, wanted):
        """Return the first moment from now on that is (or is not) open."""
        if self.is_open(now) == wanted:
            return now
        minute = math.floor(now) // MINUTE_S + 1
        while minute * MINUTE_S < now + LOOK_AHEAD_S:
            if self.is_open(minute * MINUTE_S) == wanted:
                return minute * MINUTE_S
            minute += 1
        return None


_TIMES = st.builds(
    datetime.time,
    st.integers(0, 23) | st.integers(0, 4),
    st.sampled_from([0, 15, 30, 59]),
)
_DAYS = st.frozensets(st.integers(0, 6), min_size=1) | st.just(
    windows.EVERY_DAY
)


def windows_in(zones):
    return st.builds(
        windows.Window,
        _DAYS,
        _TIMES,
        _TIMES,
        st.sampled_from(zones).map(zoneinfo.ZoneInfo),
    )


@st.composite
def moments(draw, zones=tuple(ZONES)):
    """Any time of 2026, mostly one near a change of the clock."""
    known = [second for zone in zones for second in changes(zone)]
    start = at('2026-01-01T00:00')
    second = draw(
        st.sampled_from(known or [start]).flatmap(
            lambda change: (
                st.integers(change - 3 * DAY_S, change + DAY_S).map(float)
                | st.integers(-180, 180).map(lambda m: change + 60.0 * m)
            )
        )
        | st.floats(start, start + 365 * DAY_S)
    )
    return second + draw(st.sampled_from([0.0, 0.25, 1 - 2**-20]))


SOME = st.lists(windows_in(ZONES), min_size=1, max_size=3).map(tuple)


@given(SOME, moments())
def test_a_window_is_open_when_the_clock_shows_its_hours(some, now):
    assert windows.is_open(some, now) == Oracle(some).is_open(now)


@given(SOME, moments())
def test_the_next_opening_is_the_first_minute_that_is_open(some, now):
    assert windows.opens_at(some, now) == Oracle(some).first(now, True)


@given(SOME, moments())
def test_the_next_closing_is_the_first_minute_that_is_closed(some, now):
    assert windows.closes_at(some, now) == Oracle(some).first(now, False)


@given(SOME, moments())
def test_boundaries_are_exact(some, now):
    opens_s = windows.opens_at(some, now)
    closes_s = windows.closes_at(some, opens_s)

    assert windows.is_open(some, opens_s)
    if opens_s > now:
        assert not windows.is_open(some, opens_s - 2**-20)
    if closes_s is not None:
        assert windows.is_open(some, closes_s - 2**-20)
        assert not windows.is_open(some, closes_s)


@given(SOME, SOME, moments())
def test_several_windows_are_a_union(some, others, now):
    both = some + others

    assert windows.is_open(both, now) == (
        windows.is_open(some, now) or windows.is_open(others, now)
    )
    assert windows.opens_at(both, now) == min(
        windows.opens_at(some, now), windows.opens_at(others, now)
    )
    for answer in (windows.opens_at, windows.closes_at, windows.longest_s):
        assert answer(both, now) == answer(others + some, now)
        assert answer(both + both, now) == answer(both, now)


@given(
    windows_in(ZONES),
    st.lists(_TIMES, min_size=3, max_size=3, unique=True).map(sorted),
    st.booleans(),
    moments(),
)
def test_a_window_cut_in_two_is_the_same(some, times, ends_next_day, now):
    begin, middle, end = times
    if ends_next_day:
        # What is left of it after midnight would be of the next day.
        end, begin, middle = times
    whole = windows.Window(some.days, begin, end, some.zone)
    first = windows.Window(whole.days, whole.begin, middle, whole.zone)
    rest = windows.Window(whole.days, middle, whole.end, whole.zone)

    for answer in (
        windows.is_open,
        windows.opens_at,
        windows.closes_at,
        windows.longest_s,
    ):
        assert answer((first, rest), now) == answer((whole,), now)


@given(SOME, moments())
def test_hours_and_the_hours_between_them_are_all_the_time(some, now):
    both = some + tuple(
        windows.Window(w.days, w.end, w.begin, w.zone)
        if w.end > w.begin
        # What begins the next day belongs to the next day.
        else windows.Window(
            frozenset((day + 1) % 7 for day in w.days), w.end, w.begin, w.zone
        )
        for w in some
        if w.begin != w.end and w.days == windows.EVERY_DAY
    )

    if len(both) > len(some):
        assert windows.closes_at(both, now) is None
        assert windows.longest_s(both, now) == math.inf


@given(
    st.lists(
        windows_in(['UTC', 'Asia/Kolkata', 'Pacific/Apia']),
        min_size=1,
        max_size=3,
    ),
    moments(),
)
def test_every_week_is_the_same_where_no_clock_is_changed(some, now):
    opens_s = windows.opens_at(some, now)
    closes_s = windows.closes_at(some, now)

    assert windows.is_open(some, now) == windows.is_open(some, now + WEEK_S)
    assert windows.opens_at(some, now + WEEK_S) == opens_s + WEEK_S
    assert windows.closes_at(some, now + WEEK_S) == (
        None if closes_s is None else closes_s + WEEK_S
    )
    assert opens_s - now < WEEK_S


# From the day on which the clock of Santiago goes ahead they leave no gap.
@example(
    (
        window('00:15', '00:00', zone='UTC'),
        window('20:15', '00:00', zone='America/Santiago'),
    ),
    at('2026-09-03T00:00'),
)
@example(
    (
        window('00:00', '00:15', zone='America/New_York'),
        window('05:15', '05:00', zone='Africa/Casablanca'),
    ),
    1772694000.0,
)
@given(SOME, moments())
def test_no_stretch_that_comes_is_longer_than_the_longest(some, now):
    longest_s = windows.longest_s(some, now)
    begin, longest_seen_s = now, 0.0

    while (opens_s := windows.opens_at(some, begin)) < now + LOOK_AHEAD_S:
        closes_s = windows.closes_at(some, opens_s)
        if closes_s is None:
            assert longest_s == math.inf
            return
        longest_seen_s = max(longest_seen_s, closes_s - opens_s)
        begin = closes_s
    assert longest_seen_s <= longest_s < math.inf


def test_no_windows_are_always_open():
    now = at('2026-06-01T12:00')

    assert windows.is_open((), now)
    assert windows.opens_at((), now) == now
    assert windows.closes_at((), now) is None
    assert windows.longest_s((), now) == math.inf


@pytest.mark.parametrize('end', ['00:00', '08:00'])
def test_a_window_of_24_hours_on_every_day_never_closes(end):
    always = (window(end, end),)

    assert windows.closes_at(always, at('2026-03-28T12:00')) is None


def stretches(some, since, until):
    """Write when windows open and close, in the time of Oslo."""
    told = []
    now = at(since, 'Europe/Oslo')
    while True:
        opens_s = windows.opens_at(some, now)
        if opens_s >= at(until, 'Europe/Oslo'):
            return told
        now = windows.closes_at(some, opens_s)
        begin, end = (
            datetime.datetime.fromtimestamp(s, OSLO) for s in (opens_s, now)
        )
        told.append(f'{begin:%a %H:%M%z}-{end:%H:%M%z}')


SPRING = ('2026-03-28T12:00', '2026-03-29T12:00')
AUTUMN = ('2026-10-24T12:00', '2026-10-25T12:00')


@pytest.mark.parametrize(
    ('begin', 'end', 'night', 'expected'),
    [
        pytest.param(
            '01:00', '03:00', SPRING, ['Sun 01:00+0100-03:00+0200'], id='1 h'
        ),
        pytest.param(
            '02:30',
            '05:30',
            SPRING,
            ['Sun 03:00+0200-05:30+0200'],
            id='begins where there is no such time',
        ),
        pytest.param(
            '01:00',
            '02:30',
            SPRING,
            ['Sun 01:00+0100-03:00+0200'],
            id='ends where there is no such time',
        ),
        pytest.param('02:10', '02:50', SPRING, [], id='is skipped'),
        pytest.param(
            '01:00', '03:00', AUTUMN, ['Sun 01:00+0200-03:00+0100'], id='3 h'
        ),
        pytest.param(
            '02:30',
            '05:30',
            AUTUMN,
            ['Sun 02:30+0200-02:00+0100', 'Sun 02:30+0100-05:30+0100'],
            id='begins at a time that comes twice',
        ),
        pytest.param(
            '22:00',
            '02:30',
            AUTUMN,
            ['Sat 22:00+0200-02:30+0200', 'Sun 02:00+0100-02:30+0100'],
            id='ends at a time that comes twice',
        ),
    ],
)
def test_when_the_clock_is_changed(begin, end, night, expected):
    assert stretches((window(begin, end),), *night) == expected


def test_a_window_that_is_skipped_opens_the_week_after():
    sundays = (window('02:10', '02:50', days=[6]),)
    now = at('2026-03-22T03:00', 'Europe/Oslo')

    assert windows.opens_at(sundays, now) == at(
        '2026-04-05T02:10', 'Europe/Oslo'
    )
    assert (
        windows.describe_opening(sundays, now)
        == 'window opens Sun 2026-04-05 02:10 Europe/Oslo'
    )
    assert windows.longest_s(sundays, now) == 40 * MINUTE_S


def test_a_whole_day_may_be_skipped():
    fridays = (window('00:00', '00:00', days=[4], zone='Pacific/Apia'),)

    # Samoa had no Friday 30 December 2011.
    assert windows.opens_at(
        fridays, at('2011-12-29T12:00', 'Pacific/Apia')
    ) == at('2012-01-06T00:00', 'Pacific/Apia')


def test_a_night_belongs_to_the_day_on_which_it_begins():
    fridays = (window('22:00', '05:30', days=[4]),)

    assert stretches(fridays, '2026-06-01T00:00', '2026-06-08T00:00') == [
        'Fri 22:00+0200-05:30+0200'
    ]
    assert not windows.is_open(fridays, at('2026-06-05T01:00', 'Europe/Oslo'))
    assert windows.is_open(fridays, at('2026-06-06T01:00', 'Europe/Oslo'))


@pytest.mark.parametrize(
    ('now', 'expected'),
    [
        ('2026-06-01T12:00', 'window opens 01:00 Europe/Oslo'),
        ('2026-06-05T12:00', 'window opens Mon 01:00 Europe/Oslo'),
        ('2026-06-07T00:59', 'window opens Mon 01:00 Europe/Oslo'),
        ('2026-06-07T01:01', 'window opens 01:00 Europe/Oslo'),
        ('2026-06-01T01:00', 'window is open'),
    ],
)
def test_the_opening_in_words(now, expected):
    working_days = (window('01:00', '05:30', days=range(5)),)

    assert (
        windows.describe_opening(working_days, at(now, 'Europe/Oslo'))
        == expected
    )


def test_the_opening_is_told_by_the_clock_of_what_opens():
    both = (
        window('12:00', '13:00'),
        window('05:00', '06:00', zone='America/New_York'),
    )

    assert (
        windows.describe_opening(both, at('2026-06-01T08:30'))
        == 'window opens 05:00 America/New_York'
    )
