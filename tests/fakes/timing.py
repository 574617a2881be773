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
"""When what a fake cluster was asked for comes to pass.

`World` is virtual time: nothing happens by itself, a test lets it. `Instant`
and `Threads` are for tests that do not look at time: the former answers
before a call returns, the latter from threads of its own and in real time.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import heapq
import itertools
import random
import threading
import time
from typing import Protocol

Action = Callable[[], None]


class Timing(Protocol):
    """What the fake clusters need of time. `rng` is all their chance."""

    rng: random.Random

    def now(self) -> float:
        """Return seconds since some moment."""
        ...

    def later(self, delay_s: float, action: Action) -> None:
        """Have `action` run once, so much later."""
        ...

    def pause(self, delay_s: float) -> None:
        """Let time pass for the caller, who waits for an answer."""
        ...

    def calling_back(self) -> contextlib.AbstractContextManager[None]:
        """Surround a call of `done`: no blocking call is allowed in it."""
        ...


class World:
    """Virtual time, for one thread. Equal seeds give equal histories.

    :param reorder_s: each answer comes up to so much later than it would,
        by chance; answers due at the same moment come in any order, too
    """

    def __init__(self, seed: int = 0, reorder_s: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self._reorder_s = reorder_s
        self._now = 0.0
        self._due: list[tuple[float, float, int, Action]] = []
        self._count = itertools.count()
        self._is_calling_back = False

    def now(self) -> float:
        """Return the virtual seconds since the begin."""
        return self._now

    @property
    def pending(self) -> int:
        """How much is still to happen."""
        return len(self._due)

    def later(self, delay_s: float, action: Action) -> None:
        """See Timing."""
        order = 0.0
        if self._reorder_s:
            order = self.rng.random()
            delay_s += self._reorder_s * self.rng.random()
        self._push(delay_s, order, action)

    def at(self, moment_s: float, action: Action) -> None:
        """Have `action` run at that moment exactly."""
        self._push(moment_s - self._now, -1.0, action)

    def _push(self, delay_s: float, order: float, action: Action) -> None:
        moment = self._now + max(0.0, delay_s)
        entry = (moment, order, next(self._count), action)
        heapq.heappush(self._due, entry)

    def step(self) -> bool:
        """Let the next thing happen; False if there is none."""
        if not self._due:
            return False
        moment, _, _, action = heapq.heappop(self._due)
        self._now = max(self._now, moment)
        action()
        return True

    def run(self) -> None:
        """Let everything happen, and what follows from it."""
        while self.step():
            pass

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            self.step()
        self._now = max(self._now, end)

    def run_until(
        self, condition: Callable[[], bool], within_s: float = 1e6
    ) -> None:
        """Let time pass until the condition holds; AssertionError if never."""
        end = self._now + within_s
        while not condition():
            assert self._due, 'stuck: nothing is under way any more'
            assert self._due[0][0] <= end, f'not within {within_s:g} s'
            self.step()

    def pause(self, delay_s: float) -> None:
        """See Timing; what falls due meanwhile happens."""
        assert not self._is_calling_back, 'a blocking call within a `done`'
        if delay_s > 0:
            self.run_for(delay_s)

    @contextlib.contextmanager
    def calling_back(self) -> Iterator[None]:
        """See Timing."""
        before, self._is_calling_back = self._is_calling_back, True
        try:
            yield
        finally:
            self._is_calling_back = before


class Instant:
    """Everything happens at once, on the caller's thread; delays add up."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self._now = 0.0

    def now(self) -> float:
        """Return the sum of all delays."""
        return self._now

    def later(self, delay_s: float, action: Action) -> None:
        """See Timing."""
        self.pause(delay_s)
        action()

    def pause(self, delay_s: float) -> None:
        """See Timing."""
        self._now += max(0.0, delay_s)

    def calling_back(self) -> contextlib.AbstractContextManager[None]:
        """See Timing; nothing is forbidden."""
        return contextlib.nullcontext()


class Threads:
    """Real time and real threads. Close it, and it waits for its threads."""

    def __init__(self, workers: int = 2, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self._due: list[tuple[float, int, Action]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._never = threading.Event()
        self._workers = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def now(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.monotonic()

    def later(self, delay_s: float, action: Action) -> None:
        """See Timing."""
        with self._changed:
            entry = (self.now() + delay_s, next(self._count), action)
            heapq.heappush(self._due, entry)
            self._changed.notify()

    def pause(self, delay_s: float) -> None:
        """See Timing."""
        if delay_s > 0:
            self._never.wait(delay_s)

    def calling_back(self) -> contextlib.AbstractContextManager[None]:
        """See Timing; nothing is forbidden."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Drop what is still to happen, and end the threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def __enter__(self) -> 'Threads':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        while (action := self._next()) is not None:
            action()

    def _next(self) -> Action | None:
        with self._changed:
            while not self._is_closed:
                wait_s = self._due[0][0] - self.now() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_s)
            return None
