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
"""Rate limits that may change while they are in force."""

import dataclasses


class TokenBucket:
    """Lets `rate_bytes_s` through on average, with a burst of `burst_s`.

    Whoever comes while there is credit is let through whole, and the next
    one waits for the debt to be paid: so what is larger than the burst gets
    through as well. A rate of None limits nothing. Not for several threads.
    """

    def __init__(
        self, rate_bytes_s: float | None, burst_s: float = 0.1
    ) -> None:
        self._rate_bytes_s = rate_bytes_s
        self._burst_s = burst_s
        self._credit_bytes = 0.0
        self._at_s: float | None = None

    def set_rate(self, rate_bytes_s: float | None, now: float) -> None:
        """Go on at another rate; what was let through so far stands."""
        self._accrue(now)
        self._rate_bytes_s = rate_bytes_s
        if rate_bytes_s is None:
            self._credit_bytes = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until something may be taken, 0 if now."""
        if self._rate_bytes_s is None:
            return 0.0
        self._accrue(now)
        return max(0.0, -self._credit_bytes / self._rate_bytes_s)

    def take(self, length: int) -> None:
        """Let `length` bytes through; see wait_s() first."""
        if self._rate_bytes_s is not None:
            self._credit_bytes -= length

    def put_back(self, length: int) -> None:
        """Return what was taken and not sent."""
        if self._rate_bytes_s is not None:
            self._credit_bytes += length

    def _accrue(self, now: float) -> None:
        if self._rate_bytes_s is not None and self._at_s is not None:
            self._credit_bytes = min(
                self._credit_bytes + self._rate_bytes_s * (now - self._at_s),
                self._rate_bytes_s * self._burst_s,
            )
        self._at_s = now


@dataclasses.dataclass(eq=False, slots=True)
class Place:
    """One's place in the queue of a SharedBucket.

    :ivar before_bytes: how much, of all that is let through, goes before
    """

    length: int
    before_bytes: float


class SharedBucket:
    """A rate that many share, each in its turn.

    Whoever wants something let through joins the queue and has a place. So
    many bytes are served in a second, and a turn has come when all that is
    before it was served. So those who join again and again get through
    equally often, and nobody starves. A rate that changes counts for those
    who wait, too. What nobody has asked for is not saved up, but for
    `burst_s`. Not for several threads.
    """

    def __init__(self, rate_bytes_s: float, burst_s: float = 0.1) -> None:
        self._rate_bytes_s = rate_bytes_s
        self._burst_s = burst_s
        # In the order of their places.
        self._queue: dict[Place, None] = {}
        self._joined_bytes = 0.0
        self._served_bytes = 0.0
        self._at_s: float | None = None

    def set_rate(self, rate_bytes_s: float, now: float) -> None:
        """Go on at another rate."""
        self._serve(now)
        self._rate_bytes_s = rate_bytes_s

    def join(self, length: int, now: float) -> Place:
        """Ask for `length` bytes to be let through."""
        self._serve(now)
        place = Place(length, self._joined_bytes)
        self._queue[place] = None
        self._joined_bytes += length
        return place

    def wait_s(self, place: Place, now: float) -> float:
        """Seconds until its turn as things are, 0 if it has come."""
        self._serve(now)
        ahead_bytes = place.before_bytes - self._served_bytes
        return max(0.0, ahead_bytes / self._rate_bytes_s)

    def go(self, place: Place, length: int) -> None:
        """Let `length` bytes through, though it may be another than asked."""
        del self._queue[place]
        self.put_back(place.length - length)

    def leave(self, place: Place) -> None:
        """Give a place up: those behind move up."""
        behind = False
        for other in self._queue:
            if behind:
                other.before_bytes -= place.length
            behind = behind or other is place
        del self._queue[place]
        self._joined_bytes -= place.length

    def put_back(self, length: int) -> None:
        """Return what went through and was not sent; take if negative."""
        self._served_bytes += length

    def _serve(self, now: float) -> None:
        if self._at_s is None:
            self._at_s = now
        # Threads may come in another order than they looked at the clock.
        passed_s = max(0.0, now - self._at_s)
        self._served_bytes = min(
            self._served_bytes + self._rate_bytes_s * passed_s,
            self._joined_bytes + self._rate_bytes_s * self._burst_s,
        )
        self._at_s += passed_s
