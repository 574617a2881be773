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
"""The sites, their clusters, and which of them is read or written."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import caretaker as caretakers
from dcn_distributor.engines.rbd_stream import experience as experiences
from dcn_distributor.engines.rbd_stream import preconditions as conditions
from dcn_distributor.engines.rbd_stream import sources as sourcing
from dcn_distributor.engines.rbd_stream import targets as targeting

# Glance's own default (glance_store: _drivers/rbd.py, rbd_store_chunk_size).
_OBJECT_BYTES = 8 << 20

Connect = Callable[[sites.Cluster], storage.Cluster]


class Fleet:
    """See the module. Any thread may call it.

    :param connect: makes a cluster of its settings; nothing is sent yet
    :param removes_orphans: see targets.Target
    """

    def __init__(
        self,
        connect: Connect,
        preconditions: conditions.Preconditions,
        caretaker: caretakers.Caretaker,
        experience: experiences.Experience,
        *,
        removes_orphans: bool,
    ) -> None:
        self._connect = connect
        self._preconditions = preconditions
        self._caretaker = caretaker
        self._experience = experience
        self._removes_orphans = removes_orphans
        self._lock = threading.Lock()
        self._sites: dict[images.StoreId, sites.Site] = {}
        self._clusters: dict[images.StoreId, storage.Cluster] = {}
        # Clusters of the past, and the transfers that may use them.
        self._retired: list[tuple[storage.Cluster, Set[object]]] = []

    @property
    def clusters(self) -> Mapping[images.StoreId, storage.Cluster]:
        """Those of now, by their stores."""
        with self._lock:
            return dict(self._clusters)

    def set_sites(self, all_sites: sites.Sites, using: Set[object]) -> None:
        """Go by these from now on, and have them checked.

        What the transfers `using` them may work with stays open.
        """
        with self._lock:
            before = self._sites, self._clusters
            self._sites = {s.store: s for s in all_sites.everywhere}
            self._clusters = {
                s.store: self._cluster_of(s, *before)
                for s in self._sites.values()
                if s.cluster is not None
            }
            self._retired += [
                (cluster, using)
                for cluster in before[1].values()
                if cluster not in self._clusters.values()
            ]
            clusters = dict(self._clusters)
        self._caretaker.set_sites(all_sites, clusters)
        self.close_unused(using)

    def close_unused(self, using: Set[object]) -> None:
        """Close what is of the past, but for what these transfers may use."""
        with self._lock:
            left = [(c, users & using) for c, users in self._retired]
            self._retired = [(c, users) for c, users in left if users]
        for cluster, users in left:
            if not users:
                _closing(cluster)

    def close(self) -> list[threading.Thread]:
        """Begin to close all; give the threads that do it."""
        with self._lock:
            clusters = [*self._clusters.values()]
            clusters += [cluster for cluster, _ in self._retired]
        return [_closing(cluster) for cluster in clusters]

    def sources(
        self, image: images.Image, choice: transfers.SourceChoice
    ) -> list[sourcing.Source]:
        """Tell which sites may be read, in the order to try them.

        Raises NotCopyable if there are none.
        """
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
            return (is_unfit, has_failed, is_second, site.link.cost, site.name)

        return [
            sourcing.Source(
                site.store,
                clusters[site.store],
                self._experience.is_narrow(site.store),
            )
            for site in sorted(holding, key=rank)
        ]

    def targets(
        self, stores: Sequence[images.StoreId]
    ) -> list[targeting.Target]:
        """Make targets of stores. Raises StoreUnknown."""
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
