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
"""One image on its way to some sites, from begin to end."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import delivery as deliveries
from dcn_distributor.engines.rbd_stream import drive as drives
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import meter as meters
from dcn_distributor.engines.rbd_stream import pipeline as pipelines
from dcn_distributor.engines.rbd_stream import pipeline_rules
from dcn_distributor.engines.rbd_stream import registration
from dcn_distributor.engines.rbd_stream import sources as sourcing
from dcn_distributor.engines.rbd_stream import targets as targeting

LOG = log.getLogger(__name__)

# How long an import of the same image may hold up the registration.
_LOCK_WAIT_S = 600.0


class Transfer:
    """See the module. run() is for one thread, all else for any.

    :param sources: where to read, the first that can be opened
    :param turns: those of all transfers of the image
    :param doubted: stores among them whose copy was read before, and was
        not the image
    :param on_change: called when a delivery has ended, and at the end
    """

    def __init__(
        self,
        image: images.Image,
        sources: Sequence[sourcing.Source],
        targets: Sequence[targeting.Target],
        glance: ports.Images,
        tuning: transfers.Tuning,
        turns: registration.Turns,
        rates: link_rates.LinkRates,
        *,
        on_change: Callable[[], None],
        doubted: frozenset[images.StoreId] = frozenset(),
    ) -> None:
        self.image = image
        self._sources = sources
        self._doubted = doubted
        self._tuning = tuning
        self._on_change = on_change
        self._link_rates = rates
        self._bucket = token_bucket.TokenBucket(tuning.rate_bytes_s)
        self._started_s = time.time()
        self._ended_s: float | None = None
        self._source_store: images.StoreId | None = None
        self._failed_source: images.StoreId | None = None
        self._is_source_false = False
        self._notes: tuple[str, ...] = ()
        self._state = threading.Lock()
        self._drive: drives.Drive | None = None
        self._pipeline: pipelines.Pipeline | None = None
        self._object_bytes: dict[int, int] = {}
        self._object_names: dict[int, Callable[[int], str]] = {}
        self._early: list[Callable[[drives.Drive], None]] = []
        self._deliveries = [
            deliveries.Delivery(
                image,
                target,
                glance,
                registration.Registration(
                    glance,
                    image.id,
                    target.store,
                    turns,
                    lock_wait_s=_LOCK_WAIT_S,
                    clock=time.monotonic,
                    wall_clock=time.time,
                ),
                ended=on_change,
                clock=time.monotonic,
            )
            for target in targets
        ]
        self._meters = [meters.Meter(time.monotonic) for _ in targets]

    # -- from any thread

    @property
    def is_over(self) -> bool:
        """True if every delivery has ended."""
        return all(d.phase.is_end for d in self._deliveries)

    @property
    def live_stores(self) -> frozenset[images.StoreId]:
        """Where its deliveries have not ended."""
        return frozenset(
            d.target.store for d in self._deliveries if not d.phase.is_end
        )

    def cancel(self, error: exceptions.Cancelled) -> None:
        """Call it off; what is being published may still be finished."""
        self.break_off(self.live_stores, error)

    def break_off(
        self, stores: Collection[images.StoreId], error: exceptions.Cancelled
    ) -> None:
        """Call off what goes to some stores; the others go on."""
        with self._state:
            is_driving = self._drive is not None
        for number, delivery in enumerate(self._deliveries):
            if delivery.target.store not in stores or delivery.phase.is_end:
                continue
            delivery.call_off(error)
            self._when_driving(_failing(number, error))
            if not is_driving:
                delivery.give_up(error)

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Go on at another rate."""

        def change() -> None:
            self._bucket.set_rate(rate_bytes_s, time.monotonic())

        self._when_driving(lambda drive: drive.tell(change))

    def note_link_rates(self) -> None:
        """Look at once how long links keep it waiting: that has changed."""
        self._when_driving(lambda drive: drive.tell(lambda: None))

    def join(self, within_s: float) -> bool:
        """Wait for the end of all deliveries; False if not in time."""
        until_s = time.monotonic() + within_s
        for delivery in self._deliveries:
            delivery.join(max(0.0, until_s - time.monotonic()))
        return self.is_over

    def report(self) -> transfers.Report:
        """Tell how far it is."""
        pipeline = self._pipeline
        with self._state:
            lanes = tuple(map(self._lane, range(len(self._deliveries))))
        return transfers.Report(
            image_id=self.image.id,
            size_bytes=self.image.size_bytes or 0,
            source=self._source_store,
            verify=self._tuning.verify,
            started_s=self._started_s,
            ended_s=self._ended_s,
            read_bytes=0 if pipeline is None else pipeline.read_bytes,
            lanes=lanes,
            failed_source=self._failed_source,
            is_source_false=self._is_source_false,
        )

    # -- the transfer itself

    def run(self) -> None:
        """Copy, and return when all deliveries have ended."""
        for number, delivery in enumerate(self._deliveries):
            delivery.start(self._opener(number), self._failer(number))
        try:
            source = sourcing.open_first(self._sources, self.image)
        except exceptions.DistributorError as exc:
            self._give_up(exc)
        except Exception as exc:
            LOG.exception('image=%s: a bug in rbd-stream', self.image.id)
            self._give_up(exceptions.TemporaryError(f'a bug: {exc!r}'))
        else:
            try:
                self._source_store = source.store
                self._copy(source)
            finally:
                source.readable.close()
        for delivery in self._deliveries:
            delivery.join()
        self._ended_s = time.time()
        self._on_change()

    def _copy(self, source: sourcing.Opened) -> None:
        ways = self._link_rates.crossings(
            source.store, [d.target.store for d in self._deliveries]
        )
        try:
            drive = self._build(source, ways)
            with self._state:
                self._drive = drive
                early, self._early = self._early, []
            for act in early:
                act(drive)
            drive.run()
        except exceptions.DistributorError as exc:
            self._give_up(exc)
        except Exception as exc:
            LOG.exception('image=%s: a bug in rbd-stream', self.image.id)
            self._give_up(exceptions.TemporaryError(f'a bug: {exc!r}'))
        finally:
            ways.leave()

    def _build(
        self, opened: sourcing.Opened, ways: link_rates.Crossings
    ) -> drives.Drive:
        source = opened.readable
        chunk_bytes = min(
            self._tuning.chunk_bytes,
            source.object_bytes,
            *(d.target.object_bytes for d in self._deliveries),
        )
        try:
            chunks = chunking.cut(
                source.size_bytes, chunk_bytes, source.extents()
            )
        except exceptions.DistributorError as exc:
            raise self._blame(opened.store, exc) from exc
        hash_algo = self._hash_algo()
        rules = pipeline_rules.Rules(
            window_bytes=max(self._tuning.window_bytes, chunk_bytes),
            patience_s=self._tuning.patience_s,
            timeout_s=self._tuning.timeout_s,
            expected_hash=self.image.hash_value if hash_algo else None,
            proves=self._tuning.verify is not transfers.Verify.SIZE,
            source_sums=source.checksum_obstacle is None,
            reads_narrow=opened.begins_narrow,
        )
        self._pipeline = pipelines.Pipeline(chunks, rules, self._bucket, ways)
        return drives.Drive(
            chunks,
            self._pipeline,
            source,
            drives.ThreadedHasher(chunks, hash_algo) if hash_algo else None,
            filled=self._was_filled,
            lost=functools.partial(self._was_lost, opened.store),
            clock=time.monotonic,
        )

    def _hash_algo(self) -> str | None:
        """Which hash to prove, None if none is asked for or known."""
        if self._tuning.verify is not transfers.Verify.FULL:
            return None
        algo = self.image.hash_algo
        if algo in hashlib.algorithms_available and self.image.hash_value:
            return algo
        self._notes = (
            'the hash is not proven: Glance '
            + (f'used {algo}, unknown here' if algo else 'recorded none'),
        )
        return None

    def _was_filled(self, number: int) -> None:
        assert self._pipeline is not None
        lane = self._pipeline.lanes[number]
        # Those of the copy, not of the target: it may be an adopted one.
        objects = lane.objects(self._object_bytes[number])
        self._deliveries[number].was_filled(objects)

    def _was_lost(
        self,
        source: images.StoreId,
        number: int,
        error: exceptions.DistributorError,
    ) -> None:
        assert self._pipeline is not None
        if error is self._pipeline.source_error:
            error = self._blame(source, error)
        self._deliveries[number].give_up(error)

    def _blame(
        self, source: images.StoreId, error: exceptions.DistributorError
    ) -> exceptions.DistributorError:
        self._failed_source = source
        self._is_source_false = isinstance(
            error, exceptions.VerificationFailed
        )
        untried = {one.store for one in self._sources} - self._doubted
        return sourcing.blame(source, error, is_last=untried <= {source})

    def _give_up(self, error: exceptions.DistributorError) -> None:
        for delivery in self._deliveries:
            delivery.give_up(error)

    def _opener(self, number: int) -> Callable[[storage.Copy], None]:
        def opened(copy: storage.Copy) -> None:
            self._object_bytes[number] = copy.object_bytes
            self._object_names[number] = copy.object_name
            is_narrow = self._deliveries[number].target.begins_narrow
            self._when_driving(
                lambda drive: drive.attach(number, copy, is_narrow=is_narrow)
            )

        return opened

    def _failer(
        self, number: int
    ) -> Callable[[exceptions.DistributorError], None]:
        return lambda exc: self._when_driving(_failing(number, exc))

    def _when_driving(self, act: Callable[[drives.Drive], None]) -> None:
        """Do it with the drive, now or as soon as there is one."""
        with self._state:
            drive = self._drive
            if drive is None:
                self._early.append(act)
        if drive is not None:
            act(drive)

    def _lane(self, number: int) -> transfers.Lane:
        delivery, pipeline = self._deliveries[number], self._pipeline
        told = transfers.Lane(
            site=delivery.target.site,
            store=delivery.target.store,
            phase=delivery.phase,
            notes=(*self._notes, *delivery.notes),
            error=delivery.error,
            seconds=delivery.seconds,
        )
        if pipeline is None:
            return told
        lane = pipeline.lanes[number]
        rates = self._meters[number].measure(
            lane.sent_bytes, lane.settled_bytes
        )
        left_bytes = (self.image.size_bytes or 0) - lane.settled_bytes
        return dataclasses.replace(
            told,
            settled_bytes=lane.settled_bytes,
            sent_bytes=lane.sent_bytes,
            zero_bytes=lane.zero_bytes,
            resumed_bytes=lane.resumed_bytes,
            rate_bytes_s=rates.sent,
            eta_s=left_bytes / rates.settled if rates.settled else None,
            damages=self._damages(number, pipeline),
            notes=(*told.notes, *self._split_note(number, pipeline)),
        )

    def _split_note(
        self, number: int, pipeline: pipelines.Pipeline
    ) -> tuple[str, ...]:
        chunk_bytes = pipeline.chunks.chunk_bytes
        if self._object_bytes.get(number, chunk_bytes) >= chunk_bytes:
            return ()
        site = self._deliveries[number].target.site
        return (
            f'{site}: the copy found there is compared by reading it: its '
            'objects are smaller than a chunk',
        )

    def _damages(
        self, number: int, pipeline: pipelines.Pipeline
    ) -> tuple[transfers.Damage, ...]:
        """Name what was written and found to be something else at rest."""
        lane, chunks = pipeline.lanes[number], pipeline.chunks
        return tuple(
            transfers.Damage(
                self._object_names[number](chunks.offset(index)),
                chunks.offset(index),
                chunks.length(index),
                is_repaired=lane.is_settled(index),
            )
            for index in sorted({*lane.damaged})
        )


def _failing(
    number: int, error: exceptions.DistributorError
) -> Callable[[drives.Drive], None]:
    return lambda drive: drive.fail(number, error)
