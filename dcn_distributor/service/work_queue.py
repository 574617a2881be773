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
"""A queue of keys to look at: each waits once, and has one worker at most.

The behaviour is that of the work queue of Kubernetes' controllers: a key
added while it waits is not added again; a key added while it is worked on
waits for that work to end and comes round once more; a key may be added for
later. What is not a key (an event, a reason) never enters, so nothing can be
out of date when its turn comes.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
import heapq
import threading
from typing import Generic
from typing import TypeVar

Key = TypeVar('Key', bound=str)


class WorkQueue(Generic[Key]):
    """See the module. Every method may be called from any thread.

    :param clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._ready: collections.OrderedDict[Key, None] = (
            collections.OrderedDict()
        )
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._due_s: dict[Key, float] = {}
        self._timers: list[tuple[float, Key]] = []
        self._is_shut = False

    def __len__(self) -> int:
        """How many keys wait for a worker now, without those for later."""
        with self._changed:
            return len(self._ready) + len(self._again)

    def add(self, key: Key) -> None:
        """Have a key looked at as soon as a worker is free."""
        with self._changed:
            self._add(key)

    def add_all(self, keys: Iterable[Key]) -> None:
        """Have keys looked at as soon as workers are free."""
        with self._changed:
            for key in keys:
                self._add(key)

    def add_first(self, key: Key) -> None:
        """Have a key looked at before all others that wait now."""
        with self._changed:
            self._add(key)
            if key in self._ready:
                self._ready.move_to_end(key, last=False)

    def add_after(self, key: Key, delay_s: float) -> None:
        """Have a key looked at in `delay_s` seconds, or earlier if asked."""
        due_s = self._clock() + max(0.0, delay_s)
        with self._changed:
            if self._is_shut or self._due_s.get(key, due_s + 1) <= due_s:
                return
            self._due_s[key] = due_s
            heapq.heappush(self._timers, (due_s, key))
            self._changed.notify()

    def get(self) -> Key | None:
        """Wait for a key and take it; None once the queue is shut down.

        The caller MUST call done() with it.
        """
        with self._changed:
            while not self._is_shut:
                pause_s = self._add_due()
                if self._ready:
                    key, _ = self._ready.popitem(last=False)
                    # Whoever looks now decides anew when to look again.
                    self._due_s.pop(key, None)
                    self._working.add(key)
                    return key
                self._changed.wait(pause_s)
        return None

    def done(self, key: Key) -> None:
        """Give a key back."""
        with self._changed:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._add(key)

    def shut_down(self) -> None:
        """Hand out no more keys; every get() returns None from now on."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()

    def _add(self, key: Key) -> None:
        if self._is_shut:
            return
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = None
            self._changed.notify()

    def _add_due(self) -> float | None:
        """Move what is due; return seconds until the next that is not."""
        now = self._clock()
        while self._timers:
            due_s, key = self._timers[0]
            if self._due_s.get(key) != due_s:
                heapq.heappop(self._timers)  # taken meanwhile, or put forward
            elif due_s <= now:
                heapq.heappop(self._timers)
                del self._due_s[key]
                self._add(key)
            else:
                return due_s - now
        return None
