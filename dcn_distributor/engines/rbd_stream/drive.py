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
"""Carries out a pipeline's steps on an open source and open copies.

One thread runs the pipeline; what has happened comes to it through a queue,
from the callbacks of the clusters and from the thread that hashes. Hashing
has a thread of its own since it is slower than all the rest, and lets go of
the interpreter's lock.
"""

from collections import Counter
from collections.abc import Callable
import functools
import hashlib
import queue
import threading
from typing import Protocol

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import pipeline as pipelines
from dcn_distributor.engines.rbd_stream import steps

# Copies whose OSDs cannot compute are read back instead: few at a time, as
# this holds memory.
_READS_BACK_AHEAD = 4

Event = Callable[[], None]
WasHashed = Callable[[int, str | None], None]


class Hasher(Protocol):
    """Computes the hash of an image from its chunks, in order."""

    def start(self, was_hashed: WasHashed) -> None:
        """Begin; `was_hashed` gets each index, and the digest at the end."""
        ...

    def add(self, index: int, data: bytes | None) -> None:
        """Add the next chunk, None if it is of zeros."""
        ...

    def stop(self) -> None:
        """End; no more is added."""
        ...


class Drive:
    """See the module. run() is for one thread, all else for any.

    :param filled: called with a lane's number once its target is whole
    :param lost: called with a lane's number and error, once no write of it
        is under way any more: one that lands in a copy that was removed
        meanwhile would leave an object behind
    :param clock: seconds of a steady clock
    """

    def __init__(
        self,
        chunks: chunking.Chunks,
        pipeline: pipelines.Pipeline,
        source: storage.Readable,
        hasher: Hasher | None,
        *,
        filled: Callable[[int], None],
        lost: Callable[[int, exceptions.DistributorError], None],
        clock: Callable[[], float],
    ) -> None:
        self._chunks = chunks
        self._pipeline = pipeline
        self._source = source
        self._filled = filled
        self._lost = lost
        self._clock = clock
        self._copies: dict[int, storage.Copy] = {}
        # Lanes whose OSDs cannot compute over a chunk.
        self._reading_back: set[int] = set()
        self._writing: Counter[int] = Counter()
        self._lost_while_writing: dict[int, exceptions.DistributorError] = {}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._hasher = hasher

    def attach(
        self, number: int, copy: storage.Copy, *, is_narrow: bool = False
    ) -> None:
        """A lane's target is open: fill it, with care if it is narrow."""
        self._events.put(
            functools.partial(self._attach, number, copy, is_narrow)
        )

    def fail(self, number: int, error: exceptions.DistributorError) -> None:
        """Give up one lane."""
        self._events.put(
            functools.partial(self._pipeline.lane_failed, number, error)
        )

    def tell(self, event: Event) -> None:
        """Have something done between two steps."""
        self._events.put(event)

    @property
    def is_over(self) -> bool:
        """True if every lane is filled or lost, and was told so."""
        return self._pipeline.is_over and not self._lost_while_writing

    def run(self) -> None:
        """Work until every lane is filled or lost."""
        self.begin()
        # Lanes that are open already need no reading ahead.
        self.take_in(0)
        try:
            while True:
                wait_s = self.turn()
                if self.is_over:
                    break
                self.take_in(wait_s)
        finally:
            if self._hasher is not None:
                self._hasher.stop()

    def begin(self) -> None:
        """Be ready for the first turn(); run() does that itself."""
        if self._hasher is not None:
            self._hasher.start(self._was_hashed)

    def turn(self) -> float | None:
        """Have done what is to do now; say how long nothing else may be."""
        todo, wait_s = self._pipeline.step(self._clock())
        for step in todo:
            self._carry_out(step)
        return wait_s

    def take_in(self, wait_s: float | None) -> bool:
        """Wait for something to happen, and take in all that has.

        Return whether there was anything. None waits without end.
        """
        took = False
        try:
            event = self._events.get(timeout=wait_s)
            while True:
                event()
                took = True
                event = self._events.get_nowait()
        except queue.Empty:
            return took

    def _attach(
        self, number: int, copy: storage.Copy, is_narrow: bool
    ) -> None:
        self._copies[number] = copy
        ahead = pipelines.SUMS_AHEAD
        # A checksum is that of a range within one object. Chunks are cut for
        # the objects of new copies: one that is adopted may have smaller ones.
        is_split = copy.object_bytes < self._chunks.chunk_bytes
        if is_split or copy.checksum_obstacle is not None:
            self._reading_back.add(number)
            ahead = 1 if is_narrow else _READS_BACK_AHEAD
        self._pipeline.lane_began(
            number,
            is_fresh=copy.is_fresh,
            sums_at_once=ahead,
            is_narrow=is_narrow,
        )

    def _carry_out(self, step: steps.Step) -> None:
        match step:
            case steps.Read(index):
                self._source.read(
                    *self._range(index),
                    self._then(self._was_read, index),
                )
            case steps.SumSource(index):
                self._source.checksum(
                    *self._range(index),
                    self._then(self._pipeline.source_was_summed, index),
                )
            case steps.Write(lane, index, data):
                self._writing[lane] += 1
                self._copies[lane].write(
                    self._chunks.offset(index),
                    data,
                    self._then(self._was_written, lane, index),
                )
            case steps.Sum(lane, index):
                self._sum(lane, index)
            case steps.Hash(index, data):
                if self._hasher is not None:
                    self._hasher.add(index, data)
            case steps.Filled(lane):
                self._filled(lane)
            case steps.Lost(lane, error):
                self._lost_while_writing[lane] = error
                self._tell_lost(lane)

    def _was_read(
        self, index: int, result: bytes | exceptions.DistributorError
    ) -> None:
        self._pipeline.was_read(index, result, self._clock())

    def _was_written(
        self, lane: int, index: int, result: int | exceptions.DistributorError
    ) -> None:
        self._writing[lane] -= 1
        self._pipeline.was_written(lane, index, result, self._clock())
        self._tell_lost(lane)

    def _tell_lost(self, lane: int) -> None:
        if lane in self._lost_while_writing and not self._writing[lane]:
            self._lost(lane, self._lost_while_writing.pop(lane))

    def _sum(self, lane: int, index: int) -> None:
        copy = self._copies[lane]
        if lane not in self._reading_back:
            copy.checksum(
                *self._range(index),
                self._then(self._pipeline.was_summed, lane, index),
            )
        else:
            copy.read(
                *self._range(index),
                self._then(self._was_read_back, lane, index),
            )

    def _was_read_back(
        self,
        lane: int,
        index: int,
        result: bytes | exceptions.DistributorError,
    ) -> None:
        if isinstance(result, exceptions.DistributorError):
            self._pipeline.was_summed(lane, index, result)
            return
        digest = xxhash.xxh64_intdigest(result)
        self._pipeline.was_summed(
            lane, index, storage.Checksum(len(result), digest)
        )

    def _was_hashed(self, index: int, digest: str | None) -> None:
        self._events.put(
            functools.partial(self._pipeline.was_hashed, index, digest)
        )

    def _range(self, index: int) -> tuple[int, int]:
        return self._chunks.offset(index), self._chunks.length(index)

    def _then(
        self, method: Callable[..., None], *arguments: int
    ) -> Callable[[object], None]:
        """Make a callback that has `method` called by the pipeline's thread.

        It keeps nothing of the drive but the queue busy: quick, from any
        thread.
        """
        events = self._events

        def done(result: object) -> None:
            events.put(functools.partial(method, *arguments, result))

        return done


class ThreadedHasher:
    """Computes the hash of an image, chunk after chunk, in a thread.

    :param hash_algo: one that hashlib knows
    """

    def __init__(self, chunks: chunking.Chunks, hash_algo: str) -> None:
        self._chunks = chunks
        self._hash = hashlib.new(hash_algo)
        self._queue: queue.SimpleQueue[tuple[int, bytes | None] | None] = (
            queue.SimpleQueue()
        )

    def start(self, was_hashed: WasHashed) -> None:
        """See Hasher."""
        threading.Thread(
            target=self._work, args=[was_hashed], name='hash', daemon=True
        ).start()

    def add(self, index: int, data: bytes | None) -> None:
        """See Hasher."""
        self._queue.put((index, data))

    def stop(self) -> None:
        """See Hasher."""
        self._queue.put(None)

    def _work(self, was_hashed: WasHashed) -> None:
        zeros = memoryview(
            bytes(min(self._chunks.chunk_bytes, self._chunks.size_bytes))
        )
        last = len(self._chunks) - 1
        while (item := self._queue.get()) is not None:
            index, data = item
            self._hash.update(
                zeros[: self._chunks.length(index)] if data is None else data
            )
            was_hashed(
                index, self._hash.hexdigest() if index == last else None
            )
