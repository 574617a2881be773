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
"""How long a member of a group may act by what it has read of the group.

An agent's entry in its group lapses one lease after its last heartbeat, and
the links it had fall to others by the ring. Nobody tells it so: it may be cut
off, or stopped and continued. Hence it goes by its own clock:

1. With every beat an agent renews its entry, then reads who is in. It goes by
   what it read until one lease after the moment the beat *began*, less a
   margin; its entry lapses later than that, whatever the answer took.
2. After that it is out, and stays so until it has joined anew. A renewal that
   ends later than that counts for nothing: the entry may have lapsed before
   it, others may have seen that, and some coordinators let it come back.
3. Who has joined takes no links for one lease, unless it finds nobody else.
   All others have read by then that it is in, or are out themselves.

So of two agents that act, each sees the other. A ring gives a link to whoever
has the point nearest to it, so two such agents never both take one, whatever
else they disagree on.

An agent that does not hear the bus is of no use to its links: it would learn
of their images late, and nobody could call it. It says so in its id, and links
are shared out among those that hear; among all if none does. To say so is to
leave, and to join as another: so of two agents that act, each also knows what
the other says, and all of the above holds.

Each stay in the group has an id of its own, never used before. That one is
listed means that this stay has not lapsed, and what died or hung can be told
from what took its place, under the same name too.
"""

from collections.abc import Iterable
import dataclasses
import enum

# How soon at the latest others see who has come and who has left.
_SLOWEST_BEAT_S = 2.0
_DEAF = '.deaf'


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """After how many seconds without a heartbeat an entry lapses."""

    timeout_s: float

    @property
    def trust_s(self) -> float:
        """How long a read of the group counts, from before it was begun.

        The rest of the lease is for clocks that run apart, and for what was
        decided a moment ago.
        """
        return self.timeout_s * 0.9

    @property
    def beat_s(self) -> float:
        """How long to wait after one heartbeat for the next."""
        return min(_SLOWEST_BEAT_S, self.timeout_s / 6)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Stay:
    """One stay of a process in the group, between joining and leaving.

    :ivar name: the agent's, which the ring goes by
    :ivar process: tells processes of one name apart
    :ivar number: tells the stays of one process apart
    :ivar is_deaf: whether it does not hear the bus
    """

    name: str
    process: str
    number: int
    is_deaf: bool = False

    @property
    def id(self) -> str:
        """What it is called in the group."""
        deaf = _DEAF if self.is_deaf else ''
        return f'{self.name}@{self.process}.{self.number}{deaf}'

    @classmethod
    def parse(cls, text: str) -> 'Stay':
        """Read an id; one that is not ours is a name."""
        name, _, rest = text.removesuffix(_DEAF).rpartition('@')
        process, _, number = rest.rpartition('.')
        if not (name and process and number.isdecimal()):
            return cls(text, '', 0)
        return cls(name, process, int(number), text.endswith(_DEAF))

    def next(self, *, is_deaf: bool) -> 'Stay':
        """Give the stay of the same process after this one."""
        return Stay(self.name, self.process, self.number + 1, is_deaf)


class Standing(enum.Enum):
    """Where a member stands."""

    OUT = 'out'
    JOINING = 'joining'
    IN = 'in'


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What was read of the group in one stay. Times are of a steady clock.

    :ivar members: the names of all that are in, sorted
    :ivar takers: of these, those that links are shared out among
    :ivar acts_from: when the others must know of this stay
    :ivar holds_until: when all this counts no more
    :ivar has_namesake: whether another process of the same name was first
    """

    stay: Stay
    members: tuple[str, ...]
    takers: tuple[str, ...]
    acts_from: float
    holds_until: float
    has_namesake: bool

    def standing(self, now: float) -> Standing:
        """Tell where the reader stands."""
        if now >= self.holds_until:
            return Standing.OUT
        if self.has_namesake or now < self.acts_from:
            return Standing.JOINING
        return Standing.IN

    def next_change(self, now: float) -> float:
        """Tell when the standing may change by itself."""
        if self.acts_from > now:
            return min(self.acts_from, self.holds_until)
        return self.holds_until


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What one beat has read.

    :ivar ids: those in the group
    :ivar begun: when the beat began
    :ivar renewed: when the coordinator had renewed the entry, if not before
    """

    ids: frozenset[str]
    begun: float
    renewed: float


def first_view(
    stay: Stay, asked: float, joined: float, reading: Reading, lease: Lease
) -> View | None:
    """Make a view of what was read first after joining.

    None if the stay has lapsed: by what was read, or by the clock.

    :param asked: when the coordinator was asked to take the stay in
    :param joined: when it had done so, if not before
    """
    stays = _parse(reading.ids)
    if stay not in stays or reading.renewed >= asked + lease.trust_s:
        return None
    is_alone = all(_is_own(stay, other) for other in stays)
    return View(
        stay,
        _names(stays),
        _takers(stay, stays),
        acts_from=joined if is_alone else joined + lease.timeout_s,
        holds_until=reading.begun + lease.trust_s,
        has_namesake=_has_namesake(stay, stays),
    )


def next_view(before: View, reading: Reading, lease: Lease) -> View | None:
    """Make a view of what was read later in the same stay.

    None if the stay has lapsed: by what was read, or by the clock.
    """
    stays = _parse(reading.ids)
    standing = before.standing(reading.renewed)
    if before.stay not in stays or standing is Standing.OUT:
        return None
    return dataclasses.replace(
        before,
        members=_names(stays),
        takers=_takers(before.stay, stays),
        holds_until=reading.begun + lease.trust_s,
        has_namesake=(
            standing is Standing.JOINING and _has_namesake(before.stay, stays)
        ),
    )


def _parse(ids: Iterable[str]) -> frozenset[Stay]:
    return frozenset(Stay.parse(text) for text in ids)


def _names(stays: Iterable[Stay]) -> tuple[str, ...]:
    return tuple(sorted({stay.name for stay in stays}))


def _takers(stay: Stay, stays: Iterable[Stay]) -> tuple[str, ...]:
    """Name those that links are shared out among.

    What is left of the reader's former stays does not count: others may not
    see it any more.
    """
    known = {other for other in stays if other.name != stay.name} | {stay}
    hearing = {other for other in known if not other.is_deaf}
    return _names(hearing or known)


def _is_own(stay: Stay, other: Stay) -> bool:
    return (stay.name, stay.process) == (other.name, other.process)


def _has_namesake(stay: Stay, stays: Iterable[Stay]) -> bool:
    return any(
        other.name == stay.name and not _is_own(stay, other) for other in stays
    )
