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

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
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

    def reports_of(
        self, image_id: images.ImageId
    ) -> tuple[transfers.Report, ...]:
        """Tell how far an image's streams are."""
        if self._engine is None:
            return ()
        return tuple(self._engine.reports_of(image_id))

    def obstacles(self, store: images.StoreId) -> tuple[str, ...]:
        """Tell what keeps streams from a store, as last checked."""
        if self._engine is None:
            return (_NOT_SET_UP,)
        return self._engine.obstacles(store)

    def prepare(self) -> None:
        """Wait a moment until it is known which sites streams can serve."""
        if self._engine is not None:
            self._engine.wait_for_checks(_CHECKS_S)

    def sweep(self, stores: Collection[images.StoreId]) -> None:
        """Have removed what streams that died left in these stores."""
        if self._engine is not None:
            self._engine.sweep(stores)

    def break_off(
        self,
        image_id: images.ImageId,
        stores: Collection[images.StoreId],
        reason: str,
    ) -> None:
        """Stop an image's streams to some stores; others go on.

        Once they have ended, the next look finds the stores missing, with no
        setback. A stream begun then resumes what was copied.
        """
        if self._engine is not None:
            self._engine.break_off(image_id, stores, reason)

    def let_go(self, image_id: images.ImageId) -> bool:
        """Call off the streams of an image that is gone; tell if any lasts."""
        reports = self.reports_of(image_id)
        if self._engine is None or not reports:
            return False
        self._engine.cancel(image_id)
        self._take_ended(image_id, reports)
        return not all(map(streaming.has_ended, reports))

    def follow(
        self, sight: booking.Sight, history: histories.History
    ) -> histories.History:
        """Book what became of the streams under way, if there are any."""
        image = sight.image
        history = history.with_verified(history.verified & image.stores)
        history = _remembering(sight.reports, history)
        request = history.request
        if request is None or request.engine != histories.RBD_STREAM:
            return history
        if self._engine is not None and not image.is_active:
            self._engine.cancel(image.id)
        return self._settle(sight, request, history)

    def begin(
        self,
        sight: booking.Sight,
        plan: planner.Plan,
        routes: planner.Routes,
        history: histories.History,
    ) -> booking.Outcome:
        """Start a stream, beside those under way, and book what comes of it.

        Those go on: what is remembered of the image is of all together.
        """
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
        self._books.ledger.keep(image.id, _with_begun(request, history))
        self._books.begun(image, plan, routes)
        return booking.Outcome(plan.look_again_s)

    def _start(self, image: images.Image, plan: planner.Plan) -> None:
        if self._engine is None:
            raise exceptions.ClusterUnavailable(_NOT_SET_UP)
        self._engine.start(image, plan.stores, plan.wishes)

    def _settle(
        self,
        sight: booking.Sight,
        request: histories.Request,
        history: histories.History,
    ) -> histories.History:
        """Book the outcome of each store that has one."""
        image, reports = sight.image, sight.reports
        now = self._books.clock()
        verdicts = {
            store: streaming.judge(image, reports, store, now)
            for store in request.stores
        }
        for store, verdict in verdicts.items():
            if verdict in (
                following.Verdict.COPIED,
                following.Verdict.FAILED,
            ):
                for flaw in streaming.flaws(reports, store):
                    self._books.witness.flawed(store, flaw)
            if verdict is following.Verdict.COPIED:
                history = self._arrived(sight, request, history, store)
            elif verdict is following.Verdict.FAILED:
                error = streaming.error(reports, store)
                history = self._failed(image, request, history, store, error)
        left = following.pending(verdicts)
        settled = [r for r in reports if not streaming.stores(r) & {*left}]
        self._take_ended(image.id, settled)
        request = dataclasses.replace(
            request,
            stores=left,
            waits_for_lock=_waits_for_lock(image, reports),
        )
        is_over = not left and all(map(streaming.has_ended, reports))
        history = history.with_request(None if is_over else request)
        self._books.ledger.keep(image.id, history)
        return history

    def _arrived(
        self,
        sight: booking.Sight,
        request: histories.Request,
        history: histories.History,
        store: images.StoreId,
    ) -> histories.History:
        """Book one store's copy; that of another agent is for it to tell."""
        image, reports = sight.image, sight.reports
        if streaming.is_of_others(reports, store):
            LOG.debug('image=%s store=%s: a copy of others', image.id, store)
            return history.without_setback(store)
        proof = streaming.proof(reports, store)
        return self._books.arrived(image, request, history, store, proof)

    def _take_ended(
        self, image_id: images.ImageId, reports: Iterable[transfers.Report]
    ) -> None:
        """Tell the engine that what has ended was booked."""
        for report in filter(streaming.has_ended, reports):
            if self._engine is not None:
                self._engine.take(image_id, streaming.stores(report))

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
        if isinstance(error, exceptions.Stopped):
            self._books.broken_off(image, request, history, store, reason)
            return history
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
    image: images.Image, reports: Iterable[transfers.Report]
) -> bool:
    """Tell whether an import keeps all that is left of streams waiting.

    What is left then is to name copies and to register them.
    """
    if image.import_task is None:
        return False
    left = [
        lane.phase
        for report in reports
        for lane in report.lanes
        if not lane.phase.is_end
    ]
    return bool(left) and all(phase in _BEHIND_LOCK for phase in left)


def _with_begun(
    request: histories.Request, history: histories.History
) -> histories.History:
    """Note a stream that has begun; an import is left aside."""
    under_way = history.request
    if under_way is None:
        return history.with_request(request)
    if under_way.engine == histories.RBD_STREAM:
        return history.with_request(under_way.with_more(request))
    return history.with_request(request).with_aside(under_way)


def _remembering(
    reports: Sequence[transfers.Report], history: histories.History
) -> histories.History:
    """Take over streams that nobody remembers."""
    request = history.request
    if not reports or (
        request is not None and request.engine == histories.RBD_STREAM
    ):
        return history
    began = {
        lane.store: report.started_s
        for report in reports
        for lane in report.lanes
    }
    first_s = min(began.values())
    return history.with_aside(request).with_request(
        histories.Request(
            tuple(began),
            first_s,
            first_s,
            engine=histories.RBD_STREAM,
            began=began,
        )
    )
