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

Holds each image's history, the load of all of them together, who waits for a
slot or for a store in trouble, and what operators ordered. All of it is
memory: see core.history.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import heapq
import itertools
import threading

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner


class _Waiters:
    """Images in the order of priority, then of arrival.

    One that comes again with a higher priority moves forward; what is left
    of it in the heap counts no more.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, images.ImageId]] = []
        self._members: dict[images.ImageId, int] = {}
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._members

    def add(self, image_id: images.ImageId, priority: int) -> None:
        if self._members.get(image_id, priority - 1) < priority:
            self._members[image_id] = priority
            entry = (-priority, next(self._arrivals), image_id)
            heapq.heappush(self._heap, entry)

    def take(self) -> images.ImageId:
        while True:
            negative, _, image_id = heapq.heappop(self._heap)
            if self._members.get(image_id) == -negative:
                del self._members[image_id]
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
        self._slot_waiters: dict[str, _Waiters] = {}
        self._probe_waiters: dict[loads.Turn, _Waiters] = {}
        self._released: set[loads.Turn] = set()

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

    def preview(
        self,
        image: images.Image,
        routes: planner.Routes,
        history: histories.History,
    ) -> planner.Plan:
        """Plan an image at this moment, to tell of it: nothing is taken."""
        others = self.load.without_running(image.id)
        return planner.plan(
            image, routes, history, others, self._limits, self._clock()
        )

    def will_wake(
        self, image_id: images.ImageId, turns: Iterable[loads.Turn]
    ) -> bool:
        """Tell whether an image waits for a slot, or for all these turns."""
        with self._lock:
            return all(
                image_id in self._slot_waiters.get(turn[1], ())
                or image_id in self._probe_waiters.get(turn, ())
                for turn in turns
            )

    def keep(
        self, image_id: images.ImageId, history: histories.History
    ) -> None:
        """Remember an image's history, and count its copy in the load."""
        with self._lock:
            self._keep(image_id, history)

    def forget(self, image_id: images.ImageId) -> None:
        """Drop all that is remembered of an image: it is gone."""
        self.keep(image_id, histories.EMPTY)

    def hand_back(self, image_id: images.ImageId) -> None:
        """Give back what was kept for an image whose look came to nothing."""
        self.keep(image_id, self.history(image_id))

    def note_success(self, turn: loads.Turn) -> None:
        """Note that a copy by an engine arrived in a store."""
        with self._lock:
            self._load = self._load.with_success(turn)

    def note_failure(self, turn: loads.Turn, reason: str) -> int:
        """Note that a copy by an engine did not arrive in a store.

        Return how many did not in a row.
        """
        with self._lock:
            self._load = self._load.with_failure(
                turn, reason, self._limits.backoff, self._clock()
            )
            return self._load.troubles[turn].failures

    def release(self, turn: loads.Turn) -> None:
        """Have all looked at that wait for a turn: they may go another way."""
        with self._lock:
            self._released.add(turn)

    def let_probe(self, store: images.StoreId) -> None:
        """Let a store in trouble be tried at once."""
        with self._lock:
            self._load = self._load.with_probes_due([store], self._clock())

    def let_probe_all(self) -> None:
        """Let all stores in trouble be tried at once."""
        with self._lock:
            stores = {store for store, _ in self._load.troubles}
            self._load = self._load.with_probes_due(stores, self._clock())

    def plan(
        self,
        image: images.Image,
        routes: planner.Routes,
        priority: int,
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
                image, routes, history, others, self._limits, self._clock()
            )
            if plan.stores:
                self._load = others.with_running(
                    image.id, plan.stores, engine=plan.engine
                )
            for engine in plan.needs_slot:
                waiters = self._slot_waiters.setdefault(engine, _Waiters())
                waiters.add(image.id, priority)
            for turn in plan.needs_probe:
                waiters = self._probe_waiters.setdefault(turn, _Waiters())
                waiters.add(image.id, priority)
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
                *self._take_released(),
            )

    def _take_released(self) -> Iterator[images.ImageId]:
        for turn in [*self._probe_waiters]:
            if turn not in self._load.troubles or turn in self._released:
                waiters = self._probe_waiters.pop(turn)
                while waiters:
                    yield waiters.take()
        self._released.clear()

    def _take_probers(self) -> Iterator[images.ImageId]:
        """Take one for each store that may be tried.

        They go first: else a store that works again would be found only
        after all who wait for a slot, and these would have to come again.
        """
        now = self._clock()
        troubles = self._load.troubles
        in_trouble = [t for t in self._probe_waiters if t in troubles]
        for turn in sorted(in_trouble, key=lambda t: troubles[t].next_probe_s):
            waiters = self._probe_waiters[turn]
            store, engine = turn
            if (
                waiters
                and self._has_slot(engine)
                and planner.may_probe(turn, self._load, self._limits, now)
            ):
                yield self._promise(waiters.take(), [store], engine)

    def _take_slot_waiters(self) -> Iterator[images.ImageId]:
        for engine, waiters in self._slot_waiters.items():
            while waiters and self._has_slot(engine):
                yield self._promise(waiters.take(), [], engine)

    def _has_slot(self, engine: str) -> bool:
        return self._load.busy(engine) < self._limits.slots(engine)

    def _promise(
        self,
        image_id: images.ImageId,
        stores: Iterable[images.StoreId],
        engine: str,
    ) -> images.ImageId:
        """Keep a slot for an image, if it has no copy under way by now."""
        running = self._load.running.get(image_id)
        if running is None or running.is_idle:
            self._load = self._load.with_running(
                image_id, stores, engine=engine
            )
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
                image_id,
                request.stores,
                self._is_idle(image_id, request),
                request.engine,
            )

    def _is_idle(
        self, image_id: images.ImageId, request: histories.Request
    ) -> bool:
        """Tell whether a copy takes no slot; of streams, not too many do."""
        waiting = sum(
            running.is_idle
            for other, running in self._load.running.items()
            if other != image_id and running.engine == histories.RBD_STREAM
        )
        return request.is_stuck or (
            request.waits_for_lock and waiting < self._limits.transfers_waiting
        )
