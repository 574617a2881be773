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
"""Transfer windows: when copies may cross a link, week by week.

A window is open whenever the clock of its zone shows a time in it, on one of
its days. That settles the nights on which the clock is changed. What the
clock skips cannot be used: 01:00 to 03:00 lasts one hour when 02:00 is
followed by 03:00, and a window that would begin in between opens after it.
What the clock shows twice counts twice: the same window lasts three hours
when 03:00 is followed by 02:00, and one from 02:30 on opens for half an hour,
closes as the clock goes back, and opens again. So no window is ever open at
a time at which the operator, looking at the clock, has it closed.

Several windows are open when any of them is, and no windows at all mean that
copies may always cross. Times are in seconds since the epoch.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import datetime
import math

DAY_NAMES = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
EVERY_DAY = frozenset(range(7))

_DAY = datetime.timedelta(days=1)
_DAY_S = 86_400
_EPOCH = datetime.datetime(1970, 1, 1)

# A window comes every week, unless the clock skips it just then; that the
# clock does so in two weeks running has not been seen anywhere.
_LOOK_AHEAD_S = 16 * _DAY_S

# No zone changes its clock twice within this time.
_STEP_S = _DAY_S // 2


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """Some hours of some days of every week, by the clock of a zone.

    It belongs to the day on which it begins: an `end` that is not after
    `begin` is one of the next day. So equal ones make it 24 hours long, and
    an end of 00:00 is what people write as 24:00. No seconds are told.

    :ivar days: by datetime.date.weekday(), at least one
    """

    days: frozenset[int]
    begin: datetime.time
    end: datetime.time
    zone: datetime.tzinfo

    def shows(self, clock: datetime.datetime) -> bool:
        """Tell whether it is open when the clock of its zone shows this."""
        is_late = clock.time() >= self.begin
        is_early = clock.time() < self.end
        today = clock.weekday()
        if self.begin < self.end:
            return is_late and is_early and today in self.days
        yesterday = (today - 1) % 7
        return (is_late and today in self.days) or (
            is_early and yesterday in self.days
        )

    def between(
        self, first: datetime.datetime, last: datetime.datetime
    ) -> Iterator[tuple[datetime.datetime, datetime.datetime]]:
        """Name its hours of each day from `first` on, not cut, in order.

        All are what a clock shows that nobody changes.
        """
        ends_later = _DAY if self.end <= self.begin else datetime.timedelta()
        day = first.date() - _DAY
        while day <= last.date():
            if day.weekday() in self.days:
                yield (
                    datetime.datetime.combine(day, self.begin),
                    datetime.datetime.combine(day + ends_later, self.end),
                )
            day += _DAY


def is_open(windows: Sequence[Window], now: float) -> bool:
    """Tell whether copies may cross now."""
    return not windows or any(_is_open(window, now) for window in windows)


def opens_at(windows: Sequence[Window], now: float) -> float:
    """Return the first moment from now on at which copies may cross."""
    if is_open(windows, now):
        return now
    return _stretches(windows, now)[0][0]


def closes_at(windows: Sequence[Window], now: float) -> float | None:
    """Return the first moment from now on at which no copy may cross.

    None if there is none: the windows leave no gap.
    """
    if not is_open(windows, now):
        return now
    if not windows:
        return None
    end = _stretches(windows, now)[0][1]
    return None if end >= now + _LOOK_AHEAD_S else end


def longest_s(windows: Sequence[Window], now: float) -> float:
    """Return for how long copies can cross without a break, at best.

    It is the longest stretch from now on that begins within the coming weeks;
    infinite if the windows leave no gap after some moment in them.
    """
    if not windows:
        return math.inf
    *whole, last = _stretches(windows, now)
    # That one is cut off where nobody looked further.
    begin_s = last[0]
    closes_s = closes_at(windows, begin_s)
    if closes_s is None:
        return math.inf
    return max(end - begin for begin, end in (*whole, (begin_s, closes_s)))


def describe_opening(windows: Sequence[Window], now: float) -> str:
    """Say when copies may cross: ``window opens 01:00 Europe/Oslo``.

    The day is told as well if it takes longer than one, and the date if it
    takes longer than a week. The clock is that of the window that opens.
    """
    if is_open(windows, now):
        return 'window is open'
    opens_s = opens_at(windows, now)
    zone = next(w.zone for w in windows if _is_open(w, opens_s))
    clock = _clock(zone, opens_s)
    when = f'{clock:%H:%M} {zone}'
    if opens_s - now >= _DAY_S:
        day = DAY_NAMES[clock.weekday()].capitalize()
        date = f' {clock:%Y-%m-%d}' if opens_s - now > 7 * _DAY_S else ''
        when = f'{day}{date} {when}'
    return f'window opens {when}'


def _is_open(window: Window, now: float) -> bool:
    return window.shows(_clock(window.zone, now))


def _clock(zone: datetime.tzinfo, now: float) -> datetime.datetime:
    """Return what the clock of a zone shows, to the second."""
    # fromtimestamp() would round up what is close to the next second.
    moment = datetime.datetime.fromtimestamp(math.floor(now), zone)
    return moment.replace(tzinfo=None)


def _stretches(
    windows: Sequence[Window], now: float
) -> list[tuple[float, float]]:
    """List from when to when any window is open, without overlap."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(
        stretch for window in windows for stretch in _of_one(window, now)
    ):
        if merged and begin <= merged[-1][1]:
            begin, last = merged.pop()
            end = max(end, last)
        merged.append((begin, end))
    return merged


def _of_one(window: Window, now: float) -> Iterator[tuple[float, float]]:
    for since, until, ahead_s in _unchanged(window.zone, now):
        first = _EPOCH + datetime.timedelta(seconds=since + ahead_s)
        last = _EPOCH + datetime.timedelta(seconds=until + ahead_s)
        for begin, end in window.between(first, last):
            stretch = (
                max(since, (begin - _EPOCH).total_seconds() - ahead_s),
                min(until, (end - _EPOCH).total_seconds() - ahead_s),
            )
            if stretch[0] < stretch[1]:
                yield stretch


def _unchanged(
    zone: datetime.tzinfo, now: float
) -> Iterator[tuple[float, float, float]]:
    """Part the coming weeks where the clock of a zone is changed.

    Each part is from when to when, and by how many seconds the clock is
    ahead of UTC in it.
    """
    since, until = now, now + _LOOK_AHEAD_S
    begin = math.floor(now)
    while begin < until:
        end = begin + _STEP_S
        ahead_s = _ahead_s(zone, begin)
        if _ahead_s(zone, end) != ahead_s:
            changed = _change(zone, begin, end)
            yield since, changed, ahead_s
            since = changed
        begin = end
    yield since, until, _ahead_s(zone, math.floor(until))


def _change(zone: datetime.tzinfo, before: int, after: int) -> int:
    """Return the second at which the clock changes between two."""
    ahead_s = _ahead_s(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _ahead_s(zone, middle) == ahead_s:
            before = middle
        else:
            after = middle
    return after


def _ahead_s(zone: datetime.tzinfo, second: int) -> float:
    return (_clock(zone, second) - _EPOCH).total_seconds() - second
