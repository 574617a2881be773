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
"""What an agent is made of."""

import dataclasses

from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.service import gatekeeper as gatekeepers
from dcn_distributor.service import journal as journals
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import observed as watching
from dcn_distributor.service import orders
from dcn_distributor.service import pauses
from dcn_distributor.service import progress as progresses
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import resync as resyncs
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import watched_images
from dcn_distributor.service import witness as witnesses
from dcn_distributor.service import work_queue
from dcn_distributor.service import workers as worker_threads


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """All of it but what listens to the bus.

    :ivar streams: None if rbd-stream may not be used
    """

    glance: watched_images.WatchedImages
    streams: ports.StreamEngine | None
    queue: 'work_queue.WorkQueue[images.ImageId]'
    ledger: ledgers.Ledger
    rule_book: rule_books.RuleBook
    order_book: orders.OrderBook
    reconciler: reconcilers.Reconciler
    workers: worker_threads.Workers
    resync: resyncs.Resync
    progress: progresses.Progress
    observed: watching.Observed
    witness: witnesses.Witness
    group: ports.Group
    pause_book: pauses.PauseBook
    gatekeeper: gatekeepers.Gatekeeper
    journal: journals.Journal
