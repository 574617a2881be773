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
"""Hands orders on to the agent that has the site's link by now.

An order is kept in the memory of one agent. When the link of its site goes to
another, that one is asked to take it; until it has, the order stays here, and
is offered again.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import threading
from typing import Any

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import routes
from dcn_distributor.core import sites
from dcn_distributor.service import orders as all_orders

LOG = log.getLogger(__name__)

# How often to offer again what nobody took.
_EVERY_S = 5.0

# Asks an agent, by name, to bring an image to sites by an engine.
Ask = Callable[[str, images.ImageId, list[str], str | None], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Stray:
    """An order whose site is another agent's."""

    image_id: images.ImageId
    site: sites.Site
    order: routes.Order
    owner: str


class Handover:
    """See the module.

    :param ask: see Ask; raises BusUnavailable
    """

    def __init__(
        self,
        order_book: all_orders.OrderBook,
        all_sites: Callable[[], sites.Sites],
        group: ports.Group,
        ask: Ask,
    ) -> None:
        self._order_book = order_book
        self._all_sites = all_sites
        self._group = group
        self._ask = ask
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='handover', daemon=True
        )

    def start(self) -> None:
        """Begin to look for orders of others every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was not handed on is forgotten with the agent."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def hand_on(self) -> None:
        """Offer each order of a site that another agent has to that agent."""
        for stray in self._strays():
            if not self._stopping.is_set():
                self._offer(stray)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            try:
                self.hand_on()
            except Exception:
                LOG.exception('Orders cannot be handed on, trying on')

    def _strays(self) -> list[_Stray]:
        by_store = {site.store: site for site in self._all_sites()}
        strays = []
        for image_id, pending in self._order_book.pending().items():
            for store, order in pending.items():
                site = by_store.get(store)
                if site is None or self._group.is_ours(site.link.name):
                    continue
                owner = self._group.owner(site.link.name)
                if owner is not None:
                    strays.append(_Stray(image_id, site, order, owner))
        return strays

    def _offer(self, stray: _Stray) -> None:
        engine = stray.order.engine and stray.order.engine.value
        image_id, name = stray.image_id, stray.site.name
        try:
            answer = self._ask(stray.owner, image_id, [name], engine)
        except exceptions.BusUnavailable as exc:
            LOG.debug('image=%s order for %s: %s', image_id, name, exc)
            return
        told = {'image': image_id, 'site': name, 'owner': stray.owner}
        if name in answer.get('accepted', ()):
            LOG.info(
                'image=%(image)s the order for site %(site)s goes to agent '
                '%(owner)s, which has its link',
                told,
            )
            self._order_book.withdraw(image_id, stray.site.store, stray.order)
        else:
            reason = answer.get('refused', {}).get(name)
            LOG.debug('image=%s order for %s: %s', image_id, name, reason)
