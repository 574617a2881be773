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

from dcn_distributor import exceptions
from dcn_distributor.core import following
from dcn_distributor.core import images
from dcn_distributor.core import transfers


def lane(
    report: transfers.Report | None, store: images.StoreId
) -> transfers.Lane | None:
    """Find what a report says of one store."""
    if report is None:
        return None
    found = (one for one in report.lanes if one.store == store)
    return next(found, None)


def judge(
    image: images.Image,
    report: transfers.Report | None,
    store: images.StoreId,
    now: float,
) -> following.Verdict:
    """Read one store's outcome; the image was read after the report.

    `now` is in seconds since the epoch.
    """
    told = lane(report, store)
    if told is not None and not told.phase.is_end:
        return following.Verdict.UNDER_WAY
    if store in image.stores:
        return following.Verdict.COPIED
    if (
        told is not None
        and told.phase is transfers.Phase.DONE
        and not _is_settled(report, now)
    ):
        return following.Verdict.UNDER_WAY
    return following.Verdict.FAILED


def proof(
    report: transfers.Report | None, store: images.StoreId
) -> transfers.Verify | None:
    """Tell how a copy that arrived was proved, None if not by this stream."""
    told = lane(report, store)
    if report is None or told is None:
        return None
    return report.verify if told.phase is transfers.Phase.DONE else None


def error(
    report: transfers.Report | None, store: images.StoreId
) -> exceptions.DistributorError:
    """Tell what a store's failure was."""
    told = lane(report, store)
    if told is None:
        return exceptions.TemporaryError('the stream ended without a word')
    if told.phase is transfers.Phase.DONE:
        return exceptions.TemporaryError(
            'the copy was registered, but Glance lists the store no more: '
            'another change of the image came between'
        )
    if told.error is None and told.phase is transfers.Phase.CANCELLED:
        return exceptions.Cancelled('the stream was called off')
    if told.error is None:
        return exceptions.TemporaryError('the stream failed without a word')
    return told.error


def _is_settled(report: transfers.Report | None, now: float) -> bool:
    """Tell whether all of Glance's API hosts should know by now.

    That is asked of the stream as a whole, which ends with its last lane.
    """
    if report is None:
        return True
    if report.ended_s is None:
        return False
    # Either way, in case the clock was set back since.
    return abs(now - report.ended_s) >= following.SETTLE_S
