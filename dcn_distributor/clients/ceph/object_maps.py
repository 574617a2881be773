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
"""Object maps, as librbd stores them: which objects of an image exist.

A map holds two bits for each object, four objects to a byte, the first in
the highest bits; around them a header with the number of objects, and a
footer with the CRC of the header and of each 4 KiB of the bits (ceph:
common/bit_vector.hpp). Old and new clients read the same map, the kernel's
included, so this is fixed.
"""

from collections.abc import Collection
from collections.abc import Iterator
import enum
import struct

_BLOCK_BYTES = 4096
_PER_BYTE = 4


class State(enum.IntEnum):
    """Of one object (ceph: include/rbd/object_map_types.h)."""

    NONEXISTENT = 0
    EXISTS = 1
    PENDING = 2
    # Exists and was not written since the last snapshot.
    EXISTS_CLEAN = 3


def encode(count: int, numbers: Collection[int] | None, state: State) -> bytes:
    """Encode the map of an image of `count` objects.

    Those with these `numbers`, or all if it is None, are in `state`, all
    others do not exist. What cls_rbd's object_map_save takes has the length
    before it: see as_argument().
    """
    bits = bytearray(-(-count // _PER_BYTE))
    if numbers is None:
        bits = bytearray([0b01010101 * state]) * len(bits)
        spare = -count % _PER_BYTE
        if spare:
            bits[-1] = bits[-1] >> 2 * spare << 2 * spare
    else:
        for number in numbers:
            index, place = divmod(number, _PER_BYTE)
            bits[index] |= state << 2 * (_PER_BYTE - 1 - place)
    return _enclose(count, bytes(bits))


def _enclose(count: int, bits: bytes) -> bytes:
    # The header is a structure of version 1, readable by version 1.
    header = struct.pack('<BBIQ', 1, 1, 8, count)
    sums = [
        crc32c(bits[offset : offset + _BLOCK_BYTES])
        for offset in range(0, len(bits), _BLOCK_BYTES)
    ]
    footer = struct.pack(f'<II{len(sums)}I', crc32c(header), len(sums), *sums)
    return as_argument(header) + bits + as_argument(footer)


def as_argument(data: bytes) -> bytes:
    """Put the length of bytes before them, as Ceph encodes a buffer."""
    return struct.pack('<I', len(data)) + data


def _crc32c_table() -> Iterator[int]:
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


_TABLE = tuple(_crc32c_table())


def crc32c(data: bytes) -> int:
    """Compute Castagnoli's CRC as Ceph does: seed 0, nothing inverted."""
    value = 0
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value
