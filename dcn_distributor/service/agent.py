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
"""The agent: its parts, started and stopped together."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import threading
import time
from typing import Protocol

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import pauses
from dcn_distributor.core import retry
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import supervision as supervisions

LOG = log.getLogger(__name__)

# How long the bus may take to let go of us.
_CLOSE_S = 10.0

# How long streams may take to end.
_BREAK_OFF_S = 5.0


class Ear(Protocol):
    """Something that waits for others to speak up."""

    def start(self) -> None:
        """Begin; MAY block for as long as the bus is out of reach.

        MAY be called again after it raised. A DistributorError says what
        cannot be listened to; anything else is the bus's.
        """
        ...

    def stop(self) -> None:
        """End, and wait for what is being taken in; MAY take for ever."""
        ...


class Agent:
    """Distributes images from start() to stop().

    :param backoff: pauses when the bus refuses to be listened to
    :param supervision: who is told how it goes
    """

    def __init__(
        self,
        parts: all_parts.Parts,
        backoff: retry.Backoff,
        supervision: supervisions.Supervision,
    ) -> None:
        self._parts = parts
        self._supervision = supervision
        self._backoff = backoff
        self._ears: Sequence[Ear] = ()
        self._stopping = threading.Event()

    def start(self, ears: Sequence[Ear]) -> None:
        """Start working; the bus may come later."""
        self._ears = ears
        self._set_sites()
        self._parts.pause_book.load()
        self._parts.group.start()
        self._parts.gatekeeper.start()
        self._parts.workers.start()
        self._parts.resync.start()
        self._supervision.start()
        for ear in ears:
            # NOTE: a daemon, since oslo.messaging tries for ever to reach a
            # broker that is down, and nothing can call it off.
            threading.Thread(
                target=self._open, args=[ear], daemon=True
            ).start()
        LOG.info('Agent started with %d sites', len(self._rules().sites))

    def stop(self, within_s: float) -> None:
        """Take no more in, finish what is being done, and return in time.

        Imports under way go on in Glance; the next agent finds them there.
        Streams are broken off, and go on with the next agent where they are.
        So nothing is lost either by leaving behind what does not end: a look
        while Glance does not answer, or a bus that was lost, which
        oslo.messaging leaves only once it is back.
        """
        self._stopping.set()
        self._supervision.stop()
        begun_s = time.monotonic()
        patience: dict[Callable[[], None], float] = {
            self._parts.gatekeeper.stop: within_s,
            self._parts.resync.stop: within_s,
            self._parts.workers.stop: within_s,
            **{ear.stop: min(within_s, _CLOSE_S) for ear in self._ears},
        }
        if self._parts.streams is not None:
            break_off_s = min(within_s, _BREAK_OFF_S)
            break_off = functools.partial(
                self._parts.streams.stop, break_off_s
            )
            patience[break_off] = break_off_s
        # oslo.messaging takes some seconds to leave a poll: all at once.
        closing = {
            threading.Thread(target=stop, daemon=True): patience_s
            for stop, patience_s in patience.items()
        }
        for thread in closing:
            thread.start()
        for thread, patience_s in closing.items():
            thread.join(max(0.0, begun_s + patience_s - time.monotonic()))
        # Not earlier: others take the links over at once.
        self._parts.group.stop()
        left = sum(thread.is_alive() for thread in closing)
        LOG.info('Agent stopped, %d of its parts left behind', left)

    def reload(self, rate_bytes_s: float | None) -> None:
        """Read sites and policies again, and look at all images by them.

        `rate_bytes_s` is the limit of streams from now on, None for none.
        """
        streams = self._parts.streams
        if streams is not None:
            streams.set_rate(rate_bytes_s)
        if self._parts.rule_book.reload():
            self._set_sites()
            LOG.info('New rules, %d sites', len(self._rules().sites))
            self._parts.resync.ask()

    def look_at(self, image_id: images.ImageId) -> None:
        """Have one image looked at: somebody hinted at a change."""
        self._parts.queue.add(image_id)

    def hear(self, words: Sequence[pauses.Word]) -> None:
        """Take in what operators told another agent."""
        self._parts.pause_book.hear(words)

    def _set_sites(self) -> None:
        all_sites = self._rules().sites
        self._parts.ledger.set_links({s.store: s.link for s in all_sites})
        if self._parts.streams is not None:
            self._parts.streams.set_sites(all_sites)
        self._parts.gatekeeper.note_change()

    def _rules(self) -> rule_books.Rules:
        return self._parts.rule_book.rules

    def _open(self, ear: Ear) -> None:
        """Open an ear, however many tries that takes."""
        failures = 0
        while not self._stopping.is_set():
            pause_s = retry.delay_s(self._backoff, failures + 1, 'bus')
            try:
                ear.start()
            except exceptions.DistributorError as exc:
                failures += 1
                LOG.error('%s; next try in %.0f s', exc, pause_s)
                self._stopping.wait(pause_s)
            except Exception:
                failures += 1
                LOG.exception(
                    'The bus cannot be listened to, next try in %.0f s; '
                    'until then only resyncs find changes',
                    pause_s,
                )
                self._stopping.wait(pause_s)
            else:
                return
