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
"""What crosses one link, played in virtual time: who goes when, how fast.

1. Copies wait in the order of their jobs. One begins as soon as the link
   has room, by its number of transfers; nothing begins outside its windows.
2. Those under way share its rate, each the same, but for a stream that may
   only go slower: the others share what it leaves.
3. A stream is broken off when the window closes, and goes on in the next.
4. An import goes on. So none begins that cannot be over, at the rate of the
   link, when the window closes; unless it fits into no window at all. And as
   imports cannot be slowed, they go one after the other.
5. Without a rate nobody knows when a copy ends, nor when one begins that
   waits for that.

All this is what the planner, the gates and the limits of streams come to
when all copies are known at once, and none fails.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import heapq
import math
from typing import NamedTuple

from dcn_distributor.core import windows

# What comes later is not worth a word: other images are there by then.
HORIZON_S = 366 * 86_400.0

# Less is what rounding leaves.
_EPSILON_BYTES = 1e-3

_Windows = tuple[windows.Window, ...]


# Jobs and trips are made by the million, and tuples in half the time.
class Job(NamedTuple):
    """One copy that is to cross the link.

    :ivar left_bytes: what it still has to carry
    :ivar not_before_s: in seconds since the epoch; infinite for never
    :ivar cap_bytes_s: how fast it may go at most
    """

    left_bytes: float
    not_before_s: float = 0.0
    is_import: bool = False
    is_under_way: bool = False
    cap_bytes_s: float = math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class Road:
    """The link, as far as it counts here.

    :ivar slots: how many copies may be under way at once
    :ivar rate_bytes_s: of all together; None if nobody knows
    """

    slots: int
    rate_bytes_s: float | None
    windows: _Windows = ()


class Trip(NamedTuple):
    """When a copy begins and ends; None if nobody knows, or never."""

    starts_s: float | None = None
    ends_s: float | None = None


class Spell(NamedTuple):
    """A time during which nothing changes.

    :ivar speeds: of all copies under way, in bytes per second, by the place
        of their jobs; 0 of a stream that is broken off for now
    """

    begins_s: float
    ends_s: float
    speeds: Mapping[int, float]


NOWHERE = Trip()


def trips(jobs: Sequence[Job], road: Road, now: float) -> list[Trip]:
    """Tell of each job when it begins and ends, as far as can be known."""
    play = _Play(jobs, road, now)
    for _ in play.spells():
        pass
    starts, ends = play.starts, play.ends
    return [
        Trip(starts[place], ends.get(place)) if place in starts else NOWHERE
        for place in range(len(jobs))
    ]


def spells(jobs: Sequence[Job], road: Road, now: float) -> Iterator[Spell]:
    """Tell what happens at all, one spell after the other."""
    return _Play(jobs, road, now).spells()


class _Play:
    """One link's future. Copies are told by the places of their jobs."""

    def __init__(self, jobs: Sequence[Job], road: Road, now: float) -> None:
        self._jobs = jobs
        self._road = road
        self._now = now
        self._horizon_s = now + HORIZON_S
        self._hours = _Hours(road.windows, now)
        self._left = {
            place: job.left_bytes
            for place, job in enumerate(jobs)
            if job.is_under_way
        }
        # Places stand for ranks, and compare faster. Whatever is in order is
        # a heap.
        self._streams: list[int] = []
        self._imports: list[int] = []
        self._later: list[tuple[float, int]] = []
        for place, job in enumerate(jobs):
            if not job.is_under_way and job.not_before_s <= now:
                self._line(job).append(place)
            elif not job.is_under_way and job.not_before_s < math.inf:
                heapq.heappush(self._later, (job.not_before_s, place))
        self.starts = dict.fromkeys(self._left, now)
        self.ends: dict[int, float] = {}

    def spells(self) -> Iterator[Spell]:
        """Play, until nothing more can be known."""
        while self._now < self._horizon_s:
            self._admit()
            self._hours.see(self._now)
            self._start()
            speeds = self._speeds()
            until_s = min(self._next_changes(speeds), default=math.inf)
            if not speeds and until_s == math.inf:
                return
            yield Spell(self._now, until_s, speeds)
            if until_s == math.inf:
                return
            self._move(speeds, until_s)

    def _admit(self) -> None:
        """Have those wait for room whose time has come."""
        while self._later and self._later[0][0] <= self._now:
            _, place = heapq.heappop(self._later)
            heapq.heappush(self._line(self._jobs[place]), place)

    def _line(self, job: Job) -> list[int]:
        return self._imports if job.is_import else self._streams

    def _start(self) -> None:
        """Begin what may begin now, in order."""
        while self._hours.is_open and self._has_room():
            line = self._first_line()
            if not line:
                return
            place = heapq.heappop(line)
            self._left[place] = self._jobs[place].left_bytes
            self.starts[place] = self._now

    def _first_line(self) -> list[int]:
        """Return the line whose turn it is, empty if nothing may begin."""
        streams, imports = self._streams, self._imports
        if not imports or (streams and streams[0] < imports[0]):
            return streams
        return imports if self._may_import() else streams

    def _has_room(self) -> bool:
        return len(self._left) < self._road.slots

    def _may_import(self) -> bool:
        """Tell whether the import whose turn it is may begin now."""
        rate = self._road.rate_bytes_s
        if rate is None:
            return True
        if any(self._jobs[place].is_import for place in self._left):
            return False
        job = self._jobs[self._imports[0]]
        needs_s = job.left_bytes / rate
        return (
            self._now + needs_s <= self._hours.closes_s
            or needs_s > self._hours.longest_s()
        )

    def _speeds(self) -> dict[int, float]:
        rate = self._road.rate_bytes_s
        if rate is not None and self._hours.is_open:
            return _share(rate, self._caps(self._left))
        speeds = dict.fromkeys(self._left, 0.0)
        if rate is not None:
            imports = [p for p in self._left if self._jobs[p].is_import]
            speeds.update(_share(rate, self._caps(imports)))
        return speeds

    def _caps(self, places: Iterable[int]) -> dict[int, float]:
        return {place: self._jobs[place].cap_bytes_s for place in places}

    def _next_changes(self, speeds: Mapping[int, float]) -> Iterator[float]:
        """When something will be different, in seconds since the epoch."""
        for place, speed in speeds.items():
            if speed:
                yield self._now + self._left[place] / speed
        has_room = self._has_room()
        if self._later and has_room:
            yield self._later[0][0]
        waits = self._streams or self._imports
        if (
            has_room and waits
            if self._road.rate_bytes_s is None
            else self._left or waits
        ):
            yield self._hours.change_s()

    def _move(self, speeds: Mapping[int, float], until_s: float) -> None:
        spent_s = until_s - self._now
        self._now = until_s
        for place, speed in speeds.items():
            left = self._left[place] - speed * spent_s
            if speed and (left < _EPSILON_BYTES or left < speed * 1e-6):
                del self._left[place]
                if until_s <= self._horizon_s:
                    self.ends[place] = until_s
            else:
                self._left[place] = left


