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
"""Hear of images from Glance.

Glance sends its notifications to a topic of our own beside the usual one
(``topics = notifications,dcn_distributor``), so nobody competes for them and
nothing is lost before our first start: Glance itself declares the queues.

An event is a hint that an image may have changed. All that is taken from it
is the image's id; everything is acknowledged at once, and nothing that comes
in can raise an error or be delivered again.
"""

import collections
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import logging
import re
import threading
import uuid

from oslo_config import cfg
from oslo_context import context
from oslo_log import log
import oslo_messaging
from oslo_messaging._drivers import impl_rabbit

from dcn_distributor import exceptions
from dcn_distributor.core import images

LOG = log.getLogger(__name__)

EXCHANGE = 'glance'

# What can make a policy ask for a copy, or end one. ``image.activate`` and
# ``image.upload`` come before Glance has saved the status, but are all there
# is if ``image.update`` was switched off.
IMAGE_EVENTS = frozenset(
    ('image.update', 'image.activate', 'image.upload', 'image.delete')
)

# Handled: an image was queued. Ignored: nothing to us. Malformed: it should
# have named an image and did not, or was no message at all.
HANDLED, IGNORED, MALFORMED = 'handled', 'ignored', 'malformed'

# What an event may go by; OpenStack's request ids are of this kind.
_TRACE = re.compile('[A-Za-z0-9-]{1,64}')

# NOTE: oslo.messaging's default is to fetch without limit, into a queue in
# memory; a burst would be held there.
_PREFETCH = 100


# What all other events are counted as: their types come from outside.
OTHER = 'other'


class Counts:
    """How many events came in, by what became of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._by_type: collections.Counter[tuple[str, str]] = (
            collections.Counter()
        )

    def add(self, result: str, event_type: object = OTHER) -> None:
        """Count one event."""
        is_known = isinstance(event_type, str) and event_type in IMAGE_EVENTS
        with self._lock:
            self._counts[result] += 1
            self._by_type[str(event_type) if is_known else OTHER, result] += 1

    def by_type(self) -> dict[tuple[str, str], int]:
        """How many there were by type and result.

        Types that are nothing to us are counted as one.
        """
        with self._lock:
            return {
                (event_type, result): self._by_type[event_type, result]
                for event_type in (*sorted(IMAGE_EVENTS), OTHER)
                for result in (HANDLED, IGNORED, MALFORMED)
            }

    def __getitem__(self, result: str) -> int:
        """How many there were."""
        with self._lock:
            return self._counts[result]

    def as_dict(self) -> dict[str, int]:
        """All of them, as of this moment."""
        with self._lock:
            return {
                result: self._counts[result]
                for result in (HANDLED, IGNORED, MALFORMED)
            }


class Hints:
    """The endpoint: takes the image id out of what Glance sends.

    :param on_image: called with each id
    :param note: is told before that by which id the event goes, and when it
        happened, in seconds since the epoch, None if that is not told
    """

    def __init__(
        self,
        on_image: Callable[[images.ImageId], None],
        counts: Counts,
        note: Callable[[images.ImageId, str, float | None], None],
    ) -> None:
        self._on_image = on_image
        self._counts = counts
        self._note = note

    def info(
        self,
        context: object,
        publisher_id: object,
        event_type: object,
        payload: object,
        metadata: object,
    ) -> str:
        """Take one notification; oslo.messaging calls this by priority."""
        result = self._take(event_type, payload, _origin(context, metadata))
        self._counts.add(result, event_type)
        if result == MALFORMED:
            LOG.debug('Malformed event %.80r', event_type)
        return str(oslo_messaging.NotificationResult.HANDLED)

    # Glance tells of failed uploads by a plain string; that queue has to be
    # emptied too.
    error = info

    def _take(
        self, event_type: object, payload: object, origin: '_Origin'
    ) -> str:
        if not isinstance(event_type, str):
            return MALFORMED
        if event_type not in IMAGE_EVENTS:
            return IGNORED
        if not isinstance(payload, Mapping):
            # The text of an upload that failed.
            return IGNORED if isinstance(payload, str) else MALFORMED
        image_id = as_image_id(payload.get('id'))
        if image_id is None:
            return MALFORMED
        LOG.debug(
            'image=%s event=%s trace=%s', image_id, event_type, origin.trace
        )
        self._note(image_id, origin.trace, origin.happened_s)
        self._on_image(image_id)
        return HANDLED


@dataclasses.dataclass(frozen=True, slots=True)
class _Origin:
    trace: str
    happened_s: float | None


def _origin(event_context: object, metadata: object) -> _Origin:
    """Tell where an event comes from.

    Glance sends no context (glance: notifier.py), so its events go by the id
    of the message. What is put into log lines is checked.
    """
    told = metadata if isinstance(metadata, Mapping) else {}
    asked = event_context if isinstance(event_context, Mapping) else {}
    for value in (asked.get('request_id'), told.get('message_id')):
        if isinstance(value, str) and _TRACE.fullmatch(value):
            return _Origin(value, _happened_s(told.get('timestamp')))
    made = context.generate_request_id()
    return _Origin(made, _happened_s(told.get('timestamp')))


def _happened_s(timestamp: object) -> float | None:
    """Read the time oslo.messaging gives a notification, which is in UTC."""
    try:
        read = datetime.datetime.fromisoformat(str(timestamp))
    except ValueError:
        return None
    if read.tzinfo is None:
        read = read.replace(tzinfo=datetime.timezone.utc)
    return read.timestamp()


def as_image_id(value: object) -> images.ImageId | None:
    """Read an image id, which in Glance is always a UUID; None if it is not.

    Nothing else may get further: ids are put into URLs and log lines.
    """
    if not isinstance(value, str) or len(value) != 36:
        return None
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        return None
    return images.ImageId(canonical) if canonical == value.lower() else None


class Undecodable(logging.Filter):
    """Counts what oslo.messaging could not read, in place of its traceback.

    It rejects such a message (the broker drops it) or acknowledges it, and
    logs each with a traceback at ERROR: a hostile or foreign publisher could
    fill the disk with that.
    """

    _TEXTS = (
        'Failed to process message',
        'Exception during message handling',
        'Unknown priority',
    )

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the record and count the message it is about."""
        if not str(record.msg).startswith(self._TEXTS):
            return True
        self._counts.add(MALFORMED)
        error = record.exc_info[0] if record.exc_info else None
        LOG.debug(
            'Malformed message: %s', error.__name__ if error else record.msg
        )
        return False


