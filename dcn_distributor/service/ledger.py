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

    def add(self, image_id: images.ImageId, priority: int) -> None:
        if image_id not in self._members:
            self._members.add(image_id)
            entry = (-priority, next(self._arrivals), image_id)
            heapq.heappush(self._heap, entry)

    def take(self, count: int) -> Iterator[images.ImageId]:
        while self._heap and count > 0:
            image_id = heapq.heappop(self._heap)[2]
            self._members.discard(image_id)
            count -= 1
            yield image_id


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

    def knows(self, image_id: images.ImageId) -> bool:
        """Tell whether anything is remembered of an image."""
        with self._lock:
            return image_id in self._histories

    def keep(
        self, image_id: images.ImageId, history: histories.History
    ) -> None:
        """Remember an image's history, and count its import in the load."""
        with self._lock:
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

    def forget(self, image_id: images.ImageId) -> None:
        """Drop all that is remembered of an image: it is gone."""
        self.keep(image_id, histories.EMPTY)

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
        """Plan an image, taking the slot and the turns the plan needs.

        Planning and taking are one step, so that two workers never take the
        same. Whoever does not carry the plan out gives back by keep().
        """
        with self._lock:
            now = self._clock()
            plan = planner.plan(
                image, decided, history, self._load, self._limits, now
            )
            if plan.stores:
                self._load = self._load.with_running(image.id, plan.stores)
            if plan.needs_slot:
                self._slot_waiters.add(image.id, decided.priority)
            for store in plan.needs_probe:
                waiters = self._probe_waiters.setdefault(store, _Waiters())
                waiters.add(image.id, decided.priority)
            return plan

    def take_due(self) -> tuple[images.ImageId, ...]:
        """Take those whose wait for a slot or a store has ended.

        A waiter may have lost interest meanwhile; so this is to be called
        again and again, and hands out the next one then.
        """
        with self._lock:
            free = self._limits.imports - self._load.busy
            return (
                *self._slot_waiters.take(free),
                *itertools.chain.from_iterable(self._take_probers()),
            )

    def _take_probers(self) -> Iterable[Iterable[images.ImageId]]:
        now = self._clock()
        for store, waiters in list(self._probe_waiters.items()):
            trouble = self._load.troubles.get(store)
            if trouble is None:
                del self._probe_waiters[store]
                yield waiters.take(len(waiters))
            elif (
                trouble.next_probe_s <= now
                and self._load.prober(store) is None
            ):
                yield waiters.take(1)
