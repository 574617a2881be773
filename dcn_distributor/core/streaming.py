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
"""What became of a stream: each store's outcome, by its report and Glance.

A lane that is done has registered its copy and read that back. Yet a store
has the copy only while Glance lists it: another change of the image at the
same moment can undo a registration (see core.ports.Images.add_location).
"""

from collections.abc import Iterable
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import following
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import transfers


def judge(
    image: images.Image,
    reports: Iterable[transfers.Report],
    store: images.StoreId,
    now: float,
) -> following.Verdict:
    """Read one store's outcome; the image was read after the reports.

    `now` is in seconds since the epoch.
    """
    told = _find(reports, store)
    if told is not None and not told.lane.phase.is_end:
        return following.Verdict.UNDER_WAY
    if store in image.stores:
        return following.Verdict.COPIED
    if (
        told is not None
        and told.lane.phase is transfers.Phase.DONE
        and not _is_settled(told.report, now)
    ):
        return following.Verdict.UNDER_WAY
    return following.Verdict.FAILED


def proof(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> transfers.Verify | None:
    """Tell how a copy that arrived was proved, None if not by a stream."""
    told = _find(reports, store)
    if told is None or told.lane.phase is not transfers.Phase.DONE:
        return None
    return told.report.verify


def is_of_others(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> bool:
    """Tell whether a copy that arrived is not by the stream told of."""
    told = _find(reports, store)
    return told is not None and told.lane.phase in (
        transfers.Phase.CANCELLED,
        transfers.Phase.FAILED,
    )


def flaws(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> tuple[observing.Flaw, ...]:
    """Tell what verification found wrong on the way to a store."""
    told = _find(reports, store)
    if told is None:
        return ()
    found = []
    if any(damage.is_repaired for damage in told.lane.damages):
        found.append(observing.Flaw.REPAIRED)
    if told.report.is_source_false:
        found.append(observing.Flaw.SOURCE)
    elif isinstance(told.lane.error, exceptions.VerificationFailed):
        found.append(observing.Flaw.COPY)
    return tuple(found)


def error(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> exceptions.DistributorError:
    """Tell what a store's failure was."""
    told = _find(reports, store)
    if told is None:
        return exceptions.TemporaryError('the stream ended without a word')
    lane = told.lane
    if lane.phase is transfers.Phase.DONE:
        return exceptions.TemporaryError(
            'the copy was registered, but Glance lists the store no more: '
            'another change of the image came between'
        )
    if lane.error is None and lane.phase is transfers.Phase.CANCELLED:
        return exceptions.Cancelled('the stream was called off')
    if lane.error is None:
        return exceptions.TemporaryError('the stream failed without a word')
    return lane.error


def has_ended(report: transfers.Report) -> bool:
    """Tell whether a stream is over."""
    return report.ended_s is not None


def stores(report: transfers.Report) -> frozenset[images.StoreId]:
    """Name where a stream goes, or went."""
    return frozenset(lane.store for lane in report.lanes)


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one store, and by which stream."""

    report: transfers.Report
    lane: transfers.Lane


def _find(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> _Told | None:
    found = (
        _Told(report, lane)
        for report in reports
        for lane in report.lanes
        if lane.store == store
    )
    return next(found, None)


def _is_settled(report: transfers.Report, now: float) -> bool:
    """Tell whether all of Glance's API hosts should know by now.

    That is asked of the stream as a whole, which ends with its last lane.
    """
    if report.ended_s is None:
        return False
    # Either way, in case the clock was set back since.
    return abs(now - report.ended_s) >= following.SETTLE_S
