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
"""Waiting for servers: by looking again and again, never by a fixed time."""

from collections.abc import Callable
import threading
import time

from lab import errors

INTERVAL_S = 0.1


def until(
    problem: Callable[[], str | None],
    *,
    what: str,
    timeout_s: float,
    cancelled: threading.Event,
) -> None:
    """Return once `problem` finds nothing wrong.

    `problem` says what is still missing, or gives None. What it raises ends
    the waiting at once, so it may also notice that waiting is in vain.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        missing = problem()
        if missing is None:
            return
        if time.monotonic() > deadline:
            raise errors.LabError(
                f'{what}: not ready after {timeout_s:.0f} s: {missing}'
            )
        if cancelled.wait(INTERVAL_S):
            raise errors.Cancelled(what)
