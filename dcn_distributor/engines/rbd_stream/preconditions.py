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
"""Whether rbd-stream can serve a site, tried out beforehand.

What must hold: sites.yaml tells the site's cluster, it answers, is the one
that is meant, and its caps suffice; the same for a site to read from; and
Glance shows locations, else none can be added either (glance:
api/v2/images.py _do_add_locations).

A site that was not tried yet, or whose cluster does not answer, is unfit for
a while only: its obstacle is a choosing.Passing.
"""

from collections.abc import Callable
from collections.abc import Mapping
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import storage

LOG = log.getLogger(__name__)

_NOT_YET = choosing.Passing('its cluster has not answered yet')


class Preconditions:
    """See the module. Any thread may ask, and only wait() waits.

    :param changed: called when a site has become fit or unfit
    """

    def __init__(
        self, glance: ports.Images, changed: Callable[[], None]
    ) -> None:
        self._glance = glance
        self._changed = changed
        self._lock = threading.Lock()
        self._glance_says: str | None = None
        self._sites: dict[images.StoreId, sites.Site] = {}
        self._found: dict[images.StoreId, str | None] = {}
        self._answered: dict[images.StoreId, threading.Event] = {}
        self._trying: dict[images.StoreId, storage.Cluster] = {}

    def expect(self, all_sites: sites.Sites) -> None:
        """These are the sites; those that are new are not checked yet.

        Of a site whose cluster settings are as before, what was found holds
        until it is found anew: what runs and waits must not take a change
        of the policies for an outage of all sites.
        """
        with self._lock:
            before, found, answered = self._sites, self._found, self._answered
            self._sites = {s.store: s for s in all_sites.everywhere}
            kept = {
                store
                for store, site in self._sites.items()
                if store in before and before[store].cluster == site.cluster
            }
            self._found = {s: found[s] for s in kept if s in found}
            self._answered = {
                store: answered[store] if store in kept else threading.Event()
                for store in self._sites
            }
            for site in self._sites.values():
                if site.cluster is None:
                    self._settle(
                        site.store,
                        f'sites.yaml has no cluster for {site.name}',
                    )

    def of_store(self, store: images.StoreId) -> str | None:
        """What keeps a site's cluster from being used, None if nothing."""
        with self._lock:
            if store not in self._answered:
                return 'no site of sites.yaml has this store'
            return self._found.get(store, _NOT_YET)

    def wait(self, within_s: float) -> None:
        """Wait until every site has answered once, if it does in time."""
        until_s = time.monotonic() + within_s
        with self._lock:
            to_answer = [*self._answered.values()]
        for answered in to_answer:
            answered.wait(max(0.0, until_s - time.monotonic()))

    def of_glance(self) -> str | None:
        """What keeps locations from being added, None if nothing known."""
        return self._glance_says

    def check(
        self, clusters: Mapping[images.StoreId, storage.Cluster]
    ) -> None:
        """Try every cluster, each in a thread of its own, and Glance.

        Nothing waits for a cluster: one that hangs is not tried a second
        time meanwhile, and holds up neither the others nor the next check.
        Never raises.
        """
        for store, cluster in clusters.items():
            try:
                self._begin(store, cluster)
            except RuntimeError:
                # No thread to be had; the next check tries again.
                LOG.exception('store=%s is not tried now', store)
        try:
            self._try_glance()
        except Exception:
            LOG.exception('Whether Glance shows locations: a bug')

    def note_refusal(self, error: exceptions.AccessDenied) -> None:
        """Glance has refused a location; that holds until it is rechecked."""
        self._glance_says = str(error)

    def _begin(self, store: images.StoreId, cluster: storage.Cluster) -> None:
        """Have a cluster tried, unless just that is under way."""
        with self._lock:
            if self._trying.get(store) is cluster:
                return
            threading.Thread(
                target=self._try,
                args=[store, cluster],
                name=f'check-{store}',
                daemon=True,
            ).start()
            self._trying[store] = cluster

    def _try(self, store: images.StoreId, cluster: storage.Cluster) -> None:
        try:
            cluster.check()
        except exceptions.TemporaryError as exc:
            found: str | None = choosing.Passing(exc)
        except exceptions.DistributorError as exc:
            found = str(exc)
        except Exception as exc:
            LOG.exception('store=%s: a bug in rbd-stream', store)
            found = f'a bug: {exc!r}'
        else:
            found = None
        with self._lock:
            if self._trying.get(store) is not cluster:
                # The site has another cluster by now, which is tried, too.
                return
            del self._trying[store]
            before = self._found.get(store, _NOT_YET)
            self._settle(store, found)
            site = self._sites.get(store)
        if found == before or site is None:
            return
        if found is None:
            LOG.info('site=%s rbd-stream can reach its cluster', site.name)
        else:
            LOG.warning(
                'site=%s rbd-stream cannot serve: %s', site.name, found
            )
        self._changed()

    def _settle(self, store: images.StoreId, found: str | None) -> None:
        if store in self._answered:
            self._found[store] = found
            self._answered[store].set()

    def _try_glance(self) -> None:
        """See whether Glance shows the locations of any image."""
        try:
            image = next(iter(self._glance.list()), None)
            if image is None:
                return
            image = self._glance.get(image.id)
        except exceptions.DistributorError as exc:
            LOG.debug('Whether Glance shows locations is not known: %s', exc)
            return
        says = None
        if image.locations is None:
            says = (
                'Glance shows no locations, so none can be added: it needs '
                'show_multiple_locations = true in glance-api.conf, and the '
                'rules get_image_location and set_image_location'
            )
        before, self._glance_says = self._glance_says, says
        if says != before:
            LOG.warning('rbd-stream: %s', says or 'Glance allows it now')
            self._changed()
