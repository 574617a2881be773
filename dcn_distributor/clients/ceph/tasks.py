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
"""Do several things at once, in daemon threads.

A call to a cluster that hangs ends by its time-out, but must not hold up the
end of the process until then, as the threads of an executor would.
"""

from collections.abc import Callable
from concurrent import futures
import threading
import typing
from typing import Any
from typing import TypeVar

_Result = TypeVar('_Result')
_Second = TypeVar('_Second')
_Third = TypeVar('_Third')


def start(name: str, work: Callable[[], _Result]) -> 'futures.Future[_Result]':
    """Begin `work` in a thread of its own; the future has what it gives."""
    future: futures.Future[_Result] = futures.Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


@typing.overload
def together(
    first: Callable[[], _Result], second: Callable[[], _Second], /
) -> tuple[_Result, _Second]: ...


@typing.overload
def together(
    first: Callable[[], _Result],
    second: Callable[[], _Second],
    third: Callable[[], _Third],
    /,
) -> tuple[_Result, _Second, _Third]: ...


@typing.overload
def together(*works: Callable[[], _Result]) -> tuple[_Result, ...]: ...


def together(*works: Callable[[], Any]) -> tuple[Any, ...]:
    """Do all at the same time and wait for all; raise the first's error.

    The first of them runs in this thread.
    """
    started = [start('ceph-together', work) for work in works[1:]]
    try:
        result = works[0]()
    finally:
        futures.wait(started)
    return (result, *(future.result() for future in started))