_LOGGERS = (
    'oslo_messaging._drivers.impl_rabbit',
    'oslo_messaging.notify.listener',
    'oslo_messaging.notify.dispatcher',
)


_SHORT_LOSS_S = 5.0


class Listener:
    """Hears of images on our topic. Open it in the worker, after the fork."""

    def __init__(self, conf: cfg.ConfigOpts, topic: str, hints: Hints) -> None:
        self._conf = conf
        self._topic = topic
        self._hints = hints
        self._server: oslo_messaging.MessageHandlingServer | None = None

    def start(self) -> None:
        """Listen; returns once the bus is reached, however long that takes.

        Call it in a thread of its own: the work must not wait for the bus.
        """
        target = oslo_messaging.Target(exchange=EXCHANGE, topic=self._topic)
        server = oslo_messaging.get_notification_listener(
            _transport(self._conf),
            [target],
            [self._hints],
            executor='threading',
        )
        server.start(override_pool_size=1)
        # Not earlier: stop() of a server that starts waits for its start.
        self._server = server

    def deafness(self) -> str | None:
        """Tell why nothing is heard now, None if it is.

        NOTE: oslo.messaging connects again by itself, and tells nobody but
        its log, so this reaches for its connection. Where a driver has none,
        such as the one in memory, nothing can be lost.
        """
        if self._server is None:
            return 'the bus was not reached yet'
        listener = getattr(self._server.listener, '_poll_style_listener', None)
        link = getattr(getattr(listener, 'conn', None), 'connection', None)
        is_connected = getattr(
            getattr(link, 'connection', None), 'connected', True
        )
        return None if is_connected else 'the bus was lost'

    def stop(self) -> None:
        """Stop listening, and wait until the last event is taken."""
        if self._server is not None:
            self._server.stop()
            self._server.wait()


class Hearing:
    """Tells whether the bus is heard, but for short losses.

    A client that has lost its node of the broker is back within seconds.

    :param deafness: tells why nothing is heard now, None if it is
    :param clock: seconds of a clock that never jumps
    """

    def __init__(
        self,
        deafness: Callable[[], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._deafness = deafness
        self._clock = clock
        self._lost_s: float | None = None

    def is_good(self) -> bool:
        """Tell whether the bus is heard; for one thread at a time."""
        if self._deafness() is None:
            self._lost_s = None
            return True
        now = self._clock()
        if self._lost_s is None:
            self._lost_s = now
        return now - self._lost_s < _SHORT_LOSS_S


def check_url(conf: cfg.ConfigOpts) -> None:
    """Raise ConfigError for a transport_url that cannot be right.

    Be it that of the notifications or that of RPC: they may differ. Nothing
    is connected. What is wrong with it is not told, since that may be a part
    of the password.
    """
    try:
        _transport(conf).cleanup()
        oslo_messaging.get_rpc_transport(conf).cleanup()
    except (oslo_messaging.MessagingException, ValueError):
        raise exceptions.ConfigError(
            'transport_url: not of the form rabbit://USER:PASSWORD@HOST:PORT/ '
            '(in USER and PASSWORD anything but letters, digits and -._~ has '
            'to be written as %XX)'
        ) from None


def _transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    cfg.set_defaults(
        impl_rabbit.rabbit_opts, rabbit_qos_prefetch_count=_PREFETCH
    )
    return oslo_messaging.get_notification_transport(conf)


def quieten_undecodable(counts: Counts) -> None:
    """Count and tone down what oslo.messaging logs of undecodable input."""
    undecodable = Undecodable(counts)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(undecodable)
        # Modules that log by oslo.log have a dot in their logger's name.
        log.getLogger(name).logger.addFilter(undecodable)
