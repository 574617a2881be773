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
"""What agents tell each other: images to look at, and words of operators.

Glance's notifications reach one agent each, and it may be another that has
the links of the image's sites. So whoever hears one tells all. Nothing of it
has to arrive: the resync finds images that were missed, and all words are
told again and again. Who comes, or was cut off, asks for them: it has a lease
before it takes links, and must not copy then what was held meanwhile.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import threading
import time
from typing import TypeVar

from oslo_config import cfg
from oslo_log import log
import oslo_messaging

from dcn_distributor.clients.bus import rpc
from dcn_distributor.core import images
from dcn_distributor.core import pauses

_Any = TypeVar('_Any')

LOG = log.getLogger(__name__)

VERSION = '1.2'
_OF_ASKING = '1.3'

# A burst of events has several of each image: what comes so soon after the
# first is told with it, once.
_GATHER_S = 0.01

# In one message.
_MOST_IMAGES = 500
_MOST_WORDS = 200

# That wait for a bus that is out of reach.
_MOST_WAITING = 20_000

_TELL_AGAIN_S = 60.0
_TRY_AGAIN_S = 5.0

_STOP_S = 2.0


class Fellows:
    """See the module. Every method may be called from any thread.

    :param host: the agent's own name
    :param words: gives all that operators said
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host: str,
        words: Callable[[], Sequence[pauses.Word]],
    ) -> None:
        self._conf = conf
        self._host = host
        self._words = words
        self._client: oslo_messaging.RPCClient | None = None
        self._changed = threading.Condition()
        self._waiting: dict[images.ImageId, None] = {}
        self._tell_at_s = -float('inf')
        self._asks = False
        self._stopping = threading.Event()
        self._is_heard = True
        self._has_lost = False
        # A daemon, since a bus that is out of reach is tried for ever.
        self._thread = threading.Thread(
            target=self._run, name='fellows', daemon=True
        )

    def start(self) -> None:
        """Begin to tell, and return. Call it after the fork."""
        self._thread.start()

    def stop(self) -> None:
        """Tell no more."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def pass_on(self, image_id: images.ImageId) -> None:
        """Have all others look at an image; returns at once."""
        with self._changed:
            if len(self._waiting) < _MOST_WAITING:
                self._waiting[image_id] = None
            elif not self._has_lost:
                self._has_lost = True
                LOG.warning(
                    'The other agents cannot be told of more than %d images: '
                    'their resyncs will find the rest',
                    _MOST_WAITING,
                )
            self._changed.notify()

    def tell(self) -> None:
        """Tell all words now; returns at once."""
        with self._changed:
            self._tell_at_s = -float('inf')
            self._changed.notify()

    def ask(self) -> None:
        """Have all others tell theirs, and tell all; returns at once."""
        with self._changed:
            self._asks = True
            self.tell()

    def _run(self) -> None:
        while self._wait():
            with self._changed:
                image_ids, self._waiting = self._waiting, {}
                tells = self._tell_at_s <= time.monotonic()
                if tells:
                    self._tell_at_s = time.monotonic() + _TELL_AGAIN_S
                asks, self._asks = self._asks, False
            try:
                self._look_at([*image_ids])
                if asks:
                    self._cast('tell', _OF_ASKING, sender=self._host)
                if tells:
                    self._hear(self._words())
            except Exception as exc:
                self._note_failure(exc, asks)
            else:
                self._note_success()

    def _wait(self) -> bool:
        """Wait until there is something to tell; False to end."""
        with self._changed:
            while not self._stopping.is_set() and not self._waiting:
                pause_s = self._tell_at_s - time.monotonic()
                if pause_s <= 0:
                    break
                self._changed.wait(pause_s)
        return not self._stopping.wait(_GATHER_S)

    def _look_at(self, image_ids: Sequence[images.ImageId]) -> None:
        for some in _slices(image_ids, _MOST_IMAGES):
            self._cast(
                'look_at', VERSION, image_ids=list(some), sender=self._host
            )

    def _hear(self, words: Sequence[pauses.Word]) -> None:
        for some in _slices(words, _MOST_WORDS):
            told = [pauses.plain(word) for word in some]
            self._cast('hear', VERSION, words=told, sender=self._host)

    def _cast(self, method: str, version: str, **arguments: object) -> None:
        if self._client is None:
            target = oslo_messaging.Target(
                exchange=rpc.EXCHANGE,
                topic=rpc.TOPIC,
                fanout=True,
            )
            transport = rpc.open_transport(self._conf)
            self._client = rpc.make_client(transport, target, retry=1)
        self._client.prepare(version=version).cast({}, method, **arguments)

    def _note_failure(self, exc: Exception, asks: bool) -> None:
        with self._changed:
            self._asks |= asks
            self._tell_at_s = min(
                self._tell_at_s, time.monotonic() + _TRY_AGAIN_S
            )
        if self._is_heard:
            self._is_heard = False
            LOG.warning(
                'The other agents cannot be told of images, nor of words of '
                'operators: %s. Their resyncs find the images; words are '
                'told again and again',
                exc,
            )

    def _note_success(self) -> None:
        with self._changed:
            self._has_lost = False
        if not self._is_heard:
            self._is_heard = True
            LOG.info('The other agents can be told again')


class Nobody:
    """Stands in for the fellows of an agent that has none."""

    def start(self) -> None:
        """See Fellows."""

    def stop(self) -> None:
        """See Fellows."""

    def pass_on(self, image_id: images.ImageId) -> None:
        """See Fellows."""

    def tell(self) -> None:
        """See Fellows."""

    def ask(self) -> None:
        """See Fellows."""


def _slices(values: Sequence[_Any], most: int) -> Iterator[Sequence[_Any]]:
    for begin in range(0, len(values), most):
        yield values[begin : begin + most]
