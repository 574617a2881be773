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
"""Brings chunks into order for the hash of the whole image."""

from collections.abc import Iterator

from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import steps

# Zeros that may be with the hash at once: they hold no memory.
_HASHES_AT_ONCE = 32


class HashOrder:
    """See the module. Wanted or not, so that nobody has to ask."""

    def __init__(
        self, chunks: chunking.Chunks, is_wanted: bool, window_bytes: int
    ) -> None:
        self.is_wanted = is_wanted
        self._chunks = chunks
        self._window_bytes = window_bytes
        self._held_bytes = 0
        self._held: dict[int, int] = {}
        self._contents: dict[int, bytes | None] = {}
        self._next = 0
        self._under_way = 0

    def has_room(self, index: int) -> bool:
        """Tell whether one more chunk may be held. One always may."""
        length = self._chunks.length(index)
        return not self.is_wanted or (
            len(self._contents) < _HASHES_AT_ONCE
            and (
                self._held_bytes == 0
                or self._held_bytes + length <= self._window_bytes
            )
        )

    def reserve(self, index: int) -> None:
        """The next chunk, in order, is going to be read."""
        if self.is_wanted:
            self._held[index] = self._chunks.length(index)
            self._held_bytes += self._held[index]

    def pass_hole(self, index: int) -> None:
        """The next chunk, in order, is one of zeros that nobody reads."""
        if self.is_wanted:
            self._contents[index] = None

    def was_read(self, index: int, data: bytes | None) -> None:
        """A chunk is here, None if it is of zeros."""
        # What was not reserved was read for a target alone, be it ahead of
        # the others or behind them: it has no room here. What was handed on
        # is in the hash already.
        if index in self._held and index >= self._next:
            self._contents[index] = data

    def feed(self) -> Iterator[steps.Step]:
        """Hand on what comes next."""
        while (
            self._next in self._contents and self._under_way < _HASHES_AT_ONCE
        ):
            index = self._next
            self._next += 1
            self._under_way += 1
            yield steps.Hash(index, self._contents.pop(index))

    def was_hashed(self, index: int) -> None:
        """A chunk is in the hash: its room is free."""
        self._under_way -= 1
        self._held_bytes -= self._held.pop(index, 0)
