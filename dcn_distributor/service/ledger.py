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
"""What is under way: the one place where workers meet.

Holds each image's history, the load of all of them together, and who waits
for a slot or for a store in trouble. All of it is memory: see core.history.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import heapq
import itertools
import threading

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner


class _Waiters:
    """Images in the order of their policies' priority, then of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, images.ImageId]] = []
        self._members: set[images.ImageId] = set()
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._members

    def add(self, image_id: images.ImageId, priority: int) -> None:
        if image_id not in self._members:
            self._members.add(image_id)
            entry = (-priority, next(self._arrivals), image_id)
            heapq.heappush(self._heap, entry)

    def take(self) -> images.ImageId:
        image_id = heapq.heappop(self._heap)[2]
        self._members.discard(image_id)
        return image_id


class Ledger:
    """See the module. Every method may be called from any thread.

    :param limits: what the planner keeps to
    :param clock: seconds since the epoch
    """

    def __init__(
        self, limits: planner.Limits, clock: Callable[[], float]
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._histories: dict[images.ImageId, histories.History] = {}
        self._load = loads.IDLE
        self._slot_waiters = _Waiters()
        self._probe_waiters: dict[images.StoreId, _Waiters] = {}

    @property
    def load(self) -> loads.Load:
        """The load at this moment."""
        with self._lock:
            return self._load

    def history(self, image_id: images.ImageId) -> histories.History:
        """What is remembered of an image."""
        with self._lock:
            return self._histories.get(image_id, histories.EMPTY)

    def remembered(self) -> dict[images.ImageId, histories.History]:
        """All that is remembered, as of this moment."""
        with self._lock:
            return dict(self._histories)

    def will_wake(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> bool:
        """Tell whether an image waits for a slot, or for all these stores."""
        with self._lock:
            return image_id in self._slot_waiters or all(
                image_id in self._probe_waiters.get(store, ())
                for store in stores
            )

    def keep(
        self, image_id: images.ImageId, history: histories.History
    ) -> None:
        """Remember an image's history, and count its import in the load."""
        with self._lock:
            self._keep(image_id, history)

    def forget(self, image_id: images.ImageId) -> None:
        """Drop all that is remembered of an image: it is gone."""
        self.keep(image_id, histories.EMPTY)

    def hand_back(self, image_id: images.ImageId) -> None:
        """Give back what was kept for an image whose look came to nothing."""
        self.keep(image_id, self.history(image_id))

    def note_success(self, store: images.StoreId) -> None:
        """Note that a copy arrived in a store."""
        with self._lock:
            self._load = self._load.with_success(store)

    def note_failure(self, store: images.StoreId, reason: str) -> None:
        """Note that a copy did not arrive in a store."""
        with self._lock:
            self._load = self._load.with_failure(
                store, reason, self._limits.backoff, self._clock()
            )

    def plan(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        history: histories.History,
    ) -> planner.Plan:
        """Remember an image's history and plan it.

        What the plan needs, a slot and the turns of stores, is taken in the
        same step, so that two workers never take the same. Whoever does not
        carry the plan out gives back by keep().
        """
        with self._lock:
            self._keep(image.id, history)
            others = self._load.without_running(image.id)
            plan = planner.plan(
                image, decided, history, others, self._limits, self._clock()
            )
            if plan.stores:
                self._load = others.with_running(image.id, plan.stores)
            if plan.needs_slot:
                self._slot_waiters.add(image.id, decided.priority)
            for store in plan.needs_probe:
                waiters = self._probe_waiters.setdefault(store, _Waiters())
                waiters.add(image.id, decided.priority)
            return plan

    def take_due(self) -> tuple[images.ImageId, ...]:
        """Take those whose wait for a slot or a store has ended.

        Each slot is kept for whom it was given to, until that image is
        looked at. So this MAY be called at any time, and is to be called
        again and again: a waiter may have lost interest meanwhile, and the
        next one gets the slot then.
        """
        with self._lock:
            return (
                *self._take_probers(),
                *self._take_slot_waiters(),
                *self._take_healed(),
            )

    def _take_healed(self) -> Iterator[images.ImageId]:
        for store in [*self._probe_waiters]:
            if store not in self._load.troubles:
                waiters = self._probe_waiters.pop(store)
                while waiters:
                    yield waiters.take()

    def _take_probers(self) -> Iterator[images.ImageId]:
        """Take one for each store that may be tried.

        They go first: else a store that works again would be found only
        after all who wait for a slot, and these would have to come again.
        """
        now = self._clock()
        troubles = self._load.troubles
        in_trouble = [s for s in self._probe_waiters if s in troubles]
        for store in sorted(
            in_trouble, key=lambda s: troubles[s].next_probe_s
        ):
            waiters = self._probe_waiters[store]
            if (
                waiters
                and self._has_slot()
                and planner.may_probe(store, self._load, self._limits, now)
            ):
                yield self._promise(waiters.take(), [store])

    def _take_slot_waiters(self) -> Iterator[images.ImageId]:
        while self._slot_waiters and self._has_slot():
            yield self._promise(self._slot_waiters.take(), [])

    def _has_slot(self) -> bool:
        return self._load.busy < self._limits.imports

    def _promise(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> images.ImageId:
        """Keep a slot for an image, if it has no import by now."""
        if image_id not in self._load.running:
            self._load = self._load.with_running(image_id, stores)
        return image_id

    def _keep(
        self, image_id: images.ImageId, history: histories.History
    ) -> None:
        if history.is_empty:
            self._histories.pop(image_id, None)
        else:
            self._histories[image_id] = history
        request = history.request
        if request is None:
            self._load = self._load.without_running(image_id)
        else:
            self._load = self._load.with_running(
                image_id, request.stores, request.is_stuck
            )
