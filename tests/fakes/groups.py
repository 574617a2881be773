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
"""A group of agents in memory, in virtual time.

Members go by the same rules as real ones (core.membership) and share links
out by the same ring. Nothing happens before a test lets time pass.
"""

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
import functools
import itertools

from dcn_distributor.clients import coordination
from dcn_distributor.core import membership
from tests.fakes import clock as clocks

# Any test asks for few groups, but for their links again and again.
_ring = functools.lru_cache(coordination.Ring)


class Unanswered(Exception):
    """The coordinator gives no answer."""


class Coordinator:
    """Who is in, and until when.

    A late renewal brings an entry back that had lapsed, as that of the file
    driver does.

    :ivar is_frozen: nothing is answered, and no entry lapses
    """

    def __init__(
        self,
        clock: clocks.Clock,
        lease: membership.Lease | None = None,
    ) -> None:
        self.clock = clock
        self.lease = lease or membership.Lease(30.0)
        self.is_frozen = False
        self._ends: dict[str, float] = {}
        self._groups: list[Group] = []
        self._processes = itertools.count()

    def group(
        self, name: str, on_change: Callable[[], None] = lambda: None
    ) -> 'Group':
        """Make what one agent has of the group; start() makes it join."""
        process = f'p{next(self._processes)}'
        made = Group(self, membership.Stay(name, process, 0), on_change)
        self._groups.append(made)
        return made

    def advance(self, seconds: float) -> None:
        """Let time pass, and what falls due in it happen."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            step_s = self.lease.beat_s / 4
            self.clock.now = min(end, self.clock.now + step_s)
            for group in self._groups:
                group.tick()

    def add(self, member: str) -> None:
        """Take a member in."""
        self._answer()
        self._ends[member] = self.clock.now + self.lease.timeout_s

    def renew(self, member: str) -> None:
        """Put off the end of an entry that was not removed."""
        self._answer()
        if member in self._ends:
            self.add(member)

    def read(self) -> frozenset[str]:
        """Tell who is in."""
        self._answer()
        now = self.clock.now
        return frozenset(m for m, end in self._ends.items() if end > now)

    def remove(self, member: str) -> None:
        """Let a member leave."""
        self._answer()
        self._ends.pop(member, None)

    def _answer(self) -> None:
        if self.is_frozen:
            raise Unanswered


class Group:
    """See ports.Group.

    :ivar is_cut_off: no word of it reaches the coordinator
    :ivar is_deaf: it does not hear the bus
    :ivar is_stopped: the process does nothing until it is continued; it can
        still be asked, as if that came first then
    :ivar steps: how many more steps of its beats it takes before it hangs in
        the next one; None if it does not
    """

    def __init__(
        self,
        coordinator: Coordinator,
        stay: membership.Stay,
        on_change: Callable[[], None],
    ) -> None:
        self.is_cut_off = False
        self.is_deaf = False
        self.is_stopped = False
        self.steps: int | None = None
        self._beating: Iterator[None] = iter(())
        self._coordinator = coordinator
        self._stay = stay
        self._on_change = on_change
        self._is_started = False
        self._view: membership.View | None = None
        self._next_beat = 0.0
        self._told = self._seen()

    def members(self) -> tuple[str, ...]:
        """See Group."""
        return self._seen()[1]

    def owner(self, link: str) -> str | None:
        """See Group."""
        standing, members = self._seen()
        takers = self._view.takers if self._view and members else ()
        owner = _ring(takers).owner(link)
        is_in = standing is membership.Standing.IN
        return owner if is_in or owner != self._stay.name else None

    def is_ours(self, link: str) -> bool:
        """See Group."""
        return self.owner(link) == self._stay.name

    def problem(self) -> str | None:
        """See Group."""
        standing, _ = self._seen()
        is_in = standing is membership.Standing.IN
        return None if is_in else standing.value

    def start(self) -> None:
        """See Group; it joins when time passes."""
        self._is_started = True

    def stop(self) -> None:
        """See Group."""
        self._is_started = False
        self._view = None
        if not (self.is_cut_off or self._coordinator.is_frozen):
            self._coordinator.remove(self._stay.id)

    def die(self) -> None:
        """End without leaving."""
        self._is_started = False
        self._view = None

    def tick(self) -> None:
        """Do what falls due now."""
        if not self._is_started or self.is_stopped:
            return
        while self._may_step() and self._step():
            pass
        if self._told != self._seen():
            self._told = self._seen()
            self._on_change()

    def _may_step(self) -> bool:
        if not self.steps:
            return self.steps is None
        self.steps -= 1
        return True

    def _step(self) -> bool:
        """Take one step of a beat, if one is under way or due."""
        if self.is_cut_off:
            self._beating = iter(())
            return False
        try:
            next(self._beating)
        except Unanswered:
            self._beating = iter(())
            return False
        except StopIteration:
            if self._coordinator.clock.now < self._next_beat:
                return False
            self._beating = self._beat()
        return True

    def _beat(self) -> Iterator[None]:
        """Renew the stay, or begin another; time may pass at each yield."""
        lease, clock = self._coordinator.lease, self._coordinator.clock
        self._next_beat = clock.now + lease.beat_s
        is_out = self._seen()[0] is membership.Standing.OUT
        if not is_out and self._stay.is_deaf == self.is_deaf:
            before = self._view
            assert before is not None
            reading = yield from self._read()
            self._view = membership.next_view(before, reading, lease)
            return
        self._view = None
        if is_out:
            # Otherwise it lapses, as where leaving fails.
            self._coordinator.remove(self._stay.id)
        self._stay = self._stay.next(is_deaf=self.is_deaf)
        asked = clock.now
        yield
        self._coordinator.add(self._stay.id)
        yield
        joined = clock.now
        reading = yield from self._read()
        self._view = membership.first_view(
            self._stay, asked, joined, reading, lease
        )

    def _read(self) -> Generator[None, None, membership.Reading]:
        clock = self._coordinator.clock
        begun = clock.now
        yield
        self._coordinator.renew(self._stay.id)
        yield
        renewed = clock.now
        yield
        ids = self._coordinator.read()
        yield
        return membership.Reading(ids, begun, renewed)

    def _seen(self) -> tuple[membership.Standing, tuple[str, ...]]:
        if self._view is None:
            return membership.Standing.OUT, ()
        standing = self._view.standing(self._coordinator.clock.now)
        is_out = standing is membership.Standing.OUT
        return standing, () if is_out else self._view.members
