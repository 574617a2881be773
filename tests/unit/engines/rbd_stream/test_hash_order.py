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
"""The order of chunks for the hash: what it holds, and what it hands on."""

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import hash_order
from dcn_distributor.engines.rbd_stream import steps

COUNT = 40
CHUNKS = chunking.Chunks(4 * COUNT, 4, bytes([1] * COUNT))


def an_order() -> hash_order.HashOrder:
    return hash_order.HashOrder(CHUNKS, is_wanted=True, window_bytes=16)


def test_what_others_read_ahead_takes_no_room() -> None:
    order = an_order()

    for index in range(1, COUNT):
        order.was_read(index, b'data' if index % 2 else None)

    assert order.has_room(0)
    order.reserve(0)
    order.was_read(0, b'data')
    assert [*order.feed()] == [steps.Hash(0, b'data')]


@given(st.data())
def test_all_comes_once_and_in_order(data: st.DataObject) -> None:
    """A main course, with chunks read for others at any time."""
    order, handed_on, reading = an_order(), [], set()
    cursor = 0
    while len(handed_on) < COUNT:
        act = data.draw(st.sampled_from(['go on', 'arrive', 'stray', 'hash']))
        if act == 'go on' and cursor < COUNT and order.has_room(cursor):
            if data.draw(st.booleans()):
                order.reserve(cursor)
                reading.add(cursor)
            else:
                order.pass_hole(cursor)
            cursor += 1
        elif act == 'stray':
            order.was_read(data.draw(st.integers(0, COUNT - 1)), b'data')
        if act == 'arrive' or not (reading or order.has_room(cursor)):
            for index in sorted(reading):
                order.was_read(index, b'data')
            reading.clear()
        for step in order.feed():
            handed_on.append(step.index)
            order.was_hashed(step.index)

    assert handed_on == list(range(COUNT))
