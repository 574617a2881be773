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
"""The matrix of images and sites: rows, tallies, and what is not in order.

Rows are made one at a time, so that a cloud of any size passes through in
little memory. Most images of a cloud have nothing particular about them:
their placements follow from what the policies decide and from the stores
they are in. These are worked out once for all images that share a decision.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from dcn_distributor.core import decisions
from dcn_distributor.core import images
from dcn_distributor.core import memory as memories
from dcn_distributor.core import pauses
from dcn_distributor.core import placements
from dcn_distributor.core import policies
from dcn_distributor.core import resting
from dcn_distributor.core import sites

# How many decisions are remembered with their placements.
_REMEMBERED = 1024

_TELLING = (
    placements.State.ABSENT,
    placements.State.COPYING,
    placements.State.FAILED,
)
_SEVERITY = (
    placements.State.FAILED,
    placements.State.COPYING,
    placements.State.ABSENT,
    placements.State.PRESENT,
    placements.State.VERIFIED,
    placements.State.UNWANTED,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which cells are asked for; an empty collection selects all.

    `policy` selects the placements whose decision that policy settled.
    """

    site_names: Collection[sites.SiteName] = ()
    policy: str | None = None

    def selects(self, placement: placements.Placement) -> bool:
        """Tell whether a cell is asked for."""
        decision = placement.decision
        if self.policy is not None and decision.policy != self.policy:
            return False
        return not self.site_names or decision.site.name in self.site_names


