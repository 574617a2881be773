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

1. Wanted sites whose store lacks the image are missing.
2. While another import holds the image's lock, all of them wait: Glance
   takes one import an image. A lock that is stale by Glance's own rules is
   no obstacle: the next request breaks it.
3. A missing store waits while its own last failure, or the trouble of its
   whole store (see load.py), asks for a pause.
4. What is left goes into one import together, so that Glance stages the
   image once; stores that failed before go alone, after the others, so that
   a dead one holds nobody up; and stores in trouble never take all slots.
5. With all slots taken, the image waits for one.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import retry


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
    """

    imports: int
    stores_per_import: int
    poll_s: float
    stall_s: float
    backoff: retry.Backoff
    staging_bytes_s: float = 25.0 * 2**20
    lock_stale_s: float = 3600.0
    lock_without_task_s: float = 120.0

    @property
    def probes(self) -> int:
        """Imports at once for stores in trouble: dead sites leave slots."""
        return max(1, self.imports // 2)


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Why one store is not asked for now.

    `until_s`: the time that ends the wait, in seconds since the epoch, if
    it is time. `is_for_probe`: it ends when the store's turn comes.
    """

    store: images.StoreId
    reason: str
    until_s: float | None = None
    is_for_probe: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One look's result.

    `stores`: to be asked for now, in one import. `waits`: the other missing
    ones. `look_again_s`: seconds from now, None if the time alone changes
    nothing. `needs_slot`: there is work, and all slots are taken.
    `needs_probe`: the stores in trouble whose turn has not come.
    """

    stores: tuple[images.StoreId, ...] = ()
    waits: tuple[Wait, ...] = ()
    look_again_s: float | None = None
    needs_slot: bool = False
    needs_probe: tuple[images.StoreId, ...] = ()


def missing_stores(
    image: images.Image, decided: decisions.Decisions
) -> tuple[images.StoreId, ...]:
    """The stores that should hold an active image and do not."""
    if not image.is_active:
        return ()
    return tuple(
        d.site.store
        for d in decided.wanted
        if d.site.store not in image.stores
    )


def poll_s(request: histories.Request, limits: Limits, now: float) -> float:
    """Pause before the next look at a running import: short at first."""
    return min(limits.poll_s, 1.0 + max(0.0, now - request.started_s) / 4)


def is_stuck(
    request: histories.Request,
    image: images.Image,
    limits: Limits,
    now: float,
) -> bool:
    """Tell whether an import has been without a sign of life for too long."""
    return now - request.progress_s > _silence_s(image, limits)


def is_lock_stale(
    request: histories.Request,
    image: images.Image,
    limits: Limits,
    now: float,
) -> bool:
    """Tell whether a new request may break the lock.

    Glance would let it break that of an import that still stages, too.
    """
    patience_s = max(limits.lock_stale_s, _silence_s(image, limits))
    if request.progress is None:
        patience_s = limits.lock_without_task_s
    return now - request.progress_s > patience_s


def _silence_s(image: images.Image, limits: Limits) -> float:
    """How long an import may go without a sign of life."""
    staging_s = (image.size_bytes or 0) / limits.staging_bytes_s
    return limits.stall_s + staging_s


def plan(
    image: images.Image,
    decided: decisions.Decisions,
    history: histories.History,
    load: loads.Load,
    limits: Limits,
    now: float,
) -> Plan:
    """Plan one image; `now` is in seconds since the epoch."""
    missing = missing_stores(image, decided)
    request = history.request
    if request is not None and not (
        missing and is_lock_stale(request, image, limits, now)
    ):
        return _while_importing(missing, request, limits, now)
    waits = {
        store: wait
        for store in missing
        if (wait := _wait(store, history, load, limits, now)) is not None
    }
    ready = tuple(s for s in missing if s not in waits)
    stores = _together(ready, history, load)[: limits.stores_per_import]
    needs_slot = bool(stores) and load.busy >= limits.imports
    if needs_slot:
        reason = f'{load.busy} of {limits.imports} imports are under way'
        waits |= {
            s: Wait(s, reason, is_for_probe=s in load.troubles) for s in ready
        }
        stores = ()
    return Plan(
        stores=stores,
        waits=tuple(waits.values()),
        look_again_s=1.0 if stores else _earliest_s(waits.values(), now),
        needs_slot=needs_slot,
        needs_probe=tuple(s for s, w in waits.items() if w.is_for_probe),
    )


def may_probe(
    store: images.StoreId, load: loads.Load, limits: Limits, now: float
) -> bool:
    """Tell whether a store in trouble may be tried, by any image."""
    return (
        load.troubles[store].next_probe_s <= now
        and load.prober(store) is None
        and load.probing < limits.probes
    )


def _while_importing(
    missing: Sequence[images.StoreId],
    request: histories.Request,
    limits: Limits,
    now: float,
) -> Plan:
    word = 'stuck' if request.is_stuck else 'under way'
    reason = f'an import of this image is {word}; Glance takes one at a time'
    waits = tuple(Wait(s, reason) for s in missing if s not in request.stores)
    return Plan(waits=waits, look_again_s=poll_s(request, limits, now))


def _wait(
    store: images.StoreId,
    history: histories.History,
    load: loads.Load,
    limits: Limits,
    now: float,
) -> Wait | None:
    setback = history.setbacks.get(store)
    if setback is not None and setback.is_permanent:
        return Wait(store, setback.reason)
    if setback is not None and setback.next_try_s > now:
        reason = f'try {setback.failures + 1} to come: {setback.reason}'
        return Wait(store, reason, setback.next_try_s)
    trouble = load.troubles.get(store)
    if trouble is None or may_probe(store, load, limits, now):
        return None
    reason = f'the store failed {trouble.failures} times in a row'
    prober = load.prober(store)
    if prober is not None:
        reason += f', image {prober} tries it now'
    return Wait(store, reason, is_for_probe=True)


def _together(
    ready: Sequence[images.StoreId],
    history: histories.History,
    load: loads.Load,
) -> tuple[images.StoreId, ...]:
    fresh = tuple(
        s
        for s in ready
        if s not in history.setbacks and s not in load.troubles
    )
    if fresh:
        return fresh
    longest_due = sorted(ready, key=lambda s: (_due_s(s, history, load), s))
    return tuple(longest_due[:1])


def _due_s(
    store: images.StoreId, history: histories.History, load: loads.Load
) -> float:
    setback = history.setbacks.get(store)
    trouble = load.troubles.get(store)
    return max(
        0.0 if setback is None else setback.next_try_s,
        0.0 if trouble is None else trouble.next_probe_s,
    )


def _earliest_s(waits: Iterable[Wait], now: float) -> float | None:
    times = [w.until_s for w in waits if w.until_s is not None]
    return max(0.1, min(times) - now) if times else None
