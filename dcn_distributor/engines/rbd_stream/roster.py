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
"""Which transfers there are: those that run, and the last that have ended.

Several of one image may run at once, to different stores. Of those that the
roster tells of, each store of an image belongs to one: the last that went
there. So a site that failed is tried again while slow ones go on.
"""

from collections import deque
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import registration
from dcn_distributor.engines.rbd_stream import transfer as transferring

# Ended transfers that can still be asked for.
_REMEMBERED = 256


@dataclasses.dataclass(eq=False, slots=True)
class Run:
    """One transfer, from when its stores are reserved for it.

    All but what it is made with changes under the roster's lock.

    :ivar stores: those that no later transfer goes to
    :ivar turns: shared by all transfers of the image
    :ivar transfer: None until it has begun
    :ivar has_own_rate: whether a policy limits it, not the configuration
    :ivar report: its last, once it has ended
    :ivar is_taken: whether its outcome was booked
    """

    image_id: images.ImageId
    stores: frozenset[images.StoreId]
    turns: registration.Turns
    transfer: transferring.Transfer | None = None
    has_own_rate: bool = False
    report: transfers.Report | None = None
    is_taken: bool = False

    @property
    def busy_stores(self) -> frozenset[images.StoreId]:
        """Those that no other transfer may go to now."""
        if self.report is not None:
            return frozenset() if self.is_taken else self.stores
        if self.transfer is not None:
            return self.stores & self.transfer.live_stores
        return self.stores


class Roster:
    """See the module. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: list[Run] = []
        self._ended: deque[Run] = deque()
        self._is_closed = False

    @property
    def live(self) -> frozenset[Run]:
        """All that have not ended, those that are about to begin too."""
        with self._lock:
            return frozenset(self._live)

    def running(
        self, image_id: images.ImageId | None = None
    ) -> list[transferring.Transfer]:
        """Those that run: all, or those of one image."""
        with self._lock:
            return [
                run.transfer
                for run in self._live
                if run.transfer is not None
                and image_id in (None, run.image_id)
            ]

    def reserve(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> Run:
        """Keep stores for a transfer that is about to begin.

        Raises CopyInProgress, and Cancelled once it is closed.
        """
        with self._lock:
            self._check_open()
            wanted = frozenset(stores)
            others = self._of(image_id)
            for other in others:
                if taken := sorted(wanted & other.busy_stores):
                    raise exceptions.CopyInProgress(
                        f'a transfer of image {image_id} to {taken[0]} is '
                        'under way'
                    )
            turns = [other.turns for other in others if other in self._live]
            run = Run(
                image_id, wanted, turns[0] if turns else registration.Turns()
            )
            self._live.append(run)
            return run

    def abandon(self, run: Run) -> None:
        """Forget a transfer that has not begun."""
        with self._lock:
            self._live.remove(run)

    def begin(
        self, run: Run, transfer: transferring.Transfer, *, has_own_rate: bool
    ) -> None:
        """Note that a transfer begins. Raises Cancelled once it is closed."""
        with self._lock:
            self._check_open()
            for other in self._of(run.image_id):
                if other is not run:
                    other.stores -= run.stores
            run.transfer = transfer
            run.has_own_rate = has_own_rate
            self._forget_superseded()

    def end(self, run: Run, report: transfers.Report) -> None:
        """Note that a transfer has ended, and with what."""
        with self._lock:
            self._live.remove(run)
            run.report, run.transfer = report, None
            self._ended.append(run)
            self._forget_superseded()

    def take(
        self, image_id: images.ImageId, stores: Collection[images.StoreId]
    ) -> None:
        """Note which of an image's ended transfers were booked."""
        with self._lock:
            for run in self._ended:
                if run.image_id == image_id and run.stores <= {*stores}:
                    run.is_taken = True

    def reports_of(self, image_id: images.ImageId) -> list[transfers.Report]:
        """Tell of an image's transfers that run, or are not taken."""
        with self._lock:
            runs = [
                dataclasses.replace(run)
                for run in self._of(image_id)
                if run.transfer is not None
                or (run.report is not None and not run.is_taken)
            ]
        # Over is what can be taken: its thread is a moment behind its report.
        return [
            report
            if run.report is not None
            else dataclasses.replace(report, ended_s=None)
            for run in runs
            if (report := _report(run)).lanes
        ]

    def reports(self) -> Sequence[transfers.Report]:
        """Tell of the last that have ended, and then of all that run."""
        with self._lock:
            runs = [
                dataclasses.replace(run)
                for run in (*self._ended, *self._live)
                if run.transfer is not None or run.report is not None
            ]
        return [report for run in runs if (report := _report(run)).lanes]

    def close(self) -> None:
        """Let none begin from now on."""
        with self._lock:
            self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise exceptions.Cancelled('the agent stops')

    def _of(self, image_id: images.ImageId) -> list[Run]:
        return [
            run
            for run in (*self._live, *self._ended)
            if run.image_id == image_id
        ]

    def _forget_superseded(self) -> None:
        """Forget those that have nothing to tell, and the oldest."""
        kept = [run for run in self._ended if run.stores]
        self._ended = deque(kept[-_REMEMBERED:])


def _report(run: Run) -> transfers.Report:
    """Tell of a transfer what no later one has made out of date."""
    report = run.report
    if report is None:
        assert run.transfer is not None
        report = run.transfer.report()
    lanes = tuple(lane for lane in report.lanes if lane.store in run.stores)
    return dataclasses.replace(report, lanes=lanes)
