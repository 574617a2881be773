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
"""A look at all images, from time to time and when asked for.

Notifications may be lost, and so may all memory: this finds what they would
have told. The images are read page by page and only those with something to
do are queued, so its memory does not grow with their number.
"""

from collections.abc import Callable
import threading
from typing import Protocol

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import retry
from dcn_distributor.service import progress as progresses

LOG = log.getLogger(__name__)


class Round(Protocol):
    """What a resync asks: service.reconciler, or what wraps it."""

    def begin_round(self) -> None:
        """Prepare for a look at all images."""
        ...

    def remembered(self) -> set[images.ImageId]:
        """The images that anything is remembered of."""
        ...

    def is_settled(self, image: images.Image) -> bool:
        """Tell whether an image just read needs no look."""
        ...

    def end_round(self) -> None:
        """Tidy up after a look at all images."""
        ...


class Resync:
    """See the module.

    :param enqueue: has an image looked at
    :param interval_s: seconds between the end of one and the next
    :param backoff: pauses when Glance does not answer
    """

    def __init__(
        self,
        glance: ports.Images,
        reconciler: Round,
        enqueue: Callable[[images.ImageId], None],
        interval_s: float,
        backoff: retry.Backoff,
        progress: progresses.Progress,
    ) -> None:
        self._progress = progress
        self._has_looked = False
        self._glance = glance
        self._reconciler = reconciler
        self._enqueue = enqueue
        self._interval_s = interval_s
        self._backoff = backoff
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='resync')

    @property
    def has_looked(self) -> bool:
        """Whether all images were looked at once."""
        return self._has_looked

    def start(self) -> None:
        """Start with a look at all images at once."""
        self._thread.start()

    def ask(self) -> None:
        """Have it done as soon as the one under way, if any, has ended."""
        self._asked.set()

    def stop(self) -> None:
        """Break off, and wait for that."""
        self._stopping.set()
        self._asked.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._asked.clear()
            try:
                with self._progress.working('the look at all images'):
                    self._look_at_all()
            except exceptions.DistributorError as exc:
                failures += 1
                pause_s = retry.delay_s(self._backoff, failures, 'resync')
                LOG.warning(
                    'Resync broken off, next try in %.0f s: %s', pause_s, exc
                )
            except Exception:
                LOG.exception('Resync broken off by a bug in dcn_distributor')
                pause_s = self._backoff.cap_s
            else:
                failures, pause_s = 0, self._interval_s
            self._asked.wait(pause_s)

    def _look_at_all(self) -> None:
        LOG.debug('Resync begins')
        self._reconciler.begin_round()
        seen = queued = 0
        unseen = self._reconciler.remembered()
        for image in self._glance.list():
            if self._stopping.is_set():
                return
            seen += 1
            self._progress.step()
            unseen.discard(image.id)
            if not self._reconciler.is_settled(image):
                queued += 1
                self._enqueue(image.id)
        for image_id in unseen:
            # Deleted, most likely, and we did not hear of it.
            self._enqueue(image_id)
        self._reconciler.end_round()
        self._has_looked = True
        LOG.info('Resync: %d images seen, %d to be looked at', seen, queued)