class _Hours:
    """Whether the windows are open, and until when, as time goes by."""

    def __init__(self, link_windows: _Windows, now: float) -> None:
        self._windows = link_windows
        self._now = now
        self._opens_s = now
        self.closes_s = now
        self._longest_s: float | None = None
        if not link_windows:
            self.closes_s = math.inf

    @property
    def is_open(self) -> bool:
        """Tell whether copies may cross at the moment seen last."""
        return self._opens_s <= self._now < self.closes_s

    def see(self, now: float) -> None:
        """Come to a moment that is not before the last."""
        self._now = now
        if now >= self.closes_s:
            self._opens_s = windows.opens_at(self._windows, now)
            closes_s = windows.closes_at(self._windows, self._opens_s)
            self.closes_s = math.inf if closes_s is None else closes_s
            self._longest_s = None

    def change_s(self) -> float:
        """Return when the windows open or close next, infinite if never."""
        return self.closes_s if self.is_open else self._opens_s

    def longest_s(self) -> float:
        """Return for how long they are open without a break, at best."""
        if self._longest_s is None:
            self._longest_s = windows.longest_s(self._windows, self._opens_s)
        return self._longest_s


def _share(rate: float, caps: Mapping[int, float]) -> dict[int, float]:
    """Share a rate evenly, what some may not take going to the others."""
    left, takers = rate, len(caps)
    if all(cap * takers >= rate for cap in caps.values()):
        return dict.fromkeys(caps, rate / takers) if caps else {}
    speeds = {}
    for place in sorted(caps, key=caps.__getitem__):
        speeds[place] = min(caps[place], left / takers)
        left -= speeds[place]
        takers -= 1
    return speeds
