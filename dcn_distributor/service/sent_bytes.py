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
"""How many bytes went to each store, counted while they go.

An import's are those of the image, once it arrived: Glance tells no more. A
stream's are what crossed the link, and are read off its reports from time to
time. The engine keeps the reports of those that ended last, so a counter
misses nothing unless more of them end between two readings.
"""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
import threading

from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import transfers

_Lane = tuple[images.ImageId, float, images.StoreId]


class SentBytes:
    """See the module. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: collections.Counter[tuple[images.StoreId, str]] = (
            collections.Counter()
        )
        self._seen: dict[_Lane, int] = {}

    def imported(self, store: images.StoreId, size_bytes: int) -> None:
        """Note an image that an import brought."""
        with self._lock:
            self._totals[store, choosing.COPY_IMAGE] += size_bytes

    def read(
        self, reports: Iterable[transfers.Report]
    ) -> Mapping[tuple[images.StoreId, str], int]:
        """Read how far streams are; give what went by store and engine."""
        with self._lock:
            seen = {}
            for report in reports:
                for lane in report.lanes:
                    key = (report.image_id, report.started_s, lane.store)
                    # A report of an earlier moment may come second.
                    before = self._seen.get(key, 0)
                    seen[key] = max(before, lane.sent_bytes)
                    turn = (lane.store, choosing.RBD_STREAM)
                    self._totals[turn] += seen[key] - before
            self._seen = seen
            return dict(self._totals)
