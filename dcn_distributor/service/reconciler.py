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
"""Look at one image and do what the rules ask for.

1. observe: read the image, and the task that holds its lock.
2. judge: what became of the import that was under way.
3. decide: by the policies, for every site.
4. plan: what to ask for now, and when to look again.
5. copy: have the engine start it.
6. report: one log line per placement that changed.

The copy is verified by Glance, which compares size and hashes with the
image's before it lists a store, and by the next look, which believes the
list only.

This is the one place that turns errors into outcomes.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import threading

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import decisions
from dcn_distributor.core import following
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import placements
from dcn_distributor.core import planner
from dcn_distributor.core import ports
from dcn_distributor.core import retry
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import rules as rule_books

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at an image led to: when to look again, None for never."""

    look_again_s: float | None = None


class Reconciler:
    """See the module. reconcile() may run for several images at once.

    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        glance: ports.Images,
        engine: ports.Engine,
        rule_book: rule_books.RuleBook,
        ledger: ledgers.Ledger,
        limits: planner.Limits,
        clock: Callable[[], float],
    ) -> None:
        self._glance = glance
        self._engine = engine
        self._rule_book = rule_book
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[images.ImageId, int] = {}

    def reconcile(self, image_id: images.ImageId) -> Outcome:
        """Look at one image; never raises."""
        try:
            outcome = self._look(image_id)
        except exceptions.ImageNotFound:
            LOG.debug('image=%s is not in Glance', image_id)
            self._ledger.forget(image_id)
            outcome = Outcome()
        except exceptions.DistributorError as exc:
            return self._try_again(image_id, exc)
        except Exception as exc:
            LOG.exception('image=%s: a bug in dcn_distributor', image_id)
            return self._try_again(image_id, exc)
        self._note_success(image_id)
        return outcome

    def is_settled(self, image: images.Image) -> bool:
        """Tell whether an image just read needs no look.

        Since there is nothing to do, or only a change can help, or it will
        be woken when its turn has come.
        """
        rules = self._rule_book.rules
        missing = planner.missing_stores(image, rules.policies.decide(image))
        history = self._ledger.history(image.id)
        if history.request is not None or set(history.setbacks) - {*missing}:
            return False
        setbacks = history.under(_circumstances(image, rules)).setbacks
        return self._ledger.will_wake(
            image.id,
            [
                store
                for store in missing
                if store not in setbacks or not setbacks[store].is_permanent
            ],
        )

    def _look(self, image_id: images.ImageId) -> Outcome:
        rules = self._rule_book.rules
        image = self._glance.get(image_id)
        decided = rules.policies.decide(image)
        history = self._ledger.history(image_id)
        history = history.under(_circumstances(image, rules))
        missing = planner.missing_stores(image, decided)
        history = self._judge(image, history)
        history = self._watch_for_stall(image, history, missing)
        history = self._refuse_unknown(history, missing, rules)
        history = history.pruned(missing)
        plan = self._ledger.plan(image, decided, history)
        for wait in plan.waits:
            LOG.debug(
                'image=%s store=%s waits: %s',
                image_id,
                wait.store,
                wait.reason,
            )
        if not plan.stores:
            return Outcome(plan.look_again_s)
        return self._copy(image, decided, plan, history)

    def _try_again(self, image_id: images.ImageId, exc: Exception) -> Outcome:
        """Put an image off; say so of the first, which may be an outage's."""
        self._ledger.hand_back(image_id)
        with self._lock:
            is_first = not self._failures
            failures = self._failures.get(image_id, 0) + 1
            self._failures[image_id] = failures
        if is_first:
            LOG.warning(
                'image=%s cannot be looked at, trying on; others that cannot '
                'either are told at DEBUG: %s',
                image_id,
                exc,
            )
        wait_s = retry.delay_s(self._limits.backoff, failures, image_id)
        LOG.debug('image=%s next try in %.0f s: %s', image_id, wait_s, exc)
        return Outcome(wait_s)

    def _note_success(self, image_id: images.ImageId) -> None:
        with self._lock:
            had_failed = self._failures.pop(image_id, None) is not None
            is_last = had_failed and not self._failures
        if is_last:
            LOG.info('All images can be looked at again')

    # -- what became of the import under way

    def _judge(
        self, image: images.Image, history: histories.History
    ) -> histories.History:
        now = self._clock()
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
        now = self._clock()
        verdicts = {
            store: following.judge(image, request, store, now)
            for store in request.stores
        }
        told = ''
        if following.Verdict.FAILED in verdicts.values():
            told = self._last_words(image)
        for store, verdict in verdicts.items():
            if verdict is following.Verdict.COPIED:
                history = self._arrived(image, history, store)
            elif verdict is following.Verdict.FAILED:
                reason = f'{following.failure(image, store)}{told}'
                history = self._failed(image, history, store, reason)
        if following.has_ended(image, request, now):
            history = history.with_request(None)
        else:
            left = following.pending(verdicts)
            history = history.with_request(
                dataclasses.replace(request, stores=left)
            )
        self._ledger.keep(image.id, history)
        return history

    def _last_words(self, image: images.Image) -> str:
        task = self._glance.last_import_task(image.id)
        return (
            f'; its task says: {task.message}' if task and task.message else ''
        )

    def _watch_for_stall(
        self,
        image: images.Image,
        history: histories.History,
        missing: Sequence[images.StoreId],
    ) -> histories.History:
        """Give up waiting for an import that shows no sign of life."""
        request = history.request
        now = self._clock()
        if request is None or not planner.is_stuck(
            request, image, self._limits, now
        ):
            return history
        if not missing:
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
            history = self._failed(image, history, suspect, reason)
        return history

    # -- what to ask for

    def _refuse_unknown(
        self,
        history: histories.History,
        missing: Sequence[images.StoreId],
        rules: rule_books.Rules,
    ) -> histories.History:
        if rules.known_stores is None:
            return history
        for store in missing:
            if store not in rules.known_stores:
                history = history.with_refusal(
                    store, f'Glance has no store {store}'
                )
        return history

    def _copy(
        self,
        image: images.Image,
        decided: decisions.Decisions,
        plan: planner.Plan,
        history: histories.History,
    ) -> Outcome:
        """Have the engine start, and book what it says."""
        try:
            self._start(image, plan, history)
        except exceptions.AlreadyPresent as exc:
            LOG.debug('image=%s %s', image.id, exc)
            return Outcome(self._limits.poll_s)
        except exceptions.ImportInProgress as exc:
            LOG.debug('image=%s %s', image.id, exc)
            return self._locked_out(image, history)
        except exceptions.StoreUnknown:
            self._rule_book.set_known_stores(self._glance.stores())
            raise
        except (
            exceptions.NotCopyable,
            exceptions.ImportDisabled,
            exceptions.AccessDenied,
        ) as exc:
            missing = planner.missing_stores(image, decided)
            return self._refused(image, missing, history, str(exc))
        reasons = {d.site.store: d.reason for d in decided.by_site}
        for store in plan.stores:
            self._report(
                image, store, placements.State.COPYING, reasons[store], 0.0
            )
        return Outcome(plan.look_again_s)

    def _start(
        self,
        image: images.Image,
        plan: planner.Plan,
        history: histories.History,
    ) -> None:
        """Start the copy; give the slot back if that fails."""
        try:
            self._engine.start(image, plan.stores)
        except BaseException:
            self._ledger.keep(image.id, history)
            raise
        now = self._clock()
        request = histories.Request(plan.stores, now, now)
        self._ledger.keep(image.id, history.with_request(request))

    def _locked_out(
        self, image: images.Image, history: histories.History
    ) -> Outcome:
        """Somebody else was first, or a lock we thought stale is not yet."""
        if history.request is not None:
            request = history.request.seen('still locked', self._clock())
            history = history.with_request(request)
        self._ledger.keep(image.id, history)
        return Outcome(look_again_s=self._limits.poll_s)

    def _refused(
        self,
        image: images.Image,
        missing: Sequence[images.StoreId],
        history: histories.History,
        reason: str,
    ) -> Outcome:
        """Glance will not copy this image: trying again changes nothing.

        That is believed when it is said a second time: right after an image
        was saved, an API host at a database server that lags may not know.
        """
        is_final = all(store in history.setbacks for store in missing)
        for store in missing:
            if is_final:
                history = history.with_refusal(store, reason)
            else:
                history = history.with_failure(
                    store, reason, self._limits.backoff, self._clock()
                )
            self._report(image, store, placements.State.FAILED, reason, 0.0)
        if is_final:
            LOG.warning(
                'image=%s is not tried again until it, the policies or the '
                'sites change, or a resync is asked for: %s',
                image.id,
                reason,
            )
        self._ledger.keep(image.id, history)
        return Outcome(look_again_s=1.0)

    # -- what to say

    def _arrived(
        self,
        image: images.Image,
        history: histories.History,
        store: images.StoreId,
    ) -> histories.History:
        self._ledger.note_success(store)
        reason = 'Glance lists the store'
        seconds = self._seconds(history)
        self._report(image, store, placements.State.PRESENT, reason, seconds)
        return history.with_success(store)

    def _failed(
        self,
        image: images.Image,
        history: histories.History,
        store: images.StoreId,
        reason: str,
    ) -> histories.History:
        self._ledger.note_failure(store, reason)
        seconds = self._seconds(history)
        self._report(image, store, placements.State.FAILED, reason, seconds)
        return history.with_failure(
            store, reason, self._limits.backoff, self._clock()
        )

    def _seconds(self, history: histories.History) -> float:
        """How long the import under way has lasted."""
        request = history.request
        return 0.0 if request is None else self._clock() - request.started_s

    def _report(
        self,
        image: images.Image,
        store: images.StoreId,
        state: placements.State,
        reason: str,
        seconds: float,
    ) -> None:
        LOG.info(
            'placement image=%(image)s store=%(store)s state=%(state)s '
            'engine=%(engine)s seconds=%(seconds).1f reason=%(reason)s',
            {
                'image': image.id,
                'store': store,
                'state': state.value,
                'engine': self._engine.name,
                'seconds': seconds,
                'reason': reason,
            },
        )


def _circumstances(image: images.Image, rules: rule_books.Rules) -> object:
    """What must change for a store to be tried that failed for good."""
    return (rules.generation, image.fingerprint)
