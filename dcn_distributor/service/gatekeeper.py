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
"""Knows what is closed to copies, and acts when that changes.

When a site opens, all images are looked at, since any may lack a copy there;
when one closes, those that have a copy under way, since streams are broken
off. So no image waits on a clock of its own.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import threading
from types import MappingProxyType

from oslo_log import log

from dcn_distributor.core import gates
from dcn_distributor.core import images
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import ports
from dcn_distributor.core import sites

LOG = log.getLogger(__name__)

# How old the knowledge of whose a link is may be. It ends by itself when an
# agent was stopped for longer than its lease.
_FRESH_S = 1.0

_Closures = Mapping[sites.SiteName, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Callbacks:
    """Whom the gatekeeper tells.

    :ivar opened: a site has opened
    :ivar closed: a site has closed
    """

    opened: Callable[[], None]
    closed: Callable[[], None]


class Gatekeeper:
    """See the module. Every method may be called from any thread.

    :param all_sites: gives those in force
    :param pauses: gives the words of operators
    :param group: whose links are whose
    :param clock: seconds since the epoch
    :param steady_clock: seconds that never jump, and go on while stopped
    """

    def __init__(
        self,
        all_sites: Callable[[], sites.Sites],
        pauses: Callable[[], all_pauses.Pauses],
        group: ports.Group,
        callbacks: Callbacks,
        clock: Callable[[], float],
        steady_clock: Callable[[], float],
    ) -> None:
        self._all_sites = all_sites
        self._pauses = pauses
        self._group = group
        self._callbacks = callbacks
        self._clock = clock
        self._steady_clock = steady_clock
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._standing = gates.ALONE
        self._others: frozenset[images.StoreId] = frozenset()
        self._known_at_s: float | None = None
        self._seen: tuple[all_pauses.Pauses, _Closures] | None = None
        self._thread: threading.Thread | None = None

    def standing(self) -> gates.Standing:
        """What holds beside sites.yaml and the policies, at this moment."""
        now = self._steady_clock()
        with self._lock:
            is_fresh = (
                self._known_at_s is not None
                and now - self._known_at_s < _FRESH_S
            )
            if is_fresh:
                return self._standing
        standing = gates.Standing(self._pauses(), self._elsewhere())
        others = frozenset(
            site.store
            for site in self._all_sites()
            if site.link.name in standing.elsewhere
        )
        with self._lock:
            self._standing, self._others = standing, others
            self._known_at_s = now
        return standing

    def is_ours(self, link: str) -> bool:
        """Tell whether copies over a link are this agent's."""
        return link not in self.standing().elsewhere

    def others(self) -> frozenset[images.StoreId]:
        """Name the stores that are other agents' to act for and to tell of.

        One that no site has any more is nobody's, and central's is all's.
        """
        self.standing()
        with self._lock:
            return self._others

    def note_change(self) -> None:
        """Look at once: a word was said, or the agents are others."""
        with self._lock:
            self._known_at_s = None
        self._changed.set()

    def start(self) -> None:
        """Begin to watch; see watch()."""
        self.watch()
        self._thread = threading.Thread(
            target=self._run, name='gates', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join()

    def watch(self) -> None:
        """See what has opened or closed since the last time, and act.

        For one thread at a time. start() has it done every second.
        """
        pauses, after = self.standing().pauses, self.closures()
        before = after if self._seen is None else self._seen[1]
        # A word on a policy or an image closes no site as a whole.
        is_new_word = self._seen is not None and self._seen[0] is not pauses
        self._seen = pauses, after
        self._tell(before, after)
        if is_new_word or after.keys() - before.keys():
            self._callbacks.closed()
        if is_new_word or before.keys() - after.keys():
            self._callbacks.opened()

    def closures(self) -> _Closures:
        """Why sites are closed to every image, by their names."""
        standing, now = self.standing(), self._clock()
        return {
            site.name: closure.reason
            for site in self._all_sites()
            if (closure := gates.of_site(site, standing, now)) is not None
        }

    def _elsewhere(self) -> Mapping[str, str]:
        names = {site.link.name for site in self._all_sites()}
        return MappingProxyType(
            {
                name: self._whose(name)
                for name in names
                if not self._group.is_ours(name)
            }
        )

    def _whose(self, link: str) -> str:
        owner = self._group.owner(link)
        if owner is not None:
            return f'agent {owner} has link {link}'
        return self._group.problem() or f'no agent has link {link} yet'

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait(_FRESH_S)
            self._changed.clear()
            try:
                self.watch()
            except Exception:
                LOG.exception('The gates cannot be watched, trying on')

    def _tell(self, before: _Closures, after: _Closures) -> None:
        for names, what in _by_reason(before, after):
            LOG.info('Copies to %s: %s', ', '.join(sorted(names)), what)


def _by_reason(
    before: _Closures, after: _Closures
) -> Iterable[tuple[list[sites.SiteName], str]]:
    """Say each change once, with all sites that it concerns."""
    told: dict[str, list[sites.SiteName]] = {}
    for name in {*before, *after}:
        if before.get(name) != after.get(name):
            told.setdefault(after.get(name, 'open again'), []).append(name)
    return ((names, what) for what, names in told.items())
