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
"""The images that are copied: how much data, and where it lies.

A is random data all through. B has as many bytes, a quarter of them random
data, in runs of 16 MiB, one at the begin of every 64 MiB; the rest is zeros.
Both are uploaded through Glance, as users do, so that it records their hash;
it writes zeros to the central cluster like anything else.
"""

import dataclasses
import random

from tests.integration import clouds

MIB = 2**20
GIB = 2**30
_RUN_BYTES = 16 * MIB
_SPARSE_EVERY = 4
_BLOCK_BYTES = MIB


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image in Glance, at central only."""

    id: str
    kind: str
    size_bytes: int
    data_bytes: int

    @property
    def label(self) -> str:
        """What tables call it."""
        size, data = (n / GIB for n in (self.size_bytes, self.data_bytes))
        if size == data:
            return f'{self.kind}: {size:g} GiB of random data'
        return f'{self.kind}: {size:g} GiB with {data:g} GiB of data'


class Content:
    """Reads like a file; the data is drawn as it is read."""

    def __init__(self, size_bytes: int, every: int) -> None:
        self._size_bytes = size_bytes
        self._every = every
        self._offset = 0
        self._random = random.Random(size_bytes)

    def read(self, count: int = _BLOCK_BYTES) -> bytes:
        """Give the next bytes, up to the end of a block of 1 MiB."""
        room = _BLOCK_BYTES - self._offset % _BLOCK_BYTES
        length = min(count, room, self._size_bytes - self._offset)
        is_data = self._offset // _RUN_BYTES % self._every == 0
        self._offset += length
        return self._random.randbytes(length) if is_data else bytes(length)


def upload(cloud: clouds.Cloud, kind: str, size_bytes: int) -> Image:
    """Make image A or B of this size, in whole 64 MiB."""
    every = {'A': 1, 'B': _SPARSE_EVERY}[kind]
    image_id = cloud.create(name=f'benchmark {kind}')
    cloud.glance.images.upload(image_id, Content(size_bytes, every))
    return Image(image_id, kind, size_bytes, size_bytes // every)
