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
"""The content of the images that the benchmarks copy."""

from benchmarks import images

RUN = 16 * images.MIB


def read_all(content: images.Content, count: int) -> bytes:
    parts = []
    while part := content.read(count):
        parts.append(part)
    return b''.join(parts)


def test_a_quarter_of_b_is_data_and_begins_each_64_mib() -> None:
    data = read_all(images.Content(2 * 4 * RUN, 4), images.MIB)

    assert len(data) == 8 * RUN
    for number in range(8):
        run = data[number * RUN : (number + 1) * RUN]
        assert any(run) is (number % 4 == 0)


def test_a_has_no_chunk_of_zeros_and_none_twice() -> None:
    data = read_all(images.Content(RUN, 1), images.MIB)

    blocks = {data[at : at + 65536] for at in range(0, RUN, 65536)}
    assert len(blocks) == RUN // 65536


def test_it_is_the_same_however_it_is_read() -> None:
    coarse = read_all(images.Content(4 * images.MIB, 4), images.MIB)
    fine = read_all(images.Content(4 * images.MIB, 4), 65536)

    assert fine == coarse
