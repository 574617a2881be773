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


@dataclasses.dataclass(frozen=True, slots=True)
class Setback:
    """What stands against trying one store again.

    `next_try_s` is in seconds since the epoch, infinite when only a change
    of image, policies or sites can help.
    """

    failures: int
    reason: str
    next_try_s: float

    @property
    def is_permanent(self) -> bool:
        """True if time alone will not help."""
        return math.isinf(self.next_try_s)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """An import under way: the agent's own, or one it found in Glance.

    `stores` are those whose outcome is not known yet. `progress` is what was
    last seen of it, whatever that is (None: no task is to be seen), and
    `progress_s` when that last changed by the agent's own clock: Glance's
    may differ. Seconds are since the epoch.
    """

    stores: tuple[images.StoreId, ...]
    started_s: float
    progress_s: float
    task_id: str | None = None
    progress: object = None
    is_stuck: bool = False

    def seen(self, progress: object, now: float) -> 'Request':
        """Note what was seen of it; a change ends being stuck."""
        if progress == self.progress:
            return self
        return dataclasses.replace(
            self, progress=progress, progress_s=now, is_stuck=False
        )


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """One image's past: the import under way, and setbacks by store."""

    fingerprint: object = None
    request: Request | None = None
    setbacks: Mapping[images.StoreId, Setback] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def is_empty(self) -> bool:
        """True if there is nothing worth keeping."""
        return self.request is None and not self.setbacks

    def under(self, fingerprint: object) -> 'History':
        """Forget the setbacks if what they were found under has changed."""
        if fingerprint == self.fingerprint:
            return self
        return History(fingerprint=fingerprint, request=self.request)

    def with_request(self, request: Request | None) -> 'History':
        """Note the import under way, or that there is none."""
        return dataclasses.replace(self, request=request)

    def with_success(self, store: images.StoreId) -> 'History':
        """Forget the store's setback."""
        kept = {s: b for s, b in self.setbacks.items() if s != store}
        return dataclasses.replace(self, setbacks=MappingProxyType(kept))

    def with_failure(
        self,
        store: images.StoreId,
        reason: str,
        backoff: retry.Backoff,
        now: float,
    ) -> 'History':
        """Note a failure after which the store is tried again, later."""
        failures = self._failures_with(store)
        key = f'{store}:{self.fingerprint}'
        wait_s = retry.delay_s(backoff, failures, key)
        return self._with(store, Setback(failures, reason, now + wait_s))

    def with_refusal(self, store: images.StoreId, reason: str) -> 'History':
        """Note a failure that stands until something changes."""
        failures = self._failures_with(store)
        return self._with(store, Setback(failures, reason, math.inf))

    def pruned(self, stores: Collection[images.StoreId]) -> 'History':
        """Forget the setbacks of all but `stores`."""
        kept = {s: b for s, b in self.setbacks.items() if s in stores}
        return dataclasses.replace(self, setbacks=MappingProxyType(kept))

    def _with(self, store: images.StoreId, setback: Setback) -> 'History':
        setbacks = {**self.setbacks, store: setback}
        return dataclasses.replace(self, setbacks=MappingProxyType(setbacks))

    def _failures_with(self, store: images.StoreId) -> int:
        """Count the store's failures in a row, with the one now."""
        past = self.setbacks.get(store)
        return 1 if past is None else past.failures + 1


EMPTY = History()
