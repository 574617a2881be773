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
"""Which transfers are told of, whatever begins, ends and is booked."""

import dataclasses

from hypothesis import stateful
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import roster as rosters

IMAGE = images.ImageId('3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11')
STORES = [images.StoreId(f'dcn{number}') for number in range(3)]
SOME = st.sets(st.sampled_from(STORES), min_size=1).map(frozenset)


@dataclasses.dataclass(eq=False)
class _Transfer:
    """As much of a transfer as the roster needs."""

    stores: frozenset[images.StoreId]
    live_stores: frozenset[images.StoreId]
    ended_s: float | None = None

    def report(self) -> transfers.Report:
        copying, done = transfers.Phase.COPYING, transfers.Phase.DONE
        return transfers.Report(
            image_id=IMAGE,
            size_bytes=1,
            source=None,
            verify=transfers.Verify.FULL,
            started_s=1.0,
            ended_s=self.ended_s,
            read_bytes=0,
            lanes=tuple(
                transfers.Lane(
                    sites.SiteName(store),
                    store,
                    copying if store in self.live_stores else done,
                )
                for store in sorted(self.stores)
            ),
        )


def begin(
    roster: rosters.Roster, stores: frozenset[images.StoreId]
) -> tuple[rosters.Run, _Transfer]:
    run = roster.reserve(IMAGE, stores)
    transfer = _Transfer(stores, stores)
    roster.begin(run, transfer, has_own_rate=False)  # type: ignore[arg-type]
    return run, transfer


def end(roster: rosters.Roster, run: rosters.Run, transfer: _Transfer) -> None:
    transfer.live_stores, transfer.ended_s = frozenset(), 2.0
    roster.end(run, transfer.report())


class _Transfers(stateful.RuleBasedStateMachine):
    """Transfers of one image come and go; `expected` is what they came to.

    That of each store, as far as it was not booked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.roster = rosters.Roster()
        self.live: list[tuple[rosters.Run, _Transfer]] = []
        self.expected: dict[images.StoreId, str] = {}

    @stateful.rule(stores=SOME)
    def begin(self, stores: frozenset[images.StoreId]) -> None:
        busy = [self.expected.get(s) in ('runs', 'ended') for s in stores]
        if any(busy):
            with pytest.raises(exceptions.CopyInProgress):
                begin(self.roster, stores)
        else:
            self.live.append(begin(self.roster, stores))
            self.expected |= dict.fromkeys(stores, 'runs')

    @stateful.rule(stores=SOME)
    def end_lanes(self, stores: frozenset[images.StoreId]) -> None:
        for run, transfer in self.live:
            ending = stores & transfer.live_stores & run.stores
            self.expected |= dict.fromkeys(ending, 'lane ended')
            transfer.live_stores -= stores

    @stateful.rule(stores=SOME)
    def end(self, stores: frozenset[images.StoreId]) -> None:
        for run, transfer in [*self.live]:
            if transfer.stores & stores:
                self.live.remove((run, transfer))
                self.expected |= dict.fromkeys(run.stores, 'ended')
                end(self.roster, run, transfer)

    @stateful.rule(stores=SOME)
    def take(self, stores: frozenset[images.StoreId]) -> None:
        for report in self.roster.reports_of(IMAGE):
            told = {lane.store for lane in report.lanes}
            if report.ended_s is not None and told <= stores:
                for store in told:
                    del self.expected[store]
        self.roster.take(IMAGE, stores)

    @stateful.invariant()
    def each_store_is_told_of_once(self) -> None:
        told = [
            (lane.store, report.ended_s is not None)
            for report in self.roster.reports_of(IMAGE)
            for lane in report.lanes
        ]
        assert sorted(told) == sorted(
            (store, state == 'ended') for store, state in self.expected.items()
        )

    @stateful.invariant()
    def nothing_is_lost(self) -> None:
        told = [
            lane.store for one in self.roster.reports() for lane in one.lanes
        ]
        assert len(told) == len(set(told))
        assert {*self.expected} <= {*told}


test_transfers = _Transfers.TestCase


def test_what_ended_since_its_report_was_read_is_not_taken() -> None:
    roster = rosters.Roster()
    first = begin(roster, frozenset(STORES[:1]))
    second = begin(roster, frozenset(STORES[1:]))
    end(roster, *first)
    seen = [r for r in roster.reports_of(IMAGE) if r.ended_s]
    end(roster, *second)

    roster.take(IMAGE, [lane.store for r in seen for lane in r.lanes])

    [left] = roster.reports_of(IMAGE)
    assert [lane.store for lane in left.lanes] == STORES[1:]


def test_the_last_that_ended_are_remembered() -> None:
    roster = rosters.Roster()
    for number in range(300):
        stores = frozenset([images.StoreId(f'dcn{number}')])
        run, transfer = begin(roster, stores)
        end(roster, run, transfer)

    assert len(roster.reports()) == 256
    assert roster.reports()[-1].lanes[0].store == 'dcn299'


def test_what_did_not_begin_leaves_no_trace() -> None:
    roster = rosters.Roster()
    end(roster, *begin(roster, frozenset(STORES)))
    roster.take(IMAGE, STORES)

    run = roster.reserve(IMAGE, STORES)
    with pytest.raises(exceptions.CopyInProgress):
        roster.reserve(IMAGE, STORES)
    roster.abandon(run)

    assert not roster.live
    assert len(roster.reports()) == 1
    roster.close()
    with pytest.raises(exceptions.Cancelled):
        roster.reserve(IMAGE, STORES)
