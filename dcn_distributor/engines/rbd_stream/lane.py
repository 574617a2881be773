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
"""One target's share of a transfer: what became of each chunk.

A chunk is *due* until it is offered to the lane; *held*, with its data, from
when its reading begins until it is written or found in place; *proving*
while the target computes over what was written; and *settled* at last. A
chunk whose proof fails is due again.

What a target that is not fresh has already is found out ahead, by
*scouting*: a checksum for each chunk, in ascending order.
"""

from collections.abc import Iterator

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import flight as flights
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import steps

# A chunk that was written so often and never stays is given up.
_WRITES = 4

# What is read ahead of a full window, as a part of it. Lanes that keep up hold
# the same data. Where zeros lie between, they are passed over meanwhile, so
# that the link need not wait for the next data.
_AHEAD = 2 / 3

# Chunks of zeros take no room, but are not to pile up either.
_OFFERS_AT_ONCE = 64

_DUE, _HELD, _WRITING, _PROVING, _SETTLED = range(5)

Content = tuple[bytes | None, int]
"""A chunk's data, None for zeros, and its xxhash64."""


class Lane:
    """See the module. A part of a Pipeline, which hands on all events.

    :param window_bytes: how much may be under way to the target; two
        thirds as much may be held besides
    :param far_bytes: how much may be under way to a target that is far
    :param crossing: its way over the link of its site
    :param timeout_s: how long a write may take
    :param proves: whether what was written is computed over at rest
    :param zeros: as long as a chunk
    """

    def __init__(
        self,
        number: int,
        chunks: chunking.Chunks,
        crossing: link_rates.Crossing,
        *,
        window_bytes: int,
        far_bytes: int,
        timeout_s: float,
        proves: bool,
        zeros: bytes,
    ) -> None:
        self.number = number
        self.is_ready = False
        self.is_fresh = False
        self.is_over = False
        self.is_attached = True
        self.starved_others_s = 0.0
        self.has_data = bytearray(len(chunks))
        self.settled_bytes = 0
        self.taken_bytes = 0
        self.sent_bytes = 0
        self.zero_bytes = 0
        self.resumed_bytes = 0
        self.differing: list[int] = []
        self.damaged: list[int] = []
        self._chunks = chunks
        self._crossing = crossing
        self._window_bytes = window_bytes
        self._ahead_bytes = int(window_bytes * _AHEAD)
        self._proves = proves
        self._zeros = zeros
        self._states = bytearray(len(chunks))
        self._left = len(chunks)
        self._held: dict[int, int] = {}
        self._held_bytes = 0
        self._flight = flights.Flight(
            chunks.chunk_bytes,
            window_bytes,
            window_bytes,
            timeout_s,
            far_bytes,
        )
        self._offered: dict[int, Content] = {}
        self._written: dict[int, int] = {}
        self._writes: dict[int, int] = {}
        # What is to be written whatever a scout has said before.
        self._differs: set[int] = set()
        self._sums: dict[int, storage.Checksum] = {}
        self._scouting: set[int] = set()
        self._scouted_to = 0
        self._sums_at_once = 0
        self._due_from = 0

    # -- what the pipeline asks

    @property
    def link_wait_s(self) -> float:
        """How long the last feed() found that its link keeps it waiting."""
        return self._crossing.wait_s

    @property
    def is_filled(self) -> bool:
        """True if every chunk is settled."""
        return self.is_ready and self._left == 0

    @property
    def _under_way_bytes(self) -> int:
        """How much may be under way: more than a window if it is far."""
        return max(self._window_bytes, self._flight.limit_bytes)

    @property
    def is_hungry(self) -> bool:
        """True if it could take much more than it has."""
        return self.is_ready and self._held_bytes <= self._under_way_bytes // 2

    def scouts(self, index: int) -> bool:
        """Tell whether it may hold a chunk, which is looked at first."""
        return (
            self.is_ready and not self.is_fresh and index not in self._differs
        )

    def is_due(self, index: int) -> bool:
        """Tell whether a chunk is to be offered."""
        return self._states[index] == _DUE

    def has_room(self, index: int) -> bool:
        """Tell whether a chunk may be held, too. One always may."""
        length = self._chunks.length(index)
        room_bytes = self._under_way_bytes + self._ahead_bytes
        return len(self._offered) < _OFFERS_AT_ONCE and (
            self._held_bytes == 0 or self._held_bytes + length <= room_bytes
        )

    def scouted(self, index: int) -> storage.Checksum | None:
        """What is known of a chunk that is due."""
        return self._sums.get(index)

    def next_due(self, below: int) -> int | None:
        """The first chunk that is due, if it is one of those below."""
        index = self._states.find(_DUE, self._due_from, below)
        self._due_from = below if index < 0 else index
        return None if index < 0 else index

    def is_settled(self, index: int) -> bool:
        """Tell whether a chunk needs no more work."""
        return self._states[index] == _SETTLED

    def objects(self, object_bytes: int) -> set[int]:
        """Which of the target's objects hold data."""
        chunks = self._chunks
        return {
            number
            for index, has_data in enumerate(self.has_data)
            if has_data
            for number in range(
                chunks.offset(index) // object_bytes,
                (chunks.offset(index) + chunks.length(index) - 1)
                // object_bytes
                + 1,
            )
        }

    # -- what the pipeline tells

    def begin(
        self, is_fresh: bool, sums_at_once: int, is_narrow: bool
    ) -> None:
        """The target is open; what was offered can be worked on."""
        self.is_ready = True
        self.is_fresh = is_fresh
        self._sums_at_once = sums_at_once
        if is_narrow:
            self._flight.begin_narrow()

    def end(self) -> None:
        """It needs nothing any more: filled, or lost."""
        self.is_over = True
        self._crossing.leave()

    def reserve(self, index: int) -> None:
        """A due chunk is going to be offered."""
        self._states[index] = _HELD
        self._take_room(index)

    def offer(self, index: int, content: Content) -> None:
        """Here is a chunk that was reserved, or one of zeros that is due."""
        if content[0] is None:
            self._free_room(index)
        self._states[index] = _HELD
        self._offered[index] = content

    def skip(self, index: int) -> None:
        """A due chunk is the same on both sides."""
        self._settle_resumed(index, self._sums.pop(index))

    def detach(self) -> None:
        """Fall behind: give back what is held and not being written."""
        self.is_attached = False
        index = self._states.find(_HELD)
        while index >= 0:
            self._make_due(index)
            index = self._states.find(_HELD, index)

    # -- what it does

    def scout(self) -> Iterator[steps.Step]:
        """Ask for checksums ahead, in ascending order."""
        limit = 0 if self.is_fresh else self._sums_at_once
        while (
            self._scouted_to < len(self._chunks)
            and len(self._scouting) + len(self._sums) < limit
        ):
            index = self._scouted_to
            self._scouted_to += 1
            self._scouting.add(index)
            yield steps.Sum(self.number, index)

    def feed(
        self, bucket: token_bucket.TokenBucket, now: float
    ) -> Iterator[steps.Step]:
        """Work on what was offered, up to the next chunk to be written.

        One at a time, so that lanes share a rate in equal parts.
        """
        self._crossing.wait_s = 0.0
        if not self.is_ready:
            return
        for index in [*self._offered]:
            if self._must_write(index):
                length = self._chunks.length(index)
                if bucket.wait_s(now) > 0 or not self._may_send(length):
                    return
                if not self._crossing.enter(length, now):
                    return
                data, digest = self._offered.pop(index)
                bucket.take(length)
                self.taken_bytes += length
                self._flight.begin(index, length, now)
                yield self._write(index, data, digest)
                return

    def was_written(
        self, index: int, sent_bytes: int, now: float
    ) -> Iterator[steps.Step]:
        """A chunk is durable: have it proven."""
        self._crossing.put_back(self._chunks.length(index) - sent_bytes)
        self._flight.end(index, now)
        self._free_room(index)
        self.sent_bytes += sent_bytes
        self.has_data[index] = 1
        if self._proves:
            self._states[index] = _PROVING
            yield steps.Sum(self.number, index)
        else:
            del self._written[index]
            self._settle(index)

    def was_summed(self, index: int, found: storage.Checksum) -> None:
        """A scout has come back, or a proof. Raises VerificationFailed."""
        if self._states[index] == _PROVING:
            self._prove(index, found)
        elif index in self._scouting:
            self._scouting.discard(index)
            self._sums[index] = found

    # -- how

    def _may_send(self, length: int) -> bool:
        """Tell whether one more write may be under way, and its proof."""
        return self._flight.has_room(length) and (
            not self._proves or len(self._written) < self._sums_at_once
        )

    def _must_write(self, index: int) -> bool:
        """Decide on an offered chunk; settle it if it is in place."""
        data, digest = self._offered[index]
        if index in self._differs:
            return True
        if self.is_fresh:
            if data is None:
                del self._offered[index]
                self.zero_bytes += self._chunks.length(index)
                self._settle(index)
            return data is not None
        found = self._sums.get(index)
        if found is None:
            return False
        if not self._is_in_place(index, data, digest, found):
            del self._sums[index]
            self.differing.append(index)
            # It may have to wait, but not to be looked at again.
            self._differs.add(index)
            return True
        del self._offered[index]
        self._free_room(index)
        self._settle_resumed(index, self._sums.pop(index))
        return False

    def _is_in_place(
        self,
        index: int,
        data: bytes | None,
        digest: int,
        found: storage.Checksum,
    ) -> bool:
        """Tell whether a target's chunk, at rest, is the source's."""
        length = self._chunks.length(index)
        if found.covered == length:
            return found.value == digest
        stored = memoryview(self._zeros if data is None else data)
        return found.value == xxhash.xxh64_intdigest(
            stored[: found.covered]
        ) and (
            data is None
            or data.endswith(self._zeros[: length - found.covered])
        )

    def _write(
        self, index: int, data: bytes | None, digest: int
    ) -> steps.Step:
        length = self._chunks.length(index)
        if data is None:
            data = self._zeros[:length]
            self._take_room(index)
        self._states[index] = _WRITING
        self._written[index] = digest
        self._writes[index] = self._writes.get(index, 0) + 1
        return steps.Write(self.number, index, data)

    def _prove(self, index: int, found: storage.Checksum) -> None:
        digest = self._written.pop(index)
        if found == storage.Checksum(self._chunks.length(index), digest):
            self._settle(index)
            return
        self._differs.add(index)
        self.damaged.append(index)
        if self._writes[index] >= _WRITES:
            raise exceptions.VerificationFailed(
                f'{self._chunks.length(index)} bytes at offset '
                f'{self._chunks.offset(index)} were written {_WRITES} times '
                'and are not what was sent: the target does not keep its data'
            )
        self._make_due(index)

    def _make_due(self, index: int) -> None:
        self._offered.pop(index, None)
        self._free_room(index)
        self._states[index] = _DUE
        self._due_from = min(self._due_from, index)

    def _take_room(self, index: int) -> None:
        self._held[index] = self._chunks.length(index)
        self._held_bytes += self._held[index]

    def _free_room(self, index: int) -> None:
        self._held_bytes -= self._held.pop(index, 0)

    def _settle_resumed(self, index: int, found: storage.Checksum) -> None:
        if found.covered:
            self.resumed_bytes += self._chunks.length(index)
            self.has_data[index] = 1
        else:
            self.zero_bytes += self._chunks.length(index)
        self._settle(index)

    def _settle(self, index: int) -> None:
        self._differs.discard(index)
        self._writes.pop(index, None)
        self._states[index] = _SETTLED
        self._left -= 1
        self.settled_bytes += self._chunks.length(index)
