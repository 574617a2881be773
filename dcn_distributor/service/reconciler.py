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
"""Look at one image and do what the rules ask for.

1. observe: read the image, and how far its streams are.
2. follow: what became of the import, or the stream, that was under way.
3. decide: by the policies, for every site; and by what operators ordered.
4. choose: for each missing store, the engine.
5. plan: what to ask for now, and when to look again.
6. copy: have the engine start it.

A copy by copy-image is verified by Glance, which compares size and hashes
with the image's before it lists a store, and by the next look, which
believes the list only; rbd-stream proves its own before it registers them.

This is the one place that turns errors into outcomes.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import threading
from typing import Protocol

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import planner
from dcn_distributor.core import ports
from dcn_distributor.core import queueing
from dcn_distributor.core import retry
from dcn_distributor.core import routes as all_routes
from dcn_distributor.service import books as booking
from dcn_distributor.service import imports as all_imports
from dcn_distributor.service import orders as all_orders
from dcn_distributor.service import router as routers
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import streams as all_streams

LOG = log.getLogger(__name__)

# Before all policies: a person waits.
_PRIORITY_OF_ORDERS = 2**31


class Course(Protocol):
    """One engine's copies, from the start to the booked outcome."""

    def follow(
        self, sight: booking.Sight, history: histories.History
    ) -> histories.History:
        """Book what became of the copy under way, if it is one of its own.

        MAY raise what Glance raises; what was booked before is kept.
        """
        ...

    def begin(
        self,
        sight: booking.Sight,
        plan: planner.Plan,
        routes: planner.Routes,
        history: histories.History,
    ) -> booking.Outcome:
        """Start what was planned, and book it, or why it was not started.

        The slot MUST be given back by Ledger.keep() if nothing was started.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Engines:
    """What copies; no streams where no site has cluster settings."""

    copy_image: ports.Engine
    rbd_stream: ports.StreamEngine | None


@dataclasses.dataclass(frozen=True, slots=True)
class Ways:
    """How copies are made, and how to choose among that."""

    imports: all_imports.Imports
    streams: all_streams.Streams
    router: routers.Router


class Reconciler:
    """See the module. reconcile() may run for several images at once."""

    def __init__(
        self,
        glance: ports.Images,
        rule_book: rule_books.RuleBook,
        books: booking.Books,
        order_book: all_orders.OrderBook,
        ways: Ways,
    ) -> None:
        self._glance = glance
        self._rule_book = rule_book
        self._books = books
        self._order_book = order_book
        self._ways = ways
        self._courses: Mapping[str, Course] = {
            histories.COPY_IMAGE: ways.imports,
            histories.RBD_STREAM: ways.streams,
        }
        self._lock = threading.Lock()
        self._failures: dict[images.ImageId, int] = {}

    def reconcile(self, image_id: images.ImageId) -> booking.Outcome:
        """Look at one image; never raises."""
        try:
            outcome = self._look(image_id)
        except exceptions.ImageNotFound:
            outcome = self._let_go(image_id)
        except exceptions.DistributorError as exc:
            return self._try_again(image_id, exc)
        except Exception as exc:
            LOG.exception('image=%s: a bug in dcn_distributor', image_id)
            return self._try_again(image_id, exc)
        self._note_success(image_id)
        return outcome

    def is_settled(self, image: images.Image) -> bool:
        """Tell whether an image just read needs no look.

        Since there is nothing to do, or only a change can help, or it will
        be woken when its turn has come.
        """
        ledger = self._books.ledger
        remembered = ledger.history(image.id)
        history, routes = self.consider(image, self._order_book.of(image.id))
        if (
            remembered.request is not None
            or set(remembered.setbacks) - {*routes}
            or not remembered.verified <= image.stores
        ):
            return False
        return ledger.will_wake(
            image.id,
            [
                (store, route.engine or '')
                for store, route in routes.items()
                if route.closure is None
                and (
                    route.engine is not None
                    or store not in history.setbacks
                    or not history.setbacks[store].is_permanent
                )
            ],
        )

    def consider(
        self, image: images.Image, orders: all_routes.Orders
    ) -> tuple[histories.History, planner.Routes]:
        """Tell what counts of an image's past, and its routes by that."""
        rules = self._rule_book.rules
        history = self._books.ledger.history(image.id)
        history = history.under(_circumstances(image, rules))
        history = _without_those_ordered(history, orders)
        decided = rules.policies.decide(image)
        return history, self._ways.router.routes(
            image, decided, orders, history, rules
        )

    def remembered(self) -> set[images.ImageId]:
        """The images that anything is remembered of."""
        return {*self._books.ledger.remembered(), *self._order_book.pending()}

    def forget_obstacle(self) -> None:
        """Have Glance asked again though it copied no image at all."""
        self._ways.router.note_copy_image(None)

    def begin_round(self) -> None:
        """Prepare for a look at all images."""
        self._ways.streams.prepare()
        self.forget_obstacle()
        self._rule_book.set_known_stores(self._glance.stores())

    def end_round(self) -> None:
        """Tidy up after a look at all images."""
        witness = self._books.witness
        self._ways.streams.sweep(
            [
                site.store
                for site in self._rule_book.rules.sites.everywhere
                if witness.tells(site.store)
            ]
        )

    def _look(self, image_id: images.ImageId) -> booking.Outcome:
        rules = self._rule_book.rules
        reports = self._ways.streams.reports_of(image_id)
        image = self._glance.get(image_id)
        decided = rules.policies.decide(image)
        history = self._books.ledger.history(image_id)
        history = history.under(_circumstances(image, rules))
        orders = self._order_book.of(image_id)
        history = _without_those_ordered(history, orders)
        for store, order in orders.items():
            if order.is_new:
                self._books.ledger.let_probe(store)
        sight = booking.Sight(
            image, reports, all_routes.missing_stores(image, decided, orders)
        )
        history = self._ways.streams.follow(sight, history)
        history = self._ways.imports.follow(sight, history)
        routes = self._ways.router.routes(
            image, decided, orders, history, rules
        )
        self._break_off(image_id, routes, history)
        history = self._note_routes(routes, history).pruned(sight.missing)
        self._order_book.settle(image, decided, routes, history, orders)
        rank = queueing.Rank.of(
            _PRIORITY_OF_ORDERS if orders else decided.priority,
            image.size_bytes,
            _due_s(image, decided, sight.missing),
        )
        return self._carry_out(sight, routes, rank, history)

    def _carry_out(
        self,
        sight: booking.Sight,
        routes: planner.Routes,
        rank: queueing.Rank,
        history: histories.History,
    ) -> booking.Outcome:
        image = sight.image
        plan = self._books.ledger.plan(image, routes, rank, history)
        for wait in plan.waits:
            LOG.debug(
                'image=%s store=%s waits: %s',
                image.id,
                wait.store,
                wait.reason,
            )
        if not plan.stores:
            return booking.Outcome(plan.look_again_s)
        return self._courses[plan.engine].begin(sight, plan, routes, history)

    def _break_off(
        self,
        image_id: images.ImageId,
        routes: planner.Routes,
        history: histories.History,
    ) -> None:
        """Break off the streams to sites that were closed meanwhile."""
        request = history.request
        if request is None or request.engine != histories.RBD_STREAM:
            return
        for store in request.stores:
            route = routes.get(store)
            if route is None or route.closure is None:
                continue
            if route.closure.breaks_off:
                reason = route.closure.reason
                self._ways.streams.break_off(image_id, [store], reason)

    def _note_routes(
        self, routes: planner.Routes, history: histories.History
    ) -> histories.History:
        """Note which stores no engine can serve, and which again can."""
        now = self._books.clock()
        for store, route in routes.items():
            if route.engine is None:
                history = history.with_dead_end(
                    store, route.reason, passes=route.passes
                )
            else:
                history = history.with_chance(store, now)
        return history

    def _let_go(self, image_id: images.ImageId) -> booking.Outcome:
        """Forget an image that is gone, once its stream has ended."""
        LOG.debug('image=%s is not in Glance', image_id)
        if self._ways.streams.let_go(image_id):
            self._books.ledger.hand_back(image_id)
            return booking.Outcome(look_again_s=1.0)
        self._ways.imports.let_go(image_id)
        self._order_book.forget(image_id)
        self._books.ledger.forget(image_id)
        return booking.Outcome()

    def _try_again(
        self, image_id: images.ImageId, exc: Exception
    ) -> booking.Outcome:
        """Put an image off; say so of the first, which may be an outage's."""
        self._books.ledger.hand_back(image_id)
        with self._lock:
            is_first = not self._failures
            failures = self._failures.get(image_id, 0) + 1
            self._failures[image_id] = failures
        if is_first:
            LOG.warning(
                'image=%s cannot be looked at, trying on; others that cannot '
                'either are told at DEBUG: %s',
                image_id,
                exc,
            )
        wait_s = retry.delay_s(self._books.limits.backoff, failures, image_id)
        LOG.debug('image=%s next try in %.0f s: %s', image_id, wait_s, exc)
        return booking.Outcome(wait_s)

    def _note_success(self, image_id: images.ImageId) -> None:
        with self._lock:
            had_failed = self._failures.pop(image_id, None) is not None
            is_last = had_failed and not self._failures
        if is_last:
            LOG.info('All images can be looked at again')


