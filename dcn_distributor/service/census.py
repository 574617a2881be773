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
"""Counts all copies while the resync looks at all images.

10,000 images at 200 sites are two million copies, and the look at them must
not become slower by counting. So sites are bits: of an image it takes one
number each to say which sites should have it and which do, and the states of
all its copies are a few operations on these. The sums are kept as columns of
bits, too, one for each binary place, as an adder of hardware does; adding
one to the sums of any number of sites takes two operations on average.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import sites

_STATES = tuple(
    state
    for state in placements.State
    if state is not placements.State.UNWANTED
)

# So many sets of decisions are remembered with the sites they want.
_REMEMBERED = 1024


class Sums:
    """A sum for each site."""

    def __init__(self) -> None:
        self._columns: list[int] = []

    def add(self, places: int) -> None:
        """Add one to the sum of each of these sites."""
        carry = places
        for power, column in enumerate(self._columns):
            if not carry:
                return
            self._columns[power] = column ^ carry
            carry &= column
        if carry:
            self._columns.append(carry)

    def of(self, place: int) -> int:
        """Give one site's sum."""
        return sum(
            (column >> place & 1) << power
            for power, column in enumerate(self._columns)
        )


class _Count:
    """What one look at all images has counted so far, by these sites."""

    def __init__(self, all_sites: sites.Sites, begun_s: float) -> None:
        self.begun_s = begun_s
        self.sites = tuple(all_sites)
        self.desired = Sums()
        self.replicas = {state: Sums() for state in _STATES}
        self.oldest_missing_s: dict[int, float] = {}
        self.objective: dict[int, float] = {}
        self._latest_s = 0.0
        self._missing = 0
        self._bits = {
            site.store: 1 << place for place, site in enumerate(self.sites)
        }
        self._wanted: dict[int, _Wanted] = {}

    def add(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        history: histories.History,
    ) -> None:
        """Count one image."""
        known = self._places_wanted(decided)
        wanted = known.places
        there = self._places(image.stores)
        verified = there & self._places(history.verified)
        left = ~there
        copying = left & self._places(_copying(image, history))
        left &= wanted & ~copying
        failed = left & self._places(
            store
            for store, setback in history.setbacks.items()
            if setback.failures
        )
        self.desired.add(wanted)
        self.replicas[placements.State.VERIFIED].add(verified)
        self.replicas[placements.State.PRESENT].add(there & ~verified)
        self.replicas[placements.State.COPYING].add(copying)
        self.replicas[placements.State.FAILED].add(failed)
        self.replicas[placements.State.ABSENT].add(left & ~failed)
        self._note_missing(wanted & ~there, image.created_at_s)
        if known.deadlines_s and wanted & ~there:
            self._note_late(known, wanted & ~there, image.created_at_s)

    def _note_late(
        self, known: '_Wanted', missing: int, created_s: float
    ) -> None:
        """Note how far each missing copy is on the way to its deadline."""
        for place, deadline_s in known.deadlines_s.items():
            if created_s and missing >> place & 1:
                ratio = max(0.0, self.begun_s - created_s) / deadline_s
                self.objective[place] = max(
                    ratio, self.objective.get(place, 0.0)
                )

    def _note_missing(self, places: int, created_s: float) -> None:
        """Note the oldest image that is missing at each site.

        Glance lists the oldest first, which leaves little to be done.
        """
        if created_s >= self._latest_s:
            self._latest_s = created_s
            places &= ~self._missing
        self._missing |= places
        for place in _set_bits(places):
            oldest_s = self.oldest_missing_s.get(place, created_s)
            self.oldest_missing_s[place] = min(oldest_s, created_s)

    def _places(self, stores: Iterable[images.StoreId]) -> int:
        places = 0
        bits = self._bits
        for store in stores:
            places |= bits.get(store, 0)
        return places

    def _places_wanted(self, decided: decisions.Decisions) -> '_Wanted':
        """Give the sites that are wanted; most images share their decisions.

        The decisions are kept beside, so that their id stays theirs.
        """
        known = self._wanted.get(id(decided))
        if known is None:
            places = self._places(d.site.store for d in decided.wanted)
            if len(self._wanted) >= _REMEMBERED:
                self._wanted.clear()
            known = _Wanted(decided, places, self._deadlines_s(decided))
            self._wanted[id(decided)] = known
        return known

    def _deadlines_s(self, decided: decisions.Decisions) -> dict[int, float]:
        """Give the deadlines of the wanted copies that have one, by place."""
        bits = self._bits
        return {
            bits[decision.site.store].bit_length() - 1: decision.deadline_s
            for decision in decided.wanted
            if decision.deadline_s is not None and decision.site.store in bits
        }


@dataclasses.dataclass(frozen=True, slots=True)
class _Wanted:
    """Which sites decisions want, and by when."""

    decided: decisions.Decisions
    places: int
    deadlines_s: dict[int, float]


class Counting:
    """See the module. One thread counts, any may ask for the last result.

    :param clock: seconds since the epoch
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_s = clock()
        self._count: _Count | None = None
        self._last: observing.Census | None = None

    @property
    def last(self) -> observing.Census | None:
        """What was counted last, None before the first count has ended."""
        return self._last

    def begin(self, all_sites: sites.Sites) -> None:
        """Begin anew; a count that was broken off is dropped."""
        self._count = _Count(all_sites, self._clock())

    def add(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        history: histories.History,
    ) -> None:
        """Count an image, if it has data that could be copied."""
        if self._count is not None and image.is_active:
            self._count.add(image, decided, history)

    def end(self) -> None:
        """End the count, and let it be seen."""
        count = self._count
        if count is None:
            return
        places = {site.name: n for n, site in enumerate(count.sites)}
        self._last = observing.Census(
            ended_s=self._clock(),
            replicas={
                name: {
                    state: sums.of(place)
                    for state, sums in count.replicas.items()
                }
                for name, place in places.items()
            },
            desired={
                name: count.desired.of(place) for name, place in places.items()
            },
            converged_s={
                name: self._converged_s(name, place, count)
                for name, place in places.items()
            },
            objective={
                name: count.objective.get(place, 0.0)
                for name, place in places.items()
            },
        )
        self._count = None

    def _converged_s(
        self, name: sites.SiteName, place: int, count: _Count
    ) -> float:
        """Tell until when all that was wanted by then is there.

        A missing copy was not wanted before its image was there. So images
        that come all the time do not keep it back; an older image that is
        missing keeps it where it was. Of the time before the agent began to
        count nothing is known, and nobody is blamed for it.
        """
        before_s = self._began_s
        if self._last is not None:
            before_s = self._last.converged_s.get(name, before_s)
        missing_s = count.oldest_missing_s.get(place, count.begun_s)
        return max(before_s, min(missing_s, count.begun_s))


def _copying(
    image: images.Image, history: histories.History
) -> tuple[images.StoreId, ...]:
    """Name the stores that a copy is under way to."""
    stores = () if history.request is None else history.request.stores
    return stores if image.import_task is None else stores + image.importing_to


def _set_bits(places: int) -> Iterator[int]:
    while places:
        lowest = places & -places
        yield lowest.bit_length() - 1
        places ^= lowest
