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
"""What an agent remembers at one moment, as it told over the bus.

The agent may be of another release: what is not as expected is left out.
"""

from collections.abc import Mapping
import dataclasses
import math
from types import MappingProxyType

from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import rosters
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers

_Setbacks = Mapping[images.StoreId, histories.Setback]
_NO_SETBACKS: _Setbacks = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Streaming:
    """One store's part in a stream that runs, and from where it comes."""

    source: images.StoreId | None
    lane: transfers.Lane


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """How an agent would bring an image to a store that lacks it.

    `engine` is None if none can serve, `reason` tells why this one; `waits`
    tells what keeps it from being asked now, None if nothing does.
    """

    engine: str | None
    reason: str
    waits: str | None


_Streams = Mapping[images.StoreId, Streaming]
_NO_STREAMS: _Streams = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """See the module.

    `setbacks` are of an image in a store, `troubles` of a store with
    whatever image. `host` is where the agent runs. `verified` are the stores
    whose copy its streams proved, `streams` those its streams work for now,
    `obstacles` what keeps rbd-stream from a store. `orders` are the stores
    that operators ordered an image to; `link_waits` tell why no copy may
    begin over a link now, by its name and by engine. `roster`
    tells of all agents, if several told all this together.
    """

    host: str = ''
    setbacks: Mapping[images.ImageId, _Setbacks] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    troubles: _Setbacks = dataclasses.field(
        default_factory=lambda: _NO_SETBACKS
    )
    verified: Mapping[images.ImageId, frozenset[images.StoreId]] = (
        dataclasses.field(default_factory=lambda: MappingProxyType({}))
    )
    streams: Mapping[images.ImageId, _Streams] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    obstacles: Mapping[images.StoreId, tuple[str, ...]] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    orders: Mapping[images.ImageId, frozenset[images.StoreId]] = (
        dataclasses.field(default_factory=lambda: MappingProxyType({}))
    )
    link_waits: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    pauses: all_pauses.Pauses = all_pauses.NONE
    roster: rosters.Roster = rosters.NOBODY

    @property
    def standing(self) -> gates.Standing:
        """What is closed by words of operators, and for want of an agent."""
        return gates.Standing(self.pauses, self.roster.elsewhere())

    def orders_of(self, image_id: images.ImageId) -> frozenset[images.StoreId]:
        """The stores that one image was ordered to."""
        return self.orders.get(image_id, frozenset())

    def of(self, image_id: images.ImageId) -> _Setbacks:
        """The setbacks of one image, by store."""
        return self.setbacks.get(image_id, _NO_SETBACKS)

    def streams_of(self, image_id: images.ImageId) -> _Streams:
        """The streams of one image, by store."""
        return self.streams.get(image_id, _NO_STREAMS)

    def verified_of(
        self, image_id: images.ImageId
    ) -> frozenset[images.StoreId]:
        """The stores whose copy of one image was proved."""
        return self.verified.get(image_id, frozenset())

    def knows(self, image_id: images.ImageId) -> bool:
        """Tell whether there is anything particular about an image."""
        return (
            image_id in self.setbacks
            or image_id in self.verified
            or image_id in self.streams
            or image_id in self.orders
            or self.pauses.of(all_pauses.Kind.IMAGE, image_id) is not None
        )


NOTHING = Memory()


def remembered(answer: Mapping[str, object]) -> Memory:
    """Read what clients.bus.control.Agent.remembered() gave."""
    setbacks = {
        images.ImageId(image_id): _setbacks(by_store)
        for image_id, by_store in _items(answer.get('setbacks'))
    }
    verified = {
        images.ImageId(image_id): frozenset(map(images.StoreId, stores))
        for image_id, told in _items(answer.get('verified'))
        if (stores := _texts(told))
    }
    obstacles = {
        images.StoreId(store): texts
        for store, told in _items(answer.get('obstacles'))
        if (texts := _texts(told))
    }
    host = answer.get('host')
    return Memory(
        host if isinstance(host, str) else '',
        MappingProxyType(setbacks),
        _setbacks(answer.get('troubles')),
        MappingProxyType(verified),
        obstacles=MappingProxyType(obstacles),
        orders=MappingProxyType(_orders(answer.get('orders'))),
        link_waits=MappingProxyType(_link_waits(answer.get('links'))),
        pauses=rosters.pauses(answer),
    )


def with_transfers(memory: Memory, answer: Mapping[str, object]) -> Memory:
    """Add what clients.bus.control.Agent.transfers() gave of those running."""
    told = answer.get('transfers')
    reports = [
        report
        for value in (told if isinstance(told, list) else [])
        if (report := transfer_messages.from_plain(value)) is not None
        and report.ended_s is None
    ]
    streams: dict[images.ImageId, dict[images.StoreId, Streaming]] = {}
    for report in reports:
        of_image = streams.setdefault(report.image_id, {})
        for lane in report.lanes:
            if not lane.phase.is_end:
                of_image[lane.store] = Streaming(report.source, lane)
    return dataclasses.replace(
        memory,
        streams=MappingProxyType(
            {
                image_id: MappingProxyType(of_image)
                for image_id, of_image in streams.items()
            }
        ),
    )


def with_roster(memory: Memory, answer: Mapping[str, object]) -> Memory:
    """Add what clients.bus.control.Agent.who() gave."""
    return dataclasses.replace(memory, roster=rosters.read(answer))


def routes(answer: Mapping[str, object]) -> Mapping[images.StoreId, Route]:
    """Read what clients.bus.control.Agent.routes() gave."""
    return {
        images.StoreId(store): Route(
            _text(told.get('engine')),
            _text(told.get('reason')) or '',
            _text(told.get('waits')),
        )
        for store, told in _items(answer.get('routes'))
        if isinstance(told, Mapping)
    }


def _orders(
    value: object,
) -> dict[images.ImageId, frozenset[images.StoreId]]:
    """Read the orders that were not given up."""
    orders = {}
    for image_id, by_store in _items(value):
        stores = frozenset(
            images.StoreId(store)
            for store, told in _items(by_store)
            if isinstance(told, Mapping) and told.get('failed') is None
        )
        if stores:
            orders[images.ImageId(image_id)] = stores
    return orders


def _link_waits(value: object) -> dict[str, dict[str, str]]:
    return {
        name: {
            engine: reason
            for engine, reason in _items(told.get('waits'))
            if isinstance(reason, str)
        }
        for name, told in _items(value)
        if isinstance(told, Mapping)
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text for text in value if isinstance(text, str))


def _setbacks(value: object) -> _Setbacks:
    return MappingProxyType(
        {
            images.StoreId(store): setback
            for store, told in _items(value)
            if (setback := _setback(told)) is not None
        }
    )


def _setback(told: object) -> histories.Setback | None:
    if not isinstance(told, Mapping):
        return None
    failures, next_try_s = told.get('failures'), told.get('next_try_s')
    if not isinstance(failures, int):
        return None
    if not isinstance(next_try_s, int | float):
        next_try_s = math.inf
    return histories.Setback(
        failures,
        str(told.get('reason')),
        next_try_s,
        # Agents of 1.0 told of nothing else.
        is_refused=bool(told.get('is_refused', True)),
    )


def _items(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, Mapping):
        return []
    return [(k, v) for k, v in value.items() if isinstance(k, str)]