def build(
    glance: ports.Images,
    engines: Engines,
    rule_book: rule_books.RuleBook,
    books: booking.Books,
    order_book: all_orders.OrderBook,
    standing: Callable[[], gates.Standing] = lambda: gates.ALONE,
) -> Reconciler:
    """Put a reconciler together; `standing` tells what is closed."""
    streams = all_streams.Streams(engines.rbd_stream, books)
    router = routers.Router(books, streams.obstacles, standing)
    imports = all_imports.Imports(
        glance, engines.copy_image, rule_book, books, router.note_copy_image
    )
    return Reconciler(
        glance, rule_book, books, order_book, Ways(imports, streams, router)
    )


def _due_s(
    image: images.Image,
    decided: decisions.Decisions,
    missing: Collection[images.StoreId],
) -> float | None:
    """Tell when the first of the missing copies should be there."""
    if not image.created_at_s:
        return None
    return min(
        (
            image.created_at_s + decision.deadline_s
            for decision in decided.by_site
            if decision.deadline_s is not None
            and decision.site.store in missing
        ),
        default=None,
    )


def _without_those_ordered(
    history: histories.History, orders: all_routes.Orders
) -> histories.History:
    """Forget what stands against the stores that were just ordered."""
    for store, order in orders.items():
        if order.is_new:
            history = history.without_setback(store)
    return history


def _circumstances(image: images.Image, rules: rule_books.Rules) -> object:
    """What must change for a store to be tried that failed for good."""
    return (rules.generation, image.fingerprint)
