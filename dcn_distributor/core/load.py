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
"""What all images together have under way, and which stores fail.

An import goes through its stores in turn, so one dead store can hold up the
others of the same import, and every import that includes it; a stream ends
with the slowest of its lanes. A store whose last copy by an engine failed is
therefore in *trouble* with that engine: it is asked for alone, by one image
at a time, with growing pauses, until a copy to it succeeds. What keeps Glance
from a store need not keep a stream from it.

Each engine has its own slots; one image takes one slot at a time.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from types import MappingProxyType

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import retry

# A store, and the engine that is to try it.
Turn = tuple[images.StoreId, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """One image's copy: the stores it still works for, and by what.

    Or the slot that is kept for one, until the image is looked at. An idle
    one does nothing but wait: an import that is stuck, or a stream for the
    image's lock. An image may have several streams at once, to different
    stores: each takes one of `slots`.
    """

    stores: frozenset[images.StoreId]
    is_idle: bool = False
    engine: str = histories.COPY_IMAGE
    slots: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """A store's failures in a row with one engine, over all images.

    `next_probe_s`: when one image may try it, in seconds since the epoch.
    """

    failures: int
    reason: str
    next_probe_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """The copies under way by image, the troubles by store and engine.

    `paid_s` tells by link when the imports that crossed it would have ended
    at the link's rate, in seconds since the epoch.
    """

    running: Mapping[images.ImageId, Running] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    troubles: Mapping[Turn, Trouble] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    paid_s: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    def busy(self, engine: str) -> int:
        """How many copies an engine has under way, without the idle ones.

        These keep no host's disk busy, nor any link.
        """
        return sum(
            r.slots
            for r in self.running.values()
            if r.engine == engine and not r.is_idle
        )

    def crossing(self, stores: Collection[images.StoreId]) -> int:
        """How many copies are under way to these stores, without idle ones.

        Each image to each store is one.
        """
        return sum(
            len(r.stores.intersection(stores))
            for r in self.running.values()
            if not r.is_idle
        )

    def probing(self, engine: str) -> int:
        """How many of these work for a store in trouble."""
        return sum(
            r.engine == engine
            and not r.is_idle
            and any((store, engine) in self.troubles for store in r.stores)
            for r in self.running.values()
        )

    def prober(self, turn: Turn) -> images.ImageId | None:
        """Which image's copy takes this turn, leaving out idle ones.

        A stuck import may be one of the dead, though its store lives again.
        """
        store, engine = turn
        for image_id, running in self.running.items():
            if (
                store in running.stores
                and running.engine == engine
                and not running.is_idle
            ):
                return image_id
        return None

    def with_running(
        self,
        image_id: images.ImageId,
        stores: Iterable[images.StoreId],
        is_idle: bool = False,
        engine: str = histories.COPY_IMAGE,
        slots: int = 1,
    ) -> 'Load':
        """Note an image's copy as it now stands."""
        running = Running(frozenset(stores), is_idle, engine, slots)
        if self.running.get(image_id) == running:
            return self
        return dataclasses.replace(
            self, running=MappingProxyType({**self.running, image_id: running})
        )

    def without_running(self, image_id: images.ImageId) -> 'Load':
        """Note that an image has no copy under way."""
        if image_id not in self.running:
            return self
        kept = {i: r for i, r in self.running.items() if i != image_id}
        return dataclasses.replace(self, running=MappingProxyType(kept))

    def with_one_more(
        self,
        image_id: images.ImageId,
        stores: Iterable[images.StoreId],
        engine: str,
    ) -> 'Load':
        """Note one more stream of an image, or its only copy.

        Nothing is changed if the image can have no such copy now.
        """
        running = self.running.get(image_id)
        if running is None or running.is_idle:
            return self.with_running(image_id, stores, engine=engine)
        if not running.engine == engine == histories.RBD_STREAM:
            return self
        return self.with_running(
            image_id,
            running.stores.union(stores),
            engine=engine,
            slots=running.slots + 1,
        )

    def with_paid(self, link: str, until_s: float) -> 'Load':
        """Note what an import has used of a link's rate."""
        return dataclasses.replace(
            self, paid_s=MappingProxyType({**self.paid_s, link: until_s})
        )

    def with_success(self, turn: Turn) -> 'Load':
        """Note a copy that arrived: the store is in order."""
        if turn not in self.troubles:
            return self
        kept = {s: t for s, t in self.troubles.items() if s != turn}
        return dataclasses.replace(self, troubles=MappingProxyType(kept))

    def with_failure(
        self,
        turn: Turn,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'Load':
        """Note a copy that did not arrive: the store is in trouble."""
        past = self.troubles.get(turn)
        failures = 1 if past is None else past.failures + 1
        trouble = Trouble(
            failures, reason, now + retry.delay_s(backoff, failures, turn[0])
        )
        return dataclasses.replace(
            self, troubles=MappingProxyType({**self.troubles, turn: trouble})
        )

    def with_probes_due(
        self, stores: Collection[images.StoreId], now: float
    ) -> 'Load':
        """Note that stores in trouble may be tried at once."""
        troubles = {
            turn: dataclasses.replace(
                trouble, next_probe_s=min(now, trouble.next_probe_s)
            )
            if turn[0] in stores
            else trouble
            for turn, trouble in self.troubles.items()
        }
        return dataclasses.replace(self, troubles=MappingProxyType(troubles))


IDLE = Load()
