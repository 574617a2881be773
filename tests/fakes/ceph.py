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
"""A Ceph cluster in memory: its pool, its faults, and who uses it.

This is the far side; the handles that tests give to the code under test are
in tests.fakes.clusters.
"""

from collections.abc import Callable
import dataclasses
import functools
import threading
from typing import Any
from typing import TypeVar

from dcn_distributor import exceptions
from dcn_distributor.core import images
from tests.fakes import faults
from tests.fakes import rbd_pool
from tests.fakes import timing

Result = TypeVar('Result')
Answer = Any | exceptions.DistributorError

NEEDING_SPACE = frozenset(
    ('write', 'claim', 'create_image', 'write_map', 'create_snapshot')
)


class Killed(BaseException):
    """What a call ends with in a process that is no more.

    Not an Exception, so that no code goes on as if it lived.
    """


@dataclasses.dataclass(eq=False, slots=True)
class Claim:
    """Our claim on an image in the pool.

    `made_id` is the internal id of the RBD image that we made for it.
    """

    process: 'Process'
    made_id: str | None
    is_left: bool = False
    in_flight: int = 0

    @property
    def is_held(self) -> bool:
        """True unless its holder has left it, or is dead for long enough.

        It is not left before all calls that were made under it have ended.
        """
        is_left = self.is_left and not self.in_flight
        return not is_left and not self.process.is_forgotten


@dataclasses.dataclass(eq=False, slots=True)
class Operation:
    """A read, write or checksum under way."""

    process: 'Process'
    kind: str
    size_bytes: int
    effect: Callable[[bool], Answer]
    done: Callable[[Answer], None]
    begun_at: float
    fate: faults.Fate
    claim: Claim | None
    is_over: bool = False


class Ceph:
    """A cluster with one pool.

    :param claim_grace_s: how long the claim of a dead process still holds
    :param checksum_obstacle: why its OSDs compute no checksums, if so
    :param zero_block_bytes: length of the blocks that a write leaves out if
        they are zero

    :ivar pool: the images; change them as Glance, Nova or decay would
    :ivar claims: ours, by image
    :ivar read_bytes: how much was read over the link
    :ivar sent_bytes: how much was sent
    :ivar in_flight_bytes: data of reads and writes under way
    :ivar peak_in_flight_bytes: the most there ever was of it
    """

    def __init__(
        self,
        when: timing.Timing,
        fsid: str = '00000000-0000-4000-8000-000000000001',
        *,
        pool: str = 'images',
        claim_grace_s: float = 0.0,
        checksum_obstacle: str | None = None,
        zero_block_bytes: int = 4096,
    ) -> None:
        self.when = when
        self.fsid = fsid
        self.pool_name = pool
        self.claim_grace_s = claim_grace_s
        self.checksum_obstacle = checksum_obstacle
        self.zero_block_bytes = zero_block_bytes
        self.pool = rbd_pool.Pool()
        self.faults = faults.Faults()
        self.claims: dict[images.ImageId, Claim] = {}
        self.read_bytes = 0
        self.sent_bytes = 0
        self.in_flight_bytes = 0
        self.peak_in_flight_bytes = 0
        self.is_frozen = False
        self.lock = threading.RLock()
        self._parked: list[Operation] = []

    def freeze(self) -> None:
        """Stop answering; what comes in waits, until its caller gives up."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Answer again.

        A write whose caller has given up takes effect or not, by chance: it
        still lay in a socket.
        """
        with self.lock:
            self.is_frozen = False
            parked, self._parked = self._parked, []
        for operation in parked:
            self.when.later(0.0, functools.partial(self._deliver, operation))

    def submit(self, operation: Operation) -> None:
        """Take an operation; its end comes in its time."""
        with self.lock:
            now = self.when.now()
            self.in_flight_bytes += operation.size_bytes
            self.peak_in_flight_bytes = max(
                self.peak_in_flight_bytes, self.in_flight_bytes
            )
            operation.process.in_flight[operation] = None
            delay_s = self.faults.transfer_s(
                operation.kind, operation.size_bytes, now
            )
        if delay_s > self.faults.timeout_s:
            self._expire_later(operation)
        self.when.later(delay_s, lambda: self._deliver(operation))

    def _deliver(self, operation: Operation) -> None:
        with self.lock:
            if operation.process.is_dead:
                return
            if self.is_frozen:
                self._parked.append(operation)
                is_parked = True
            elif operation.is_over:
                self.maybe_apply(operation)
                return
            else:
                is_parked = False
                answer = self._outcome(operation)
                self._end(operation)
        if is_parked:
            self._expire_later(operation)
        else:
            self._answer(operation, answer)

    def _expire_later(self, operation: Operation) -> None:
        left_s = operation.begun_at + self.faults.timeout_s - self.when.now()
        self.when.later(max(0.0, left_s), lambda: self._expire(operation))

    def _expire(self, operation: Operation) -> None:
        with self.lock:
            if operation.is_over or operation.process.is_dead:
                return
            self._end(operation)
        self._answer(operation, self.no_answer(operation.kind))

    def no_answer(self, kind: str) -> exceptions.ClusterUnavailable:
        """Return what a call fails with that gets no answer."""
        return exceptions.ClusterUnavailable(
            f'{kind}: no answer from {self.fsid} '
            f'within {self.faults.timeout_s:g} s'
        )

    def _answer(self, operation: Operation, answer: Answer) -> None:
        with self.when.calling_back():
            operation.done(answer)

    def _end(self, operation: Operation) -> None:
        operation.is_over = True
        if operation.claim is not None:
            operation.claim.in_flight -= 1
        operation.process.in_flight.pop(operation, None)
        self.in_flight_bytes -= operation.size_bytes

    def _outcome(self, operation: Operation) -> Answer:
        fate = operation.fate
        if fate.error is not None and not fate.has_effect:
            return fate.error
        if self.faults.is_full and operation.kind in NEEDING_SPACE:
            return exceptions.StoreFull(f'{self.fsid}: no space left')
        answer = operation.effect(fate.is_corrupt)
        return answer if fate.error is None else fate.error

    def maybe_apply(self, operation: Operation) -> None:
        """Let a write have its effect or not, though nobody is told."""
        if operation.kind == 'write' and self.when.rng.random() < 0.5:
            self._outcome(operation)


