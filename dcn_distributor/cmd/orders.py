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
"""An order of copies: given to an agent, and followed to its end.

Glance is the witness: a copy is there once Glance lists its store. What the
agent tells explains what is not there yet, and how a stream gets on. An
agent that was started anew has forgotten the order; it is given again then,
which is safe however often it happens.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum
from typing import Any
from typing import TYPE_CHECKING

from dcn_distributor import exceptions
from dcn_distributor.cmd import hearsay
from dcn_distributor.cmd import rendering
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import transfers

if TYPE_CHECKING:
    from dcn_distributor import app

# An order that an agent does not know at so many looks, it has forgotten.
_LOOKS_TO_BE_SURE = 2

# One that does not take it again at once may be given so much time to.
_PATIENCE_S = 60.0


class State(enum.Enum):
    """How one site stands. The last three are ends."""

    WAITING = 'waiting'
    COPYING = 'copying'
    PRESENT = 'present'
    FAILED = 'failed'
    REFUSED = 'refused'

    @property
    def is_end(self) -> bool:
        """True if nothing follows."""
        return self in (State.PRESENT, State.FAILED, State.REFUSED)


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """One site of an order, as last seen.

    :ivar report: of the stream that works, or worked, for it
    :ivar copied_bytes: what Glance tells of an import of its own
    :ivar reason: why it waits, failed or was refused; empty if not known
    :ivar waited_s: from the order to its end
    """

    site: sites.Site
    state: State = State.WAITING
    engine: str | None = None
    report: transfers.Report | None = None
    copied_bytes: int | None = None
    reason: str = ''
    waited_s: float | None = None

    @property
    def lane(self) -> transfers.Lane | None:
        """Its part in the stream."""
        return hearsay.lane(self.report, self.site.store)


class Order:
    """See the module. Nothing is asked before place().

    :ivar image: as last read; what is ordered
    :ivar hosts: where the agents run that took it
    """

    def __init__(
        self,
        world: 'app.World',
        image: images.Image,
        all_sites: Sequence[sites.Site],
        engine: str | None,
    ) -> None:
        self.image = image
        self.hosts: tuple[str, ...] = ('',)
        self._world = world
        self._engine = engine
        self._standings = {site.store: Standing(site) for site in all_sites}
        self._past: frozenset[float] = frozenset()
        self._unheard: frozenset[str] = frozenset()
        self._unknown: dict[images.StoreId, int] = {}
        self._refused_s: dict[images.StoreId, float] = {}
        self._silent: set[str] = set()
        self._failed_before: dict[images.StoreId, str] = {}
        self._news: list[str] = []
        self._told: set[tuple[images.StoreId, str]] = set()
        self._placed_s = 0.0

    @property
    def standings(self) -> tuple[Standing, ...]:
        """All sites, in the order they were given."""
        return tuple(self._standings.values())

    @property
    def is_over(self) -> bool:
        """True if every site has come to its end."""
        return all(one.state.is_end for one in self.standings)

    def take_news(self) -> list[str]:
        """What a person should read, since the last time."""
        news, self._news = self._news, []
        return news

    def place(self, *, is_followed: bool) -> None:
        """Give the order, but for sites that have the image.

        Raises BusUnavailable if no agent answers, and none is known to have
        taken the order. With `is_followed`, it is enough that one answered a
        moment before: the looks that follow will show, and give the order
        again if need be.
        """
        self._settle_those_present()
        if self.is_over:
            return
        told = self._world.agent.transfers()
        self._past = hearsay.ended(hearsay.reports(told, self.image.id))
        self._placed_s = self._world.clock()
        try:
            refused = self._ask_for(self._open(), is_followed)
        except exceptions.BusUnavailable as exc:
            if self._is_known_to_agent():
                return
            may_have = f'{exc} (it may have taken the order all the same)'
            if not is_followed:
                raise exceptions.BusUnavailable(may_have) from exc
            self._news.append(may_have)
            return
        for one, reason in refused:
            self._end(one, State.REFUSED, reason)
        if any(one.state is State.REFUSED for one in self.standings):
            self.image = self._world.images.get(self.image.id)
            self._settle_those_present()

    def look(self) -> None:
        """See how far all are, and give the order again if need be.

        A Glance or an agent that does not answer is told as news, once.
        """
        heard = self._hear()
        try:
            task = self._read()
        except exceptions.ImageNotFound:
            for one in self._open():
                self._end(one, State.FAILED, 'the image is gone')
            return
        except exceptions.DistributorError as exc:
            self._note_silence('Glance', str(exc))
            return
        self._note_answer('Glance')
        forgotten = []
        for one in self._open():
            judged = self._judge(one, task, heard)
            self._keep(judged)
            if judged.state is State.WAITING and self._is_forgotten(
                judged, heard
            ):
                forgotten.append(judged)
        if forgotten:
            self._order_again(forgotten)

    # -- asking

    def _ask_for(
        self, wanted: Sequence[Standing], is_followed: bool
    ) -> list[tuple[Standing, str]]:
        """Ask; return those that were refused, with the reasons.

        An agent that is silent may have died, and another will have its
        links soon: if the order is followed, that is waited for.
        """
        answer = self._world.agent.copy(
            self.image.id, [one.site.name for one in wanted], self._engine
        )
        self.hosts = hearsay.hosts(answer)
        accepted = hearsay.accepted(answer)
        reasons = hearsay.refused(answer)
        unheard = hearsay.unheard(answer) if is_followed else {}
        self._unheard = frozenset(unheard)
        waits = hearsay.waits(answer) | unheard
        for site, reason in waits.items():
            for one in wanted:
                if one.site.name == site:
                    self._keep(dataclasses.replace(one, reason=reason))
        return [
            (one, reasons.get(one.site.name, 'the agent gives no reason'))
            for one in wanted
            if one.site.name not in {*accepted, *unheard}
        ]

    def _is_known_to_agent(self) -> bool:
        """Tell whether an agent has an order that it did not confirm."""
        try:
            answer = self._world.agent.remembered()
        except exceptions.BusUnavailable:
            return False
        orders = hearsay.heard([], answer, self.image.id).orders or {}
        self._failed_before = {
            store: reason for store, reason in orders.items() if reason
        }
        self.hosts = hearsay.hosts(answer)
        return all(
            one.site.store in orders
            and one.site.store not in self._failed_before
            for one in self._open()
        )

    def _order_again(self, forgotten: Sequence[Standing]) -> None:
        """Give the order anew, and again if that is refused for now.

        An agent that has just started does not know its clusters yet.
        """
        try:
            refused = self._ask_for(forgotten, is_followed=True)
        except exceptions.BusUnavailable as exc:
            self._note_silence('agent', str(exc))
            return
        now = self._world.clock()
        accepted = {
            one.site.store: one
            for one in forgotten
            if one.site.name not in self._unheard
        }
        for one, reason in refused:
            del accepted[one.site.store]
            since_s = self._refused_s.setdefault(one.site.store, now)
            if now - since_s >= _PATIENCE_S:
                self._end(one, State.REFUSED, reason)
            else:
                self._keep(dataclasses.replace(one, reason=reason))
        for store in accepted:
            self._unknown.pop(store, None)
            self._refused_s.pop(store, None)
            self._failed_before.pop(store, None)
        if accepted:
            names = ', '.join(one.site.name for one in accepted.values())
            have = 'it has' if len(self.hosts) == 1 else 'they have'
            self._news.append(
                f'{names}: the {rendering.on_hosts(self.hosts)} did not know '
                f'of the order any more; {have} it again'
            )

    def _hear(self) -> hearsay.Heard | None:
        """Ask the agent; None if it does not answer."""
        agent = self._world.agent
        try:
            reports = [
                report
                for report in hearsay.reports(agent.transfers(), self.image.id)
                if report.started_s not in self._past
            ]
            running = hearsay.running(reports)
            answer: Mapping[str, Any] | None = None
            # It is long where much has failed, and streams tell enough.
            if any(one.site.store not in running for one in self._open()):
                answer = agent.remembered()
        except exceptions.BusUnavailable as exc:
            self._note_silence('agent', str(exc))
            return None
        self._note_answer('agent')
        return self._without_those_before(
            hearsay.heard(reports, answer, self.image.id)
        )

    def _without_those_before(self, heard: hearsay.Heard) -> hearsay.Heard:
        """Leave out orders that had failed before ours was heeded."""
        if heard.orders is None:
            return heard
        ours = {
            store: reason
            for store, reason in heard.orders.items()
            if not reason or self._failed_before.get(store) != reason
        }
        return dataclasses.replace(heard, orders=ours)

    def _read(self) -> images.ImportTask | None:
        """Read the image, and the task that holds its lock."""
        self.image = self._world.images.get(self.image.id)
        if self.image.import_task is None:
            return None
        return self._world.images.import_task(self.image)

    # -- judging

    def _judge(
        self,
        one: Standing,
        task: images.ImportTask | None,
        heard: hearsay.Heard | None,
    ) -> Standing:
        """Say how one site stands that has not come to its end."""
        store = one.site.store
        if heard is not None and store in heard.reports:
            one = dataclasses.replace(one, report=heard.reports[store])
        is_streaming = (
            heard is not None
            and store in heard.reports
            and one.lane is not None
            and not one.lane.phase.is_end
        )
        if store in self.image.stores and not is_streaming:
            return self._ended(one, State.PRESENT, '')
        if is_streaming:
            return dataclasses.replace(
                one,
                state=State.COPYING,
                engine=choosing.RBD_STREAM,
                copied_bytes=None,
                reason='',
            )
        if placements.is_copying(self.image, task, store):
            return dataclasses.replace(
                one,
                state=State.COPYING,
                engine=choosing.COPY_IMAGE,
                copied_bytes=_copied_bytes(self.image, task, store),
                reason='',
            )
        if heard is None or heard.orders is None:
            return one
        reason = heard.reasons.get(store, '')
        if heard.orders.get(store):
            return self._ended(one, State.FAILED, heard.orders[store] or '')
        return dataclasses.replace(one, state=State.WAITING, reason=reason)

    def _ended(self, one: Standing, state: State, reason: str) -> Standing:
        return dataclasses.replace(
            one,
            state=state,
            engine=self._engine_of(one) if state is State.PRESENT else None,
            reason=reason,
            waited_s=self._world.clock() - self._placed_s,
        )

    def _engine_of(self, one: Standing) -> str | None:
        """Tell which engine brought a copy, whether it was seen or not."""
        lane = one.lane
        has_failed = lane is not None and lane.error is not None
        if lane is not None and not has_failed:
            return choosing.RBD_STREAM
        if one.engine == choosing.COPY_IMAGE:
            return one.engine
        try:
            task = self._world.images.last_import_task(self.image.id)
        except exceptions.DistributorError:
            return None
        is_its_own = task is not None and one.site.store in task.stores
        return choosing.COPY_IMAGE if is_its_own else None

    def _is_forgotten(
        self, one: Standing, heard: hearsay.Heard | None
    ) -> bool:
        store = one.site.store
        if heard is None or heard.orders is None or store in heard.orders:
            self._unknown.pop(store, None)
            return False
        self._unknown[store] = self._unknown.get(store, 0) + 1
        return self._unknown[store] >= _LOOKS_TO_BE_SURE

    # -- keeping

    def _open(self) -> list[Standing]:
        return [one for one in self.standings if not one.state.is_end]

    def _keep(self, one: Standing) -> None:
        store = one.site.store
        self._standings[store] = one
        is_new = (store, one.reason) not in self._told
        if one.state is State.WAITING and one.reason and is_new:
            self._told.add((store, one.reason))
            self._news.append(f'{one.site.name} waits: {one.reason}')

    def _end(self, one: Standing, state: State, reason: str) -> None:
        self._standings[one.site.store] = self._ended(one, state, reason)

    def _settle_those_present(self) -> None:
        for one in self.standings:
            is_there = one.site.store in self.image.stores
            if is_there and one.state is not State.PRESENT:
                self._standings[one.site.store] = Standing(
                    one.site, State.PRESENT, reason='it was there already'
                )

    def _note_silence(self, who: str, why: str) -> None:
        if who not in self._silent:
            self._silent.add(who)
            self._news.append(f'waiting on, without an answer: {why}')

    def _note_answer(self, who: str) -> None:
        if who in self._silent:
            self._silent.discard(who)
            subject = 'the agent' if who == 'agent' else who
            self._news.append(f'{subject} answers again')


def _copied_bytes(
    image: images.Image,
    task: images.ImportTask | None,
    store: images.StoreId,
) -> int | None:
    """Tell how much of a store is written, if it is that one's turn."""
    if task is None:
        return None
    left: Iterable[images.StoreId] = (
        other
        for other in task.stores
        if placements.is_copying(image, task, other)
    )
    return task.copied_bytes if next(iter(left), None) == store else None
