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
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import caretaker as caretakers
from dcn_distributor.engines.rbd_stream import experience as experiences
from dcn_distributor.engines.rbd_stream import preconditions as conditions
from dcn_distributor.engines.rbd_stream import sources as sourcing
from dcn_distributor.engines.rbd_stream import sweeper
from dcn_distributor.engines.rbd_stream import targets as targeting
from dcn_distributor.engines.rbd_stream import transfer as transferring

LOG = log.getLogger(__name__)

# Glance's own default (glance_store: _drivers/rbd.py, rbd_store_chunk_size).
_OBJECT_BYTES = 8 << 20

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
        connect: Callable[[sites.Cluster], storage.Cluster],
        tuning: transfers.Tuning,
        callbacks: Callbacks,
        *,
        removes_orphans: bool = False,
    ) -> None:
        self._glance = glance
        self._connect = connect
        self._tuning = tuning
        self._callbacks = callbacks
        self._removes_orphans = removes_orphans
        self._lock = threading.Lock()
        self._sites: dict[images.StoreId, sites.Site] = {}
        self._clusters: dict[images.StoreId, storage.Cluster] = {}
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
        # Clusters of the past, and the transfers that may be using them.
        self._retired: list[tuple[storage.Cluster, set[images.ImageId]]] = []
        self._is_stopping = False

    # -- sites

    def set_sites(self, all_sites: sites.Sites) -> None:
        """Work with these sites from now on; check those that are new."""
        with self._lock:
            before = self._sites, self._clusters
            self._sites = {s.store: s for s in all_sites.everywhere}
            self._clusters = {
                s.store: self._cluster_of(s, *before)
                for s in self._sites.values()
                if s.cluster is not None
            }
            dropped = [
                cluster
                for cluster in before[1].values()
                if cluster not in self._clusters.values()
            ]
            using = self._running.keys() | self._starting
            self._retired += [(cluster, {*using}) for cluster in dropped]
            clusters = self._clusters
        self._caretaker.set_sites(all_sites, clusters)
        self._close_retired()

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
                self._forget_idle_users()
            self._close_retired()

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
        with self._lock:
            clusters = dict(self._clusters)
        threading.Thread(
            target=sweeper.sweep,
            args=[self._glance, clusters, self._is_running],
            name='sweep',
            daemon=True,
        ).start()

    def stop(self, within_s: float) -> None:
        """Call all off and return in time; drafts are left to be resumed."""
        until_s = time.monotonic() + within_s
        self._caretaker.stop()
        with self._lock:
            self._is_stopping = True
            running = [*self._running.values()]
            clusters = [*self._clusters.values()]
            clusters += [cluster for cluster, _ in self._retired]
        for transfer in running:
            transfer.cancel(exceptions.Stopped('the agent stops'))
        copied_s = until_s - within_s * _CLOSING_SHARE
        for transfer in running:
            transfer.join(max(0.0, copied_s - time.monotonic()))
        closing = [_closing(cluster) for cluster in clusters]
        for thread in closing:
            thread.join(max(0.0, until_s - time.monotonic()))

    # -- how

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
            self._sources(image, tuning.source),
            self._targets(stores),
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
            self._forget_idle_users()
        self._close_retired()
        self._learn(report)

    def _forget_idle_users(self) -> None:
        using = self._running.keys() | self._starting
        for _, users in self._retired:
            users &= using

    def _close_retired(self) -> None:
        """Close the clusters of the past that no transfer uses any more."""
        with self._lock:
            unused = [cluster for cluster, users in self._retired if not users]
            self._retired = [one for one in self._retired if one[1]]
        for cluster in unused:
            _closing(cluster)

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

    def _sources(
        self, image: images.Image, choice: transfers.SourceChoice
    ) -> list[sourcing.Source]:
        """Which sites may be read, in the order to try them."""
        with self._lock:
            holding = [
                site
                for store, site in self._sites.items()
                if store in image.stores and store in self._clusters
            ]
            clusters = dict(self._clusters)
        failed = self._experience.failed_sources(image.id)
        if not holding:
            raise exceptions.NotCopyable(
                f'no site that has image {image.id} has a cluster in '
                'sites.yaml, so there is none to read it from'
            )

        def rank(site: sites.Site) -> tuple[bool, bool, bool, float, str]:
            is_unfit = self._preconditions.of_store(site.store) is not None
            is_second = (
                choice is transfers.SourceChoice.CENTRAL
                and site.name != sites.CENTRAL
            )
            has_failed = site.store in failed
            return (is_unfit, has_failed, is_second, site.cost, site.name)

        return [
            sourcing.Source(
                site.store,
                clusters[site.store],
                self._experience.is_narrow(site.store),
            )
            for site in sorted(holding, key=rank)
        ]

    def _targets(
        self, stores: Sequence[images.StoreId]
    ) -> list[targeting.Target]:
        with self._lock:
            unknown = [s for s in stores if s not in self._clusters]
            if unknown:
                raise exceptions.StoreUnknown(
                    f'sites.yaml has no cluster for store {unknown[0]}'
                )
            return [
                targeting.Target(
                    self._sites[store].name,
                    store,
                    self._clusters[store],
                    _object_bytes(self._caretaker.chunk_bytes(store)),
                    self._removes_orphans,
                    self._experience.is_narrow(store),
                )
                for store in stores
            ]

    def _cluster_of(
        self,
        site: sites.Site,
        sites_before: Mapping[images.StoreId, sites.Site],
        clusters_before: Mapping[images.StoreId, storage.Cluster],
    ) -> storage.Cluster:
        """Keep a cluster whose settings are as before, and connections."""
        assert site.cluster is not None
        before = sites_before.get(site.store)
        if before is not None and before.cluster == site.cluster:
            return clusters_before[site.store]
        return self._connect(site.cluster)

    def _is_running(self, image_id: images.ImageId) -> bool:
        with self._lock:
            return image_id in self._running


def _object_bytes(chunk_bytes: int | None) -> int:
    """Tell how long objects Glance makes: it rounds down to a power of two.

    glance_store: _drivers/rbd.py add().
    """
    if not chunk_bytes:
        return _OBJECT_BYTES
    return 1 << (chunk_bytes.bit_length() - 1)


def _closing(cluster: storage.Cluster) -> threading.Thread:
    """Begin to close a cluster; what is in flight there ends first."""
    thread = threading.Thread(target=cluster.close, name='close', daemon=True)
    thread.start()
    return thread
