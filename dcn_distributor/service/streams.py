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
"""Copies by rbd-stream, from the start to the booked outcome.

The engine works in this process and reports; a store has the copy when
Glance lists it (core.streaming).
"""

import dataclasses

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import following
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import planner
from dcn_distributor.core import ports
from dcn_distributor.core import streaming
from dcn_distributor.core import transfers
from dcn_distributor.service import books as booking

LOG = log.getLogger(__name__)

_NOT_SET_UP = 'it is not set up'

# What other images will meet there, too.
_TARGETS_FAULTS = (exceptions.ClusterUnavailable, exceptions.StoreFull)

# Somebody else is at work: another engine would not get on either.
_NOBODYS_FAULTS = (
    exceptions.ImportInProgress,
    exceptions.CopyInProgress,
    exceptions.AlreadyPresent,
)

# In these nothing big is read or written any more.
_BEHIND_LOCK = (transfers.Phase.PUBLISHING, transfers.Phase.REGISTERING)

# How long to wait for the first word of clusters that do not answer.
_CHECKS_S = 5.0


class Streams:
    """See the module, and service.reconciler.Course for the contract.

    :param engine: None where no site has cluster settings
    """

    def __init__(
        self, engine: ports.StreamEngine | None, books: booking.Books
    ) -> None:
        self._engine = engine
        self._books = books

    def report(self, image_id: images.ImageId) -> transfers.Report | None:
        """Tell how far an image's stream is, None if there is none."""
        return None if self._engine is None else self._engine.report(image_id)

    def obstacles(self, store: images.StoreId) -> tuple[str, ...]:
        """Tell what keeps streams from a store, as last checked."""
        if self._engine is None:
            return (_NOT_SET_UP,)
        return self._engine.obstacles(store)

    def prepare(self) -> None:
        """Wait a moment until it is known which sites streams can serve."""
        if self._engine is not None:
            self._engine.wait_for_checks(_CHECKS_S)

    def sweep(self) -> None:
        """Have removed what streams that died left."""
        if self._engine is not None:
            self._engine.sweep()

    def let_go(self, image_id: images.ImageId) -> bool:
        """Call off the stream of an image that is gone; tell if it lasts."""
        report = self.report(image_id)
        if self._engine is None or report is None:
            return False
        if report.ended_s is None:
            self._engine.cancel(image_id)
            return True
        self._engine.take(image_id)
        return False

    def follow(
        self, sight: booking.Sight, history: histories.History
    ) -> histories.History:
        """Book what became of the stream under way, if there is one."""
        image, report = sight.image, sight.report
        history = history.with_verified(history.verified & image.stores)
        if report is not None:
            history = _remembering(report, history)
        request = history.request
        if request is None or request.engine != histories.RBD_STREAM:
            return history
        if self._engine is not None and not image.is_active:
            self._engine.cancel(image.id)
        return self._settle(image, report, request, history)

    def begin(
        self,
        sight: booking.Sight,
        plan: planner.Plan,
        routes: planner.Routes,
        history: histories.History,
    ) -> booking.Outcome:
        """Start a stream, and book what the engine says."""
        image, now = sight.image, self._books.clock()
        request = histories.Request(
            plan.stores,
            now,
            now,
            engine=histories.RBD_STREAM,
            reasons={
                store: routes[store].reason
                for store in plan.stores
                if store in routes
            },
        )
        begun = history.with_request(request)
        if history.request is not None:
            begun = begun.with_aside(history.request)
        try:
            self._start(image, plan)
        except exceptions.ImageNotFound:
            raise
        except exceptions.DistributorError as exc:
            error: exceptions.DistributorError = exc
            if isinstance(exc, exceptions.NotCopyable) and image.size_bytes:
                # Not the image is to blame, but where its copies are.
                error = exceptions.SourceUnavailable(str(exc))
            for store in plan.stores:
                history = self._failed(image, request, history, store, error)
            self._books.ledger.keep(image.id, history)
            return booking.Outcome(look_again_s=1.0)
        except BaseException:
            self._books.ledger.keep(image.id, history)
            raise
        self._books.ledger.keep(image.id, begun)
        self._books.begun(image, plan, routes)
        return booking.Outcome(plan.look_again_s)

    def _start(self, image: images.Image, plan: planner.Plan) -> None:
        if self._engine is None:
            raise exceptions.ClusterUnavailable(_NOT_SET_UP)
        self._engine.start(image, plan.stores, plan.wishes)

    def _settle(
        self,
        image: images.Image,
        report: transfers.Report | None,
        request: histories.Request,
        history: histories.History,
    ) -> histories.History:
        """Book the outcome of each store that has one."""
        now = self._books.clock()
        verdicts = {
            store: streaming.judge(image, report, store, now)
            for store in request.stores
        }
        for store, verdict in verdicts.items():
            if verdict is following.Verdict.COPIED:
                proof = streaming.proof(report, store)
                history = self._books.arrived(
                    image, request, history, store, proof
                )
            elif verdict is following.Verdict.FAILED:
                error = streaming.error(report, store)
                history = self._failed(image, request, history, store, error)
        left = following.pending(verdicts)
        is_over = not left and (report is None or report.ended_s is not None)
        if is_over and self._engine is not None and report is not None:
            self._engine.take(image.id)
        request = dataclasses.replace(
            request,
            stores=left,
            waits_for_lock=_waits_for_lock(image, report),
        )
        history = history.with_request(None if is_over else request)
        self._books.ledger.keep(image.id, history)
        return history

    def _failed(
        self,
        image: images.Image,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
        error: exceptions.DistributorError,
    ) -> histories.History:
        """Book one store's failure by what can help against it."""
        reason = str(error) or type(error).__name__
        if isinstance(error, exceptions.Cancelled):
            LOG.debug('image=%s store=%s: %s', image.id, store, reason)
            return history
        if isinstance(error, exceptions.CopyNotFound):
            # Copies come and go without a change of what History goes by.
            return self._books.put_off(image, request, history, store, reason)
        if isinstance(error, exceptions.PermanentError):
            LOG.warning(
                'image=%s store=%s is not tried again by rbd-stream until '
                'the image, the policies or the sites change, or a resync '
                'is asked for: %s',
                image.id,
                store,
                reason,
            )
            return self._books.refused(image, request, history, store, reason)
        if isinstance(error, _TARGETS_FAULTS):
            return self._books.failed(image, request, history, store, reason)
        if isinstance(error, _NOBODYS_FAULTS):
            return self._books.held_up(image, request, history, store, reason)
        return self._books.put_off(image, request, history, store, reason)


def _waits_for_lock(
    image: images.Image, report: transfers.Report | None
) -> bool:
    """Tell whether an import keeps all that is left of a stream waiting.

    What is left then is to name copies and to register them.
    """
    if image.import_task is None or report is None:
        return False
    left = [lane.phase for lane in report.lanes if not lane.phase.is_end]
    return bool(left) and all(phase in _BEHIND_LOCK for phase in left)


def _remembering(
    report: transfers.Report, history: histories.History
) -> histories.History:
    """Take over a stream that nobody remembers."""
    request = history.request
    if request is not None and request.engine == histories.RBD_STREAM:
        return history
    return history.with_aside(request).with_request(
        histories.Request(
            tuple(lane.store for lane in report.lanes),
            report.started_s,
            report.started_s,
            engine=histories.RBD_STREAM,
        )
    )
