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
"""Count calls in flight, so that nothing is closed under them."""

from collections.abc import Callable
import threading

from dcn_distributor.clients.ceph import tasks


class InFlight:
    """The calls to something that can be closed.

    librados and librbd crash if a handle is closed that is in use.

    :param close: closes it, once, when it was asked for and no call is in
        flight; in a thread of its own, since a cluster may hang
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._count = 0
        self._is_closed = False
        self._closed = threading.Event()

    def enter(self) -> bool:
        """Begin a call; False if it is closed, and then do not leave()."""
        with self._lock:
            if self._is_closed:
                return False
            self._count += 1
            return True

    def leave(self) -> None:
        """End a call."""
        with self._lock:
            self._count -= 1
            is_last = self._is_closed and self._count == 0
        if is_last:
            tasks.start('ceph-close', self._end)

    def wait(self, timeout_s: float) -> None:
        """Wait until it is closed, for so long."""
        self._closed.wait(timeout_s)

    def close(self) -> None:
        """Let no call begin from now on; MAY be called again."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            is_last = not was_closed and self._count == 0
        if is_last:
            tasks.start('ceph-close', self._end)

    def _end(self) -> None:
        try:
            self._close()
        finally:
            self._closed.set()
