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
"""What to do for one image now, and when to look at it again.

1. Each store that lacks the image has its route (see routes.py), or waits
   until something changes.
2. While an import of the image is under way, all others wait: Glance takes
   one an image, and no store ever has two engines at work. A lock that is
   stale by Glance's own rules is no obstacle: the next import breaks it.
   Nor is a stuck import one to a stream, but to the import's own stores.
   Beside a stream another may go to other stores, so that a slow site
   delays no other, but no import; nor beside an import of somebody else's.
3. A missing store waits while its site is closed to copies (see gates.py),
   and while its own last failure, or the trouble of its whole store (see
   load.py), asks for a pause.
4. A link takes as many copies as it is let. Imports cannot be slowed: the
   next one over a link waits until the last would have ended at its rate.
5. What is left and goes the same way goes into one request together, so
   that the image is staged, or read, once; stores that failed before go
   alone, after the others, so that a dead one holds nobody up; and stores in
   trouble never take all slots.
6. With all slots of its engine taken, the request waits for one, and one for
   another engine goes first; as does a stream over a link that is idle.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from types import MappingProxyType

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links as all_links
from dcn_distributor.core import load as loads
from dcn_distributor.core import retry
from dcn_distributor.core import rooms as all_rooms
from dcn_distributor.core import routes as all_routes
from dcn_distributor.core import transfers

Routes = Mapping[images.StoreId, all_routes.Route]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, how often, how long. Times are in seconds.

    `imports`: imports under way at once, over all images.
    `stores_per_import`: stores of one import.
    `poll_s`: the longest pause between two looks at a running import.
    `stall_s`: an import without a sign of life for so long, plus the time
    its image takes to stage at `staging_bytes_s`, is stuck (Glance gives no
    sign while it stages).
    `lock_stale_s`: after so long without a sign Glance lets a new request
    break the lock (glance: api/v2/images.py, _enforce_import_lock);
    `lock_without_task_s`: the same for a lock whose task cannot be found.
    Glance would break that at once, and with it an import that has only
    just begun, so it is given some time.
    `transfers`, `stores_per_transfer`: the same of streams, and
    `transfers_waiting`: streams that only wait for the lock of an import,
    and that are not counted; each asks Glance every second.
    `links`: the link of each store; one that is not named has no limits.
    """

    imports: int
    stores_per_import: int
    poll_s: float
    stall_s: float
    backoff: retry.Backoff
    staging_bytes_s: float = 25.0 * 2**20
    lock_stale_s: float = 3600.0
    lock_without_task_s: float = 120.0
    transfers: int = 0
    stores_per_transfer: int = 8
    transfers_waiting: int = 16
    links: Mapping[images.StoreId, all_links.Link] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    _by_link: Mapping[str, frozenset[images.StoreId]] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_link: dict[str, set[images.StoreId]] = {}
        for store, link in self.links.items():
            by_link.setdefault(link.name, set()).add(store)
        frozen = {name: frozenset(stores) for name, stores in by_link.items()}
        object.__setattr__(self, '_by_link', MappingProxyType(frozen))

    def slots(self, engine: str) -> int:
        """Copies at once by an engine."""
        is_stream = engine == histories.RBD_STREAM
        return self.transfers if is_stream else self.imports

    def stores(self, engine: str) -> int:
        """Stores of one request to an engine."""
        is_stream = engine == histories.RBD_STREAM
        return (
            self.stores_per_transfer if is_stream else self.stores_per_import
        )

    def probes(self, engine: str) -> int:
        """Copies at once for stores in trouble: dead sites leave slots."""
        return max(1, self.slots(engine) // 2)

    def extra_slots(self, engine: str) -> int:
        """How many more there may be for links with nothing under way.

        None for imports, whose staging takes space in Glance.
        """
        return self.transfers if engine == histories.RBD_STREAM else 0

    def on_link(self, name: str) -> frozenset[images.StoreId]:
        """Name the stores that hang on a link."""
        return self._by_link.get(name, frozenset())


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Why one store is not asked for now.

    `until_s`: the time that ends the wait, in seconds since the epoch, if
    it is time. `is_for_probe`: it ends when the store's turn comes.
    `for_link`: it ends when there is room on this link.
    """

    store: images.StoreId
    reason: str
    until_s: float | None = None
    is_for_probe: bool = False
    for_link: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One look's result.

    `stores`: to be asked for now, in one request to `engine`, with
    `wishes`. `waits`: the other missing ones. `look_again_s`: seconds from
    now, None if the time alone changes nothing. `needs_slot`: the engines
    that have work, and all of their slots taken. `needs_probe`: the stores
    in trouble whose turn has not come, each with its engine. `needs_link`:
    those whose link is full, in the same way, by the link's name.
    """

    stores: tuple[images.StoreId, ...] = ()
    engine: str = histories.COPY_IMAGE
    wishes: transfers.Wishes = transfers.NO_WISHES
    waits: tuple[Wait, ...] = ()
    look_again_s: float | None = None
    needs_slot: tuple[str, ...] = ()
    needs_probe: tuple[loads.Turn, ...] = ()
    needs_link: Mapping[str, loads.Turn] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )


