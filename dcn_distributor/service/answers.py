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
"""What an agent answers to operators' commands: clients.bus.control.Agent.

Values are plain, as they cross the bus.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import Any
from typing import TypeVar

from dcn_distributor import exceptions
from dcn_distributor.core import history as all_histories
from dcn_distributor.core import images
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import routes as all_routes
from dcn_distributor.core import sites
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers as core_transfers
from dcn_distributor.core import transitions
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import pausing
from dcn_distributor.service import shares

_Plain = dict[str, Any]
_IsOwn = Callable[[images.StoreId], bool]
_Any = TypeVar('_Any')


class Answers:
    """See the module.

    :param host: the agent's name
    :param count_events: gives how many events came in, by what became of
        them
    :param tell: has the other agents told what operators said
    """

    def __init__(
        self,
        parts: all_parts.Parts,
        host: str,
        count_events: Callable[[], Mapping[str, int]],
        tell: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._host = host
        self._tell = tell
        self._count_events = count_events

    def resync(self, image_ids: Sequence[images.ImageId]) -> _Plain:
        """See clients.bus.control.Agent."""
        self._parts.rule_book.start_anew()
        self._parts.reconciler.forget_obstacle()
        self._parts.ledger.let_probe_all()
        for image_id in image_ids:
            self._parts.queue.add(image_id)
        if not image_ids:
            self._parts.resync.ask()
        return self._signed({'looking_at': len(image_ids) or None})

    def remembered(self) -> _Plain:
        """See clients.bus.control.Agent."""
        is_own = shares.owned(self._parts)
        histories = self._parts.ledger.remembered()
        verified = {
            image_id: sorted(filter(is_own, history.verified))
            for image_id, history in histories.items()
        }
        return self._signed(
            {
                'setbacks': _setbacks(histories, is_own),
                'troubles': _own(self._troubles(), is_own),
                'verified': {i: some for i, some in verified.items() if some},
                'obstacles': _own(self._obstacles(), is_own),
                'orders': _own_by_image(self._orders(), is_own),
                'events': dict(self._count_events()),
                'looks': self._parts.workers.looks,
                'links': shares.links(self._parts),
                'pauses': shares.words(self._parts),
            }
        )

    def transfers(self) -> _Plain:
        """See clients.bus.control.Agent."""
        streams = self._parts.streams
        reports = [] if streams is None else streams.reports()
        return self._signed(
            {'transfers': [transfer_messages.plain(r) for r in reports]}
        )

    def routes(self, image_id: images.ImageId) -> _Plain:
        """See clients.bus.control.Agent."""
        try:
            image = self._parts.glance.get(image_id)
        except exceptions.DistributorError:
            return self._signed({'routes': {}})
        orders = self._parts.order_book.of(image_id)
        history, routes = self._parts.reconciler.consider(image, orders)
        is_own = shares.owned(self._parts)
        plan = self._parts.ledger.preview(image, routes, history)
        waits = {wait.store: wait.reason for wait in plan.waits}
        told = {
            store: {
                'engine': route.engine,
                'reason': route.reason,
                'waits': waits.get(store),
            }
            for store, route in routes.items()
            if route.closure is None or not route.closure.is_elsewhere
        }
        if history.request is not None:
            engine, reasons = history.request.engine, history.request.reasons
            for store in history.request.stores:
                # One that another agent has now is broken off.
                if not is_own(store):
                    continue
                route = routes.get(store)
                told[store] = {
                    'engine': engine,
                    # What led to it may have changed since.
                    'reason': route.reason
                    if route is not None and route.engine == engine
                    else reasons.get(store, 'it is under way'),
                    'waits': None,
                }
        return self._signed({'routes': told})

    def copy(
        self,
        image_id: images.ImageId,
        site_names: Sequence[str],
        engine: str | None,
    ) -> _Plain:
        """See clients.bus.control.Agent."""
        answer: _Plain = {'accepted': [], 'refused': {}, 'waits': {}}
        try:
            wish = None if engine is None else _engine(engine)
            image = self._read(image_id)
        except exceptions.DistributorError as exc:
            answer['refused'] = dict.fromkeys(site_names, str(exc))
            return self._signed(answer)
        known = {site.name: site for site in self._parts.rule_book.rules.sites}
        for name in dict.fromkeys(site_names):
            site = known.get(sites.SiteName(name))
            if site is None:
                answer['refused'][name] = f'there is no site {name}'
                continue
            prospect = self._prospect(image, site, wish)
            if prospect.refusal is not None:
                answer['refused'][name] = prospect.refusal
                continue
            self._parts.order_book.place(image_id, site.store, wish)
            answer['accepted'].append(name)
            if prospect.wait is not None:
                answer['waits'][name] = prospect.wait
        if answer['accepted']:
            self._parts.queue.add_first(image_id)
        return self._signed(answer)

    def rest(
        self, kind: str, name: str, rests: bool, by: str, why: str
    ) -> _Plain:
        """See clients.bus.control.Agent."""
        try:
            known = all_pauses.Kind(kind)
        except ValueError:
            return self._signed({'refused': f'a {kind} cannot rest'})
        word = all_pauses.Word(known, name, rests, by, 0.0, why)
        rules = self._parts.rule_book.rules
        answer = pausing.rest(self._parts.pause_book, rules, word)
        if answer['is_new']:
            self._tell()
        return self._signed(answer)

    def timeline(self, image_id: images.ImageId) -> _Plain:
        """See clients.bus.control.Agent."""
        timeline = self._parts.journal.timeline(image_id)
        return self._signed(transitions.plain(timeline))

    def who(self) -> _Plain:
        """See clients.bus.control.Agent."""
        told = shares.roster(self._parts)
        return self._signed({**told, 'pauses': shares.words(self._parts)})

    def _signed(self, answer: _Plain) -> _Plain:
        return {'host': self._host, **answer}

    def _read(
        self, image_id: images.ImageId
    ) -> images.Image | exceptions.TemporaryError:
        """Read an image, or say why that cannot be done now."""
        try:
            return self._parts.glance.get(image_id)
        except exceptions.TemporaryError as exc:
            return exc

    def _prospect(
        self,
        image: images.Image | exceptions.TemporaryError,
        site: sites.Site,
        wish: core_transfers.EngineChoice | None,
    ) -> '_Prospect':
        """Tell what would come of an order."""
        away = self._parts.gatekeeper.standing().elsewhere
        if site.link.name in away:
            return _Prospect(away[site.link.name])
        if isinstance(image, exceptions.TemporaryError):
            return _Prospect(wait=str(image))
        if not image.is_active:
            return _Prospect(f'the image is {image.status}, not active')
        if site.store in image.stores:
            return _Prospect('already there')
        order = all_routes.Order(wish)
        _, routes = self._parts.reconciler.consider(image, {site.store: order})
        route = routes[site.store]
        if route.closure is not None:
            return _Prospect(wait=route.closure.reason)
        if route.engine is not None:
            return _Prospect()
        if route.passes:
            return _Prospect(wait=route.reason)
        return _Prospect(route.reason)

    def _troubles(self) -> dict[str, _Plain]:
        """By store; of two engines', that which ends first."""
        troubles = sorted(
            self._parts.ledger.load.troubles.items(),
            key=lambda item: -item[1].next_probe_s,
        )
        return {
            store: {
                **_plain(t.failures, t.reason, t.next_probe_s),
                'engine': engine,
            }
            for (store, engine), t in troubles
        }

    def _obstacles(self) -> dict[str, list[str]]:
        streams = self._parts.streams
        if streams is None:
            return {}
        return {
            site.store: list(obstacles)
            for site in self._parts.rule_book.rules.sites.everywhere
            if site.cluster is not None
            and (obstacles := streams.obstacles(site.store))
        }

    def _orders(self) -> dict[str, dict[str, _Plain]]:
        told: dict[str, dict[str, _Plain]] = {}
        for (
            image_id,
            store,
        ), reason in self._parts.order_book.failed().items():
            told.setdefault(image_id, {})[store] = {
                'engine': None,
                'failed': reason,
            }
        for image_id, orders in self._parts.order_book.pending().items():
            for store, order in orders.items():
                told.setdefault(image_id, {})[store] = {
                    'engine': order.engine and order.engine.value,
                    'failed': None,
                }
        return told


