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
"""What a campaign prints, and the time in it."""

import collections
from collections import abc
import threading
import time


class Journal:
    """See the module. Used by many threads."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began_s

    def say(self, text: str) -> None:
        """Print a line."""
        with self._lock:
            print(f'[{self.now_s:6.1f} s] {text}', flush=True)  # noqa: T201

    def count(self, *names: str) -> None:
        """Count what happened."""
        with self._lock:
            self._counts.update(names)

    def counts(self) -> str:
        """Give all counts, for people."""
        with self._lock:
            found: abc.Iterable[tuple[str, int]] = sorted(self._counts.items())
            return ', '.join(f'{count} {name}' for name, count in found)
