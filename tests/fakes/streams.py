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
"""An engine that streams in memory and in virtual time, for tests.

`core.ports.StreamEngine` and its far side. A transfer moves when the test
says so: each step() is a second in which every lane does one thing:

1. preparing: it opens its target;
2. copying: a third of the image arrives;
3. publishing: it is verified, renamed and protected, under a claim;
4. registering: it waits until nobody holds the import lock, breaks it if
   it is stale, and then adds its location, gives up the claim, and is done.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from tests.fakes import glance as fake_glance

# So long a finished copy waits for another import to end.
_LOCK_PATIENCE_S = 300.0

_NEXT = {
    transfers.Phase.PREPARING: transfers.Phase.COPYING,
    transfers.Phase.COPYING: transfers.Phase.PUBLISHING,
    transfers.Phase.PUBLISHING: transfers.Phase.REGISTERING,
}


Claim = tuple[images.ImageId, images.StoreId]


@dataclasses.dataclass
class _Transfer:
    image: images.Image
    started_s: float
    verify: transfers.Verify
    lanes: dict[images.StoreId, transfers.Lane]
    ended_s: float | None = None
    is_cancelled: bool = False
    broken_off: dict[images.StoreId, str] = dataclasses.field(
        default_factory=dict
    )
    waits_since_s: dict[images.StoreId, float] = dataclasses.field(
        default_factory=dict
    )

    def is_busy(self, store: images.StoreId) -> bool:
        """Tell whether no other transfer may go to a store."""
        lane = self.lanes.get(store)
        return lane is not None and (
            not lane.phase.is_end or self.ended_s is not None
        )

    def report(self) -> transfers.Report:
        return transfers.Report(
            image_id=self.image.id,
            size_bytes=self.image.size_bytes or 0,
            source=images.StoreId('central'),
            verify=self.verify,
            started_s=self.started_s,
            ended_s=self.ended_s,
            read_bytes=max(
                (x.settled_bytes for x in self.lanes.values()), default=0
            ),
            lanes=tuple(self.lanes.values()),
        )


class FakeStreams:
    """See the module.

    :param wake: is told the id of an image whose lane or transfer ended
    :param claims: what transfers left in stores without a location; it
        outlives the engine
    """

    name = 'rbd-stream'

    def __init__(
        self,
        glance: fake_glance.FakeGlance,
        clock: Callable[[], float],
        wake: Callable[[images.ImageId], None],
        claims: set[Claim],
    ) -> None:
        self._glance = glance
        self._clock = clock
        self._wake = wake
        self._claims = claims
        self._lock = threading.Lock()
        self._transfers: list[_Transfer] = []
        self._taken: list[transfers.Report] = []
        self._troubles: dict[str, set[str]] = {
            what: set() for what in ('fail', 'hang', 'lose', 'damage')
        }
        self._is_stopped = False
        self._source_error: exceptions.DistributorError | None = None
        self._refusal: exceptions.DistributorError | None = None
        self.obstructed: dict[str, tuple[str, ...]] = {}
        self.started: list[tuple[images.ImageId, frozenset[str]]] = []
        self.wishes: list[transfers.Wishes] = []
        self.rate_bytes_s: float | None = None
        self.sites: sites.Sites | None = None
        self.sweeps = 0

    # -- core.ports.StreamEngine

    def start(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        wishes: transfers.Wishes,
    ) -> None:
        """See core.ports.Engine."""
        with self._lock:
            if self._is_stopped:
                raise exceptions.Cancelled('the engine is stopped')
            others = self._of(image.id)
            if any(one.is_busy(store) for one in others for store in stores):
                raise exceptions.CopyInProgress(f'{image.id} is streamed')
            if self._refusal is not None:
                raise self._refusal
            self.started.append((image.id, frozenset(stores)))
            self.wishes.append(wishes)
            for one in others:
                for store in stores:
                    one.lanes.pop(store, None)
            lanes = {
                store: transfers.Lane(
                    sites.SiteName(store), store, transfers.Phase.PREPARING
                )
                for store in stores
            }
            verify = wishes.verify or transfers.Verify.FULL
            self._transfers.append(
                _Transfer(image, self._clock(), verify, lanes)
            )

    def reports_of(
        self, image_id: images.ImageId
    ) -> Sequence[transfers.Report]:
        """See core.ports.StreamEngine."""
        with self._lock:
            return [one.report() for one in self._of(image_id) if one.lanes]

    def take(
        self, image_id: images.ImageId, stores: Collection[images.StoreId]
    ) -> None:
        """See core.ports.StreamEngine."""
        with self._lock:
            for one in self._of(image_id):
                if one.ended_s is not None and one.lanes.keys() <= {*stores}:
                    self._transfers.remove(one)
                    self._taken = [*self._taken, one.report()][-10:]

    def reports(self) -> Sequence[transfers.Report]:
        """See core.ports.StreamEngine."""
        with self._lock:
            held = [one.report() for one in self._transfers]
            return (*held, *self._taken)

    def cancel(self, image_id: images.ImageId) -> None:
        """See core.ports.StreamEngine."""
        with self._lock:
            for one in self._of(image_id):
                one.is_cancelled = True

    def break_off(
        self,
        image_id: images.ImageId,
        stores: Collection[images.StoreId],
        reason: str,
    ) -> None:
        """See core.ports.StreamEngine."""
        with self._lock:
            for one in self._of(image_id):
                one.broken_off |= dict.fromkeys(stores, reason)

    def obstacles(self, store: images.StoreId) -> tuple[str, ...]:
        """See core.ports.StreamEngine."""
        return self.obstructed.get(store, ())

    def wait_for_checks(self, within_s: float) -> None:
        """See core.ports.StreamEngine; here all is known at once."""

    def sweep(self, stores: Collection[images.StoreId]) -> None:
        """See core.ports.StreamEngine; here it is done at once."""
        with self._lock:
            self.sweeps += 1
            for claim in [*self._claims]:
                if claim[1] in stores and not self._of(claim[0]):
                    self._clear(claim)

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """See core.ports.StreamEngine."""
        self.rate_bytes_s = rate_bytes_s

    def set_sites(self, all_sites: sites.Sites) -> None:
        """See core.ports.StreamEngine."""
        self.sites = all_sites

    def stop(self, within_s: float) -> None:
        """See core.ports.StreamEngine."""
        with self._lock:
            self._is_stopped = True
            for one in self._transfers:
                one.is_cancelled = True
        self.step()

    # -- the far side

    @property
    def running(self) -> tuple[images.ImageId, ...]:
        """The images whose transfer has not ended."""
        with self._lock:
            return tuple(
                one.image.id for one in self._transfers if one.ended_s is None
            )

    @property
    def unlocked(self) -> tuple[images.ImageId, ...]:
        """Those of `running` that have not met a foreign import lock."""
        with self._lock:
            return tuple(
                one.image.id
                for one in self._transfers
                if one.ended_s is None and not one.waits_since_s
            )

    def fail(self, *stores: str) -> None:
        """Have the clusters of these stores not answer, until heal()."""
        self._troubles['fail'].update(stores)

    def fail_source(
        self, error: exceptions.DistributorError | None = None
    ) -> None:
        """Have no copy be readable, until heal()."""
        self._source_error = error or exceptions.SourceUnavailable(
            'source central: away'
        )

    def refuse(self, error: exceptions.DistributorError) -> None:
        """Begin no transfer, until heal()."""
        self._refusal = error

    def hang(self, *stores: str) -> None:
        """Have lanes to these stores make no progress, until heal()."""
        self._troubles['hang'].update(stores)

    def lose(self, *stores: str) -> None:
        """Have locations of these stores vanish once registered."""
        self._troubles['lose'].update(stores)

    def damage(self, *stores: str) -> None:
        """Have copies to these stores not be what was sent."""
        self._troubles['damage'].update(stores)

    def heal(self) -> None:
        """Make all clusters work again."""
        for stores in self._troubles.values():
            stores.clear()
        self._source_error = self._refusal = None
        self.obstructed.clear()

    def step(self) -> None:
        """Let a second pass for all transfers; wake whose lanes ended."""
        with self._lock:
            woken = [
                one.image.id
                for one in self._transfers
                if one.ended_s is None and self._step(one)
            ]
        for image_id in woken:
            self._wake(image_id)

    def finish(self) -> None:
        """Step until nothing runs; for those that do not hang."""
        while self.running:
            self.step()

    def _of(self, image_id: images.ImageId) -> list[_Transfer]:
        return [one for one in self._transfers if one.image.id == image_id]

    def _step(self, one: _Transfer) -> bool:
        """Move one transfer's lanes; tell whether any ended."""
        before = [x for x in one.lanes.values() if x.phase.is_end]
        for store, lane in one.lanes.items():
            if not lane.phase.is_end:
                one.lanes[store] = self._move(one, lane)
        after = [x for x in one.lanes.values() if x.phase.is_end]
        if len(after) == len(one.lanes):
            one.ended_s = self._clock()
        return len(after) > len(before)

    def _move(self, one: _Transfer, lane: transfers.Lane) -> transfers.Lane:
        if one.is_cancelled:
            self._clear((one.image.id, lane.store))
            return dataclasses.replace(lane, phase=transfers.Phase.CANCELLED)
        if lane.store in one.broken_off:
            return dataclasses.replace(
                lane,
                phase=transfers.Phase.CANCELLED,
                error=exceptions.Stopped(one.broken_off[lane.store]),
            )
        if lane.store in self._troubles['hang']:
            return lane
        if lane.store in self._troubles['fail']:
            away = exceptions.ClusterUnavailable(f'{lane.store} is away')
            return _failed(lane, away)
        if self._source_error is not None:
            return _failed(lane, self._source_error)
        size = one.image.size_bytes or 0
        if lane.phase is transfers.Phase.COPYING:
            settled = min(size, lane.settled_bytes + size // 3 + 1)
            lane = dataclasses.replace(
                lane, settled_bytes=settled, sent_bytes=settled
            )
            if settled < size:
                return lane
        if lane.phase is transfers.Phase.PUBLISHING:
            return self._publish(one, lane)
        if lane.phase is transfers.Phase.REGISTERING:
            return self._register(one, lane)
        return dataclasses.replace(lane, phase=_NEXT[lane.phase])

    def _publish(self, one: _Transfer, lane: transfers.Lane) -> transfers.Lane:
        claim = (one.image.id, lane.store)
        url = self._glance.location(*claim).url
        if lane.store in self._troubles['damage']:
            error = exceptions.VerificationFailed('it is not what was sent')
            return _failed(lane, error)
        if claim not in self._claims and self._glance.data.is_taken(url):
            return _failed(lane, exceptions.OrphanInTheWay('name is taken'))
        self._claims.add(claim)
        self._glance.data.put(url, one.image.size_bytes or 0)
        return dataclasses.replace(lane, phase=_NEXT[lane.phase])

    def _register(
        self, one: _Transfer, lane: transfers.Lane
    ) -> transfers.Lane:
        try:
            image = self._glance.get(one.image.id)
        except exceptions.GlanceUnavailable:
            return lane
        except exceptions.DistributorError as exc:
            return _failed(lane, exc)
        if not image.is_active:
            return _failed(lane, exceptions.NotCopyable('it is not active'))
        if image.import_task is not None and not self._breaks_lock(image):
            since_s = one.waits_since_s.setdefault(lane.store, self._clock())
            if self._clock() - since_s < _LOCK_PATIENCE_S:
                return lane
            return _failed(lane, exceptions.ImportInProgress('it is locked'))
        if lane.store not in self._troubles['lose']:
            claim = (image.id, lane.store)
            try:
                self._glance.add_location(
                    image.id, self._glance.location(*claim)
                )
            except exceptions.DistributorError as exc:
                return _failed(lane, exc)
            self._claims.discard(claim)
        return dataclasses.replace(lane, phase=transfers.Phase.DONE)

    def _breaks_lock(self, image: images.Image) -> bool:
        """Break a stale lock by an import that begins nothing."""
        task = self._glance.import_task(image)
        if task is None:
            return False
        try:
            self._glance.copy_to_stores(image.id, sorted(image.stores)[:1])
        except exceptions.AlreadyPresent:
            return True
        except exceptions.DistributorError:
            return False
        raise AssertionError('an import was begun')

    def _clear(self, claim: Claim) -> None:
        """Remove what no location leads to."""
        if claim in self._claims:
            self._claims.discard(claim)
            location = self._glance.location(*claim)
            try:
                image = self._glance.get(claim[0])
            except exceptions.ImageNotFound:
                self._glance.data.remove(location.url)
            except exceptions.GlanceUnavailable:
                self._claims.add(claim)
            else:
                if location not in (image.locations or ()):
                    self._glance.data.remove(location.url)


def _failed(
    lane: transfers.Lane, error: exceptions.DistributorError
) -> transfers.Lane:
    return dataclasses.replace(lane, phase=transfers.Phase.FAILED, error=error)