@dataclasses.dataclass(frozen=True, slots=True)
class _Prospect:
    """Why an order would be in vain, or would have to wait; None if not."""

    refusal: str | None = None
    wait: str | None = None


def _engine(name: str) -> core_transfers.EngineChoice:
    try:
        return core_transfers.EngineChoice(name)
    except ValueError:
        known = ', '.join(
            choice.value for choice in core_transfers.EngineChoice
        )
        raise exceptions.ConfigError(
            f'there is no engine {name}, but {known}'
        ) from None


def _setbacks(
    histories: Mapping[images.ImageId, all_histories.History], is_own: _IsOwn
) -> dict[str, _Plain]:
    """Tell what failed, by image and store."""
    return _own_by_image(
        {
            image_id: {
                store: {
                    **_plain(s.failures, s.reason, s.next_try_s),
                    'is_refused': s.is_refused,
                }
                for store, s in history.setbacks.items()
            }
            for image_id, history in histories.items()
        },
        is_own,
    )


def _own_by_image(
    told: Mapping[str, Mapping[str, _Plain]], is_own: _IsOwn
) -> dict[str, dict[str, _Plain]]:
    """Leave out what is told of other agents' stores."""
    kept = {
        image_id: _own(stores, is_own) for image_id, stores in told.items()
    }
    return {image_id: stores for image_id, stores in kept.items() if stores}


def _own(told: Mapping[str, _Any], is_own: _IsOwn) -> dict[str, _Any]:
    return {
        store: value
        for store, value in told.items()
        if is_own(images.StoreId(store))
    }


def _plain(failures: int, reason: str, next_try_s: float) -> _Plain:
    return {
        'failures': failures,
        'reason': reason,
        'next_try_s': None if math.isinf(next_try_s) else next_try_s,
    }
