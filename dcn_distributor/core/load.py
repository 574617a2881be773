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
others of the same import, and every import that includes it. A store whose
last copy failed is therefore *troubled*: it is asked for alone, by one image
at a time, with growing pauses, until a copy to it succeeds.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from types import MappingProxyType

from dcn_distributor.core import images
from dcn_distributor.core import retry


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """One image's import: the stores it still works for.

    Or the slot that is kept for one, until the image is looked at.
    """

    stores: frozenset[images.StoreId]
    is_stuck: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """A store's failures in a row, over all images.

    `next_probe_s`: when one image may try it, in seconds since the epoch.
    """

    failures: int
    reason: str
    next_probe_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """The imports under way by image, the troubles by store."""

    running: Mapping[images.ImageId, Running] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    troubles: Mapping[images.StoreId, Trouble] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def busy(self) -> int:
        """How many imports work; a stuck one holds no host's disk busy."""
        return sum(not r.is_stuck for r in self.running.values())

    @property
    def probing(self) -> int:
        """How many of these work for a store in trouble."""
        return sum(
            not r.is_stuck and not r.stores.isdisjoint(self.troubles)
            for r in self.running.values()
        )

    def prober(self, store: images.StoreId) -> images.ImageId | None:
        """Which image's import works for this store, leaving out stuck ones.

        A stuck import may be one of the dead, though its store lives again.
        """
        for image_id, running in self.running.items():
            if store in running.stores and not running.is_stuck:
                return image_id
        return None

    def with_running(
        self,
        image_id: images.ImageId,
        stores: Iterable[images.StoreId],
        is_stuck: bool = False,
    ) -> 'Load':
        """Note an image's import as it now stands."""
        running = Running(frozenset(stores), is_stuck)
        if self.running.get(image_id) == running:
            return self
        return dataclasses.replace(
            self, running=MappingProxyType({**self.running, image_id: running})
        )

    def without_running(self, image_id: images.ImageId) -> 'Load':
        """Note that an image has no import under way."""
        if image_id not in self.running:
            return self
        kept = {i: r for i, r in self.running.items() if i != image_id}
        return dataclasses.replace(self, running=MappingProxyType(kept))

    def with_success(self, store: images.StoreId) -> 'Load':
        """Note a copy that arrived: the store is in order."""
        if store not in self.troubles:
            return self
        kept = {s: t for s, t in self.troubles.items() if s != store}
        return dataclasses.replace(self, troubles=MappingProxyType(kept))

    def with_failure(
        self,
        store: images.StoreId,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'Load':
        """Note a copy that did not arrive: the store is in trouble."""
        past = self.troubles.get(store)
        failures = 1 if past is None else past.failures + 1
        trouble = Trouble(
            failures, reason, now + retry.delay_s(backoff, failures, store)
        )
        return dataclasses.replace(
            self, troubles=MappingProxyType({**self.troubles, store: trouble})
        )


IDLE = Load()
