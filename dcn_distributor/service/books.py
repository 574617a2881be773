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
"""Books what becomes of copies: in the history, in the load, and in the log.

One log line per placement that changed. Both engines' copies are booked here
alike, and told to whoever counts them.
"""

from collections.abc import Callable
import dataclasses
import logging

from oslo_log import log

from dcn_distributor.core import choosing
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import planner
from dcn_distributor.core import transfers
from dcn_distributor.core import transitions
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import witness as witnesses

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at an image led to: when to look again, None for never."""

    look_again_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What one look sees of an image.

    :ivar reports: of its streams; from before the image was read, so that
        what a report calls done shows in the image
    :ivar missing: the stores that should hold it and do not
    """

    image: images.Image
    reports: tuple[transfers.Report, ...]
    missing: tuple[images.StoreId, ...]


class Books:
    """See the module.

    :param options: which engines may be used
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        ledger: ledgers.Ledger,
        limits: planner.Limits,
        options: choosing.Options,
        clock: Callable[[], float],
        witness: witnesses.Witness,
    ) -> None:
        self.witness = witness
        self.ledger = ledger
        self.limits = limits
        self.options = options
        self.clock = clock

    def begun(
        self, image: images.Image, plan: planner.Plan, routes: planner.Routes
    ) -> None:
        """Tell of a copy that was begun."""
        for store in plan.stores:
            reason = f'{routes[store].wanted}; {routes[store].reason}'
            begun = self._transition(
                image, store, placements.State.COPYING, plan.engine, reason
            )
            self._tell(image, self.ledger.history(image.id), begun)

    def arrived(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        proof: transfers.Verify | None = None,
    ) -> histories.History:
        """Note a copy that Glance lists, and what proved it."""
        self.ledger.note_success((store, request.engine))
        if request.engine == histories.COPY_IMAGE:
            self.ledger.note_import(
                store, image.size_bytes or 0, request.started_s
            )
        reason = 'Glance lists the store'
        state = placements.State.PRESENT
        if proof in (transfers.Verify.FULL, transfers.Verify.CHECKSUM):
            reason += f', and the copy was proved (verify: {proof.value})'
            state = placements.State.VERIFIED
            history = history.with_verified({*history.verified, store})
        seconds = self._seconds(request, store)
        self.witness.arrived(image, store, request.engine, seconds)
        arrived = self._end(image, request, store, state, reason)
        self._tell(image, history, arrived)
        return history.without_setback(store)

    def failed(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a copy that did not arrive, and may not for other images."""
        turn = (store, request.engine)
        failures = self.ledger.note_failure(turn, reason)
        if failures == self.options.fallback_after:
            # Those that wait for it may have another engine from now on.
            self.ledger.release(turn)
        kind = observing.Attempt.FAILED
        return self._later(image, request, history, store, reason, kind)

    def put_off(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a copy that did not arrive, for reasons of its own."""
        kind = observing.Attempt.PUT_OFF
        return self._later(image, request, history, store, reason, kind)

    def doubted(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a refusal that is believed when it is said once more."""
        kind = observing.Attempt.DOUBTED
        self._tell_failure(image, request, history, store, reason, kind)
        return history.with_doubt(
            store, request.engine, reason, self.limits.backoff, self.clock()
        )

    def held_up(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a copy that has to wait for somebody else's work."""
        kind = observing.Attempt.HELD_UP
        self._tell_failure(image, request, history, store, reason, kind)
        return history.with_delay(
            store, reason, self.limits.backoff, self.clock()
        )

    def refused(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note that trying again with this engine changes nothing."""
        kind = observing.Attempt.REFUSED
        self._tell_failure(image, request, history, store, reason, kind)
        return history.with_refusal(store, request.engine, reason)

    def broken_off(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> None:
        """Tell of a copy that was broken off: the store merely lacks it."""
        reason = f'broken off, to be resumed: {reason}'
        state = placements.State.ABSENT
        ended = self._end(image, request, store, state, reason)
        self._tell(image, history, ended)

    def _later(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
        kind: observing.Attempt,
    ) -> histories.History:
        self._tell_failure(image, request, history, store, reason, kind)
        return history.with_failure(
            store, request.engine, reason, self.limits.backoff, self.clock()
        )

    def _tell_failure(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
        kind: observing.Attempt,
    ) -> None:
        self.witness.attempted(store, kind)
        state = placements.State.FAILED
        ended = self._end(image, request, store, state, reason)
        self._tell(image, history, dataclasses.replace(ended, failure=kind))

    def _seconds(
        self, request: histories.Request, store: images.StoreId
    ) -> float:
        return self.clock() - request.began_s(store)

    def _end(
        self,
        image: images.Image,
        request: histories.Request,
        store: images.StoreId,
        state: placements.State,
        reason: str,
    ) -> transitions.Transition:
        ended = self._transition(image, store, state, request.engine, reason)
        seconds = self._seconds(request, store)
        return dataclasses.replace(ended, seconds=seconds)

    def _transition(
        self,
        image: images.Image,
        store: images.StoreId,
        state: placements.State,
        engine: str,
        reason: str,
    ) -> transitions.Transition:
        trace = self.witness.traces.of(image.id)
        return transitions.Transition(
            self.clock(), store, state, engine, 0.0, reason, trace
        )

    def _tell(
        self,
        image: images.Image,
        history: histories.History,
        transition: transitions.Transition,
    ) -> None:
        """Log it and have it told; `history` is what was before it."""
        store = transition.store
        LOG.log(
            logging.INFO if self.witness.tells(store) else logging.DEBUG,
            'placement image=%(image)s store=%(store)s state=%(state)s '
            'engine=%(engine)s seconds=%(seconds).1f trace=%(trace)s '
            'reason=%(reason)s',
            {
                'image': image.id,
                'store': store,
                'state': transition.state.value,
                'engine': transition.engine,
                'seconds': transition.seconds,
                'trace': transition.trace,
                'reason': transition.reason,
            },
        )
        setback = history.setbacks.get(store)
        failures = 0 if setback is None else setback.failures
        self.witness.changed(
            image, dataclasses.replace(transition, attempt=failures + 1)
        )