EVERYTHING = Selection()


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """How many placements are how; unwanted ones are not counted.

    `present` counts wanted copies, `extra` those that no policy asks for.
    `bytes_left` is what copies still have to carry, as far as sizes are
    known.
    """

    wanted: int = 0
    present: int = 0
    copying: int = 0
    failed: int = 0
    absent: int = 0
    extra: int = 0
    bytes_left: int = 0

    def __add__(self, other: 'Tally') -> 'Tally':
        return Tally(
            self.wanted + other.wanted,
            self.present + other.present,
            self.copying + other.copying,
            self.failed + other.failed,
            self.absent + other.absent,
            self.extra + other.extra,
            self.bytes_left + other.bytes_left,
        )

    @property
    def is_complete(self) -> bool:
        """True if every wanted copy is present."""
        return self.present == self.wanted

    @property
    def is_in_order(self) -> bool:
        """True if there is nothing to tell: complete, and nothing moves."""
        return self.is_complete and not self.copying


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One image and its placements, in the order of sites.yaml.

    Nearly all copies of a large cloud are where they should be, so those are
    counted once for all images that share a decision.

    :ivar apart: those that are not simply there
    :ivar rest: the tally of all others, which are
    """

    image: images.Image
    cells: tuple[placements.Placement, ...]
    apart: tuple[placements.Placement, ...]
    rest: Tally

    @property
    def matters(self) -> bool:
        """True if a copy is wanted, on its way, or there.

        An image that is not active has nothing to copy, wanted or not.
        """
        return bool(self.rest.present or self.rest.extra) or any(
            p.state is not placements.State.UNWANTED
            and (self.image.is_active or not p.is_missing)
            for p in self.apart
        )

    @property
    def telling(self) -> tuple[placements.Placement, ...]:
        """Those that are missing or on their way."""
        return tuple([p for p in self.apart if p.state in _TELLING])

    def tally(self) -> Tally:
        """Count the placements."""
        if not self.apart:
            return self.rest
        telling = self.telling
        states = [p.state for p in telling]
        there = _there(self.apart)
        return self.rest + Tally(
            wanted=there.wanted + sum([p.decision.wanted for p in telling]),
            present=there.present,
            copying=states.count(placements.State.COPYING),
            failed=states.count(placements.State.FAILED),
            absent=states.count(placements.State.ABSENT),
            extra=there.extra,
            bytes_left=self.bytes_left(telling),
        )

    def bytes_left(self, telling: Sequence[placements.Placement]) -> int:
        """What copies still have to carry, 0 if the size is not known."""
        size_bytes = self.image.size_bytes
        if size_bytes is None:
            return 0
        copied = [p.copied_bytes for p in telling if p.copied_bytes]
        return max(0, size_bytes * len(telling) - sum(copied))


def _there(cells: Iterable[placements.Placement]) -> Tally:
    """Count those that are there."""
    there = [p.decision.wanted for p in cells if p.is_there]
    present = sum(there)
    return Tally(wanted=present, present=present, extra=len(there) - present)


@dataclasses.dataclass(frozen=True, slots=True)
class _Pattern:
    """The placements of an unremarkable image, by where it is.

    :ivar there: those of one that is everywhere
    :ivar missing: those of one that is nowhere
    :ivar tally: of `there`
    """

    decided: decisions.Decisions
    places: Mapping[images.StoreId, int]
    there: tuple[placements.Placement, ...]
    missing: tuple[placements.Placement, ...]
    tally: Tally

    def row(
        self,
        image: images.Image,
        observe: Callable[[placements.Placement], placements.Placement] | None,
        looks_at_all: bool,
    ) -> Row:
        """Lay an image's placements out.

        `observe` judges those again that the image lacks, or all of them;
        None leaves all as they are.
        """
        if looks_at_all:
            stores = [*self.places]
        else:
            stores = [*(self.places.keys() - image.stores)]
        if not stores:
            return Row(image, self.there, (), self.tally)
        cells = [*self.there]
        apart = []
        places = sorted([self.places[store] for store in stores])
        for place in places:
            cell = self.missing[place]
            cells[place] = cell if observe is None else observe(cell)
            apart.append(cells[place])
        less = _there([self.there[place] for place in places])
        rest = dataclasses.replace(
            self.tally,
            wanted=self.tally.wanted - less.wanted,
            present=self.tally.present - less.present,
            extra=self.tally.extra - less.extra,
        )
        return Row(image, tuple(cells), tuple(apart), rest)


class Survey:
    """Makes the rows, by the rules and by what is known at one moment.

    :param known_stores: the stores that Glance has
    :param now: seconds since the epoch
    """

    def __init__(
        self,
        policy_set: policies.PolicySet,
        known_stores: frozenset[images.StoreId],
        memory: memories.Memory,
        now: float,
        selection: Selection,
    ) -> None:
        self._policies = policy_set
        self._evidence = placements.Evidence(
            None, known_stores, memory, now, memory.standing
        )
        self._selection = selection
        self._patterns: dict[int, _Pattern] = {}

    def row(self, image: images.Image, task: images.ImportTask | None) -> Row:
        """Judge the selected placements of one image.

        `task` is the one that holds its lock, if Glance still has it.
        """
        decided = self._policies.decide(image)
        pattern = self._pattern(image, decided)
        if self._is_unremarkable(image):
            return pattern.row(image, None, looks_at_all=False)
        evidence = dataclasses.replace(
            self._evidence, task=task, resting=self._resting(image, decided)
        )
        return pattern.row(
            image,
            lambda cell: placements.observe(image, cell.decision, evidence),
            bool(self._evidence.memory.verified_of(image.id)),
        )

    def _is_unremarkable(self, image: images.Image) -> bool:
        return (
            image.is_active
            and image.import_task is None
            and not image.failed_import
            and not self._evidence.memory.knows(image.id)
        )

    def _pattern(
        self, image: images.Image, decided: decisions.Decisions
    ) -> _Pattern:
        # The policies hand out the same object for all images that fit the
        # same of them. A pattern holds it, so that its id stays its own.
        pattern = self._patterns.get(id(decided))
        if pattern is None:
            if len(self._patterns) >= _REMEMBERED:
                self._patterns.clear()
            pattern = self._make_pattern(image, decided)
            self._patterns[id(decided)] = pattern
        return pattern

    def _make_pattern(
        self, image: images.Image, decided: decisions.Decisions
    ) -> _Pattern:
        nowhere = dataclasses.replace(
            image,
            id=images.ImageId(''),
            status=images.ACTIVE,
            stores=frozenset(),
            import_task=None,
            failed_import=frozenset(),
        )
        everywhere = dataclasses.replace(
            nowhere, stores=frozenset(d.site.store for d in decided.by_site)
        )
        evidence = dataclasses.replace(
            self._evidence, resting=self._resting(image, decided)
        )
        missing = tuple(
            cell
            for decision in decided.by_site
            if self._selection.selects(
                cell := placements.observe(nowhere, decision, evidence)
            )
        )
        there = tuple(
            placements.observe(everywhere, cell.decision, evidence)
            for cell in missing
        )
        places = {
            cell.decision.site.store: place
            for place, cell in enumerate(missing)
        }
        return _Pattern(decided, places, there, missing, _there(there))

    def _resting(
        self, image: images.Image, decided: decisions.Decisions
    ) -> Mapping[images.StoreId, pauses.Word]:
        words = self._evidence.standing.pauses
        return resting.words(image, decided, words, self._policies)


@dataclasses.dataclass(slots=True)
class Finding:
    """Placements that are not in order for the same reason.

    `one` is any of them, with the image it is of; `next_try_s` is the
    earliest of theirs.
    """

    state: placements.State
    reason: str
    row: Row
    one: placements.Placement
    image_ids: set[images.ImageId]
    site_names: dict[sites.SiteName, None]
    bytes_left: int = 0
    next_try_s: float | None = None

    def note(self, row: Row, cells: Sequence[placements.Placement]) -> None:
        """Count placements of one image."""
        self.image_ids.add(row.image.id)
        self.site_names.update((p.decision.site.name, None) for p in cells)
        self.bytes_left += row.bytes_left(cells)
        for placement in cells:
            when_s = placement.next_try_s if placement.setback else None
            if when_s is not None:
                self.next_try_s = min(when_s, self.next_try_s or when_s)


class Totals:
    """Sums rows up, and groups what is not in order by its reason."""

    def __init__(self) -> None:
        self.images = 0
        self.tally = Tally()
        self._findings: dict[tuple[placements.State, str], Finding] = {}

    def add(self, row: Row, tally: Tally) -> None:
        """Count one row, whose tally is given."""
        self.images += 1
        self.tally += tally
        for cells in _by_reason(row.telling):
            key = (cells[0].state, cells[0].reason)
            finding = self._findings.get(key)
            if finding is None:
                finding = Finding(*key, row, cells[0], set(), {})
                self._findings[key] = finding
            finding.note(row, cells)

    def findings(self) -> tuple[Finding, ...]:
        """Return what is not in order, the worst and most frequent first."""
        return tuple(
            sorted(
                self._findings.values(),
                key=lambda f: (
                    severity(f.state),
                    -len(f.image_ids) * len(f.site_names),
                    f.row.image.name,
                ),
            )
        )


def _by_reason(
    cells: Iterable[placements.Placement],
) -> Iterable[Sequence[placements.Placement]]:
    """Group by reason; one reason stands for one state."""
    groups: dict[str, list[placements.Placement]] = {}
    for placement in cells:
        groups.setdefault(placement.reason, []).append(placement)
    return groups.values()


def severity(state: placements.State) -> int:
    """Rank a state: 0 is what a person should see first."""
    return _SEVERITY.index(state)


def by_name(row: Row) -> tuple[str, str]:
    """Sort rows as people look for them: this is the key."""
    return row.image.name.casefold(), row.image.id
