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
"""How many more copies each link may take."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from dcn_distributor.core import choosing
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links as all_links
from dcn_distributor.core import load as loads
from dcn_distributor.core import text


class Bounds(Protocol):
    """What counts here of planner.Limits."""

    @property
    def links(self) -> Mapping[images.StoreId, all_links.Link]:
        """The link of each store; one that is not named has no limits."""
        ...

    def on_link(self, name: str) -> frozenset[images.StoreId]:
        """Name the stores that hang on a link."""
        ...

    def slots(self, engine: str) -> int:
        """Copies at once by an engine."""
        ...

    def extra_slots(self, engine: str) -> int:
        """How many more there may be for links with nothing under way."""
        ...


class Rooms:
    """See the module. Good for one moment, that of `load`."""

    def __init__(self, load: loads.Load, bounds: Bounds) -> None:
        self._load = load
        self._bounds = bounds
        self._obstacles: dict[str, str | None] = {}
        self._left: dict[str, int] = {}

    def cut(
        self, stores: Sequence[images.StoreId], engine: str
    ) -> tuple[images.StoreId, ...]:
        """Leave out the stores whose link has no room for the engine."""
        kept = []
        taken: dict[str, int] = {}
        for store in stores:
            link = self._bounds.links.get(store)
            if link is None:
                if self.has_slot(engine):
                    kept.append(store)
            elif self.may_begin(link.name, engine) and (
                link.transfers is None
                or taken.get(link.name, 0) < self._left[link.name]
            ):
                taken[link.name] = taken.get(link.name, 0) + 1
                kept.append(store)
        return tuple(kept)

    def obstacle(self, name: str) -> str | None:
        """Tell why no copy may begin over a link, if so."""
        if name not in self._obstacles:
            self._obstacles[name] = self._look(name)
        return self._obstacles[name]

    def has_slot(self, engine: str) -> bool:
        """Tell whether an engine may begin a copy over any link."""
        return self._load.busy(engine) < self._bounds.slots(engine)

    def may_begin(self, name: str, engine: str) -> bool:
        """Tell whether an engine may begin a copy over a link.

        One with nothing under way need not wait for the slots that copies
        over slow links take.
        """
        if self.obstacle(name) is not None:
            return False
        if self.has_slot(engine):
            return True
        most = self._bounds.slots(engine) + self._bounds.extra_slots(engine)
        return (
            self._load.busy(engine) < most
            and self._load.crossing(self._bounds.on_link(name)) == 0
        )

    def no_slot(self, engine: str) -> str:
        """Tell why an engine may begin no copy where has_slot() is False."""
        return (
            f'{self._load.busy(engine)} of {self._bounds.slots(engine)} '
            f'copies by {engine} are under way'
        )

    def waits(self, name: str, now: float) -> dict[str, str]:
        """Tell why no copy may begin over a link now, by engine, if so."""
        reasons = {}
        for engine in choosing.ENGINES:
            owed = unpaid(name, engine, self._load, now)
            if owed is not None:
                reasons[engine] = owed[0]
            elif (obstacle := self.obstacle(name)) is not None:
                reasons[engine] = obstacle
            elif self._bounds.slots(engine) and not self.may_begin(
                name, engine
            ):
                reasons[engine] = self.no_slot(engine)
        return reasons

    def _look(self, name: str) -> str | None:
        stores = self._bounds.on_link(name)
        if not stores:
            return None
        link = self._bounds.links[min(stores)]
        if link.transfers is None:
            return None
        crossing = self._load.crossing(stores)
        self._left[name] = link.transfers - crossing
        if crossing < link.transfers:
            return None
        return f'link {name}: {crossing} of {link.transfers} transfers'


def unpaid(
    link: str, engine: str, load: loads.Load, now: float
) -> tuple[str, float] | None:
    """Have imports wait for what the last one took of their link's rate.

    Tells why, and until when.
    """
    paid_s = load.paid_s.get(link, 0.0)
    if engine != histories.COPY_IMAGE or paid_s <= now:
        return None
    reason = (
        f'link {link}: at its rate the last import would take until '
        f'{text.moment(paid_s)}'
    )
    return reason, paid_s
