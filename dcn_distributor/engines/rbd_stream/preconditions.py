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
"""

from collections.abc import Callable
from collections.abc import Mapping
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import storage

LOG = log.getLogger(__name__)

_NOT_YET = 'its cluster has not answered yet'


class Preconditions:
    """See the module. Any thread may ask, and none but check() waits.

    :param changed: called when a site has become fit or unfit
    """

    def __init__(
        self, glance: ports.Images, changed: Callable[[], None]
    ) -> None:
        self._glance = glance
        self._changed = changed
        self._lock = threading.Lock()
        self._glance_says: str | None = None
        self._found: dict[images.StoreId, str | None] = {}
        self._answered: dict[images.StoreId, threading.Event] = {}
        self._names: dict[images.StoreId, sites.SiteName] = {}

    def expect(self, all_sites: sites.Sites) -> None:
        """These are the sites; those that are new are not checked yet."""
        with self._lock:
            self._names = {s.store: s.name for s in all_sites.everywhere}
            self._found = {}
            self._answered = {s: threading.Event() for s in self._names}
            for site in all_sites.everywhere:
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
        for answered in [*self._answered.values()]:
            answered.wait(max(0.0, until_s - time.monotonic()))

    def of_glance(self) -> str | None:
        """What keeps locations from being added, None if nothing known."""
        return self._glance_says

    def check(
        self, clusters: Mapping[images.StoreId, storage.Cluster]
    ) -> None:
        """Try every cluster, all at once, and Glance."""
        trying = [
            threading.Thread(
                target=self._try, args=[store, cluster], daemon=True
            )
            for store, cluster in clusters.items()
        ]
        for thread in trying:
            thread.start()
        self._try_glance()
        for thread in trying:
            thread.join()

    def note_refusal(self, error: exceptions.AccessDenied) -> None:
        """Glance has refused a location; that holds until it is rechecked."""
        self._glance_says = str(error)

    def _try(self, store: images.StoreId, cluster: storage.Cluster) -> None:
        try:
            cluster.check()
        except exceptions.DistributorError as exc:
            found: str | None = str(exc)
        except Exception as exc:
            LOG.exception('store=%s: a bug in rbd-stream', store)
            found = f'a bug: {exc!r}'
        else:
            found = None
        with self._lock:
            before = self._found.get(store, _NOT_YET)
            self._settle(store, found)
            name = self._names.get(store)
        if found == before:
            return
        if found is None:
            LOG.info('site=%s rbd-stream can reach its cluster', name)
        else:
            LOG.warning('site=%s rbd-stream cannot serve: %s', name, found)
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
        before = self._glance_says
        self._glance_says = None
        if image.locations is None:
            self._glance_says = (
                'Glance shows no locations, so none can be added: it needs '
                'show_multiple_locations = true in glance-api.conf, and the '
                'rules get_image_location and set_image_location'
            )
        if self._glance_says != before:
            LOG.warning(
                'rbd-stream: %s', self._glance_says or 'Glance allows it now'
            )
            self._changed()
