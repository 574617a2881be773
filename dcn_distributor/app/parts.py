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
"""Builds all that an agent is made of."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from pathlib import Path
import time

from oslo_context import context

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import planner
from dcn_distributor.core import ports
from dcn_distributor.core import transitions
from dcn_distributor.engines import copy_image
from dcn_distributor.service import books as booking
from dcn_distributor.service import gatekeeper as gatekeepers
from dcn_distributor.service import herald as heralds
from dcn_distributor.service import journal as journals
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import observed as watching
from dcn_distributor.service import orders
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import pauses
from dcn_distributor.service import progress as progresses
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import resync as resyncs
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import traces
from dcn_distributor.service import watched_images
from dcn_distributor.service import witness as witnesses
from dcn_distributor.service import work_queue
from dcn_distributor.service import workers as worker_threads

MakeStreams = Callable[
    [Callable[[images.ImageId], None], Callable[[], None]],
    ports.StreamEngine | None,
]
OpenGroup = Callable[[Callable[[], None]], ports.Group]

_Queue = work_queue.WorkQueue[images.ImageId]


def build(
    settings: configuration.Settings,
    rules: rule_books.Files,
    port: watched_images.WatchedImages,
    make_streams: MakeStreams,
    open_group: OpenGroup,
    observer: observing.Observer,
    hearers: Sequence[transitions.Hearer],
) -> all_parts.Parts:
    """Build all that an agent is made of."""
    queue = _Queue(time.monotonic)
    streams = make_streams(queue.add, lambda: resync.ask())
    limits = _limits(settings, has_streams=streams is not None)
    progress = progresses.Progress(time.monotonic)
    rule_book = rule_books.RuleBook(app.rule_reader(settings), rules)
    ledger = ledgers.Ledger(limits, time.time)
    order_book = orders.OrderBook()
    callbacks = gatekeepers.Callbacks(
        opened=lambda: resync.ask(),
        closed=lambda: queue.add_all(ledger.under_way()),
    )
    gates = _gates(settings, rule_book, open_group, callbacks)
    journal = journals.Journal(settings.host, time.time)
    herald = _herald(rule_book, streams, [journal.note, *hearers])
    witness = _witness(observer, rule_book, gates.gatekeeper, herald)
    reconciler = reconcilers.build(
        port,
        reconcilers.Engines(copy_image.CopyImage(port), streams),
        rule_book,
        booking.Books(ledger, limits, settings.choice, time.time, witness),
        order_book,
        gates.gatekeeper.standing,
    )
    observed = watching.Observed(
        reconciler, rule_book, ledger, witness, time.time
    )
    interval_s = settings.resync_interval_s
    resync = resyncs.Resync(
        port, observed, queue.add, interval_s, limits.backoff, progress
    )
    return all_parts.Parts(
        glance=port,
        streams=streams,
        queue=queue,
        ledger=ledger,
        rule_book=rule_book,
        order_book=order_book,
        reconciler=reconciler,
        workers=worker_threads.Workers(
            queue, observed, ledger, settings.workers, progress
        ),
        resync=resync,
        progress=progress,
        observed=observed,
        witness=witness,
        group=gates.group,
        pause_book=gates.pause_book,
        gatekeeper=gates.gatekeeper,
        journal=journal,
    )


def _limits(
    settings: configuration.Settings, *, has_streams: bool
) -> planner.Limits:
    transfers = settings.streaming.transfers if has_streams else 0
    return dataclasses.replace(settings.limits, transfers=transfers)


@dataclasses.dataclass(frozen=True, slots=True)
class _Gates:
    """What settles which sites are open to this agent's copies."""

    group: ports.Group
    pause_book: pauses.PauseBook
    gatekeeper: gatekeepers.Gatekeeper


def _gates(
    settings: configuration.Settings,
    rule_book: rule_books.RuleBook,
    open_group: OpenGroup,
    callbacks: gatekeepers.Callbacks,
) -> _Gates:
    def note_change() -> None:
        gatekeeper.note_change()

    path = Path(settings.state_dir, pauses.FILE)
    pause_book = pauses.PauseBook(path, time.time, note_change)
    group = open_group(note_change)
    gatekeeper = gatekeepers.Gatekeeper(
        lambda: rule_book.rules.sites,
        lambda: pause_book.pauses,
        group,
        callbacks,
        time.time,
        time.monotonic,
    )
    return _Gates(group, pause_book, gatekeeper)


def _witness(
    observer: observing.Observer,
    rule_book: rule_books.RuleBook,
    gatekeeper: gatekeepers.Gatekeeper,
    herald: heralds.Herald,
) -> witnesses.Witness:
    return witnesses.Witness(
        observer,
        lambda: rule_book.rules.sites,
        traces.Traces(context.generate_request_id),
        gatekeeper.others,
        herald.changed,
    )


def _herald(
    rule_book: rule_books.RuleBook,
    streams: ports.StreamEngine | None,
    hearers: Sequence[transitions.Hearer],
) -> heralds.Herald:
    """Build what tells of copies, with what is known of streams."""

    def traffic(
        image_id: images.ImageId, store: images.StoreId
    ) -> transitions.Traffic:
        if streams is None:
            return transitions.UNKNOWN
        return transitions.traffic(streams.reports_of(image_id), store)

    return heralds.Herald(rule_book, traffic, hearers)
