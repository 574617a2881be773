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
"""All transfers of this process: core.ports.StreamEngine."""

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import caretaker as caretakers
from dcn_distributor.engines.rbd_stream import experience as experiences
from dcn_distributor.engines.rbd_stream import fleet as fleets
from dcn_distributor.engines.rbd_stream import preconditions as conditions
from dcn_distributor.engines.rbd_stream import sweeper
from dcn_distributor.engines.rbd_stream import transfer as transferring

LOG = log.getLogger(__name__)

# Ended transfers that can still be asked for.
_REMEMBERED = 256

# Of the time to stop in, what closing the clusters may take.
_CLOSING_SHARE = 0.4


@dataclasses.dataclass(frozen=True, slots=True)
class Callbacks:
    """Whom the engine tells: any of these from any thread.

    :ivar wake: something has become of an image's copies
    :ivar wake_all: a site has become fit or unfit
    """

    wake: Callable[[images.ImageId], None]
    wake_all: Callable[[], None]


class RbdStream:
    """See the module.

    :param connect: makes a cluster of its settings; nothing is sent yet
    :param removes_orphans: see targets.Target
    """

    name = 'rbd-stream'

    def __init__(
        self,
        glance: ports.Images,
        connect: fleets.Connect,
        tuning: transfers.Tuning,
        callbacks: Callbacks,
        *,
        removes_orphans: bool = False,
    ) -> None:
        self._glance = glance
        self._tuning = tuning
        self._callbacks = callbacks
        self._lock = threading.Lock()
        self._starting: set[images.ImageId] = set()
        self._running: dict[images.ImageId, transferring.Transfer] = {}
        self._limited_by_policy: set[images.ImageId] = set()
        self._ended: OrderedDict[images.ImageId, transfers.Report] = (
            OrderedDict()
        )
        self._untaken: set[images.ImageId] = set()
        self._preconditions = conditions.Preconditions(
            glance, callbacks.wake_all
        )
        self._caretaker = caretakers.Caretaker(glance, self._preconditions)
        self._experience = experiences.Experience()
        self._fleet = fleets.Fleet(
            connect,
            self._preconditions,
            self._caretaker,
            self._experience,
            removes_orphans=removes_orphans,
        )
        self._sweeping = threading.Lock()
        self._is_stopping = False

    # -- sites

    def set_sites(self, all_sites: sites.Sites) -> None:
        """Work with these sites from now on; check those that are new."""
        self._fleet.set_sites(all_sites, self._using())

    def wait_for_checks(self, within_s: float) -> None:
        """Wait until every cluster was tried once, if that is in time.

        So that an agent that starts does not take all sites for unfit.
        """
        self._caretaker.wait(within_s)

    def obstacles(self, store: images.StoreId) -> tuple[str, ...]:
        """Name what keeps this engine from serving a store."""
        found = [
            self._preconditions.of_store(store),
            self._preconditions.of_glance(),
        ]
        return tuple(text for text in found if text is not None)

    # -- transfers

    def start(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        wishes: transfers.Wishes,
    ) -> None:
        """Begin a transfer. See core.ports.Engine."""
        if not image.size_bytes:
            # glance: location.py _check_location_uri
            raise exceptions.NotCopyable(
                f'Glance registers no copy of image {image.id}, which has no '
                'data'
            )
        self._reserve(image.id)
        try:
            self._begin(image, stores, wishes)
        finally:
            with self._lock:
                self._starting.discard(image.id)
            self._fleet.close_unused(self._using())

    def report(self, image_id: images.ImageId) -> transfers.Report | None:
        """Tell of a transfer that runs, or has ended and is not taken."""
        with self._lock:
            running = self._running.get(image_id)
            ended = self._ended.get(image_id)
            if running is None:
                return ended if image_id in self._untaken else None
        # Over is what can be taken: its thread is a moment behind its report.
        return dataclasses.replace(running.report(), ended_s=None)

    def take(self, image_id: images.ImageId) -> None:
        """Forget an ended transfer, but for reports()."""
        with self._lock:
            self._untaken.discard(image_id)

    def reports(self) -> Sequence[transfers.Report]:
        """Tell of all that run, and of the last that have ended."""
        with self._lock:
            running = [*self._running.values()]
            ended = [
                report
                for image_id, report in self._ended.items()
                if image_id not in self._running
            ]
        return [*ended, *(transfer.report() for transfer in running)]

    def cancel(self, image_id: images.ImageId) -> None:
        """Call a transfer off: its image is gone, or no longer active."""
        with self._lock:
            transfer = self._running.get(image_id)
        if transfer is not None:
            transfer.cancel(
                exceptions.Cancelled('the image is gone, or no longer active')
            )

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit all transfers, but for those a policy sets a rate for."""
        with self._lock:
            self._tuning = dataclasses.replace(
                self._tuning, rate_bytes_s=rate_bytes_s
            )
            concerned = [
                transfer
                for image_id, transfer in self._running.items()
                if image_id not in self._limited_by_policy
            ]
        for transfer in concerned:
            transfer.set_rate(rate_bytes_s)

    def sweep(self) -> None:
        """Have leftovers of dead transfers removed, some time soon."""
        threading.Thread(target=self._sweep, name='sweep', daemon=True).start()

    def stop(self, within_s: float) -> None:
        """Call all off and return in time; drafts are left to be resumed."""
        until_s = time.monotonic() + within_s
        self._caretaker.stop()
        with self._lock:
            self._is_stopping = True
            running = [*self._running.values()]
        for transfer in running:
            transfer.cancel(exceptions.Stopped('the agent stops'))
        copied_s = until_s - within_s * _CLOSING_SHARE
        for transfer in running:
            transfer.join(max(0.0, copied_s - time.monotonic()))
        for thread in self._fleet.close():
            thread.join(max(0.0, until_s - time.monotonic()))

    # -- how

    def _sweep(self) -> None:
        """Sweep, unless the last one is not over yet."""
        if self._sweeping.acquire(blocking=False):
            try:
                sweeper.sweep(
                    self._glance, self._fleet.clusters, self._is_running
                )
            finally:
                self._sweeping.release()

    def _using(self) -> frozenset[images.ImageId]:
        """Name the images that a transfer is, or may soon be, at work on."""
        with self._lock:
            return frozenset(self._running.keys() | self._starting)

    def _reserve(self, image_id: images.ImageId) -> None:
        """See that one transfer of an image is started at a time."""
        with self._lock:
            if self._is_stopping:
                raise exceptions.Cancelled('the agent stops')
            if image_id in self._starting | self._running.keys() | (
                self._untaken
            ):
                raise exceptions.CopyInProgress(
                    f'a transfer of image {image_id} is under way'
                )
            self._starting.add(image_id)

    def _begin(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        wishes: transfers.Wishes,
    ) -> None:
        tuning = self._tuned(wishes)
        transfer = transferring.Transfer(
            image,
            self._fleet.sources(image, tuning.source),
            self._fleet.targets(stores),
            self._glance,
            tuning,
            on_change=lambda: self._callbacks.wake(image.id),
            doubted=self._experience.doubted_sources(image.id),
        )
        with self._lock:
            if self._is_stopping:
                raise exceptions.Cancelled('the agent stops')
            self._running[image.id] = transfer
            if wishes.rate_bytes_s is not None:
                self._limited_by_policy.add(image.id)
            elif tuning.rate_bytes_s != self._tuning.rate_bytes_s:
                # It was changed this moment.
                transfer.set_rate(self._tuning.rate_bytes_s)
        threading.Thread(
            target=self._run, args=[transfer], name='transfer', daemon=True
        ).start()

    def _run(self, transfer: transferring.Transfer) -> None:
        try:
            transfer.run()
        finally:
            self._note_end(transfer)
            self._callbacks.wake(transfer.image.id)

    def _note_end(self, transfer: transferring.Transfer) -> None:
        image_id = transfer.image.id
        report = transfer.report()
        if report.ended_s is None:
            report = dataclasses.replace(report, ended_s=time.time())
        with self._lock:
            del self._running[image_id]
            self._limited_by_policy.discard(image_id)
            self._ended[image_id] = report
            self._ended.move_to_end(image_id)
            self._untaken.add(image_id)
            while len(self._ended) > _REMEMBERED:
                self._untaken.discard(self._ended.popitem(last=False)[0])
        self._fleet.close_unused(self._using())
        self._learn(report)

    def _learn(self, report: transfers.Report) -> None:
        self._experience.learn(report)
        for lane in report.lanes:
            if lane.error is None:
                continue
            at_glance = lane.phase is transfers.Phase.FAILED and (
                'registering' in lane.seconds
            )
            if at_glance and isinstance(lane.error, exceptions.AccessDenied):
                self._preconditions.note_refusal(lane.error)
            if isinstance(
                lane.error,
                (exceptions.ClusterUnavailable, exceptions.SourceUnavailable),
            ):
                self._caretaker.recheck()

    def _tuned(self, wishes: transfers.Wishes) -> transfers.Tuning:
        tuning = self._tuning
        return dataclasses.replace(
            tuning,
            source=wishes.source or tuning.source,
            verify=wishes.verify or tuning.verify,
            rate_bytes_s=wishes.rate_bytes_s or tuning.rate_bytes_s,
        )

    def _is_running(self, image_id: images.ImageId) -> bool:
        with self._lock:
            return image_id in self._running
