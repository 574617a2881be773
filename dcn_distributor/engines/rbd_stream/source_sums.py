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

from dcn_distributor.core import storage


class SourceSums:
    """See the module."""

    def __init__(self, count: int) -> None:
        self._asked = bytearray(count)
        self._covered = array('q', [-1]) * count
        self._values = array('Q', [0]) * count

    def is_asked(self, index: int) -> bool:
        """Tell whether it was asked for."""
        return self._asked[index] == 1

    def ask(self, index: int) -> bool:
        """Note that a checksum is asked for; False if it was before."""
        is_new = not self._asked[index]
        self._asked[index] = 1
        return is_new

    def keep(self, index: int, checksum: storage.Checksum) -> None:
        """Note an answer."""
        self._covered[index] = checksum.covered
        self._values[index] = checksum.value

    def get(self, index: int) -> storage.Checksum | None:
        """Return a checksum, None if it is not known yet."""
        if self._covered[index] < 0:
            return None
        return storage.Checksum(self._covered[index], self._values[index])
