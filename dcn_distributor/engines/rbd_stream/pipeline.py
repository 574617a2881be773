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
"""One reading of the source feeds any number of targets.

A state machine without I/O, threads or clock. Whoever drives it tells it
what has happened, then calls step() for what to do next, and when to call
again if nothing happens. The rules:

1. The *main course* reads the chunks in order, once, for all lanes that keep
   up, and for the image's hash if that is to be proven. It reads ahead as
   far as each of these lanes, and the hash, has room: for a window that is
   under way, and two thirds of one more.
2. A lane that others have to wait for, for more than `patience_s` and a
   tenth of the time, falls behind: it leaves the main course, and what it
   lacks is read for it alone, as it has room. So a target that hangs costs
   its own lane only.
3. What reads as zeros is not sent, unless the target holds something else.
4. What a target holds already is compared by checksums, computed at rest at
   both ends where they can, and is not sent again.
5. A written chunk counts when the target has computed over it and its
   checksum is that of the bytes as read. One that fails is read and written
   anew, up to a limit.
6. No more is on its way, from the source or to a lane, than arrives well
   within the time-out.
7. A lane is filled when all its chunks are settled and, if asked for, the
   hash of the bytes as read is the image's. A chunk read again has to be
   the same as the first time, since only that went into the hash.

Memory is bounded by the windows, whatever the image's size, but for some
bytes for each chunk.
"""

from array import array
from collections.abc import Iterable
from collections.abc import Sequence

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import flight as flights
from dcn_distributor.engines.rbd_stream import hash_order
from dcn_distributor.engines.rbd_stream import lane as lanes
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import patience
from dcn_distributor.engines.rbd_stream import pipeline_rules
from dcn_distributor.engines.rbd_stream import source_sums
from dcn_distributor.engines.rbd_stream import steps

# Checksums asked for ahead, for each lane.
SUMS_AHEAD = 64

# The shortest pause before a step that nothing has led to.
_TICK_S = 0.001


