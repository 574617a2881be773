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
"""What operators ordered: an image in a store, now, though no policy says so.

An order is kept in memory until it is carried out, or has failed for good,
or its image is gone; the last of those that failed are kept for whoever
waits.
"""

import collections
from collections.abc import Mapping
import dataclasses
import threading
from types import MappingProxyType

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import planner
from dcn_distributor.core import routes as all_routes
from dcn_distributor.core import transfers

_NONE: all_routes.Orders = MappingProxyType({})

# So many orders that failed are remembered.
_FAILED_KEPT = 200

_Key = tuple[images.ImageId, images.StoreId]


class OrderBook:
    """See the module. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[images.ImageId, all_routes.Orders] = {}
        self._failed: collections.OrderedDict[_Key, str] = (
            collections.OrderedDict()
        )

    def place(
        self,
        image_id: images.ImageId,
        store: images.StoreId,
        engine: transfers.EngineChoice | None,
    ) -> None:
        """Order a copy; an order for the same replaces one before."""
        with self._lock:
            self._failed.pop((image_id, store), None)
            orders = self._pending.get(image_id, _NONE)
            self._pending[image_id] = MappingProxyType(
                {**orders, store: all_routes.Order(engine)}
            )

    def of(self, image_id: images.ImageId) -> all_routes.Orders:
        """The orders for an image, by store."""
        with self._lock:
            return self._pending.get(image_id, _NONE)

    def pending(self) -> Mapping[images.ImageId, all_routes.Orders]:
        """All orders that are neither carried out nor failed."""
        with self._lock:
            return dict(self._pending)

    def failed(self) -> Mapping[_Key, str]:
        """The last orders that failed for good, each with its reason."""
        with self._lock:
            return dict(self._failed)

    def settle(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        routes: planner.Routes,
        history: histories.History,
        heeded: all_routes.Orders,
    ) -> None:
        """End the orders that a look found carried out, or hopeless.

        One that no engine can serve for a while only is kept for then.
        `heeded` are those it knew of; one that came since is left alone.
        """
        known = {d.site.store for d in decided.by_site}
        with self._lock:
            orders = dict(self._pending.get(image.id, _NONE))
            for store, order in heeded.items():
                if orders.get(store) is not order:
                    continue
                orders[store] = dataclasses.replace(order, is_new=False)
                route = routes.get(store)
                if store in image.stores:
                    del orders[store]
                elif not image.is_active:
                    del orders[store]
                    reason = f'the image is {image.status}, not active'
                    self._fail(image.id, store, reason)
                elif store not in known:
                    del orders[store]
                    self._fail(image.id, store, 'there is no such site')
                elif route is not None and _is_dead_end(route):
                    del orders[store]
                    setback = history.setbacks.get(store)
                    reason = (
                        route.reason if setback is None else setback.reason
                    )
                    self._fail(image.id, store, reason)
            self._keep(image.id, orders)

    def withdraw(
        self,
        image_id: images.ImageId,
        store: images.StoreId,
        order: all_routes.Order,
    ) -> None:
        """Drop an order that somebody else took, but none that came since."""
        with self._lock:
            orders = dict(self._pending.get(image_id, _NONE))
            known = orders.get(store)
            if known is not None and known.engine == order.engine:
                del orders[store]
                self._keep(image_id, orders)

    def forget(self, image_id: images.ImageId) -> None:
        """Drop the orders for an image: it is gone."""
        with self._lock:
            for store in self._pending.get(image_id, _NONE):
                self._fail(image_id, store, 'the image is gone')
            self._keep(image_id, _NONE)

    def _keep(
        self, image_id: images.ImageId, orders: all_routes.Orders
    ) -> None:
        if orders:
            self._pending[image_id] = MappingProxyType(dict(orders))
        else:
            self._pending.pop(image_id, None)

    def _fail(
        self, image_id: images.ImageId, store: images.StoreId, reason: str
    ) -> None:
        self._failed[image_id, store] = reason
        while len(self._failed) > _FAILED_KEPT:
            self._failed.popitem(last=False)


def _is_dead_end(route: all_routes.Route) -> bool:
    return route.engine is None and not route.passes
