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
"""Which work is under way in the agent, and since when it got on.

A thread that waits for work is not at work; one that waits for Glance or a
cluster is, and gets on when that answers or its time-out passes.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import threading


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What one thread is at.

    :ivar what: in words
    :ivar since_s: when it last got on, by the clock
    """

    what: str
    since_s: float


class Progress:
    """See the module. Every method may be called from any thread.

    :param clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._works: dict[int, Work] = {}

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Be at work with something, in this thread, until it is done."""
        thread = threading.get_ident()
        with self._lock:
            self._works[thread] = Work(what, self._clock())
        try:
            yield
        finally:
            with self._lock:
                del self._works[thread]

    def step(self) -> None:
        """Say that the work of this thread got on."""
        thread = threading.get_ident()
        with self._lock:
            work = self._works[thread]
            self._works[thread] = Work(work.what, self._clock())

    def now(self) -> tuple[str, ...]:
        """Name the works under way, each with how long ago it got on."""
        now_s = self._clock()
        with self._lock:
            return tuple(
                f'{work.what}, which got on {now_s - work.since_s:.0f} s ago'
                for work in self._works.values()
            )

    def stuck(self, limit_s: float) -> tuple[str, ...]:
        """Name the works that did not get on for longer than `limit_s`."""
        before_s = self._clock() - limit_s
        with self._lock:
            return tuple(
                work.what
                for work in self._works.values()
                if work.since_s < before_s
            )