class Pipeline:
    """See the module.

    :param bucket: the rate of the whole transfer
    :param ways: those over the links, one for each lane: lanes are numbered
        from 0, and begin with lane_began()

    :ivar chunks: what the image is cut into
    :ivar source_error: what was wrong with the source, if anything; that
        ended all lanes that were not filled, and is their error
    """

    def __init__(
        self,
        chunks: chunking.Chunks,
        rules: pipeline_rules.Rules,
        bucket: token_bucket.TokenBucket,
        ways: link_rates.Crossings,
    ) -> None:
        lane_count = len(ways.lanes)
        self.chunks = chunks
        self._rules = rules
        self._bucket = bucket
        self._way_here = ways.source
        self._zeros = bytes(min(chunks.chunk_bytes, chunks.size_bytes))
        self.lanes = [
            lanes.Lane(
                number,
                chunks,
                way,
                window_bytes=rules.window_bytes,
                far_bytes=flights.far_bytes(rules.window_bytes, lane_count),
                timeout_s=rules.timeout_s,
                proves=rules.proves,
                zeros=self._zeros,
            )
            for number, way in enumerate(ways.lanes)
        ]
        self.read_bytes = 0
        self.source_error: exceptions.DistributorError | None = None
        self._cursor = 0
        self._readers: dict[int, set[int]] = {}
        # At first what the main course takes; more, for lanes that have
        # fallen behind, if the source turns out to be up to it.
        self._reading = flights.Flight(
            chunks.chunk_bytes,
            chunks.chunk_bytes if rules.reads_narrow else rules.window_bytes,
            (lane_count + 1) * rules.window_bytes,
            rules.timeout_s,
        )
        self._digests = array('Q', [0]) * len(chunks)
        self._has_digest = bytearray(len(chunks))
        self._source_sums = source_sums.SourceSums(chunks.allocated)
        self._hashing = hash_order.HashOrder(
            chunks, rules.expected_hash is not None, rules.window_bytes
        )
        self._is_proven = rules.expected_hash is None or not len(chunks)
        self._patience = patience.Patience(rules.patience_s)
        self._now = 0.0
        self._blockers: list[lanes.Lane] = []
        self._done: list[steps.Step] = []

    @property
    def is_over(self) -> bool:
        """True if no lane needs anything any more."""
        return all(lane.is_over for lane in self.lanes)

    # -- what has happened

    def lane_began(
        self,
        number: int,
        *,
        is_fresh: bool,
        sums_at_once: int = SUMS_AHEAD,
        is_narrow: bool = False,
    ) -> None:
        """A target is open, and holds nothing if it is fresh.

        One chunk at a time is on its way to it at first if it is narrow.
        """
        if not self.lanes[number].is_over:
            self.lanes[number].begin(is_fresh, sums_at_once, is_narrow)

    def lane_failed(
        self, number: int, error: exceptions.DistributorError
    ) -> None:
        """A target cannot be worked on any more."""
        lane = self.lanes[number]
        if not lane.is_over:
            lane.end()
            self._done.append(steps.Lost(number, error))
            for readers in self._readers.values():
                readers.discard(number)

    def was_read(
        self,
        index: int,
        result: bytes | exceptions.DistributorError,
        now: float,
    ) -> None:
        """The source's chunk is here, or cannot be read."""
        readers = self._readers.pop(index)
        self._reading.end(index, now)
        if isinstance(result, exceptions.DistributorError):
            self._give_up(result)
            return
        self.read_bytes += len(result)
        digest = xxhash.xxh64_intdigest(result)
        if self._has_digest[index] and self._digests[index] != digest:
            self._give_up(self._unsteady(index))
            return
        self._digests[index] = digest
        self._has_digest[index] = 1
        is_zero = self._zeros.startswith(result)
        content = (None if is_zero else result, digest)
        self._hashing.was_read(index, content[0])
        for number in readers:
            self.lanes[number].offer(index, content)

    def source_was_summed(
        self,
        index: int,
        result: storage.Checksum | exceptions.DistributorError,
    ) -> None:
        """The source's OSDs have computed, or cannot."""
        if isinstance(result, exceptions.DistributorError):
            self._give_up(result)
        else:
            self._source_sums.keep(index, result)

    def was_written(
        self,
        number: int,
        index: int,
        result: int | exceptions.DistributorError,
        now: float,
    ) -> None:
        """A target's chunk is durable; so many bytes were sent for it."""
        lane = self.lanes[number]
        if lane.is_over:
            return
        if isinstance(result, exceptions.DistributorError):
            self.lane_failed(number, result)
            return
        self._bucket.put_back(self.chunks.length(index) - result)
        self._done.extend(lane.was_written(index, result, now))

    def was_summed(
        self,
        number: int,
        index: int,
        result: storage.Checksum | exceptions.DistributorError,
    ) -> None:
        """A target's OSDs have computed, or cannot."""
        lane = self.lanes[number]
        if lane.is_over:
            return
        if isinstance(result, exceptions.DistributorError):
            self.lane_failed(number, result)
            return
        try:
            lane.was_summed(index, result)
        except exceptions.VerificationFailed as exc:
            self.lane_failed(number, exc)

    def was_hashed(self, index: int, digest: str | None) -> None:
        """A chunk is in the hash; with the last one that is known."""
        self._hashing.was_hashed(index)
        if index < len(self.chunks) - 1:
            return
        self._is_proven = digest == self._rules.expected_hash
        if not self._is_proven:
            self._give_up(
                exceptions.VerificationFailed(
                    f'the hash of what was read is {digest}, and the one that '
                    f'Glance recorded {self._rules.expected_hash}: the source '
                    'does not hold this image'
                )
            )

    # -- what to do

    def step(self, now: float) -> tuple[list[steps.Step], float | None]:
        """Say what to do now, and when to ask again, in seconds from now.

        `now` is in seconds of any steady clock.
        """
        self._now = now
        self._leave_behind(now)
        while True:
            before = self._moved()
            self._way_here.wait_s = 0.0
            self._read_on()
            for lane in sorted(self._live(), key=lambda x: x.taken_bytes):
                self._done.extend(lane.scout())
                self._catch_up(lane)
                self._done.extend(lane.feed(self._bucket, now))
            self._done.extend(self._hashing.feed())
            if before == self._moved():
                break
        for lane in self._live():
            if lane.is_filled and self._is_proven:
                lane.end()
                self._done.append(steps.Filled(lane.number))
        done, self._done = self._done, []
        return done, self._ask_again_s(now)

    def _moved(self) -> tuple[int, int, int]:
        """Tell what changes as long as there is something to do."""
        # What turns out to be in place asks for nothing, but makes room.
        settled_bytes = sum(lane.settled_bytes for lane in self.lanes)
        return len(self._done), self._cursor, settled_bytes

    def _live(self) -> list[lanes.Lane]:
        return [lane for lane in self.lanes if not lane.is_over]

    def _ask_again_s(self, now: float) -> float | None:
        waits = []
        if self._blockers:
            waits.append(self._patience.look_again_s)
        rate_waits_s = [
            self._bucket.wait_s(now),
            self._way_here.wait_s,
            *(lane.link_wait_s for lane in self._live()),
        ]
        waits += [max(wait, _TICK_S) for wait in rate_waits_s if wait > 0]
        return min(waits, default=None)

    # -- the main course

    def _read_on(self) -> None:
        self._blockers = []
        while self._cursor < len(self.chunks) and self._live():
            index = self._cursor
            takers = [
                lane
                for lane in self._live()
                if lane.is_attached and lane.is_due(index)
            ]
            if not self._pass_on(index, takers):
                return
            self._cursor += 1

    def _pass_on(self, index: int, takers: Sequence[lanes.Lane]) -> bool:
        """Have a chunk read for those who need it, if that can be now."""
        if not takers and not self._hashing.is_wanted:
            return True
        if not self._hashing.has_room(index):
            return False
        if not self.chunks.allocated[index]:
            return self._pass_zeros(index, takers)
        if not self._hashing.is_wanted:
            compared = self._skip_equal(index, takers)
            if compared is None:
                self._blockers = self._still_comparing(index, takers)
                return False
            takers = compared
        self._blockers = [t for t in takers if not t.has_room(index)]
        if self._blockers:
            return False
        if takers or self._hashing.is_wanted:
            if not self._may_read(index):
                return False
            self._hashing.reserve(index)
            self._read(index, takers)
        return True

    def _pass_zeros(self, index: int, takers: Iterable[lanes.Lane]) -> bool:
        self._blockers = [t for t in takers if not t.has_room(index)]
        if self._blockers:
            return False
        self._hashing.pass_hole(index)
        for lane in takers:
            self._offer_zeros(lane, index)
        return True

    def _may_read(self, index: int) -> bool:
        """Tell whether a chunk can be had, be it that it is coming already.

        If so, it MUST be read.
        """
        if index in self._readers:
            return True
        length = self.chunks.length(index)
        return self._reading.has_room(length) and self._way_here.enter(
            length, self._now
        )

    def _read(self, index: int, takers: Iterable[lanes.Lane]) -> None:
        if index not in self._readers:
            self._readers[index] = set()
            self._reading.begin(index, self.chunks.length(index), self._now)
            self._done.append(steps.Read(index))
        for lane in takers:
            lane.reserve(index)
            self._readers[index].add(lane.number)

    def _offer_zeros(self, lane: lanes.Lane, index: int) -> None:
        zeros = self._zeros[: self.chunks.length(index)]
        lane.offer(index, (None, xxhash.xxh64_intdigest(zeros)))

    def _skip_equal(
        self, index: int, takers: Sequence[lanes.Lane]
    ) -> Sequence[lanes.Lane] | None:
        """Leave out those who have a chunk already; None if not known yet."""
        if not self._rules.source_sums:
            return takers
        scouting = [lane for lane in takers if lane.scouts(index)]
        if scouting:
            ahead = self._source_sums.ask_ahead(index)
            self._done.extend(map(steps.SumSource, ahead))
        at_source = self._source_sums.get(index)
        for lane in scouting:
            if at_source is None or lane.scouted(index) is None:
                return None
        for lane in scouting:
            if lane.scouted(index) == at_source:
                lane.skip(index)
        return [lane for lane in takers if lane.is_due(index)]

    def _still_comparing(
        self, index: int, takers: Sequence[lanes.Lane]
    ) -> list[lanes.Lane]:
        """Name those that others wait for; none while the source is late."""
        if self._source_sums.get(index) is None:
            return []
        return [
            lane
            for lane in takers
            if lane.scouts(index) and lane.scouted(index) is None
        ]

    # -- what a lane lacks besides

    def _catch_up(self, lane: lanes.Lane) -> None:
        """Have read what a lane needs again, or has fallen behind with."""
        while lane.is_ready:
            index = lane.next_due(
                below=self._cursor if lane.is_attached else len(self.chunks)
            )
            if index is None or not lane.has_room(index):
                return
            if not self.chunks.allocated[index]:
                self._offer_zeros(lane, index)
                continue
            if self._rules.source_sums and not self._hashing.is_wanted:
                compared = self._skip_equal(index, [lane])
                if compared is None:
                    return
                if not compared:
                    continue
            if not self._may_read(index):
                return
            self._read(index, [lane])

    def _leave_behind(self, now: float) -> None:
        slow = self._patience.exhausted_by(self.lanes, self._blockers, now)
        for lane in slow:
            lane.detach()
            for readers in self._readers.values():
                readers.discard(lane.number)

    # -- failures of all lanes

    def _give_up(self, error: exceptions.DistributorError) -> None:
        self.source_error = self.source_error or error
        for lane in self._live():
            self.lane_failed(lane.number, self.source_error)

    def _unsteady(self, index: int) -> exceptions.DistributorError:
        return exceptions.VerificationFailed(
            'the source was read twice at offset '
            f'{self.chunks.offset(index)} and gave other bytes the second '
            'time'
        )
