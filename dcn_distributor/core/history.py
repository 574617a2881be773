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
"""What is remembered of one image between two looks at it.

All of it may be lost at any moment: a new agent finds running imports in
Glance and tries stores again that had failed.
"""

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import math
from types import MappingProxyType

from dcn_distributor.core import images
from dcn_distributor.core import retry
from dcn_distributor.core import transfers

COPY_IMAGE = transfers.EngineChoice.COPY_IMAGE.value
RBD_STREAM = transfers.EngineChoice.RBD_STREAM.value


@dataclasses.dataclass(frozen=True, slots=True)
class Tries:
    """One engine's failures in a row, and what the last of them said.

    `is_final`: it is of no use again until something changes. `refusals`
    are the last of the failures that said so, but not finally yet.
    """

    failures: int
    reason: str
    is_final: bool = False
    refusals: int = 0


UNTRIED = Tries(0, '')


@dataclasses.dataclass(frozen=True, slots=True)
class Setback:
    """What stands against trying one store again.

    `next_try_s` is in seconds since the epoch, infinite when no time is set.
    Then `is_refused` tells what helps: a change of image, policies or sites,
    or an operator's word; otherwise that whatever keeps all engines from
    serving is put right, or passes. `failures` counts those of all engines,
    `by_engine` those of each.
    """

    failures: int
    reason: str
    next_try_s: float
    by_engine: Mapping[str, Tries] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    is_refused: bool = False

    def tries(self, engine: str) -> Tries:
        """How an engine fares."""
        return self.by_engine.get(engine, UNTRIED)

    @property
    def is_permanent(self) -> bool:
        """True if time alone will not help."""
        return math.isinf(self.next_try_s)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A copy under way: the agent's own, or an import it found in Glance.

    `stores` are those whose outcome is not known yet. `progress` is what was
    last seen of an import, whatever that is (None: no task is to be seen),
    and `progress_s` when that last changed by the agent's own clock:
    Glance's may differ. Seconds are since the epoch. `waits_for_lock`: all
    that is left of a stream waits for an import to let go of the image.
    `reasons` are, by store, why this engine was chosen: what led to it may
    have changed since. `began` tells when a stream to a store began, if that
    was later than `started_s`.
    """

    stores: tuple[images.StoreId, ...]
    started_s: float
    progress_s: float
    task_id: str | None = None
    progress: object = None
    is_stuck: bool = False
    engine: str = COPY_IMAGE
    waits_for_lock: bool = False
    reasons: Mapping[images.StoreId, str] = dataclasses.field(
        default_factory=dict, hash=False
    )
    began: Mapping[images.StoreId, float] = dataclasses.field(
        default_factory=dict, hash=False
    )

    @property
    def streams(self) -> int:
        """How many streams there are, to different stores, or imports."""
        return len({self.began_s(store) for store in self.stores}) or 1

    def began_s(self, store: images.StoreId) -> float:
        """When the copy to a store began."""
        return self.began.get(store, self.started_s)

    def with_more(self, more: 'Request') -> 'Request':
        """Add a request to the same engine, for other stores."""
        return dataclasses.replace(
            self,
            stores=(
                *(store for store in self.stores if store not in more.stores),
                *more.stores,
            ),
            waits_for_lock=False,
            reasons={**self.reasons, **more.reasons},
            began={
                **self.began,
                **dict.fromkeys(more.stores, more.started_s),
            },
        )

    def seen(self, progress: object, now: float) -> 'Request':
        """Note what was seen of it; a change ends being stuck."""
        if progress == self.progress:
            return self
        return dataclasses.replace(
            self, progress=progress, progress_s=now, is_stuck=False
        )


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """One image's past: the copy under way, and setbacks by store.

    An image has one request at a time. `aside` is an import that gives no
    sign of life and holds the image's lock, while a stream goes on without
    it. `verified` are the stores whose copy a stream of this agent proved.
    """

    fingerprint: object = None
    request: Request | None = None
    setbacks: Mapping[images.StoreId, Setback] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    aside: Request | None = None
    verified: frozenset[images.StoreId] = frozenset()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing worth keeping."""
        return self.is_quiet and not self.verified

    @property
    def is_quiet(self) -> bool:
        """True if nothing is under way, and nothing failed."""
        return (
            self.request is None and self.aside is None and not self.setbacks
        )

    def under(self, fingerprint: object) -> 'History':
        """Forget the setbacks if what they were found under has changed."""
        if fingerprint == self.fingerprint:
            return self
        return dataclasses.replace(
            self, fingerprint=fingerprint, setbacks=MappingProxyType({})
        )

    def with_request(self, request: Request | None) -> 'History':
        """Note the copy under way, or that there is none."""
        return dataclasses.replace(self, request=request)

    def with_aside(self, aside: Request | None) -> 'History':
        """Note the import that is left alone, or that there is none."""
        return dataclasses.replace(self, aside=aside)

    def with_verified(self, stores: Collection[images.StoreId]) -> 'History':
        """Note the stores whose copy was proved."""
        return dataclasses.replace(self, verified=frozenset(stores))

    def tries(self, store: images.StoreId, engine: str) -> Tries:
        """How an engine fares with a store."""
        setback = self.setbacks.get(store)
        return UNTRIED if setback is None else setback.tries(engine)

    def without_setback(self, store: images.StoreId) -> 'History':
        """Forget the store's setback."""
        if store not in self.setbacks:
            return self
        kept = {s: b for s, b in self.setbacks.items() if s != store}
        return dataclasses.replace(self, setbacks=MappingProxyType(kept))

    def with_failure(
        self,
        store: images.StoreId,
        engine: str,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'History':
        """Note a failure after which the store is tried again, later."""
        tries = Tries(self.tries(store, engine).failures + 1, reason)
        failed = self._failed(store, engine, tries)
        return self._later(store, failed, backoff, now)

    def with_doubt(
        self,
        store: images.StoreId,
        engine: str,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'History':
        """Note a refusal that is to be heard once more to be believed."""
        past = self.tries(store, engine)
        tries = Tries(past.failures + 1, reason, refusals=past.refusals + 1)
        failed = self._failed(store, engine, tries)
        return self._later(store, failed, backoff, now)

    def with_delay(
        self,
        store: images.StoreId,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'History':
        """Note a try that came to nothing, and was no engine's failure."""
        past = self.setbacks.get(store, Setback(0, '', math.inf))
        delayed = dataclasses.replace(
            past, failures=past.failures + 1, reason=reason
        )
        return self._later(store, delayed, backoff, now)

    def with_refusal(
        self, store: images.StoreId, engine: str, reason: str
    ) -> 'History':
        """Note a failure of an engine that stands until something changes."""
        past = self.tries(store, engine)
        tries = Tries(past.failures + 1, reason, is_final=True)
        refused = dataclasses.replace(
            self._failed(store, engine, tries), is_refused=True
        )
        return self._with(store, refused)

    def with_dead_end(
        self, store: images.StoreId, reason: str, *, passes: bool
    ) -> 'History':
        """Note that no engine can serve, as things are.

        It is tried again when a look finds one that can. What an engine said
        when it refused tells more than that, and is kept unless it `passes`.
        """
        past = self.setbacks.get(store)
        if past is None:
            return self._with(store, Setback(0, reason, math.inf))
        if past.is_permanent and past.is_refused and not passes:
            return self
        dead_end = dataclasses.replace(
            past, reason=reason, next_try_s=math.inf, is_refused=False
        )
        return self._with(store, dead_end)

    def with_chance(self, store: images.StoreId, now: float) -> 'History':
        """Note that some engine can serve, if none could."""
        past = self.setbacks.get(store)
        if past is None or not past.is_permanent:
            return self
        if not past.failures:
            return self.without_setback(store)
        return self._with(store, dataclasses.replace(past, next_try_s=now))

    def pruned(self, stores: Collection[images.StoreId]) -> 'History':
        """Forget the setbacks of all but `stores`."""
        kept = {s: b for s, b in self.setbacks.items() if s in stores}
        return dataclasses.replace(self, setbacks=MappingProxyType(kept))

    def _later(
        self,
        store: images.StoreId,
        setback: Setback,
        backoff: retry.Backoff,
        now: float,
    ) -> 'History':
        """Have a store tried again, the later the more often it failed."""
        key = f'{store}:{self.fingerprint}'
        wait_s = retry.delay_s(backoff, setback.failures, key)
        return self._with(
            store, dataclasses.replace(setback, next_try_s=now + wait_s)
        )

    def _with(self, store: images.StoreId, setback: Setback) -> 'History':
        setbacks = {**self.setbacks, store: setback}
        return dataclasses.replace(self, setbacks=MappingProxyType(setbacks))

    def _failed(
        self, store: images.StoreId, engine: str, tries: Tries
    ) -> Setback:
        """Count a failure; in a row, with those before."""
        past = self.setbacks.get(store, Setback(0, '', math.inf))
        by_engine = MappingProxyType({**past.by_engine, engine: tries})
        return Setback(past.failures + 1, tries.reason, math.inf, by_engine)


EMPTY = History()
