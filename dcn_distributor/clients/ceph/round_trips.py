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
"""Ask OSDs for what is not there: to meet them, to time them, to wait."""

import errno
import time

import rados

_ABSENT = 'dcn_distributor.absent'

_ANSWERS = frozenset((0, -errno.ENOENT))

# Round trips that are timed; the quickest is believed.
_TIMED = 3

# How many placement groups are asked for their OSD; most OSDs of a small
# cluster lead one of them.
_GREETINGS = 64


def greet(pool: rados.Ioctx) -> bool:
    """Ask in many placement groups, so that streams to all OSDs are opened.

    Tell whether all have answered.
    """
    return _ask_for(pool, _GREETINGS)


def shortest_s(pool: rados.Ioctx) -> float | None:
    """Time a round trip, in seconds: an OSD has nothing to look up here.

    None if an OSD does not answer.
    """
    times_s = []
    for _ in range(_TIMED):
        began_s = time.monotonic()
        if not _ask_for(pool, 1):
            return None
        times_s.append(time.monotonic() - began_s)
    return min(times_s)


def _ask_for(pool: rados.Ioctx, count: int) -> bool:
    """Ask for objects that are not there, all at once; wait for answers.

    Tell whether all were answered.
    """
    sent = []
    try:
        for number in range(count):
            sent.append(pool.aio_stat(f'{_ABSENT}.{number}', _ignore))
    finally:
        for completion in sent:
            completion.wait_for_complete_and_cb()
    return all(
        completion.get_return_value() in _ANSWERS for completion in sent
    )


def let_callbacks_return(ioctx: rados.Ioctx) -> None:
    """Wait until none runs, of those that came before.

    librados crashes if it is shut down while one runs, and it is within one
    that leave() was called. It calls back one after another: once the last
    has returned, all have.
    """
    ioctx.aio_stat(_ABSENT, _ignore).wait_for_complete_and_cb()


def _ignore(*_: object) -> None:
    """Take no notice."""
