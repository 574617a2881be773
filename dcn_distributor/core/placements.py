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
"""Placements: what an image's stores hold, as far as Glance tells.

The rules of reading follow glance: async_/flows/api_image_import.py and
api/v2/images.py. A store listed in the image's ``stores`` has the copy; the
lists ``os_glance_importing_to_stores`` and ``os_glance_failed_import`` mean
what they say only while the lock ``os_glance_import_task`` is held, since
Glance leaves them behind stale.
"""

import dataclasses
import enum

from dcn_distributor.core import decisions
from dcn_distributor.core import images


class State(enum.Enum):
    """Where a placement stands; see Cell for what a person is shown."""

    ABSENT = 'absent'
    COPYING = 'copying'
    PRESENT = 'present'
    FAILED = 'failed'
    UNWANTED = 'unwanted'


@dataclasses.dataclass(frozen=True, slots=True)
class Placement:
    """The state of one image in one store, with its reason.

    `copied_bytes` is known while a copy is written, if Glance has said so;
    it is of the store written at the time.
    """

    image_id: images.ImageId
    store: images.StoreId
    state: State
    reason: str
    copied_bytes: int | None = None


def is_copying(
    image: images.Image, task: images.ImportTask | None, store: images.StoreId
) -> bool:
    """Tell whether the import that holds the lock still works for a store."""
    if image.import_task is None or store in image.stores:
        return False
    if store in image.importing_to:
        return True
    # The list is written a moment after the lock is taken.
    return (
        task is not None
        and store in task.stores
        and store not in image.failed_import
    )


def observe(
    image: images.Image,
    task: images.ImportTask | None,
    decision: decisions.Decision,
) -> Placement:
    """Read one placement off the image and the task that holds its lock."""
    store = decision.site.store
    if store in image.stores:
        reason = decision.reason if decision.wanted else _extra(decision)
        return Placement(image.id, store, State.PRESENT, reason)
    if is_copying(image, task, store):
        return _copying(image, task, store)
    if not decision.wanted:
        return Placement(image.id, store, State.UNWANTED, decision.reason)
    if not image.is_active:
        reason = f'the image is {image.status}, not active'
        return Placement(image.id, store, State.ABSENT, reason)
    if store in image.failed_import:
        reason = "the last import to this store failed; see the agent's log"
        return Placement(image.id, store, State.FAILED, reason)
    return Placement(image.id, store, State.ABSENT, decision.reason)


def _extra(decision: decisions.Decision) -> str:
    return f'kept, though {decision.reason}'


def _copying(
    image: images.Image, task: images.ImportTask | None, store: images.StoreId
) -> Placement:
    copied = None
    reason = f'import {image.import_task}'
    if image.importing_to[:1] == (store,):
        copied = None if task is None else task.copied_bytes
    elif store in image.importing_to:
        reason += f', after {", ".join(_before(image, store))}'
    return Placement(image.id, store, State.COPYING, reason, copied)


def _before(
    image: images.Image, store: images.StoreId
) -> tuple[images.StoreId, ...]:
    return image.importing_to[: image.importing_to.index(store)]
