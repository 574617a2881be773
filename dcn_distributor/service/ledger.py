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
from collections.abc import Mapping
import dataclasses
import threading

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner
from dcn_distributor.core import queueing
from dcn_distributor.core import rooms as all_rooms


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
        self._slot_waiters: dict[str, queueing.Line] = {}
        self._probe_waiters: dict[loads.Turn, queueing.Line] = {}
        self._link_waiters: dict[tuple[str, str], queueing.Line] = {}
        self._link_turns: dict[tuple[str, images.ImageId], loads.Turn] = {}
        self._released: set[loads.Turn] = set()

    @property
    def load(self) -> loads.Load:
        """The load at this moment."""
        with self._lock:
            return self._load

    def set_links(self, by_store: Mapping[images.StoreId, links.Link]) -> None:
        """Go by these links from now on."""
        with self._lock:
            self._limits = dataclasses.replace(self._limits, links=by_store)

    def history(self, image_id: images.ImageId) -> histories.History:
        """What is remembered of an image."""
        with self._lock:
            return self._histories.get(image_id, histories.EMPTY)

    def remembered(self) -> dict[images.ImageId, histories.History]:
        """All that is remembered, as of this moment."""
        with self._lock:
            return dict(self._histories)

    def under_way(self) -> tuple[images.ImageId, ...]:
        """The images that have a copy under way."""
        with self._lock:
            return tuple(
                image_id
                for image_id, history in self._histories.items()
                if history.request is not None
            )

    def preview(
        self,
        image: images.Image,
        routes: planner.Routes,
        history: histories.History,
    ) -> planner.Plan:
        """Plan an image at this moment, to tell of it: nothing is taken."""
        with self._lock:
            return planner.plan(
                image,
                routes,
                history,
                self._beside(image.id, history),
                self._limits,
                self._clock(),
            )

    def crossing(self) -> dict[str, int]:
        """How many copies are under way over each link."""
        with self._lock:
            by_link: dict[str, int] = {}
            for running in self._load.running.values():
                for store in () if running.is_idle else running.stores:
                    link = self._limits.links.get(store)
                    if link is not None:
                        by_link[link.name] = by_link.get(link.name, 0) + 1
            return by_link

    def link_waits(self, name: str) -> dict[str, str]:
        """Tell why no copy may begin over a link now, by engine, if so."""
        with self._lock:
            rooms = all_rooms.Rooms(self._load, self._limits)
            return rooms.waits(name, self._clock())

    def will_wake(
        self, image_id: images.ImageId, turns: Iterable[loads.Turn]
    ) -> bool:
        """Tell whether an image waits in line for all these turns."""
        with self._lock:
            return all(
                any(image_id in line for line in self._lines(turn))
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

    def note_import(
        self, store: images.StoreId, size_bytes: int, started_s: float
    ) -> None:
        """Note that an import crossed the link of a store, at full speed."""
        with self._lock:
            link = self._limits.links.get(store)
            if link is not None and link.rate_bytes_s is not None:
                since_s = max(started_s, self._load.paid_s.get(link.name, 0.0))
                until_s = since_s + size_bytes / link.rate_bytes_s
                self._load = self._load.with_paid(link.name, until_s)

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
        rank: queueing.Rank,
        history: histories.History,
    ) -> planner.Plan:
        """Remember an image's history and plan it.

        What the plan needs, a slot, room on links and the turns of stores,
        is taken in the same step, so that two workers never take the same.
        Whoever does not carry the plan out gives back by keep().
        """
        with self._lock:
            self._keep(image.id, history)
            others = self._beside(image.id, history)
            plan = planner.plan(
                image, routes, history, others, self._limits, self._clock()
            )
            if plan.stores:
                self._load = others.with_one_more(
                    image.id, plan.stores, plan.engine
                )
            self._line_up(image.id, rank, plan)
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
                *self._take_link_waiters(),
                *self._take_slot_waiters(),
                *self._take_released(),
            )

    def _beside(
        self, image_id: images.ImageId, history: histories.History
    ) -> loads.Load:
        """The load that an image's next copy would come to.

        Its own streams are part of that, while a next import would take the
        place of the one under way.
        """
        load = self._load.without_running(image_id)
        request = history.request
        if request is None or request.engine != histories.RBD_STREAM:
            return load
        return self._with_request(load, image_id, request)

    def _lines(self, turn: loads.Turn) -> Iterator[queueing.Line]:
        """All that may lead to a turn."""
        store, engine = turn
        link = self._limits.links.get(store)
        nobody = queueing.Line()
        yield self._slot_waiters.get(engine, nobody)
        yield self._probe_waiters.get(turn, nobody)
        if link is not None:
            yield self._link_waiters.get((link.name, engine), nobody)

    def _line_up(
        self, image_id: images.ImageId, rank: queueing.Rank, plan: planner.Plan
    ) -> None:
        """Have an image wait for what its plan lacks."""
        for engine in plan.needs_slot:
            line = self._slot_waiters.setdefault(engine, queueing.Line())
            line.add(image_id, rank)
        for turn in plan.needs_probe:
            line = self._probe_waiters.setdefault(turn, queueing.Line())
            line.add(image_id, rank)
        for name, turn in plan.needs_link.items():
            key = name, turn[1]
            line = self._link_waiters.setdefault(key, queueing.Line())
            line.add(image_id, rank)
            self._link_turns[name, image_id] = turn

    def _take_link_waiters(self) -> Iterator[images.ImageId]:
        for (name, engine), line in [*self._link_waiters.items()]:
            is_gone = not self._limits.on_link(name)
            while line and (is_gone or self._has_room(name, engine)):
                image_id = line.take()
                turn = self._link_turns.pop((name, image_id), None)
                if is_gone or turn is None:
                    yield image_id
                else:
                    yield self._promise(image_id, [turn[0]], engine)
            if not line:
                del self._link_waiters[name, engine]

    def _has_room(self, name: str, engine: str) -> bool:
        rooms = all_rooms.Rooms(self._load, self._limits)
        return rooms.may_begin(name, engine)

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
        """Keep a slot for an image, if it may have one more."""
        self._load = self._load.with_one_more(image_id, stores, engine)
        return image_id

    def _keep(
        self, image_id: images.ImageId, history: histories.History
    ) -> None:
        if history.is_empty:
            self._histories.pop(image_id, None)
        else:
            self._histories[image_id] = history
        self._load = self._load.without_running(image_id)
        if history.request is not None:
            self._load = self._with_request(
                self._load, image_id, history.request
            )

    def _with_request(
        self,
        load: loads.Load,
        image_id: images.ImageId,
        request: histories.Request,
    ) -> loads.Load:
        return load.with_running(
            image_id,
            request.stores,
            self._is_idle(image_id, request),
            request.engine,
            request.streams,
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
