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
"""The source's checksums: 17 bytes a chunk, since images may be large."""

from array import array
from collections.abc import Iterator

from dcn_distributor.core import storage

# How far ahead of what is needed checksums are asked for.
_AHEAD = 64
_AT_A_TIME = 16


class SourceSums:
    """See the module.

    :param allocated: a byte for each chunk, 0 where there is nothing to sum
    """

    def __init__(self, allocated: bytes) -> None:
        self._allocated = allocated
        self._asked = bytearray(len(allocated))
        self._covered = array('q', [-1]) * len(allocated)
        self._values = array('Q', [0]) * len(allocated)

    def ask_ahead(self, index: int) -> Iterator[int]:
        """Name the chunks to be asked for now that this one is needed."""
        # Not for each chunk: most of these are asked for already.
        if self._asked[index] and index % _AT_A_TIME:
            return
        for ahead in range(index, min(index + _AHEAD, len(self._asked))):
            if self._allocated[ahead] and not self._asked[ahead]:
                self._asked[ahead] = 1
                yield ahead

    def keep(self, index: int, checksum: storage.Checksum) -> None:
        """Note an answer."""
        self._covered[index] = checksum.covered
        self._values[index] = checksum.value

    def get(self, index: int) -> storage.Checksum | None:
        """Return a checksum, None if it is not known yet."""
        if self._covered[index] < 0:
            return None
        return storage.Checksum(self._covered[index], self._values[index])
