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
"""Nothing is closed while it is in use."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.clients.ceph import in_flight
from dcn_distributor.clients.ceph import tasks
from tests import waiting


@given(st.lists(st.sampled_from(['enter', 'leave', 'close']), max_size=12))
def test_closed_once_and_when_the_last_has_left(steps: list[str]) -> None:
    closed: list[int] = []
    calls = in_flight.InFlight(lambda: closed.append(inside))
    inside = 0
    is_closed = False

    for step in steps:
        if step == 'enter':
            entered = calls.enter()
            assert entered is not is_closed
            inside += entered
        elif step == 'leave' and inside:
            inside -= 1
            calls.leave()
        elif step == 'close':
            calls.close()
            is_closed = True
        if is_closed and not inside:
            calls.wait(10)

    assert closed == ([0] if is_closed and not inside else [])


def test_results_are_in_order() -> None:
    assert tasks.together(lambda: 'a', lambda: 1, lambda: None) == (
        'a',
        1,
        None,
    )


@pytest.mark.parametrize('place', [0, 1, 2])
def test_error_comes_when_all_have_ended(place: int) -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        if number == place:
            raise KeyError(number)
        ended.append(number)

    with pytest.raises(KeyError):
        tasks.together(lambda: work(0), lambda: work(1), lambda: work(2))

    assert sorted(ended) == [number for number in range(3) if number != place]


def test_closing_does_not_wait_for_itself() -> None:
    """A call may end in the thread that closes."""
    closed: list[bool] = []
    calls = in_flight.InFlight(lambda: closed.append(True))
    assert calls.enter()

    calls.close()
    assert not closed
    calls.leave()

    waiting.until('it is closed', lambda: closed)
