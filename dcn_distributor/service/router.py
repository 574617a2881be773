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
import threading

from dcn_distributor.core import choosing
from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner
from dcn_distributor.core import routes as all_routes
from dcn_distributor.service import books as booking
from dcn_distributor.service import rules as rule_books


class Router:
    """See the module. Every method may be called from any thread.

    :param obstacles: tells what keeps streams from a store
    """

    def __init__(
        self,
        books: booking.Books,
        obstacles: Callable[[images.StoreId], tuple[str, ...]],
    ) -> None:
        self._books = books
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
        missing = all_routes.missing_stores(image, decided, orders)
        if not missing:
            return {}
        is_lock_stuck = self._is_lock_stuck(image, history)
        load = self._books.ledger.load
        routes = {}
        for decision in decided.by_site:
            store = decision.site.store
            if store not in missing:
                continue
            if rules.known_stores is None or store in rules.known_stores:
                routes[store] = all_routes.route(
                    decision,
                    orders.get(store),
                    history,
                    self._surroundings(store, load, is_lock_stuck),
                    self._books.options,
                )
            else:
                # Nor could a stream register its copy there.
                reason = f'Glance has no store {store}'
                routes[store] = all_routes.Route(None, reason)
        return routes

    def _surroundings(
        self, store: images.StoreId, load: loads.Load, is_lock_stuck: bool
    ) -> all_routes.Surroundings:
        with self._lock:
            copy_image_obstacle = self._copy_image_obstacle
        return all_routes.Surroundings(
            copy_image_obstacle,
            self._by_copy_image(store, load),
            is_lock_stuck,
            self._obstacles(store),
        )

    def _by_copy_image(
        self, store: images.StoreId, load: loads.Load
    ) -> histories.Tries:
        """Tell how copy-image fares with a store while it pauses there.

        When its turn to be tried has come, one image takes it.
        """
        turn = (store, choosing.COPY_IMAGE)
        trouble = load.troubles.get(turn)
        if trouble is None:
            return histories.Tries(0, '')
        is_due = trouble.next_probe_s <= self._books.clock()
        if is_due and load.prober(turn) is None:
            return histories.Tries(0, '')
        return histories.Tries(trouble.failures, trouble.reason)

    def _is_lock_stuck(
        self, image: images.Image, history: histories.History
    ) -> bool:
        """Tell whether only a stream can go on beside the image's lock.

        A stale one is broken by the next import.
        """
        request = history.request
        return (
            request is not None
            and request.is_stuck
            and not planner.is_lock_stale(
                request, image, self._books.limits, self._books.clock()
            )
        )
