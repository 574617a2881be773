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
"""An observer that keeps what it is told: core.observing.Observer."""

import collections

from dcn_distributor.core import observing


class Observer:
    """See the module."""

    def __init__(self) -> None:
        self.looks: list[float] = []
        self.lags: list[float] = []
        self.attempts: collections.Counter[tuple[str, observing.Attempt]] = (
            collections.Counter()
        )
        self.arrivals: list[tuple[str, int]] = []
        self.flaws: list[tuple[str, observing.Flaw]] = []

    def looked(self, seconds: float) -> None:
        """See core.observing.Observer."""
        self.looks.append(seconds)

    def reacted(self, lag_s: float) -> None:
        """See core.observing.Observer."""
        self.lags.append(lag_s)

    def attempted(self, site: str, attempt: observing.Attempt) -> None:
        """See core.observing.Observer."""
        self.attempts[site, attempt] += 1

    def arrived(self, method: str, size_bytes: int, seconds: float) -> None:
        """See core.observing.Observer."""
        assert seconds >= 0
        self.arrivals.append((method, size_bytes))

    def flawed(self, site: str, flaw: observing.Flaw) -> None:
        """See core.observing.Observer."""
        self.flaws.append((site, flaw))
