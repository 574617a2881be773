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
"""What became of an import: each store's outcome, read off the image.

Glance's task is no witness: with failures allowed it ends in success even
if every store failed, and some failures leave no trace in the image either
(glance: async_/flows/api_image_import.py, _CopyImage.revert only logs). So a
store has the copy if the image lists it, and has failed if the import ended
and it is not listed.
"""

from collections.abc import Mapping
import dataclasses
import enum

from dcn_distributor.core import history as histories
from dcn_distributor.core import images


class Verdict(enum.Enum):
    """One store's outcome of an import."""

    COPIED = 'copied'
    FAILED = 'failed'
    UNDER_WAY = 'under way'


# NOTE: Glance takes the lock before it answers the request, but behind
# several database servers the next read may come from one that lags.
SETTLE_S = 1.0


def follow(
    image: images.Image,
    task: images.ImportTask | None,
    request: histories.Request | None,
    now: float,
) -> histories.Request | None:
    """Bring what is remembered of an import up to what is seen.

    An import nobody remembers is taken over; one whose lock is gone, or
    belongs to another task by now, stays as it was remembered.
    """
    if image.import_task is None:
        return request
    if request is None or request.task_id not in (None, image.import_task):
        stores = image.importing_to if task is None else task.stores
        request = histories.Request(
            stores=tuple(s for s in stores if s not in image.stores),
            started_s=now,
            progress_s=now,
        )
    request = dataclasses.replace(request, task_id=image.import_task)
    seen = None
    if task is not None:
        seen = (
            task.status,
            task.message,
            task.updated_at_s,
            image.importing_to,
        )
    return request.seen(seen, now)


def has_ended(
    image: images.Image, request: histories.Request, now: float
) -> bool:
    """Tell whether the import that is remembered is over."""
    if image.import_task is None:
        # Either way, in case the clock was set back since.
        return abs(now - request.started_s) >= SETTLE_S
    return request.task_id not in (None, image.import_task)


def judge(
    image: images.Image,
    request: histories.Request,
    store: images.StoreId,
    now: float,
) -> Verdict:
    """Read one store's outcome."""
    if store in image.stores:
        return Verdict.COPIED
    if has_ended(image, request, now):
        return Verdict.FAILED
    # Both lists are stale until the import has written them anew, which
    # shows in the first only.
    if (
        image.importing_to
        and store not in image.importing_to
        and store in image.failed_import
    ):
        return Verdict.FAILED
    return Verdict.UNDER_WAY


def pending(
    verdicts: Mapping[images.StoreId, Verdict],
) -> tuple[images.StoreId, ...]:
    """The stores whose outcome is to come."""
    return tuple(
        store
        for store, verdict in verdicts.items()
        if verdict is Verdict.UNDER_WAY
    )


def failure(image: images.Image, store: images.StoreId) -> str:
    """Say how the failure of a store is known."""
    if store in image.failed_import:
        return 'Glance lists the store as failed'
    return 'the import ended without the copy and without a word'


def being_written(
    image: images.Image, request: histories.Request
) -> images.StoreId | None:
    """The store a running import is at, None before it has begun.

    Glance takes the stores in the order of the request; its list
    ``os_glance_importing_to_stores`` is in another. While it stages, this is
    the store that comes first: nothing tells these two apart.
    """
    left = [s for s in request.stores if s in image.importing_to]
    return left[0] if left else None
