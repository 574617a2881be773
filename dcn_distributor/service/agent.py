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
"""The agent: its parts, started and stopped together, and its answers."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import socket
import threading
from typing import Any
from typing import Protocol

from oslo_log import log

from dcn_distributor.core import images
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import resync as resyncs
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import work_queue
from dcn_distributor.service import workers as worker_threads

LOG = log.getLogger(__name__)


class Ear(Protocol):
    """Something that waits for others to speak up."""

    def start(self) -> None:
        """Begin; MAY block for as long as the bus is out of reach."""
        ...

    def stop(self) -> None:
        """End, and wait for what is being taken in."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is made of, but for its ears."""

    queue: 'work_queue.WorkQueue[images.ImageId]'
    ledger: ledgers.Ledger
    rule_book: rule_books.RuleBook
    workers: worker_threads.Workers
    resync: resyncs.Resync


class Agent:
    """Distributes images from start() to stop().

    :param count_events: gives how many events came in, by what became of
        them
    """

    def __init__(
        self, parts: Parts, count_events: Callable[[], Mapping[str, int]]
    ) -> None:
        self._parts = parts
        self._count_events = count_events
        self._ears: Sequence[Ear] = ()

    def start(self, ears: Sequence[Ear]) -> None:
        """Start working; the bus may come later."""
        self._ears = ears
        self._parts.workers.start()
        self._parts.resync.start()
        for ear in ears:
            # NOTE: a daemon, since oslo.messaging tries for ever to reach a
            # broker that is down, and nothing can call it off.
            threading.Thread(
                target=self._open, args=[ear], daemon=True
            ).start()
        LOG.info('Agent started with %d sites', len(self._rules().sites))

    def stop(self) -> None:
        """Take no more in, finish what is being done, and return.

        Imports under way go on in Glance; the next agent finds them there.
        """
        # oslo.messaging takes some seconds to leave a poll: all at once.
        closing = [threading.Thread(target=ear.stop) for ear in self._ears]
        for thread in closing:
            thread.start()
        self._parts.resync.stop()
        self._parts.workers.stop()
        for thread in closing:
            thread.join()
        LOG.info('Agent stopped')

    def reload(self) -> None:
        """Read sites and policies again, and look at all images by them."""
        if self._parts.rule_book.reload():
            LOG.info('New rules, %d sites', len(self._rules().sites))
            self._parts.resync.ask()

    def look_at(self, image_id: images.ImageId) -> None:
        """Have one image looked at: somebody hinted at a change."""
        self._parts.queue.add(image_id)

    def resync(self, image_ids: Sequence[images.ImageId]) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._parts.rule_book.start_anew()
        for image_id in image_ids:
            self._parts.queue.add(image_id)
        if not image_ids:
            self._parts.resync.ask()
        return {
            'host': socket.gethostname(),
            'looking_at': len(image_ids) or None,
        }

    def remembered(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        setbacks = {
            image_id: {
                store: _plain(s.failures, s.reason, s.next_try_s)
                for store, s in history.setbacks.items()
            }
            for image_id, history in self._parts.ledger.remembered().items()
            if history.setbacks
        }
        troubles = {
            store: _plain(t.failures, t.reason, t.next_probe_s)
            for store, t in self._parts.ledger.load.troubles.items()
        }
        return {
            'host': socket.gethostname(),
            'setbacks': setbacks,
            'troubles': troubles,
            'events': dict(self._count_events()),
            'looks': self._parts.workers.looks,
        }

    def _rules(self) -> rule_books.Rules:
        return self._parts.rule_book.rules

    @staticmethod
    def _open(ear: Ear) -> None:
        try:
            ear.start()
        except Exception:
            LOG.exception(
                'The bus cannot be listened to; only resyncs find changes'
            )


def _plain(failures: int, reason: str, next_try_s: float) -> dict[str, Any]:
    return {
        'failures': failures,
        'reason': reason,
        'next_try_s': None if math.isinf(next_try_s) else next_try_s,
    }