def poll_s(request: histories.Request, limits: Limits, now: float) -> float:
    """Pause before the next look at a running copy: short at first."""
    return min(limits.poll_s, 1.0 + max(0.0, now - request.started_s) / 4)


def is_stuck(
    request: histories.Request,
    image: images.Image,
    limits: Limits,
    now: float,
) -> bool:
    """Tell whether an import has been without a sign of life for too long."""
    return (
        request.engine == histories.COPY_IMAGE
        and now - request.progress_s > _silence_s(image, limits)
    )


def is_lock_stale(
    request: histories.Request,
    image: images.Image,
    limits: Limits,
    now: float,
) -> bool:
    """Tell whether a new request may break the lock.

    Glance would let it break that of an import that still stages, too.
    """
    if request.engine != histories.COPY_IMAGE:
        return False
    patience_s = max(limits.lock_stale_s, _silence_s(image, limits))
    if request.progress is None:
        patience_s = limits.lock_without_task_s
    return now - request.progress_s > patience_s


def _silence_s(image: images.Image, limits: Limits) -> float:
    """How long an import may go without a sign of life."""
    staging_s = (image.size_bytes or 0) / limits.staging_bytes_s
    return limits.stall_s + staging_s


@dataclasses.dataclass(frozen=True, slots=True)
class _Way:
    """What stores have in common that may share a request."""

    engine: str
    wishes: transfers.Wishes


def plan(
    image: images.Image,
    routes: Routes,
    history: histories.History,
    load: loads.Load,
    limits: Limits,
    now: float,
) -> Plan:
    """Plan one image; `now` is in seconds since the epoch.

    `routes` are those of the stores that lack the image, in order.
    """
    request = history.request
    if (
        request is not None
        and routes
        and is_lock_stale(request, image, limits, now)
    ):
        request = None
    waits = {} if request is None else _behind(image, request, routes)
    waits |= {
        store: wait
        for store, route in routes.items()
        if store not in waits
        and (wait := _wait(store, route, history, load, limits, now))
    }
    ready = {
        s: _Way(r.engine, r.wishes)
        for s, r in routes.items()
        if s not in waits and r.engine is not None
    }
    rooms = all_rooms.Rooms(load, limits)
    plan = _first_with_slot(_together(ready, history, load), rooms, limits)
    waits |= _for_room(ready, plan, rooms, load, limits)
    times = [1.0] if plan.stores else _pauses_s(waits.values(), now)
    if request is not None:
        times.append(poll_s(request, limits, now))
    turns = {
        store: (store, engine)
        for store in waits
        if (engine := routes[store].engine) is not None
    }
    return dataclasses.replace(
        plan,
        needs_slot=() if plan.stores else plan.needs_slot,
        waits=tuple(waits.values()),
        look_again_s=min(times, default=None),
        needs_probe=tuple(
            turns[s] for s, w in waits.items() if w.is_for_probe and s in turns
        ),
        needs_link={
            w.for_link: turns[s]
            for s, w in reversed(waits.items())
            if w.for_link is not None
        },
    )


def _for_room(
    ready: Mapping[images.StoreId, '_Way'],
    plan: Plan,
    rooms: all_rooms.Rooms,
    load: loads.Load,
    limits: Limits,
) -> dict[images.StoreId, Wait]:
    """Say which stores wait for a slot, and which for room on a link."""
    waits = {}
    for store, way in ready.items():
        if store in plan.stores:
            continue
        link = limits.links.get(store)
        name = None if link is None else link.name
        obstacle = None if name is None else rooms.obstacle(name)
        if obstacle is not None:
            waits[store] = Wait(store, obstacle, for_link=name)
        elif way.engine in plan.needs_slot:
            waits[store] = Wait(
                store,
                rooms.no_slot(way.engine),
                is_for_probe=(store, way.engine) in load.troubles,
                for_link=name if limits.extra_slots(way.engine) else None,
            )
    return waits


