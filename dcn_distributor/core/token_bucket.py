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
"""A rate limit that may change while it is in force."""


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
