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
import logging
import threading
import uuid

from oslo_config import cfg
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

# NOTE: oslo.messaging's default is to fetch without limit, into a queue in
# memory; a burst would be held there.
_PREFETCH = 100


class Counts:
    """How many events came in, by what became of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, result: str) -> None:
        """Count one event."""
        with self._lock:
            self._counts[result] += 1

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
    """

    def __init__(
        self,
        on_image: Callable[[images.ImageId], None],
        counts: Counts,
    ) -> None:
        self._on_image = on_image
        self._counts = counts

    def info(
        self,
        context: object,
        publisher_id: object,
        event_type: object,
        payload: object,
        metadata: object,
    ) -> str:
        """Take one notification; oslo.messaging calls this by priority."""
        result = self._take(event_type, payload)
        self._counts.add(result)
        if result == MALFORMED:
            LOG.debug('Malformed event %.80r', event_type)
        return str(oslo_messaging.NotificationResult.HANDLED)

    # Glance tells of failed uploads by a plain string; that queue has to be
    # emptied too.
    error = info

    def _take(self, event_type: object, payload: object) -> str:
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
        self._on_image(image_id)
        return HANDLED


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

    def stop(self) -> None:
        """Stop listening, and wait until the last event is taken."""
        if self._server is not None:
            self._server.stop()
            self._server.wait()


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
