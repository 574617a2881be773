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
"""Find the runs of data between zeros."""

from collections.abc import Iterator

# What a run is made of: finer, and the gaps cost more than they spare
# (BlueStore allocates 4 KiB or 64 KiB at a time).
BLOCK_BYTES = 1 << 16
BLOCK = bytes(BLOCK_BYTES)


def runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of blocks that are not all zeros.

    Ascending, apart from each other, and within `data`; what lies between
    is zeros.
    """
    length = len(data)
    begin = None
    for offset in range(0, length, BLOCK_BYTES):
        if _is_zero(data, offset, length):
            if begin is not None:
                yield begin, offset
                begin = None
        elif begin is None:
            begin = offset
    if begin is not None:
        yield begin, length


def _is_zero(data: bytes, offset: int, length: int) -> bool:
    """Tell whether a block is all zeros, without copying it."""
    if offset + BLOCK_BYTES <= length:
        return data.startswith(BLOCK, offset)
    return data.endswith(BLOCK[: length - offset])
