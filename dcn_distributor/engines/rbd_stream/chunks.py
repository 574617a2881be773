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
"""How an image is cut into chunks, and which of them may hold data."""

from collections.abc import Iterable
import dataclasses

from dcn_distributor.core import storage


@dataclasses.dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of one image.

    :ivar size_bytes: of the image
    :ivar chunk_bytes: of each chunk but the last, a power of two
    :ivar allocated: a byte for each chunk, 0 where it reads as zeros for
        sure
    """

    size_bytes: int
    chunk_bytes: int
    allocated: bytes

    def __len__(self) -> int:
        return len(self.allocated)

    def offset(self, index: int) -> int:
        """Where a chunk begins, in bytes."""
        return index * self.chunk_bytes

    def length(self, index: int) -> int:
        """How long a chunk is, in bytes."""
        return min(self.chunk_bytes, self.size_bytes - self.offset(index))


def cut(
    size_bytes: int, chunk_bytes: int, extents: Iterable[storage.Extent]
) -> Chunks:
    """Cut an image into chunks; `extents` say where data may lie."""
    allocated = bytearray(-(-size_bytes // chunk_bytes))
    for extent in extents:
        first = extent.offset // chunk_bytes
        behind = min(-(-extent.end // chunk_bytes), len(allocated))
        allocated[first:behind] = b'\1' * (behind - first)
    return Chunks(size_bytes, chunk_bytes, bytes(allocated))
