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
"""Tells an observer what the agent does, in words for operators.

The agent knows stores; operators know sites. Of several agents, all see what
becomes of an import; the one that has the link of its store tells of it.
"""

from collections.abc import Callable
from collections.abc import Collection

from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import sites
from dcn_distributor.core import transitions
from dcn_distributor.service import sent_bytes as sent
from dcn_distributor.service import traces as all_traces

# Of a store whose site was taken out of sites.yaml meanwhile.
NO_SITE = 'none'


Changed = Callable[
    [images.Image, sites.Site | None, transitions.Transition], None
]


class Witness:
    """See the module.

    :param all_sites: gives the sites of this moment
    :param others: names the stores that other agents tell of
    :param changed: is told of each placement that changed, with its site
    :ivar traces: which events led to what it tells
    :ivar sent: how much went to each store
    """

    def __init__(
        self,
        observer: observing.Observer,
        all_sites: Callable[[], sites.Sites],
        traces: all_traces.Traces,
        others: Callable[[], Collection[images.StoreId]],
        changed: Changed,
    ) -> None:
        self._changed = changed
        self._others = others
        self._observer = observer
        self._all_sites = all_sites
        self.traces = traces
        self.sent = sent.SentBytes()

    def looked(self, seconds: float) -> None:
        """See core.observing.Observer."""
        self._observer.looked(seconds)

    def reacted(self, lag_s: float) -> None:
        """See core.observing.Observer."""
        self._observer.reacted(lag_s)

    def tells(self, store: images.StoreId) -> bool:
        """Tell whether copies to a store are this agent's to tell of."""
        return store not in self._others()

    def attempted(
        self, store: images.StoreId, attempt: observing.Attempt
    ) -> None:
        """See core.observing.Observer."""
        if self.tells(store):
            self._observer.attempted(self._name(store), attempt)

    def arrived(
        self,
        image: images.Image,
        store: images.StoreId,
        engine: str,
        seconds: float,
    ) -> None:
        """Note a copy that arrived."""
        if not self.tells(store):
            return
        size_bytes = image.size_bytes or 0
        self.attempted(store, observing.Attempt.ARRIVED)
        self._observer.arrived(engine, size_bytes, seconds)
        if engine == choosing.COPY_IMAGE:
            self.sent.imported(store, size_bytes)

    def flawed(self, store: images.StoreId, flaw: observing.Flaw) -> None:
        """See core.observing.Observer."""
        if self.tells(store):
            self._observer.flawed(self._name(store), flaw)

    def changed(
        self, image: images.Image, transition: transitions.Transition
    ) -> None:
        """Note a placement that changed."""
        if self.tells(transition.store):
            site = self._find(transition.store)
            self._changed(image, site, transition)

    def _name(self, store: images.StoreId) -> str:
        site = self._find(store)
        return NO_SITE if site is None else site.name

    def _find(self, store: images.StoreId) -> sites.Site | None:
        everywhere = self._all_sites().everywhere
        return next((s for s in everywhere if s.store == store), None)
