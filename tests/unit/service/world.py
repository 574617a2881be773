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
import heapq

from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import planner
from dcn_distributor.core import policies
from dcn_distributor.core import retry
from dcn_distributor.core import sites
from dcn_distributor.engines import copy_image
from dcn_distributor.service import books as booking
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import orders
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import rules as rule_books
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance

LIMITS = planner.Limits(
    imports=2,
    stores_per_import=8,
    poll_s=10.0,
    stall_s=900.0,
    backoff=retry.Backoff(base_s=5.0, cap_s=600.0),
)


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

    Imports make one step of Glance's a second. The agent is told of changes
    by hint(); it looks again when it said it would.
    """

    def __init__(
        self,
        names: Iterable[str] = ('dcn0', 'dcn1'),
        rules: Iterable[policies.Policy] | None = None,
        limits: planner.Limits = LIMITS,
        stores: Iterable[str] | None = None,
    ) -> None:
        names = tuple(names)
        self.clock = fake_clock.Clock()
        self.glance = fake_glance.FakeGlance(
            ('central', *(names if stores is None else stores)), self.clock
        )
        self.sites = sites.Sites(
            images.StoreId('central'),
            tuple(
                sites.Site(sites.SiteName(name), images.StoreId(name), {})
                for name in names
            ),
        )
        self.rules = (policy(),) if rules is None else tuple(rules)
        self.limits = limits
        self.most_at_once = 0
        self.start_agent()

    def start_agent(self) -> None:
        """Start an agent that remembers nothing; the one before is gone."""
        self._due: list[tuple[float, images.ImageId]] = []
        self.rule_book = rule_books.RuleBook(
            lambda: (self.sites, policies.PolicySet(self.rules, self.sites))
        )
        self.ledger = ledgers.Ledger(self.limits, self.clock)
        self.order_book = orders.OrderBook()
        self.reconciler = reconcilers.build(
            self.glance,
            reconcilers.Engines(copy_image.CopyImage(self.glance), None),
            self.rule_book,
            booking.Books(
                self.ledger, self.limits, choosing.Options(), self.clock
            ),
            self.order_book,
        )
        self.resync()

    def resync(self) -> None:
        """Do as the periodic look at all images does."""
        self.reconciler.begin_round()
        for image in self.glance.list():
            if not self.reconciler.is_settled(image):
                self.hint(image.id)

    def hint(self, image_id: images.ImageId) -> None:
        """Tell the agent to look at an image now."""
        heapq.heappush(self._due, (self.clock.now, image_id))

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
            self.clock.advance(1.0)
        self._let_agent_work()

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

    def _let_agent_work(self) -> None:
        for image_id in self.ledger.take_due():
            self.hint(image_id)
        while self._due and self._due[0][0] <= self.clock.now:
            image_id = heapq.heappop(self._due)[1]
            outcome = self.reconciler.reconcile(image_id)
            if outcome.look_again_s is not None:
                due_s = self.clock.now + outcome.look_again_s
                heapq.heappush(self._due, (due_s, image_id))
        working = [one for one in self.glance.running if not one.is_crashed]
        self.most_at_once = max(self.most_at_once, len(working))
