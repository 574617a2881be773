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
"""Object maps, against those that librbd has written.

Read from Ceph 16.2.15: an image of 70 GiB and 5 bytes in objects of 4 MiB,
to eight of which a byte was written, before and after a snapshot.
"""

import base64
import zlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.clients.ceph import object_maps

COUNT = 17921
NUMBERS = frozenset((0, 3, 4, 1000, 16383, 16384, 17920))
WRITTEN = (
    'eNrjY2BgYGTkAJFuDGDg6MAwQsGI9fgoGAWjYBSMglEwCkbBKBgFo2AUjIKRBxhHe8ED'
    'CxwEgIRfzK01TEB69afmd9yGd5sAQh8IjQ=='
)
CLEAN = (
    'eNrjY2BgYGTkAJFuDGBw+ADDCAUj1uOjYBSMglEwCkbBKBgFo2AUjIJRMApGHmAe7QUP'
    'LDggACT8Ym6tYQLSPIkZZm9Uu5sAFp0JkQ=='
)

State = object_maps.State


@pytest.mark.parametrize(
    ('state', 'stored'),
    [(State.EXISTS, WRITTEN), (State.EXISTS_CLEAN, CLEAN)],
)
def test_map_is_the_one_that_librbd_writes(state: State, stored: str) -> None:
    expected = zlib.decompress(base64.b64decode(stored))

    assert object_maps.encode(COUNT, NUMBERS, state) == expected


@given(st.integers(0, 200), st.data())
def test_each_object_has_its_state(count: int, data: st.DataObject) -> None:
    numbers = data.draw(
        st.frozensets(st.integers(0, count - 1)) if count else st.just([])
    )

    encoded = object_maps.encode(count, numbers, State.EXISTS_CLEAN)

    states = [
        encoded[18 + number // 4] >> 2 * (3 - number % 4) & 3
        for number in range(count)
    ]
    assert states == [
        State.EXISTS_CLEAN if number in numbers else State.NONEXISTENT
        for number in range(count)
    ]


@given(st.integers(0, 200), st.sampled_from(State))
def test_all_objects_are_as_if_they_were_named(
    count: int, state: State
) -> None:
    named = object_maps.encode(count, range(count), state)

    assert object_maps.encode(count, None, state) == named


def test_argument_has_its_length_before_it() -> None:
    assert object_maps.as_argument(b'abc') == b'\3\0\0\0abc'
