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
alike.
"""

from collections.abc import Callable
import dataclasses

from oslo_log import log

from dcn_distributor.core import choosing
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import placements
from dcn_distributor.core import planner
from dcn_distributor.core import transfers
from dcn_distributor.service import ledger as ledgers

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at an image led to: when to look again, None for never."""

    look_again_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What one look sees of an image.

    :ivar report: of its stream; from before the image was read, so that
        what the report calls done shows in the image
    :ivar missing: the stores that should hold it and do not
    """

    image: images.Image
    report: transfers.Report | None
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
    ) -> None:
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
            state = placements.State.COPYING
            self._tell(image, store, state, plan.engine, 0.0, reason)

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
        reason = 'Glance lists the store'
        state = placements.State.PRESENT
        if proof in (transfers.Verify.FULL, transfers.Verify.CHECKSUM):
            reason += f', and the copy was proved (verify: {proof.value})'
            state = placements.State.VERIFIED
            history = history.with_verified({*history.verified, store})
        seconds = self._seconds(request)
        self._tell(image, store, state, request.engine, seconds, reason)
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
        return self.put_off(image, request, history, store, reason)

    def put_off(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a copy that did not arrive, for reasons of its own."""
        self._tell_failure(image, request, store, reason)
        return history.with_failure(
            store, request.engine, reason, self.limits.backoff, self.clock()
        )

    def doubted(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        """Note a refusal that is believed when it is said once more."""
        self._tell_failure(image, request, store, reason)
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
        self._tell_failure(image, request, store, reason)
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
        self._tell_failure(image, request, store, reason)
        return history.with_refusal(store, request.engine, reason)

    def _tell_failure(
        self,
        image: images.Image,
        request: histories.Request,
        store: images.StoreId,
        reason: str,
    ) -> None:
        self._tell(
            image,
            store,
            placements.State.FAILED,
            request.engine,
            self._seconds(request),
            reason,
        )

    def _seconds(self, request: histories.Request) -> float:
        return self.clock() - request.started_s

    def _tell(
        self,
        image: images.Image,
        store: images.StoreId,
        state: placements.State,
        engine: str,
        seconds: float,
        reason: str,
    ) -> None:
        LOG.info(
            'placement image=%(image)s store=%(store)s state=%(state)s '
            'engine=%(engine)s seconds=%(seconds).1f reason=%(reason)s',
            {
                'image': image.id,
                'store': store,
                'state': state.value,
                'engine': engine,
                'seconds': seconds,
                'reason': reason,
            },
        )
