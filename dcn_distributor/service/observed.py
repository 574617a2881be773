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
"""A reconciler that is watched while it works.

It does what the one within does; beside that, each look is timed, counted
and logged under the id of the event that led to it.
"""

from collections.abc import Callable
import time

from oslo_context import context

from dcn_distributor.core import images
from dcn_distributor.service import books as booking
from dcn_distributor.service import census
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import witness as witnesses


class Observed:
    """See the module, and service.reconciler.Reconciler for the methods.

    :ivar counting: of all copies, at each look at all images
    """

    def __init__(
        self,
        reconciler: reconcilers.Reconciler,
        rule_book: rule_books.RuleBook,
        ledger: ledgers.Ledger,
        witness: witnesses.Witness,
        clock: Callable[[], float],
    ) -> None:
        self._reconciler = reconciler
        self._rule_book = rule_book
        self._ledger = ledger
        self._witness = witness
        self._clock = clock
        self.counting = census.Counting(clock)

    def reconcile(self, image_id: images.ImageId) -> booking.Outcome:
        """Look at one image; never raises."""
        traces = self._witness.traces
        event = traces.take(image_id)
        if event is not None and event.happened_s is not None:
            # The clock of the host that told may be ahead.
            lag_s = max(0.0, self._clock() - event.happened_s)
            self._witness.reacted(lag_s)
        # What this thread logs from now on says so; oslo.log keeps it.
        context.RequestContext(request_id=traces.of(image_id))
        begun_s = time.monotonic()
        outcome = self._reconciler.reconcile(image_id)
        self._witness.looked(time.monotonic() - begun_s)
        return outcome

    def is_settled(self, image: images.Image) -> bool:
        """Tell whether an image just read needs no look, and count it."""
        self.counting.add(
            image,
            self._rule_book.rules.policies.decide(image),
            self._ledger.history(image.id),
        )
        return self._reconciler.is_settled(image)

    def remembered(self) -> set[images.ImageId]:
        """The images that anything is remembered of."""
        return self._reconciler.remembered()

    def begin_round(self) -> None:
        """Prepare for a look at all images."""
        self.counting.begin(self._rule_book.rules.sites)
        self._reconciler.begin_round()

    def end_round(self) -> None:
        """Tidy up after a look at all images."""
        self._reconciler.end_round()
        self.counting.end()
