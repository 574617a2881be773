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
"""Compares copies of one image, and repairs them, while progress is shown.

1. The source is opened, and all copies are compared with it at once.
2. What differs is only written anew from a source that is the image: if that
   was not proven in the first pass, the whole source is read for its hash.
3. Each damaged copy is repaired in place, and compared again.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses
import hashlib
import threading
import time

from dcn_distributor import app
from dcn_distributor import exceptions
from dcn_distributor.cmd import progress
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import meter as meters
from dcn_distributor.engines.rbd_stream import sources
from dcn_distributor.engines.rbd_stream import verification

_PAUSE_S = 0.25

Found = dict[sites.SiteName, verification.Verdict]


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What is to be compared.

    :ivar suspects: the sites whose copies are compared
    :ivar repairs: whether what differs is written anew
    :ivar reads_source: whether the source's hash is proven in any case
    """

    image: images.Image
    source: sites.Site
    suspects: Sequence[sites.Site]
    repairs: bool
    reads_source: bool


def run(
    world: app.World, wish: Wish, display: progress.Display
) -> list[verification.Verdict]:
    """Compare, and repair if wished; give a verdict on each suspect.

    Raises what the opening of the source raises.
    """
    with contextlib.ExitStack() as stack:
        comparison = _Comparison(world, wish, display, stack)
        found = comparison.compare()
        if wish.repairs:
            found = comparison.repair(found)
        return [found[site.name] for site in wish.suspects]


class _Comparison:
    """See run(). Clusters are open as long as `stack` is."""

    def __init__(
        self,
        world: app.World,
        wish: Wish,
        display: progress.Display,
        stack: contextlib.ExitStack,
    ) -> None:
        self._world = world
        self._wish = wish
        self._display = display
        self._stack = stack
        self._source = self._open_source()
        self._suspects = [
            verification.Suspect(site.name, site.store, self._at(site))
            for site in wish.suspects
            if self._objection(site) is None
        ]
        self._checking = self._check(self._suspects, wish.reads_source)

    def compare(self) -> Found:
        """Compare all; what cannot be compared has its reason."""
        wish = self._wish
        size_bytes = wish.image.size_bytes or 0
        found = {
            site.name: verification.Verdict(
                site.name, site.store, size_bytes, 0, error=objection
            )
            for site in wish.suspects
            if (objection := self._objection(site)) is not None
        }
        if self._suspects:
            found |= _by_site(
                self._watch('comparing', self._checking, lambda c: c.compare())
            )
        return found

    def repair(self, found: Found) -> Found:
        """Write anew what is damaged, from a source that is proven."""
        damaged = [
            suspect
            for suspect in self._suspects
            if found[suspect.site].damages
            and found[suspect.site].error is None
        ]
        if not damaged:
            return found
        checking = self._checking
        if not self._can_prove():
            self._display.say(
                'warning: Glance recorded no hash of this image that can be '
                f'computed here; the copy at {self._wish.source.name} is '
                'taken for good'
            )
        elif not self._wish.reads_source:
            checking = self._check(damaged, reads_source=True)
            found |= _by_site(
                self._watch(
                    'proving the source', checking, lambda c: c.compare()
                )
            )
        verdicts = [found[suspect.site] for suspect in checking.suspects]
        return found | _by_site(
            self._watch('repairing', checking, lambda c: c.repair(verdicts))
        )

    def _open_source(self) -> sources.Opened:
        source = self._wish.source
        found = sources.open_first(
            [sources.Source(source.store, self._at(source))], self._wish.image
        )
        self._stack.callback(found.readable.close)
        return found

    def _at(self, site: sites.Site) -> storage.Cluster:
        assert site.cluster is not None
        cluster = self._world.connect(site.cluster)
        self._stack.callback(cluster.close)
        return cluster

    def _objection(
        self, site: sites.Site
    ) -> exceptions.DistributorError | None:
        """Say why a site's copy cannot be compared at all."""
        if site.store not in self._wish.image.stores:
            return exceptions.CopyNotFound('Glance lists no copy at this site')
        if site.cluster is None:
            return exceptions.CopyNotFound(
                'sites.yaml has no cluster settings for this site'
            )
        return None

    def _can_prove(self) -> bool:
        image = self._wish.image
        return (
            image.hash_value is not None
            and image.hash_algo in hashlib.algorithms_available
        )

    def _check(
        self, suspects: Sequence[verification.Suspect], reads_source: bool
    ) -> verification.Verification:
        return verification.Verification(
            self._wish.image,
            self._source,
            suspects,
            self._world.tuning,
            reads_source=reads_source,
        )

    def _watch(
        self,
        phase: str,
        checking: verification.Verification,
        act: Callable[[verification.Verification], list[verification.Verdict]],
    ) -> list[verification.Verdict]:
        """Have it done in a thread, and show how far it is meanwhile."""
        outcome: futures.Future[list[verification.Verdict]] = futures.Future()

        def work() -> None:
            try:
                outcome.set_result(act(checking))
            except BaseException as exc:
                outcome.set_exception(exc)

        # A daemon: Ctrl-C must not wait for a cluster that hangs.
        threading.Thread(target=work, name='verify', daemon=True).start()
        pace = _Pace(phase, self._wish.image.size_bytes or 0)
        while True:
            done, _ = futures.wait([outcome], _PAUSE_S)
            self._display.show(pace.bars(checking.progress()))
            if done:
                return outcome.result()


class _Pace:
    """Measures how fast the sites get on in one phase."""

    def __init__(self, phase: str, size_bytes: int) -> None:
        self._phase = phase
        self._size_bytes = size_bytes
        self._meters: dict[sites.SiteName, meters.Meter] = {}

    def bars(
        self, progressed: Mapping[sites.SiteName, int]
    ) -> list[progress.Bar]:
        """Give a bar for each site."""
        return [
            self._bar(site, done_bytes)
            for site, done_bytes in progressed.items()
        ]

    def _bar(self, site: sites.SiteName, done_bytes: int) -> progress.Bar:
        if site not in self._meters:
            self._meters[site] = meters.Meter(time.monotonic)
        rate_bytes_s = self._meters[site].measure(0, done_bytes).settled
        left_bytes = self._size_bytes - done_bytes
        return progress.Bar(
            site,
            self._phase,
            done_bytes,
            self._size_bytes,
            rate_bytes_s,
            left_bytes / rate_bytes_s if rate_bytes_s else None,
        )


def _by_site(verdicts: Sequence[verification.Verdict]) -> Found:
    return {verdict.site: verdict for verdict in verdicts}
