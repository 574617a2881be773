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
"""Chooses how an image goes to each store that lacks it."""

from collections.abc import Callable
import enum
import threading

from dcn_distributor.core import choosing
from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import planner
from dcn_distributor.core import resting as all_resting
from dcn_distributor.core import routes as all_routes
from dcn_distributor.service import books as booking
from dcn_distributor.service import rules as rule_books

_LOST_LOCK = (
    "the task of the import that holds the image's lock is gone, and only "
    'another import breaks such a lock'
)


class _Lock(enum.Enum):
    """How it stands with an image's import lock.

    FREE: either engine gets on, if need be by breaking a stale lock. STUCK:
    only a stream does, so far as it can without the lock. LOST: only an
    import does, since rbd-stream breaks no lock whose task is gone.
    """

    FREE = 'free'
    STUCK = 'stuck'
    LOST = 'lost'


class Router:
    """See the module. Every method may be called from any thread.

    :param obstacles: tells what keeps streams from a store
    :param standing: tells what else holds at this moment
    """

    def __init__(
        self,
        books: booking.Books,
        obstacles: Callable[[images.StoreId], tuple[str, ...]],
        standing: Callable[[], gates.Standing],
    ) -> None:
        self._books = books
        self._standing = standing
        self._obstacles = obstacles
        self._lock = threading.Lock()
        self._copy_image_obstacle: str | None = None

    def note_copy_image(self, obstacle: str | None) -> None:
        """Note why Glance copies no image at all, or that it may again."""
        with self._lock:
            self._copy_image_obstacle = obstacle

    def routes(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        orders: all_routes.Orders,
        history: histories.History,
        rules: rule_books.Rules,
    ) -> planner.Routes:
        """Choose for all stores that lack the image, in order."""
        missing = {*all_routes.missing_stores(image, decided, orders)}
        if not missing:
            return {}
        load = self._books.ledger.load
        lock = self._lock_state(image, history)
        standing = self._standing()
        resting = all_resting.words(
            image, decided, standing.pauses, rules.policies
        )
        routes = {}
        for decision in decided.by_site:
            store = decision.site.store
            if store not in missing:
                continue
            if rules.known_stores is None or store in rules.known_stores:
                routes[store] = all_routes.route(
                    image,
                    decision,
                    orders.get(store),
                    history,
                    self._surroundings(
                        store, load, lock, standing, resting.get(store)
                    ),
                    self._books.options,
                )
            else:
                # Nor could a stream register its copy there.
                reason = f'Glance has no store {store}'
                routes[store] = all_routes.Route(None, reason)
        return routes

    def _surroundings(
        self,
        store: images.StoreId,
        load: loads.Load,
        lock: _Lock,
        standing: gates.Standing,
        resting: all_pauses.Word | None,
    ) -> all_routes.Surroundings:
        obstacles = self._obstacles(store)
        if lock is _Lock.LOST:
            obstacles = (*obstacles, _LOST_LOCK)
        with self._lock:
            copy_image_obstacle = self._copy_image_obstacle
        return all_routes.Surroundings(
            copy_image_obstacle,
            self._in_general((store, choosing.COPY_IMAGE), load),
            self._in_general((store, choosing.RBD_STREAM), load),
            lock is _Lock.STUCK,
            obstacles,
            standing,
            resting,
            self._books.clock(),
        )

    def _in_general(
        self, turn: loads.Turn, load: loads.Load
    ) -> histories.Tries:
        """Tell how an engine fares with a store while it pauses there.

        When its turn to be tried has come, one image takes it.
        """
        trouble = load.troubles.get(turn)
        if trouble is None:
            return histories.UNTRIED
        is_due = trouble.next_probe_s <= self._books.clock()
        if is_due and load.prober(turn) is None:
            return histories.UNTRIED
        return histories.Tries(trouble.failures, trouble.reason)

    def _lock_state(
        self, image: images.Image, history: histories.History
    ) -> _Lock:
        request = history.request
        if request is None:
            return _Lock.FREE
        limits, now = self._books.limits, self._books.clock()
        if planner.is_lock_stale(request, image, limits, now):
            return _Lock.LOST if request.progress is None else _Lock.FREE
        return _Lock.STUCK if request.is_stuck else _Lock.FREE
