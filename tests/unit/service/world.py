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
"""A small cloud with an agent in it, in one thread and in virtual time."""

from collections.abc import Iterable
from collections.abc import Mapping
import types
from types import MappingProxyType

from dcn_distributor.clients import groups
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import matching
from dcn_distributor.core import pauses
from dcn_distributor.core import planner
from dcn_distributor.core import policies
from dcn_distributor.core import ports
from dcn_distributor.core import retry
from dcn_distributor.core import sites
from dcn_distributor.core import transitions
from dcn_distributor.engines import copy_image
from dcn_distributor.service import books as booking
from dcn_distributor.service import gatekeeper as gatekeepers
from dcn_distributor.service import herald as heralds
from dcn_distributor.service import journal as journals
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import orders
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import traces
from dcn_distributor.service import witness as witnesses
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance
from tests.fakes import observer as fake_observer
from tests.fakes import streams as fake_streams

LIMITS = planner.Limits(
    imports=2,
    stores_per_import=8,
    poll_s=10.0,
    stall_s=900.0,
    backoff=retry.Backoff(base_s=5.0, cap_s=600.0),
    transfers=2,
)


# How often the agent watches out while nothing runs and nothing is due.
WATCH_S = 10.0
EVERY_IMAGE = matching.Block(())


def policy(name='all', match=EVERY_IMAGE, **attributes):
    """Make a policy that sends all images everywhere unless told else."""
    return policies.Policy(
        name=name,
        match=match,
        selection=attributes.pop('selection', policies.AllSites()),
        **attributes,
    )


