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
"""What transfers have taught about sources and targets, for the next ones."""

from collections import OrderedDict
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import transfers

# Images of which failed sources are remembered.
_REMEMBERED = 256


class Experience:
    """See the module. Any thread may call it.

    Forgotten with the process: then it is learned anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: OrderedDict[images.ImageId, set[images.StoreId]] = (
            OrderedDict()
        )
        self._doubted: dict[images.ImageId, set[images.StoreId]] = {}
        self._narrow: set[images.StoreId | None] = set()

    def learn(self, report: transfers.Report) -> None:
        """Take in how a transfer has ended."""
        with self._lock:
            self._learn_of_source(report)
            for lane in report.lanes:
                if lane.phase is transfers.Phase.DONE:
                    self._narrow -= {lane.store, report.source}
                elif isinstance(lane.error, exceptions.ClusterUnavailable):
                    self._narrow.add(lane.store)

    def failed_sources(
        self, image_id: images.ImageId
    ) -> frozenset[images.StoreId]:
        """Name the stores whose copy failed as it was read."""
        with self._lock:
            return frozenset(self._failed.get(image_id, ()))

    def doubted_sources(
        self, image_id: images.ImageId
    ) -> frozenset[images.StoreId]:
        """Name the stores whose copy was read, and was not the image."""
        with self._lock:
            return frozenset(self._doubted.get(image_id, ()))

    def is_narrow(self, store: images.StoreId) -> bool:
        """Tell whether a store, read or written, gave no answer in time."""
        with self._lock:
            return store in self._narrow

    def _learn_of_source(self, report: transfers.Report) -> None:
        image_id = report.image_id
        if report.failed_source is not None:
            failed = self._failed.setdefault(image_id, set())
            failed.add(report.failed_source)
            self._failed.move_to_end(image_id)
            if not report.is_source_false:
                self._narrow.add(report.failed_source)
            else:
                doubted = self._doubted.setdefault(image_id, set())
                doubted.add(report.failed_source)
        elif all(e.phase is transfers.Phase.DONE for e in report.lanes):
            self._failed.pop(image_id, None)
            self._doubted.pop(image_id, None)
        while len(self._failed) > _REMEMBERED:
            oldest, _ = self._failed.popitem(last=False)
            self._doubted.pop(oldest, None)
