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
"""The threads that look at images."""

import threading
from typing import Protocol

from dcn_distributor.core import images
from dcn_distributor.service import books as booking
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import progress as progresses
from dcn_distributor.service import work_queue

# How often to see whether somebody's wait for a slot or a store has ended.
_TICK_S = 1.0


class Look(Protocol):
    """What looks at an image: service.reconciler, or what wraps it."""

    def reconcile(self, image_id: images.ImageId) -> booking.Outcome:
        """Look at one image; MUST NOT raise."""
        ...


class Workers:
    """Takes images off the queue, has them looked at, and puts them back.

    :param count: how many images may be looked at at once
    """

    def __init__(
        self,
        queue: 'work_queue.WorkQueue[images.ImageId]',
        reconciler: Look,
        ledger: ledgers.Ledger,
        count: int,
        progress: progresses.Progress,
    ) -> None:
        self._progress = progress
        self._queue = queue
        self._reconciler = reconciler
        self._ledger = ledger
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._looks = 0
        self._threads = [
            threading.Thread(target=self._work, name=f'worker-{number}')
            for number in range(count)
        ]
        self._threads.append(threading.Thread(target=self._tick, name='tick'))

    @property
    def looks(self) -> int:
        """How many looks at images there were."""
        with self._counting:
            return self._looks

    def start(self) -> None:
        """Start working."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the looks under way, begin no more, and wait for that."""
        self._stopping.set()
        self._queue.shut_down()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        while (image_id := self._queue.get()) is not None:
            with self._counting:
                self._looks += 1
            with self._progress.working(f'the look at {image_id}'):
                outcome = self._reconciler.reconcile(image_id)
            if outcome.look_again_s is not None:
                self._queue.add_after(image_id, outcome.look_again_s)
            self._queue.done(image_id)
            self._wake()

    def _tick(self) -> None:
        while not self._stopping.wait(_TICK_S):
            self._wake()

    def _wake(self) -> None:
        # First, since slots are kept for them.
        for image_id in reversed(self._ledger.take_due()):
            self._queue.add_first(image_id)