class World:
    """Sites, a Glance that works on its own, and an agent.

    Imports make one step of Glance's a second, streams one of theirs. The
    agent is told of changes by hint(); it looks again when it said it would.

    :param options: which engines may be used; without it there are no
        streams
    :param site_links: the links of sites, by their names; each has one of
        its own otherwise
    :ivar pauses: the words of operators, to be replaced
    :ivar told_by_others: the stores whose copies another agent tells of
    """

    def __init__(
        self,
        names: Iterable[str] = ('dcn0', 'dcn1'),
        rules: Iterable[policies.Policy] | None = None,
        limits: planner.Limits = LIMITS,
        stores: Iterable[str] | None = None,
        options: choosing.Options | None = None,
        group: ports.Group | None = None,
        site_links: Mapping[str, links.Link] = MappingProxyType({}),
    ) -> None:
        names = tuple(names)
        self.clock = fake_clock.Clock()
        self.glance = fake_glance.FakeGlance(
            ('central', *(names if stores is None else stores)), self.clock
        )
        self.sites = sites.Sites(
            images.StoreId('central'),
            tuple(
                sites.Site(
                    sites.SiteName(name),
                    images.StoreId(name),
                    {},
                    link=site_links.get(name, links.Link(name)),
                )
                for name in names
            ),
        )
        self.pauses = pauses.NONE
        self.told_by_others: set[str] = set()
        self.has_gates = bool(site_links)
        self.group = group or groups.Alone('agent')
        self.rules = (policy(),) if rules is None else tuple(rules)
        self.limits = limits
        self.options = options
        self.most_at_once = 0
        self.most_streams = 0
        self.most_unlocked_streams = 0
        self.claims: set[fake_streams.Claim] = set()
        self.observer = fake_observer.Observer()
        self.events: list[transitions.Event] = []
        self.start_agent()

    def start_agent(self) -> None:
        """Start an agent that remembers nothing; the one before is gone."""
        # As the work queue has it: each image once, at its earliest time.
        self._due: dict[images.ImageId, float] = {}
        self.rule_book = rule_books.RuleBook(self._files, self._files())
        self.ledger = ledgers.Ledger(self.limits, self.clock)
        self.ledger.set_links({s.store: s.link for s in self.sites})
        self.gatekeeper = gatekeepers.Gatekeeper(
            lambda: self.sites,
            lambda: self.pauses,
            self.group,
            gatekeepers.Callbacks(self.resync, self._look_at_running),
            self.clock,
            self.clock,
        )
        self.order_book = orders.OrderBook()
        self.streams = _Streams(self)
        has_streams = self.options is not None
        self.journal = journals.Journal('ctl-0', self.clock)
        self.herald = heralds.Herald(
            self.rule_book,
            lambda image_id, store: transitions.traffic(
                self.streams.reports_of(image_id), store
            ),
            [self.journal.note, self.events.append],
        )
        self.witness = witnesses.Witness(
            self.observer,
            lambda: self.sites,
            traces.Traces(lambda: 'req-none'),
            lambda: self.told_by_others,
            self.herald.changed,
        )
        self.reconciler = reconcilers.build(
            self.glance,
            reconcilers.Engines(
                _Imports(self),
                self.streams if has_streams else None,
            ),
            self.rule_book,
            booking.Books(
                self.ledger,
                self.limits,
                self.options or choosing.Options(),
                self.clock,
                self.witness,
            ),
            self.order_book,
            self.gatekeeper.standing,
        )
        self.gatekeeper.watch()
        self.resync()

    def _files(self) -> rule_books.Files:
        return self.sites, policies.PolicySet(self.rules, self.sites)

    def parts(
        self, pause_book: object, streams: object | None
    ) -> all_parts.Parts:
        """Give what answers to commands are made of."""
        return all_parts.Parts(
            glance=self.glance,
            streams=streams,
            queue=types.SimpleNamespace(add_first=self.hint),
            ledger=self.ledger,
            rule_book=self.rule_book,
            order_book=self.order_book,
            reconciler=self.reconciler,
            workers=types.SimpleNamespace(looks=0),
            resync=None,
            progress=None,
            observed=None,
            witness=self.witness,
            group=self.group,
            pause_book=pause_book,
            gatekeeper=self.gatekeeper,
            journal=self.journal,
        )

    def resync(self) -> None:
        """Do as the periodic look at all images does."""
        self.reconciler.begin_round()
        unseen = self.reconciler.remembered()
        for image in self.glance.list():
            unseen.discard(image.id)
            if not self.reconciler.is_settled(image):
                self.hint(image.id)
        for image_id in unseen:
            self.hint(image_id)
        self.reconciler.end_round()

    def hint(self, image_id: images.ImageId) -> None:
        """Tell the agent to look at an image now."""
        self._due[image_id] = min(
            self.clock.now, self._due.get(image_id, self.clock.now)
        )

    def add(self, name: str = 'image', **attributes: object) -> images.ImageId:
        """Add an image and tell the agent."""
        image_id = self.glance.add(name, **attributes).id
        self.hint(image_id)
        return image_id

    def run(self, seconds: float = 60.0, stepping: bool = True) -> None:
        """Let time pass, for the agent and (if stepping) for Glance."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self._let_agent_work()
            if stepping:
                for one in self.glance.running:
                    self.glance.step(one.image_id)
                self.streams.step()
            self.clock.advance(self._pause_s(end))
        self._let_agent_work()

    def _pause_s(self, end: float) -> float:
        """How long nothing but the agent's own watch would happen."""
        if self._working() or self.streams.unlocked:
            return 1.0
        next_s = min((end, *self._due.values()))
        return max(1.0, min(WATCH_S, next_s - self.clock.now))

    def stores(self, image_id: images.ImageId) -> set[str]:
        """The edge stores that hold an image."""
        return set(self.glance.get(image_id).stores) - {'central'}

    def asked(self, image_id: images.ImageId) -> list[set[str]]:
        """What the agent's imports of an image asked for, oldest first."""
        return [
            set(one.stores)
            for one in self.glance.imports
            if one.image_id == image_id
        ]

    def streamed(self, image_id: images.ImageId) -> list[set[str]]:
        """What the agent's streams of an image went to, oldest first."""
        return [
            set(stores)
            for started, stores in self.streams.started
            if started == image_id
        ]

    def say(self, kind: pauses.Kind, name: str, rests: bool = True) -> None:
        """Have an operator pause something, or have it go on."""
        word = pauses.Word(kind, name, rests, 'alice', self.clock.now)
        self.pauses = self.pauses.merged([word])
        self.gatekeeper.note_change()

    def _working(self) -> list[object]:
        return [one for one in self.glance.running if not one.is_crashed]

    def _look_at_running(self) -> None:
        for image_id in self.ledger.under_way():
            self.hint(image_id)

    def _let_agent_work(self) -> None:
        if self.has_gates or self.pauses.words:
            self.gatekeeper.watch()
        for image_id in self.ledger.take_due():
            self.hint(image_id)
        while due := [
            (due_s, image_id)
            for image_id, due_s in self._due.items()
            if due_s <= self.clock.now
        ]:
            image_id = min(due)[1]
            del self._due[image_id]
            outcome = self.reconciler.reconcile(image_id)
            if outcome.look_again_s is not None:
                due_s = self.clock.now + outcome.look_again_s
                self._due[image_id] = min(
                    due_s, self._due.get(image_id, due_s)
                )
        self.most_at_once = max(self.most_at_once, len(self._working()))
        streaming = len(self.streams.running)
        self.most_streams = max(self.most_streams, streaming)
        self.most_unlocked_streams = max(
            self.most_unlocked_streams, len(self.streams.unlocked)
        )


class _Imports(copy_image.CopyImage):
    """Sees to it that no import begins beside a stream."""

    def __init__(self, world: World) -> None:
        super().__init__(world.glance)
        self._world = world

    def start(self, image, stores, wishes):
        """See core.ports.Engine."""
        assert image.id not in self._world.streams.running
        super().start(image, stores, wishes)


class _Streams(fake_streams.FakeStreams):
    """Sees to it that no stream begins where an import still writes."""

    def __init__(self, world: World) -> None:
        super().__init__(world.glance, world.clock, world.hint, world.claims)
        self._world = world

    def start(self, image, stores, wishes):
        """See core.ports.Engine."""
        for one in self._world.glance.running:
            age_s = self._world.clock.now - one.task.updated_at_s
            if one.image_id == image.id and age_s < 3600:
                assert not set(one.left) & set(stores)
        super().start(image, stores, wishes)
