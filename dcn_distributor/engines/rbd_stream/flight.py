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
"""How much may be on its way at once: from the source, or to a target.

librados counts a call's time from the moment it is handed over, what it
waits in the send queue included (osdc/Objecter.cc: _op_submit_with_budget
starts the timer of rados_osd_op_timeout). On a slow link a whole window may
so take longer than the time-out, and all of it is lost, each time. So how
long calls take decides how many there may be:

1. When one took longer than a quarter of the time-out, half as much may be
   under way from now on; but one chunk always may. What was begun before
   tells nothing new then.
2. When as many bytes as may be under way have come through one after
   another, each chunk within an eighth of the time-out, one more may be.
3. When even the quickest chunk of the first window takes longer than within
   one country, it is far, and what fills a link grows with the round trip: so
   then more may be under way, in proportion; but never so much that it would
   take half the time-out if that chunk's time were all the link's.
"""

import math

_LONG = 1 / 4
_SHORT = 1 / 8
_FULL = 1 / 2

# A transfer to one or two far targets may hold as much as one to three near
# ones: so many windows in all, and so many for one.
_WINDOWS = 3
_WINDOWS_OF_ONE = 2

_TICK_S = 1e-6

# What a chunk takes at best over 1 Gbit/s and a round trip of 100 ms.
NEAR_S = 0.15


def far_bytes(window_bytes: int, target_count: int) -> int:
    """Say how much may be under way to each target that is far."""
    windows = min(_WINDOWS_OF_ONE, max(1.0, _WINDOWS / max(1, target_count)))
    return int(window_bytes * windows)


class Flight:
    """See the module. Times are in seconds of any steady clock.

    :param first_bytes: how much may be under way at first
    :param whole_bytes: the most that may ever be, unless it is far
    :param timeout_s: after which a call is lost
    :param far_bytes: the most that may ever be where it is

    :ivar limit_bytes: how much may be under way; one chunk always may
    """

    def __init__(
        self,
        chunk_bytes: int,
        first_bytes: int,
        whole_bytes: int,
        timeout_s: float,
        far_bytes: int = 0,
    ) -> None:
        self.limit_bytes = first_bytes
        self._chunk_bytes = chunk_bytes
        self._near_bytes = self._whole_bytes = whole_bytes
        self._far_bytes = far_bytes
        self._timeout_s = timeout_s
        self._quickest_s = math.inf
        self._ended_bytes = 0
        self._under_way: dict[int, tuple[int, float]] = {}
        self._bytes = 0
        self._quick_bytes = 0
        self._narrowed_s: float | None = None

    def begin_narrow(self) -> None:
        """Let one chunk be under way at first."""
        self.limit_bytes = self._chunk_bytes

    def has_room(self, length: int) -> bool:
        """Tell whether so many bytes may be under way, too."""
        return not self._bytes or self._bytes + length <= self.limit_bytes

    def begin(self, index: int, length: int, now: float) -> None:
        """A chunk is on its way."""
        self._under_way[index] = length, now
        self._bytes += length

    def end(self, index: int, now: float) -> None:
        """A chunk has arrived."""
        length, begun_s = self._under_way.pop(index)
        self._bytes -= length
        took_s = now - begun_s
        self._quickest_s = min(self._quickest_s, max(took_s, _TICK_S))
        self._ended_bytes += length
        if self._ended_bytes >= self._near_bytes:
            self._reach()
        if took_s < self._timeout_s * _SHORT:
            self._quick_bytes += length
            if self._quick_bytes >= self.limit_bytes:
                self._widen()
            return
        self._quick_bytes = 0
        is_news = self._narrowed_s is None or begun_s >= self._narrowed_s
        if is_news and took_s > self._timeout_s * _LONG:
            self.limit_bytes = max(self._chunk_bytes, self.limit_bytes // 2)
            self._narrowed_s = now

    def _reach(self) -> None:
        """Let as much be under way as fills a link of this length."""
        was_whole = self.limit_bytes >= self._whole_bytes
        limits = (
            self._near_bytes * self._quickest_s / NEAR_S,
            self._chunk_bytes * self._timeout_s * _FULL / self._quickest_s,
            self._far_bytes,
        )
        self._whole_bytes = max(self._near_bytes, int(min(limits)))
        if was_whole or self.limit_bytes > self._whole_bytes:
            self.limit_bytes = self._whole_bytes

    def _widen(self) -> None:
        self._quick_bytes = 0
        self.limit_bytes = min(
            self._whole_bytes, self.limit_bytes + self._chunk_bytes
        )
