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
"""Runs a pipeline on clusters in memory, in virtual time and one thread."""

from collections.abc import Sequence
import hashlib
import math

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import drive as drives
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import pipeline as pipelines
from dcn_distributor.engines.rbd_stream import pipeline_rules
from tests.fakes import ceph as fake_ceph
from tests.fakes import clusters
from tests.fakes import timing

IMAGE = images.ImageId('8f0d6e9e-2a4b-4c4d-8f0d-6e9e2a4b4c4d')
CHUNK = 4
OBJECT = 8


class InlineHasher:
    """Hashes at once."""

    def __init__(self, chunks: chunking.Chunks) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha512()

    def start(self, was_hashed: drives.WasHashed) -> None:
        """See drives.Hasher."""
        self._was_hashed = was_hashed

    def add(self, index: int, data: bytes | None) -> None:
        """See drives.Hasher."""
        length = self._chunks.length(index)
        self._hash.update(bytes(length) if data is None else data)
        is_last = index == len(self._chunks) - 1
        self._was_hashed(index, self._hash.hexdigest() if is_last else None)

    def stop(self) -> None:
        """See drives.Hasher."""


class Ride:
    """One pass of a pipeline, from a source to the copies of some sites.

    :param rates: those of the links that the sites hang on
    :param stores: their names, as the links have them

    :ivar filled: lanes whose target was said to be whole
    :ivar lost: errors of the other lanes
    :ivar turns: how often the pipeline was asked what to do
    """

    def __init__(
        self,
        world: timing.World,
        source: fake_ceph.Ceph,
        sites: Sequence[fake_ceph.Ceph],
        *,
        window: int = 4 * CHUNK,
        patience_s: float = 2.0,
        rate_bytes_s: float | None = None,
        is_hashed: bool = True,
        proves: bool = True,
        expected_hash: str | None = None,
        is_narrow: bool = False,
        is_source_narrow: bool = False,
        rates: link_rates.LinkRates | None = None,
        read_at: str = 'central',
        stores: Sequence[str] = (),
    ) -> None:
        self.world = world
        self.turns = 0
        self.filled: set[int] = set()
        self.lost: dict[int, exceptions.DistributorError] = {}
        self._is_narrow = is_narrow
        self.handles = [clusters.FakeCluster(site) for site in sites]
        self._source = clusters.FakeCluster(source).open_snapshot(IMAGE)
        size = self._source.size_bytes
        data = source.pool.read(IMAGE)
        self.chunks = chunking.cut(size, CHUNK, self._source.extents())
        sha = expected_hash or hashlib.sha512(data).hexdigest()
        self.pipeline = pipelines.Pipeline(
            self.chunks,
            pipeline_rules.Rules(
                window_bytes=window,
                patience_s=patience_s,
                timeout_s=min(site.faults.timeout_s for site in sites),
                expected_hash=sha if is_hashed else None,
                proves=proves,
                source_sums=self._source.checksum_obstacle is None,
                reads_narrow=is_source_narrow,
            ),
            token_bucket.TokenBucket(rate_bytes_s),
            (rates or link_rates.LinkRates()).crossings(
                images.StoreId(read_at),
                [
                    images.StoreId(store)
                    for store in stores
                    or [f'dcn{n}' for n in range(len(sites))]
                ],
            ),
        )
        hasher = InlineHasher(self.chunks)
        self.drive = drives.Drive(
            self.chunks,
            self.pipeline,
            self._source,
            hasher if is_hashed else None,
            filled=self._filled,
            lost=self.lost.__setitem__,
            clock=world.now,
        )
        self.copies: dict[int, storage.Copy] = {}
        self.filled_at_s: dict[int, float] = {}

    def open(self, number: int) -> None:
        """Open the copy of a lane, as its delivery would."""
        try:
            copy = self.handles[number].open_copy(
                IMAGE, self.chunks.size_bytes, OBJECT
            )
        except exceptions.DistributorError as exc:
            self.drive.fail(number, exc)
            return
        self.copies[number] = copy
        self.drive.attach(number, copy, is_narrow=self._is_narrow)

    def run(self) -> None:
        """Go on until every lane is filled or lost."""
        run_together([self])

    def turn(self) -> float | None:
        """Have done what is to do now; say how long nothing else may be."""
        self.turns += 1
        return self.drive.turn()

    def go(self) -> None:
        """Open all and run."""
        for number in range(len(self.handles)):
            self.open(number)
        self.run()

    def publish(self, number: int) -> None:
        """Finish a copy that is filled."""
        copy = self.copies[number]
        copy.record_objects(self.pipeline.lanes[number].objects(OBJECT))
        copy.take_snapshot()
        copy.rename()
        copy.release()
        copy.close()

    def leave(self) -> None:
        """Close all copies, for another pass."""
        for copy in self.copies.values():
            copy.close()

    def _filled(self, number: int) -> None:
        self.filled.add(number)
        self.filled_at_s[number] = self.world.now()


def run_together(rides: Sequence[Ride]) -> None:
    """Go on until every lane of all rides is filled or lost."""
    world = rides[0].world
    for ride in rides:
        ride.drive.begin()
    # Each has a thread: it looks when it has a reason to.
    look_at_s = dict.fromkeys(rides, world.now())
    while look_at_s:
        for ride in rides:
            while ride in look_at_s and (
                ride.drive.take_in(0) or look_at_s[ride] <= world.now()
            ):
                wait_s = ride.turn()
                look_at_s[ride] = (
                    math.inf if wait_s is None else world.now() + wait_s
                )
                if ride.drive.is_over:
                    del look_at_s[ride]
        _let_time_pass(world, min(look_at_s.values(), default=0.0))


def _let_time_pass(world: timing.World, until_s: float) -> None:
    """Let the next thing happen, or time pass if nothing does until then."""
    if until_s <= world.now():
        return
    if world._due and world._due[0][0] <= until_s:
        world.step()
    else:
        assert not math.isinf(until_s), 'stuck: nothing is under way'
        world.run_for(until_s - world.now())
