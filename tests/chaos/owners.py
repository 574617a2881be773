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
"""Who uploads images, changes them and deletes them, whatever fails.

Each request is repeated until it is answered, as a patient person would.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import io
import threading
import time
import uuid

from glanceclient import exc
from glanceclient.v2 import client as glance_client
from keystoneauth1 import exceptions as keystone_exceptions

from tests.chaos import journal
from tests.chaos import plans

_PATIENCE_S = 240.0
_SAVING_S = 45.0
_PAUSE_S = 1.0
_TROUBLES = (
    exc.BaseException,
    exc.ClientException,
    keystone_exceptions.ClientException,
)


@dataclasses.dataclass
class Record:
    """What is true of an image in the end, and what it may have come to.

    :ivar wish: the last that was granted, None if it is not there any more
    :ivar sites: all that were ever wanted
    """

    life: plans.Life
    # No part of the plan: Glance takes no id twice.
    image_id: str = dataclasses.field(
        default_factory=lambda: str(uuid.uuid4())
    )
    wish: plans.Wish | None = None
    sites: set[str] = dataclasses.field(default_factory=set)
    is_born: bool = False


class Owner:
    """The owner of one image; see the module.

    :param gate: bounds how many of them ask Glance at once
    :param is_over: ends all lives where they are
    """

    def __init__(
        self,
        record: Record,
        glance: glance_client.Client,
        edges: Sequence[str],
        paper: journal.Journal,
        gate: threading.Semaphore,
        is_over: threading.Event,
    ) -> None:
        self.record = record
        self.failure = ''
        self._glance = glance
        self._edges = edges
        self._journal = paper
        self._gate = gate
        self._is_over = is_over
        self._stop = threading.Event()

    def live(self) -> None:
        """Do all that is planned, or as much as there is time for."""
        try:
            self._live()
        except Exception as exc:
            self.failure = f'image {self.record.image_id}: {exc!r}'
            self._journal.say(f'an owner gave up: {self.failure}')

    def _live(self) -> None:
        life = self.record.life
        if not self._waits_until(life.born_s):
            return
        self.record.is_born = True
        self._note(life.first)
        if not self._upload():
            self._delete()
            self._journal.count('uploads given up')
            return
        self._journal.count('uploaded')
        if not life.first.is_active:
            self._grant(life.first)
        for step in life.steps:
            if not self._waits_until(step.at_s):
                return
            if step.wish is None:
                self._delete()
                self._journal.count('deleted')
                return
            self._grant(step.wish)
            self._journal.count('changed')

    def _waits_until(self, at_s: float) -> bool:
        wait_s = max(0.0, at_s - self._journal.now_s)
        return not self._is_over.wait(wait_s)

    def _note(self, wish: plans.Wish) -> None:
        self.record.wish = wish
        # One that is deactivated has been active, and may be copied still.
        self.record.sites |= wish.sites(self._edges)

    def _upload(self) -> bool:
        """Make the image; tell whether it became active."""
        life = self.record.life
        self._insist(
            lambda: self._glance.images.create(
                id=self.record.image_id,
                name=f'chaos {life.number}',
                disk_format='raw',
                container_format='bare',
                **life.first.properties,
            ),
            done=exc.HTTPConflict,
        )
        content = life.content()
        while (status := self._status()) == 'queued':
            with self._gate:
                try:
                    self._glance.images.upload(
                        self.record.image_id, io.BytesIO(content)
                    )
                except _TROUBLES:
                    self._journal.count('troubles')
            status = self._saved()
            if status == 'queued' and self._is_over.wait(_PAUSE_S):
                break
        return status in ('active', 'deactivated')

    def _saved(self) -> str:
        """Wait until Glance has saved it, or never will."""
        end = time.monotonic() + _SAVING_S
        while (status := self._status()) == 'saving':
            if time.monotonic() > end:
                break
            self._stop.wait(_PAUSE_S)
        return status

    def _status(self) -> str:
        image = self._insist(
            lambda: self._glance.images.get(self.record.image_id)
        )
        return str(image.status)

    def _grant(self, wish: plans.Wish) -> None:
        self._note(wish)
        images, image_id = self._glance.images, self.record.image_id
        self._insist(lambda: images.update(image_id, **wish.properties))
        if wish.is_active:
            self._insist(lambda: images.reactivate(image_id))
        else:
            self._insist(lambda: images.deactivate(image_id))

    def _delete(self) -> None:
        self._insist(
            lambda: self._glance.images.delete(self.record.image_id),
            done=exc.HTTPNotFound,
        )
        self.record.wish = None

    def _insist(
        self,
        ask: Callable[[], object],
        done: type[Exception] | tuple[()] = (),
    ) -> 'object':
        """Ask until it is answered, or was done by a try that was not.

        However long that takes, but for a while only once all is healed.
        """
        end = time.monotonic() + _PATIENCE_S
        while True:
            if not self._is_over.is_set():
                end = time.monotonic() + _PATIENCE_S
            with self._gate:
                try:
                    return ask()
                except done:
                    return None
                except _TROUBLES:
                    self._journal.count('troubles')
                    if time.monotonic() > end:
                        raise
            self._stop.wait(_PAUSE_S)