def may_probe(
    turn: loads.Turn, load: loads.Load, limits: Limits, now: float
) -> bool:
    """Tell whether an engine may try a store in trouble, for any image."""
    return (
        load.troubles[turn].next_probe_s <= now
        and load.prober(turn) is None
        and load.probing(turn[1]) < limits.probes(turn[1])
    )


def _behind(
    image: images.Image, request: histories.Request, routes: Routes
) -> dict[images.StoreId, Wait]:
    """Say which stores wait for the copy under way."""
    lets_streams_go = request.is_stuck
    if request.engine == histories.RBD_STREAM:
        # Where the lock's import writes is not known in its first moment.
        lets_streams_go = image.import_task is None
        reason = 'a stream of this image is under way, no import goes beside'
        if not lets_streams_go:
            reason = 'a stream and an import of this image are under way'
    else:
        word = 'stuck' if request.is_stuck else 'under way'
        reason = (
            f'an import of this image is {word}; Glance takes one at a time'
        )
    return {
        store: Wait(store, reason)
        for store, route in routes.items()
        if store in request.stores
        or not lets_streams_go
        or route.engine != histories.RBD_STREAM
    }


def _wait(
    store: images.StoreId,
    route: all_routes.Route,
    history: histories.History,
    load: loads.Load,
    limits: Limits,
    now: float,
) -> Wait | None:
    if route.closure is not None:
        return Wait(store, route.closure.reason)
    if route.engine is None:
        return Wait(store, route.reason)
    setback = history.setbacks.get(store)
    if (
        setback is not None
        and not setback.is_permanent
        and setback.next_try_s > now
    ):
        reason = f'try {setback.failures + 1} to come: {setback.reason}'
        return Wait(store, reason, setback.next_try_s)
    turn = (store, route.engine)
    trouble = load.troubles.get(turn)
    if trouble is None or may_probe(turn, load, limits, now):
        link = limits.links.get(store)
        unpaid = link and all_rooms.unpaid(link.name, route.engine, load, now)
        return Wait(store, *unpaid) if unpaid else None
    reason = (
        f'{route.engine} to the store failed {trouble.failures} times in a row'
    )
    prober = load.prober(turn)
    if prober is not None:
        reason += f', image {prober} tries it now'
    return Wait(store, reason, is_for_probe=True)


def _together(
    ready: Mapping[images.StoreId, _Way],
    history: histories.History,
    load: loads.Load,
) -> list[Plan]:
    """Sort what may go now into requests, the one to go first at first."""
    fresh: dict[_Way, list[images.StoreId]] = {}
    failed = []
    for store, way in ready.items():
        turn = (store, way.engine)
        if store in history.setbacks or turn in load.troubles:
            failed.append((_due_s(turn, history, load), store))
        else:
            fresh.setdefault(way, []).append(store)
    groups = [*fresh.items(), *((ready[s], [s]) for _, s in sorted(failed))]
    return [
        Plan(tuple(stores), way.engine, way.wishes) for way, stores in groups
    ]


def _first_with_slot(
    candidates: Sequence[Plan],
    rooms: all_rooms.Rooms,
    limits: Limits,
) -> Plan:
    """Take the first that may begin, and name the engines without a slot."""
    without = dict.fromkeys(
        one.engine for one in candidates if not rooms.has_slot(one.engine)
    )
    for one in candidates:
        stores = rooms.cut(one.stores, one.engine)
        if stores:
            return dataclasses.replace(
                one,
                stores=stores[: limits.stores(one.engine)],
                needs_slot=tuple(without),
            )
    return Plan(needs_slot=tuple(without))


def _due_s(
    turn: loads.Turn, history: histories.History, load: loads.Load
) -> float:
    setback = history.setbacks.get(turn[0])
    trouble = load.troubles.get(turn)
    return max(
        0.0 if setback is None else setback.next_try_s,
        0.0 if trouble is None else trouble.next_probe_s,
    )


def _pauses_s(waits: Iterable[Wait], now: float) -> list[float]:
    return [max(0.1, w.until_s - now) for w in waits if w.until_s is not None]
