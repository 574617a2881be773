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
"""Tell others on the bus what becomes of copies.

Each placement that changes is a notification as OpenStack's services send
them, for billing, audit or whoever waits for an image at a site:
doc/source/notifications.rst has what they say. Nothing waits for the bus:
what it does not take at once is kept for a while in a bounded queue, then
lost, and counted.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import logging
import queue
import threading

from oslo_config import cfg
from oslo_log import log
import oslo_messaging

from dcn_distributor.core import placements
from dcn_distributor.core import transitions

LOG = log.getLogger(__name__)

# Not that of RPC: who listens with other options of RabbitMQ would make it
# unusable for the agent.
EXCHANGE = 'image_distribution'

# Of the payload: the first number changes when a reader may have to.
VERSION = '1.0'

START, END, ERROR = (
    f'image.distribution.copy.{what}' for what in ('start', 'end', 'error')
)

_TYPES = {
    placements.State.COPYING: START,
    placements.State.PRESENT: END,
    placements.State.VERIFIED: END,
}

# 1 MiB or so.
_MOST = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class _Message:
    event_type: str
    payload: Mapping[str, object]


class Announcer:
    """Sends what it is told of. Open it in the worker, after the fork.

    :param topics: where to; nothing is sent if there are none
    :param host: the agent's name
    """

    def __init__(
        self, conf: cfg.ConfigOpts, topics: Sequence[str], host: str
    ) -> None:
        self._conf = conf
        self._topics = topics
        self._host = host
        # None is the end.
        self._waiting: queue.Queue[_Message | None] = queue.Queue(_MOST)
        self._unsent = _Unsent()
        self._losses = _Losses()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> int:
        """How many were lost since the start."""
        return self._losses.total

    def note(self, event: transitions.Event) -> None:
        """Tell of what happened: a transitions.Hearer."""
        if not self._topics:
            return
        message = _message(event, self._host)
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._losses.add('too many wait for the bus')

    def start(self) -> None:
        """Start sending."""
        if not self._topics:
            return
        # Nobody listens for these on whatever exchange the library takes.
        oslo_messaging.set_transport_defaults(EXCHANGE)
        notifier = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(self._conf),
            publisher_id=f'image.distribution.{self._host}',
            driver='messagingv2',
            topics=list(self._topics),
            # For ever, otherwise; with 0 a connection that was lost would
            # never be made anew.
            retry=1,
        )
        self._thread = threading.Thread(
            target=self._run, args=[notifier], name='announcer', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, and end; what the bus does not take is lost."""
        self._stopping.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _run(self, notifier: oslo_messaging.Notifier) -> None:
        with self._unsent.attached():
            while (message := self._waiting.get()) is not None:
                self._send(notifier, message)

    def _send(
        self, notifier: oslo_messaging.Notifier, message: _Message
    ) -> None:
        if self._stopping.is_set() and self._losses.is_losing:
            # A bus that is away would keep the agent from its end.
            self._losses.add('the agent stops')
            return
        tell = notifier.error if message.event_type == ERROR else notifier.info
        # NOTE: newer releases drop a context that is a plain dict, so what
        # it would be for is in the payload.
        tell({}, message.event_type, dict(message.payload))
        reason = self._unsent.take()
        if reason is None:
            self._losses.end()
        else:
            self._losses.add(reason)


_LOGGERS = (
    'oslo_messaging.notify.messaging',
    'oslo_messaging._drivers.impl_rabbit',
)


class _Unsent(logging.Filter):
    """Learns what a thread could not send.

    NOTE: oslo.messaging tells nobody but its log (notify/messaging.py), in
    three lines for each message, with its payload and a traceback.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread_id = 0
        self._reason: str | None = None

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Learn it of this thread."""
        self._thread_id = threading.get_ident()
        # Modules that log by oslo.log have a dot in their logger's name.
        loggers = [
            logger
            for name in _LOGGERS
            for logger in (logging.getLogger(name), log.getLogger(name).logger)
        ]
        for logger in loggers:
            logger.addFilter(self)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(self)

    def take(self) -> str | None:
        """Tell why something could not be sent since the last call."""
        reason, self._reason = self._reason, None
        return reason

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop what the thread says, and keep what it is about."""
        if record.thread != self._thread_id:
            return True
        if str(record.msg).startswith('Could not send notification'):
            error = record.exc_info[1] if record.exc_info else None
            self._reason = str(error or 'the bus did not take it')
        return False


class _Losses:
    """Counts what was lost, and says so once, until the bus is back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = 0
        self.total = 0

    @property
    def is_losing(self) -> bool:
        """True if the last was lost."""
        return self._in_a_row > 0

    def add(self, reason: str) -> None:
        """Count one."""
        with self._lock:
            self.total += 1
            self._in_a_row += 1
            is_first = self._in_a_row == 1
        if is_first:
            LOG.warning(
                'Notifications of copies are lost until the bus takes them '
                'again; copies go on: %s',
                reason,
            )

    def end(self) -> None:
        """Note that one was sent."""
        with self._lock:
            lost, self._in_a_row = self._in_a_row, 0
        if lost:
            LOG.info('Notifications are sent again, %d were lost', lost)


def _message(event: transitions.Event, host: str) -> _Message:
    event_type = _TYPES.get(event.transition.state, ERROR)
    return _Message(event_type, payload(event, host))


def payload(event: transitions.Event, host: str) -> dict[str, object]:
    """Make what a notification says; all of it is plain."""
    transition, site, image = event.transition, event.site, event.image
    error = None
    if _TYPES.get(transition.state, ERROR) == ERROR:
        failure = transition.failure
        error = 'broken_off' if failure is None else failure.value
    return {
        'version': VERSION,
        'agent': host,
        'image_id': image.id,
        'image_name': image.name,
        'size_bytes': image.size_bytes,
        'site': site and site.name,
        'store': transition.store,
        'link': site and site.link.name,
        'policy': event.policy,
        'state': transition.state.value,
        'engine': transition.engine,
        'source': event.traffic.source,
        'sent_bytes': event.traffic.sent_bytes,
        'seconds': round(transition.seconds, 3),
        'attempt': transition.attempt,
        'error': error,
        'reason': transition.reason,
        'trace_id': transition.trace,
    }
