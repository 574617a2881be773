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

from collections.abc import Callable
from collections.abc import Collection
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
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import preconditions as conditions
from dcn_distributor.engines.rbd_stream import roster as rosters
from dcn_distributor.engines.rbd_stream import sweeper
from dcn_distributor.engines.rbd_stream import tracing
from dcn_distributor.engines.rbd_stream import transfer as transferring

LOG = log.getLogger(__name__)

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
        self._roster = rosters.Roster()
        self._link_rates = link_rates.LinkRates()
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

    # -- sites

    def set_sites(self, all_sites: sites.Sites) -> None:
        """Work with these sites from now on; check those that are new."""
        self._fleet.set_sites(all_sites, self._roster.live)
        self._link_rates.set_sites(all_sites, time.monotonic())
        for transfer in self._roster.running():
            transfer.note_link_rates()

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
        run = self._roster.reserve(image.id, stores)
        try:
            self._begin(run, image, stores, wishes)
        except BaseException:
            self._roster.abandon(run)
            raise
        finally:
            self._fleet.close_unused(self._roster.live)

    def reports_of(
        self, image_id: images.ImageId
    ) -> Sequence[transfers.Report]:
        """Tell of an image's transfers that run, or are not taken."""
        return self._roster.reports_of(image_id)

    def take(
        self, image_id: images.ImageId, stores: Collection[images.StoreId]
    ) -> None:
        """Forget ended transfers, but for reports()."""
        self._roster.take(image_id, stores)

    def reports(self) -> Sequence[transfers.Report]:
        """Tell of all that run, and of the last that have ended."""
        return self._roster.reports()

    def cancel(self, image_id: images.ImageId) -> None:
        """Call an image off: it is gone, or no longer active."""
        for transfer in self._roster.running(image_id):
            transfer.cancel(
                exceptions.Cancelled('the image is gone, or no longer active')
            )

    def break_off(
        self,
        image_id: images.ImageId,
        stores: Collection[images.StoreId],
        reason: str,
    ) -> None:
        """Stop copying an image to some stores, to go on at another time."""
        for transfer in self._roster.running(image_id):
            transfer.break_off(stores, exceptions.Stopped(reason))

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit all transfers, but for those a policy sets a rate for."""
        with self._lock:
            self._tuning = dataclasses.replace(
                self._tuning, rate_bytes_s=rate_bytes_s
            )
            for run in self._roster.live:
                if run.transfer is not None and not run.has_own_rate:
                    run.transfer.set_rate(rate_bytes_s)

    def sweep(self, stores: Collection[images.StoreId]) -> None:
        """Have leftovers of dead transfers removed, some time soon."""
        threading.Thread(
            target=self._sweep,
            args=[frozenset(stores)],
            name='sweep',
            daemon=True,
        ).start()

    def stop(self, within_s: float) -> None:
        """Call all off and return in time; drafts are left to be resumed."""
        until_s = time.monotonic() + within_s
        self._caretaker.stop()
        self._roster.close()
        running = self._roster.running()
        for transfer in running:
            transfer.cancel(exceptions.Stopped('the agent stops'))
        copied_s = until_s - within_s * _CLOSING_SHARE
        for transfer in running:
            transfer.join(max(0.0, copied_s - time.monotonic()))
        for thread in self._fleet.close():
            thread.join(max(0.0, until_s - time.monotonic()))

    # -- how

    def _sweep(self, stores: frozenset[images.StoreId]) -> None:
        """Sweep, unless the last one is not over yet."""
        if self._sweeping.acquire(blocking=False):
            try:
                clusters = {
                    store: cluster
                    for store, cluster in self._fleet.clusters.items()
                    if store in stores
                }
                sweeper.sweep(self._glance, clusters, self._is_running)
            finally:
                self._sweeping.release()

    def _begin(
        self,
        run: rosters.Run,
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
            run.turns,
            self._link_rates,
            on_change=lambda: self._callbacks.wake(image.id),
            doubted=self._experience.doubted_sources(image.id),
        )
        has_own_rate = wishes.rate_bytes_s is not None
        with self._lock:
            self._roster.begin(run, transfer, has_own_rate=has_own_rate)
            if not has_own_rate:
                # It may have been changed this moment.
                transfer.set_rate(self._tuning.rate_bytes_s)
        threading.Thread(
            target=tracing.carried(self._run),
            args=[run, transfer],
            name='transfer',
            daemon=True,
        ).start()

    def _run(self, run: rosters.Run, transfer: transferring.Transfer) -> None:
        try:
            transfer.run()
        finally:
            self._note_end(run, transfer)
            self._callbacks.wake(transfer.image.id)

    def _note_end(
        self, run: rosters.Run, transfer: transferring.Transfer
    ) -> None:
        report = transfer.report()
        if report.ended_s is None:
            report = dataclasses.replace(report, ended_s=time.time())
        self._roster.end(run, report)
        self._fleet.close_unused(self._roster.live)
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
        return any(run.image_id == image_id for run in self._roster.live)
