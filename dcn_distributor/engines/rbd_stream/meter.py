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
"""Rates of the last seconds."""

from collections import deque
from collections.abc import Callable
import dataclasses

_OVER_S = 5.0
_EVERY_S = 0.25


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """Bytes per second, over the last seconds."""

    sent: float
    settled: float


class Meter:
    """Measures as often as it is asked. Any one thread at a time.

    :param clock: seconds of a steady clock
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int, int]] = deque()

    def measure(self, sent_bytes: int, settled_bytes: int) -> Rates:
        """Take in how much there is by now, and return the rates."""
        now = self._clock()
        samples = self._samples
        if not samples or now - samples[-1][0] >= _EVERY_S:
            samples.append((now, sent_bytes, settled_bytes))
        while len(samples) > 2 and now - samples[0][0] > _OVER_S:
            samples.popleft()
        since_s, sent_then, settled_then = samples[0]
        passed_s = now - since_s
        if passed_s <= 0:
            return Rates(0.0, 0.0)
        return Rates(
            (sent_bytes - sent_then) / passed_s,
            (settled_bytes - settled_then) / passed_s,
        )
