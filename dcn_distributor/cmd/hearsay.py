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
"""What an agent tells of one image's orders and streams, read with care.

It may be of another release: what is not as expected is left out. See
clients.bus.control.Agent for what it answers.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from dcn_distributor.core import images
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers

Answer = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What an agent told of one image.

    :ivar reports: the newest stream of each store
    :ivar orders: why the order for each store failed for good, None if it
        did not; None altogether if that was not asked
    :ivar reasons: why the last try for a store failed
    """

    reports: Mapping[images.StoreId, transfers.Report]
    orders: Mapping[images.StoreId, str | None] | None
    reasons: Mapping[images.StoreId, str]


def reports(
    answer: Answer, image_id: images.ImageId
) -> list[transfers.Report]:
    """Read the streams of an image, the oldest first."""
    told = answer.get('transfers')
    found = map(
        transfer_messages.from_plain, told if isinstance(told, list) else []
    )
    return sorted(
        (r for r in found if r is not None and r.image_id == image_id),
        key=lambda report: report.started_s,
    )


def ended(found: Iterable[transfers.Report]) -> frozenset[float]:
    """Tell which streams are over, by when they began."""
    return frozenset(r.started_s for r in found if r.ended_s is not None)


def running(found: Iterable[transfers.Report]) -> frozenset[images.StoreId]:
    """Tell which stores a stream works for."""
    return frozenset(
        lane.store
        for report in found
        for lane in report.lanes
        if not lane.phase.is_end
    )


def heard(
    found: Sequence[transfers.Report],
    remembered: Answer | None,
    image_id: images.ImageId,
) -> Heard:
    """Put together what was told; `remembered` None if it was not asked."""
    newest = {lane.store: report for report in found for lane in report.lanes}
    reasons = {
        lane.store: str(lane.error)
        for report in found
        for lane in report.lanes
        if lane.error is not None
    }
    if remembered is None:
        return Heard(newest, None, reasons)
    setbacks = _of(remembered.get('setbacks'), image_id)
    orders = _of(remembered.get('orders'), image_id)
    return Heard(
        newest,
        {store: _text(told.get('failed')) for store, told in orders.items()},
        reasons
        | {
            store: reason
            for store, told in setbacks.items()
            if (reason := _text(told.get('reason'))) is not None
        },
    )


def lane(
    report: transfers.Report | None, store: images.StoreId
) -> transfers.Lane | None:
    """Find a store's part in a stream."""
    if report is None:
        return None
    return next((one for one in report.lanes if one.store == store), None)


def hosts(answer: Answer) -> tuple[str, ...]:
    """Say where the agents run that answered, mostly one."""
    told = answer.get('hosts')
    if isinstance(told, list) and told:
        return tuple(map(str, told))
    return (str(answer.get('host')),)


def silent(answer: Answer) -> list[str]:
    """Name the agents that did not answer."""
    told = answer.get('silent')
    return list(map(str, told if isinstance(told, list) else ()))


def unheard(answer: Answer) -> dict[str, str]:
    """Tell for which sites no agent said whether it took the order."""
    return _texts(answer.get('unheard'))


def accepted(answer: Answer) -> frozenset[str]:
    """Tell for which sites an order was taken."""
    told = answer.get('accepted')
    return frozenset(map(str, told if isinstance(told, list) else ()))


def refused(answer: Answer) -> dict[str, str]:
    """Tell for which sites it was not, and why."""
    return _texts(answer.get('refused'))


def waits(answer: Answer) -> dict[str, str]:
    """Tell which sites have to wait, though it was taken, and for what."""
    return _texts(answer.get('waits'))


def _of(
    value: object, image_id: images.ImageId
) -> dict[images.StoreId, Answer]:
    """Find what is told of one image, by store."""
    told = value.get(image_id) if isinstance(value, Mapping) else None
    return {
        images.StoreId(str(store)): one
        for store, one in (told if isinstance(told, Mapping) else {}).items()
        if isinstance(one, Mapping)
    }


def _texts(value: object) -> dict[str, str]:
    told = value if isinstance(value, dict) else {}
    return {str(site): str(reason) for site, reason in told.items()}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
