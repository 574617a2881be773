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
"""How much may be under way, from how long chunks take."""

import pytest

from dcn_distributor.engines.rbd_stream import flight as flights

CHUNK = 4
WINDOW = 24
FAR = 48
TIMEOUT_S = 15.0


def _flight(far_bytes: int = FAR) -> flights.Flight:
    return flights.Flight(CHUNK, WINDOW, WINDOW, TIMEOUT_S, far_bytes)


def _pass(flight: flights.Flight, *took_s: float) -> None:
    """Have chunks under way one after another, for so long each."""
    for index, each_s in enumerate(took_s):
        flight.begin(index, CHUNK, 0.0)
        flight.end(index, each_s)


def _pass_window(flight: flights.Flight, each_s: float) -> None:
    _pass(flight, *[each_s] * (WINDOW // CHUNK))


def test_near_link_gets_no_more_than_the_window() -> None:
    flight = _flight()

    _pass(flight, *[0.001, flights.NEAR_S / 2, 0.0, 0.2] * 20)

    assert flight.limit_bytes == WINDOW


def test_far_link_is_filled_after_a_window_in_proportion() -> None:
    flight = _flight()

    _pass(flight, *[1.5 * flights.NEAR_S] * (WINDOW // CHUNK - 1))

    assert flight.limit_bytes == WINDOW
    _pass(flight, 1.5 * flights.NEAR_S)
    assert flight.limit_bytes == 1.5 * WINDOW


def test_very_far_link_gets_what_it_may() -> None:
    flight = _flight()

    _pass_window(flight, 4 * flights.NEAR_S)

    assert flight.limit_bytes == FAR


def test_one_quick_chunk_is_enough_to_be_near() -> None:
    flight = _flight()

    _pass(flight, flights.NEAR_S / 4)
    _pass_window(flight, 4 * flights.NEAR_S)

    assert flight.limit_bytes == WINDOW


def test_slow_link_is_not_taken_for_a_far_one() -> None:
    """Twice as much under way would come close to the time-out."""
    flight = _flight()

    _pass_window(flight, 1.5)

    assert flight.limit_bytes == WINDOW


def test_far_link_is_left_alone_while_calls_take_long() -> None:
    flight = _flight()
    flight.begin_narrow()

    _pass(flight, 2 * flights.NEAR_S)

    assert CHUNK <= flight.limit_bytes <= 2 * CHUNK
    _pass(flight, *[2 * flights.NEAR_S] * 200)
    assert flight.limit_bytes == FAR


def test_calls_that_take_long_halve_it_wherever_it_goes() -> None:
    flight = _flight()
    _pass_window(flight, 4 * flights.NEAR_S)

    _pass(flight, TIMEOUT_S / 2)

    assert flight.limit_bytes == FAR // 2


def test_nothing_is_far_if_nobody_allows_it() -> None:
    flight = _flight(far_bytes=0)

    _pass_window(flight, 4 * flights.NEAR_S)

    assert flight.limit_bytes == WINDOW


@pytest.mark.parametrize(
    ('targets', 'windows'), [(1, 2.0), (2, 1.5), (3, 1.0), (8, 1.0)]
)
def test_several_far_targets_take_no_more_memory_than_near_ones(
    targets: int, windows: float
) -> None:
    assert flights.far_bytes(WINDOW, targets) == windows * WINDOW
