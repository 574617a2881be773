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
"""What crosses links: at most at the rate of each, and in equal parts.

All that goes over a link shares its rate, whichever transfer it belongs to:
what is written to its sites, and what is read of a source there. Checksums
do not count, they are small.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import threading

from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import token_bucket

# Those before one may leave the queue: so soon that is noticed.
_LOOK_AGAIN_S = 1.0


class LinkRate:
    """One link's rate. Any thread may call it."""

    def __init__(self, rate_bytes_s: float) -> None:
        self._lock = threading.Lock()
        self._bucket = token_bucket.SharedBucket(rate_bytes_s)

    def set_rate(self, rate_bytes_s: float, now: float) -> None:
        """Go on at another rate."""
        with self._lock:
            self._bucket.set_rate(rate_bytes_s, now)

    def join(self, length: int, now: float) -> token_bucket.Place:
        """See token_bucket.SharedBucket."""
        with self._lock:
            return self._bucket.join(length, now)

    def wait_s(self, place: token_bucket.Place, now: float) -> float:
        """See token_bucket.SharedBucket."""
        with self._lock:
            return self._bucket.wait_s(place, now)

    def go(self, place: token_bucket.Place, length: int) -> None:
        """See token_bucket.SharedBucket."""
        with self._lock:
            self._bucket.go(place, length)

    def leave(self, place: token_bucket.Place) -> None:
        """See token_bucket.SharedBucket."""
        with self._lock:
            self._bucket.leave(place)

    def put_back(self, length: int) -> None:
        """See token_bucket.SharedBucket."""
        with self._lock:
            self._bucket.put_back(length)


class LinkRates:
    """The rates of the links as they are now. Any thread may call it.

    A link without a rate has no entry, so that no lock is taken for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_link: dict[str, LinkRate] = {}
        # Never changed, but replaced, so that it is read without the lock.
        self._by_store: Mapping[images.StoreId, LinkRate] = {}

    def set_sites(self, all_sites: sites.Sites, now: float) -> None:
        """Go by these links from now on; `now` is that of a steady clock."""
        limited = {
            site.store: (site.link.name, site.link.rate_bytes_s)
            for site in all_sites
            if site.link.rate_bytes_s is not None
        }
        with self._lock:
            before, self._by_link = self._by_link, {}
            for name, rate_bytes_s in dict(limited.values()).items():
                rate = before.get(name) or LinkRate(rate_bytes_s)
                rate.set_rate(rate_bytes_s, now)
                self._by_link[name] = rate
            self._by_store = {
                store: self._by_link[name]
                for store, (name, _) in limited.items()
            }

    def of(self, store: images.StoreId) -> LinkRate | None:
        """The rate of the link that a store's site hangs on, if it has one."""
        return self._by_store.get(store)

    def crossings(
        self, source: images.StoreId, targets: Iterable[images.StoreId]
    ) -> 'Crossings':
        """Give one transfer its way over the links."""
        return Crossings(
            Crossing(self, source),
            tuple(Crossing(self, target) for target in targets),
        )


class Crossing:
    """One lane's, or one source's, way over its link. For one thread.

    It has one place in the queue at a time.

    :ivar wait_s: when to ask again after the last enter(), 0 if it may cross
    """

    def __init__(self, rates: LinkRates, store: images.StoreId) -> None:
        self._rates = rates
        self._store = store
        self._rate: LinkRate | None = None
        self._place: token_bucket.Place | None = None
        self.wait_s = 0.0

    def enter(self, length: int, now: float) -> bool:
        """Tell whether `length` bytes may cross now; then they MUST.

        Otherwise it is to ask again in `wait_s`.
        """
        rate = self._rates.of(self._store)
        if rate is not self._rate:
            self.leave()
            self._rate = rate
        if rate is None:
            return True
        if self._place is None:
            self._place = rate.join(length, now)
        self.wait_s = min(_LOOK_AGAIN_S, rate.wait_s(self._place, now))
        if self.wait_s > 0:
            return False
        rate.go(self._place, length)
        self._place = None
        return True

    def put_back(self, length: int) -> None:
        """Return what entered and was not sent."""
        rate = self._rates.of(self._store)
        if rate is not None and length:
            rate.put_back(length)

    def leave(self) -> None:
        """Leave the queue, if it is in one: others move up."""
        self.wait_s = 0.0
        if self._rate is not None and self._place is not None:
            self._rate.leave(self._place)
        self._place = None


@dataclasses.dataclass(frozen=True, slots=True)
class Crossings:
    """One transfer's: of its source, and of each lane."""

    source: Crossing
    lanes: tuple[Crossing, ...]

    def leave(self) -> None:
        """Leave all queues: the transfer is over."""
        for crossing in (self.source, *self.lanes):
            crossing.leave()


def unlimited(lane_count: int) -> Crossings:
    """Give so many lanes, and their source, ways that are always free."""
    nowhere = images.StoreId('')
    return LinkRates().crossings(nowhere, [nowhere] * lane_count)
