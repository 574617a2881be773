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
"""Copies by copy-image, from the request to the booked outcome.

Glance does the work, and takes one import an image. Whoever asked for it:
an import that holds the image's lock is followed, and what became of it is
read off the image (core.following).
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import following
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import planner
from dcn_distributor.core import ports
from dcn_distributor.service import books as booking
from dcn_distributor.service import rules as rule_books

LOG = log.getLogger(__name__)


class Imports:
    """See the module, and service.reconciler.Course for the contract.

    :param note_obstacle: is told why Glance copies no image at all
    """

    def __init__(
        self,
        glance: ports.Images,
        engine: ports.Engine,
        rule_book: rule_books.RuleBook,
        books: booking.Books,
        note_obstacle: Callable[[str], None],
    ) -> None:
        self._glance = glance
        self._engine = engine
        self._rule_book = rule_book
        self._books = books
        self._note_obstacle = note_obstacle
        # What was asked for when Glance did not say whether it has begun;
        # only until the next look, which sees that.
        self._asked: dict[images.ImageId, tuple[images.StoreId, ...]] = {}

    def follow(
        self, sight: booking.Sight, history: histories.History
    ) -> histories.History:
        """Book what became of the import under way, if there is one."""
        self._asked.pop(sight.image.id, None)
        request = history.request
        if request is not None and request.engine != histories.COPY_IMAGE:
            return history
        if history.aside is not None:
            history = _with_aside_again(sight.image, history)
        history = self._judge(sight.image, history)
        return self._watch_for_stall(sight, history)

    def begin(
        self,
        sight: booking.Sight,
        plan: planner.Plan,
        routes: planner.Routes,
        history: histories.History,
    ) -> booking.Outcome:
        """Have Glance start an import, and book what it says."""
        image = sight.image
        try:
            self._start(image, plan, history)
        except exceptions.AlreadyPresent as exc:
            LOG.debug('image=%s %s', image.id, exc)
            return booking.Outcome(self._books.limits.poll_s)
        except exceptions.ImportInProgress as exc:
            LOG.debug('image=%s %s', image.id, exc)
            return self._locked_out(image, history)
        except exceptions.StoreUnknown as exc:
            known_stores = self._glance.stores()
            self._rule_book.set_known_stores(known_stores)
            if not known_stores.issuperset(plan.stores):
                raise
            # Some API host does not know what another does.
            return self._put_off(image, plan.stores, history, str(exc))
        except exceptions.ImportDisabled as exc:
            # Then no image fares better.
            self._note_obstacle(str(exc))
            return booking.Outcome(look_again_s=1.0)
        except (exceptions.NotCopyable, exceptions.AccessDenied) as exc:
            stores = [s for s, r in routes.items() if r.engine == plan.engine]
            return self._refused(image, stores, history, str(exc))
        except exceptions.ImageNotFound:
            self._asked[image.id] = plan.stores
            raise
        except exceptions.TemporaryError as exc:
            # The image could be read a moment ago: no outage, but a quota,
            # or an API host that fails at this very request. If the import
            # has begun all the same, the next look finds it.
            self._asked[image.id] = plan.stores
            return self._put_off(image, plan.stores, history, str(exc))
        self._books.begun(image, plan, routes)
        return booking.Outcome(plan.look_again_s)

    def let_go(self, image_id: images.ImageId) -> None:
        """Say where an import may leave a copy, as its image is gone.

        Glance writes the store at hand to its end, fails to list the copy,
        and removes it from nowhere (seen with 25.1 and 33).
        """
        stores = self._asked.pop(image_id, ())
        request = self._books.ledger.history(image_id).request
        if request is not None and request.engine == histories.COPY_IMAGE:
            stores = request.stores
        if stores:
            LOG.warning(
                'image=%s was deleted while Glance copied it to %s: Glance '
                'may leave what it was writing. Look for that with: '
                'dcn-distributor clean %s',
                image_id,
                ', '.join(sorted(stores)),
                image_id,
            )

    # -- what became of the import under way

    def _judge(
        self, image: images.Image, history: histories.History
    ) -> histories.History:
        now = self._books.clock()
        request = history.request
        if request is not None and following.has_ended(image, request, now):
            history = self._settle(image, history, request)
        task = self._glance.import_task(image)
        request = following.follow(image, task, history.request, now)
        if request is None:
            return history
        return self._settle(image, history.with_request(request), request)

    def _settle(
        self,
        image: images.Image,
        history: histories.History,
        request: histories.Request,
    ) -> histories.History:
        """Book the outcome of each store that has one."""
        now = self._books.clock()
        verdicts = {
            store: following.judge(image, request, store, now)
            for store in request.stores
        }
        told, book = '', self._books.failed
        if following.Verdict.FAILED in verdicts.values():
            task = self._glance.last_import_task(image.id)
            if task and task.message:
                told = f'; its task says: {task.message}'
            if task and task.has_failed:
                # It never came to the stores.
                book = self._books.put_off
        for store, verdict in verdicts.items():
            if verdict is following.Verdict.COPIED:
                history = self._books.arrived(image, request, history, store)
            elif verdict is following.Verdict.FAILED:
                reason = f'{following.failure(image, store)}{told}'
                history = book(image, request, history, store, reason)
        if following.has_ended(image, request, now):
            history = history.with_request(None)
        else:
            left = following.pending(verdicts)
            history = history.with_request(
                dataclasses.replace(request, stores=left)
            )
        self._books.ledger.keep(image.id, history)
        return history

    def _watch_for_stall(
        self, sight: booking.Sight, history: histories.History
    ) -> histories.History:
        """Give up waiting for an import that shows no sign of life."""
        image, request = sight.image, history.request
        now = self._books.clock()
        if request is None or not planner.is_stuck(
            request, image, self._books.limits, now
        ):
            return history
        if not sight.missing:
            # A lock that nobody gives back any more, and nobody needs.
            return history.with_request(None)
        if request.is_stuck:
            return history
        silent_s = now - request.progress_s
        suspect = following.being_written(image, request)
        LOG.warning(
            'image=%s import %s is stuck: no sign of life for %.0f s, at '
            '%s. See the log of the Glance API host and the health of that '
            "store's cluster; Glance lets the lock be broken after an hour.",
            image.id,
            image.import_task,
            silent_s,
            'its begin' if suspect is None else f'store {suspect} or staging',
        )
        history = history.with_request(
            dataclasses.replace(request, is_stuck=True)
        )
        if suspect is not None:
            reason = f'the import was stuck for {silent_s:.0f} s'
            history = self._books.failed(
                image, request, history, suspect, reason
            )
        return history

    # -- what Glance says to a request

    def _start(
        self,
        image: images.Image,
        plan: planner.Plan,
        history: histories.History,
    ) -> None:
        """Start the copy; give the slot back if that fails."""
        ledger = self._books.ledger
        try:
            self._engine.start(image, plan.stores, plan.wishes)
        except BaseException:
            ledger.keep(image.id, history)
            raise
        request = self._request(plan.stores)
        ledger.keep(image.id, history.with_request(request))

    def _request(self, stores: Sequence[images.StoreId]) -> histories.Request:
        now = self._books.clock()
        return histories.Request(tuple(stores), now, now)

    def _locked_out(
        self, image: images.Image, history: histories.History
    ) -> booking.Outcome:
        """Somebody else was first, or a lock we thought stale is not yet."""
        if history.request is not None:
            now = self._books.clock()
            request = history.request.seen('still locked', now)
            history = history.with_request(request)
        self._books.ledger.keep(image.id, history)
        return booking.Outcome(look_again_s=self._books.limits.poll_s)

    def _put_off(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        history: histories.History,
        reason: str,
    ) -> booking.Outcome:
        """Glance will not copy this image now."""
        return self._book(self._books.put_off, image, stores, history, reason)

    def _refused(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        history: histories.History,
        reason: str,
    ) -> booking.Outcome:
        """Glance will not copy this image: trying again changes nothing.

        That is believed when it is said twice in a row: right after an image
        was saved, an API host at a database server that lags may not know.
        """
        is_final = all(
            history.tries(store, histories.COPY_IMAGE).refusals
            for store in stores
        )
        book = self._books.refused if is_final else self._books.doubted
        outcome = self._book(book, image, stores, history, reason)
        if is_final:
            LOG.warning(
                'image=%s is not tried again by copy-image until it, the '
                'policies or the sites change, or a resync is asked for: %s',
                image.id,
                reason,
            )
        return outcome

    def _book(
        self,
        book: Callable[..., histories.History],
        image: images.Image,
        stores: Sequence[images.StoreId],
        history: histories.History,
        reason: str,
    ) -> booking.Outcome:
        """Book what Glance said to a request, for each of its stores."""
        request = self._request(stores)
        for store in stores:
            history = book(image, request, history, store, reason)
        self._books.ledger.keep(image.id, history)
        return booking.Outcome(look_again_s=1.0)


def _with_aside_again(
    image: images.Image, history: histories.History
) -> histories.History:
    """Take up an import that a stream had left alone, if it lasts."""
    aside = history.aside
    history = history.with_aside(None)
    if aside is None or history.request is not None:
        return history
    lasts = aside.task_id is not None and aside.task_id == image.import_task
    return history.with_request(aside) if lasts else history
