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
"""Wait for the world to be as it should; never for a fixed time."""

from collections.abc import Callable
import threading
import time
from typing import TypeVar

Seen = TypeVar('Seen')

_never = threading.Event()


def until(
    what: str,
    look: Callable[[], Seen],
    deadline_s: float = 60.0,
    pause_s: float = 0.1,
) -> Seen:
    """Look until what is seen is true, and return it.

    Fails, saying `what` was waited for and what was seen last. The longer it
    takes, the rarer it is looked, since servers pay for it, too; what comes
    is seen after a twentieth more of the time.

    :param pause_s: the shortest between two looks
    """
    begun = time.monotonic()
    while not (seen := look()):
        waited_s = time.monotonic() - begun
        if waited_s > deadline_s:
            raise AssertionError(
                f'not within {deadline_s:g} s: {what}; seen last: {seen!r}'
            )
        _never.wait(max(pause_s, waited_s / 20))
    return seen


def passes(seconds: float) -> None:
    """Let a time that was drawn by chance pass, to hit another moment."""
    _never.wait(seconds)
