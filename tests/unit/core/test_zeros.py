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
"""The runs of data between zeros."""

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import zeros

BLOCK = zeros.BLOCK_BYTES

# Whole blocks: zeros, full, or with one byte at either end; then a rest.
_BLOCKS = st.sampled_from(
    [
        bytes(BLOCK),
        b'x' * BLOCK,
        b'x' + bytes(BLOCK - 1),
        bytes(BLOCK - 1) + b'x',
    ]
)
_RESTS = st.one_of(
    st.just(b''),
    st.integers(1, BLOCK - 1).map(bytes),
    st.binary(max_size=40),
    st.integers(0, BLOCK - 2).map(lambda length: bytes(length) + b'x'),
)


@settings(max_examples=200)
@given(st.lists(_BLOCKS, max_size=9), _RESTS)
def test_runs_are_all_there_is(blocks: list[bytes], rest: bytes) -> None:
    data = b''.join(blocks) + rest

    runs = list(zeros.runs(data))

    rebuilt = bytearray(len(data))
    end = -1
    for begin, stop in runs:
        assert end < begin < stop <= len(data)
        assert begin % BLOCK == 0
        rebuilt[begin:stop] = data[begin:stop]
        end = stop
    assert rebuilt == data


@given(st.lists(_BLOCKS, max_size=9), _RESTS)
def test_no_block_of_zeros_is_in_a_run(
    blocks: list[bytes], rest: bytes
) -> None:
    data = b''.join(blocks) + rest

    for begin, stop in zeros.runs(data):
        for offset in range(begin, stop, BLOCK):
            assert any(data[offset : min(offset + BLOCK, stop)])


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        (b'', []),
        (bytes(3 * BLOCK + 1), []),
        (b'x', [(0, 1)]),
        (bytes(BLOCK) + b'x', [(BLOCK, BLOCK + 1)]),
        (b'x' + bytes(2 * BLOCK), [(0, BLOCK)]),
        (bytes(BLOCK - 1) + b'xx', [(0, BLOCK + 1)]),
    ],
    ids=['nothing', 'zeros', 'a byte', 'behind', 'before', 'across'],
)
def test_runs_keep_to_blocks(
    data: bytes, expected: list[tuple[int, int]]
) -> None:
    assert list(zeros.runs(data)) == expected