class Process:
    """One of those who use a cluster."""

    def __init__(self, ceph: Ceph) -> None:
        self.ceph = ceph
        # In order: equal seeds must give equal histories.
        self.in_flight: dict[Operation, None] = {}
        self.died_at: float | None = None

    @property
    def is_dead(self) -> bool:
        """True after die()."""
        return self.died_at is not None

    @property
    def is_forgotten(self) -> bool:
        """True if its claims stand no longer."""
        return self.died_at is not None and (
            self.ceph.when.now() >= self.died_at + self.ceph.claim_grace_s
        )

    def die(self) -> None:
        """End as by SIGKILL.

        What was in flight happens or not, and nobody is told.
        """
        with self.ceph.lock:
            if self.is_dead:
                return
            self.died_at = self.ceph.when.now()
            for operation in self.in_flight:
                operation.is_over = True
                self.ceph.in_flight_bytes -= operation.size_bytes
                self.ceph.maybe_apply(operation)
            self.in_flight.clear()

    def live(self) -> None:
        """Raise Killed if this process is no more."""
        if self.is_dead:
            raise Killed

    def step(self, kind: str, effect: Callable[[], Result]) -> Result:
        """Do one thing that the cluster does at once or not at all."""
        ceph = self.ceph
        self.live()
        fate = ceph.faults.meet(kind)
        self.live()
        ceph.when.pause(ceph.faults.latency_s(kind))
        self._wait_for_answer(kind)
        self.live()
        if fate.error is not None and not fate.has_effect:
            raise fate.error
        if ceph.faults.is_full and kind in NEEDING_SPACE:
            raise exceptions.StoreFull(f'{ceph.fsid}: no space left')
        with ceph.lock:
            result = effect()
        if fate.error is not None:
            raise fate.error
        return result

    def _wait_for_answer(self, kind: str) -> None:
        ceph = self.ceph
        deadline = ceph.when.now() + ceph.faults.timeout_s
        while ceph.is_frozen:
            if ceph.when.now() >= deadline:
                raise ceph.no_answer(kind)
            ceph.when.pause(ceph.faults.timeout_s / 100)

    def begin(
        self,
        kind: str,
        size_bytes: int,
        effect: Callable[[bool], Answer],
        done: Callable[[Any], None],
        claim: Claim | None,
    ) -> None:
        """Do a read, write or checksum; `effect` is told to corrupt it."""
        self.live()
        fate = self.ceph.faults.meet(kind)
        self.live()
        if claim is not None:
            claim.in_flight += 1
        self.ceph.submit(
            Operation(
                self,
                kind,
                size_bytes,
                effect,
                done,
                self.ceph.when.now(),
                fate,
                claim,
            )
        )
