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
"""An image and its import task, as Glance has them."""

from collections.abc import Mapping
import dataclasses
from typing import NewType

ImageId = NewType('ImageId', str)
StoreId = NewType('StoreId', str)

ACTIVE = 'active'


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """Where a store has the data of an image; `store` None if not told."""

    url: str
    store: StoreId | None


@dataclasses.dataclass(frozen=True, slots=True)
class StoreDetails:
    """What a Glance of release 24 or later tells of an RBD store.

    `fsid` is told since release 30, and None if that API host did not reach
    the cluster when it started.
    """

    chunk_bytes: int
    pool: str
    fsid: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image at the moment it was read.

    `properties` holds the operator's and users' own properties, without
    those that Glance reserves for itself (``os_glance_*``); what Glance says
    in these stands in `importing_to`, `failed_import` and `import_task`.
    The first two can be stale: only while `import_task` is set is an import
    under way (glance: async_/flows/api_image_import.py). `importing_to` is
    sorted by name, and holds what an earlier import left in it, too: whose
    turn it is tells the order of the task's `stores`.

    `hash_algo` and `hash_value` (hexadecimal) are os_hash_algo and
    os_hash_value. `locations` is None unless Glance shows them, which takes
    its option show_multiple_locations; it shows them to all who may see the
    image then (seen on 25.1.0 and 33.0.0). `created_at_s` is in seconds since
    the epoch by Glance's clock, 0 if it is not told.
    """

    id: ImageId
    name: str
    status: str
    visibility: str
    owner: str
    tags: frozenset[str]
    properties: Mapping[str, str]
    disk_format: str | None
    container_format: str | None
    size_bytes: int | None
    is_hidden: bool
    is_protected: bool
    stores: frozenset[StoreId]
    importing_to: tuple[StoreId, ...] = ()
    failed_import: frozenset[StoreId] = frozenset()
    import_task: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    locations: tuple[Location, ...] | None = None
    created_at_s: float = 0.0

    @property
    def is_active(self) -> bool:
        """True if the image has data that Glance serves."""
        return self.status == ACTIVE

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What a policy or a copy can depend on; changes with nothing else.

        Imports change an image's ``updated_at``, so that cannot serve.
        """
        return (
            self.name,
            self.status,
            self.visibility,
            self.owner,
            self.tags,
            frozenset(self.properties.items()),
            self.disk_format,
            self.container_format,
            self.size_bytes,
            self.is_hidden,
            self.is_protected,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ImportTask:
    """A task of Glance that brings an image into stores.

    `status` is pending, processing, success or failure; success says
    nothing of the stores when a request allowed failures. `stores` are those
    that were asked for, in the order they are written. `copied_bytes` is how
    much has been read for one of them, in whole MiB, refreshed by Glance
    once a minute and at the store's end: None before the first time and
    while staging, and for up to a minute still that of the store before.
    `created_at_s` and `updated_at_s` are seconds since the epoch, by
    Glance's clock.
    """

    id: str
    status: str
    stores: tuple[StoreId, ...]
    message: str
    copied_bytes: int | None
    created_at_s: float
    updated_at_s: float

    @property
    def has_failed(self) -> bool:
        """True if it ended before its stores had their turn.

        A store that fails does not fail an import that allows failures, so
        the image could not be staged: no space or no leave to write there,
        or no copy that this API host can read. Glance says no more of it
        than "Internal Error", and drops the lock a moment before it does
        (seen on 25.1.0 and 33.0.0). A lock that was broken, and an image
        that was deactivated meanwhile, leave a task like this, too.
        """
        return self.status == 'failure'
