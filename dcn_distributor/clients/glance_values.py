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
"""What Glance's API answers, as values of core.images.

The dictionaries of the API end here. Paths named ``glance:`` are those of
Glance 33.0.0; 25.1.0 does the same.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import json
import re
import sys
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.clients import glance_refusals
from dcn_distributor.core import images

# What every image has, glance: api/v2/images.py get_base_properties; all
# else in an image is a property that somebody gave it.
_ATTRIBUTES = frozenset((
    'checksum', 'container_format', 'created_at', 'direct_url',
    'disk_format', 'file', 'id', 'locations', 'min_disk', 'min_ram', 'name',
    'os_hash_algo', 'os_hash_value', 'os_hidden', 'owner', 'protected',
    'schema', 'self', 'size', 'status', 'stores', 'tags', 'updated_at',
    'virtual_size', 'visibility',
))  # fmt: skip

# glance: async_/flows/api_image_import.py _ImportToStore._status_callback
_COPIED = re.compile(r'Copied (\d+) MiB')


def from_glance(raw: Mapping[str, Any]) -> images.Image:
    """Convert an image of the API.

    Any attribute may be absent or null: ``stores`` where Glance has just
    one store, ``size`` and the formats before there is data, and custom
    properties as the user pleased. Raises GlanceUnavailable without an id.
    """
    if not raw.get('id'):
        raise exceptions.GlanceUnavailable('Glance sent an image without id')
    return images.Image(
        id=images.ImageId(str(raw['id'])),
        name=_text(raw.get('name')),
        status=_text(raw.get('status')),
        visibility=_text(raw.get('visibility')),
        owner=_text(raw.get('owner')),
        tags=frozenset(_items(raw.get('tags'))),
        properties=_properties(raw),
        disk_format=_text(raw.get('disk_format')) or None,
        container_format=_text(raw.get('container_format')) or None,
        size_bytes=_size(raw.get('size')),
        is_hidden=_flag(raw.get('os_hidden')),
        is_protected=_flag(raw.get('protected')),
        stores=frozenset(_store_ids(raw.get('stores'))),
        importing_to=_store_ids(raw.get('os_glance_importing_to_stores')),
        failed_import=frozenset(
            _store_ids(raw.get('os_glance_failed_import'))
        ),
        import_task=_text(raw.get('os_glance_import_task')) or None,
        hash_algo=_text(raw.get('os_hash_algo')) or None,
        hash_value=_text(raw.get('os_hash_value')) or None,
        locations=_locations(raw.get('locations')),
        created_at_s=_created_at_s(raw.get('created_at')),
    )


def _created_at_s(value: object) -> float:
    """Return when it was created, 0 if Glance does not tell.

    That is told to operators only, and must not keep an image from its copy.
    """
    try:
        return _seconds(value)
    except exceptions.GlanceUnavailable:
        return 0.0


def _locations(value: object) -> tuple[images.Location, ...] | None:
    """Return the locations, None if Glance does not show them.

    It does with show_multiple_locations only (glance: api/v2/images.py
    _format_image). What is no location is left out.
    """
    if not isinstance(value, list):
        return None
    return tuple(
        images.Location(url=str(item['url']), store=_store_of(item))
        for item in value
        if isinstance(item, Mapping) and item.get('url')
    )


def _store_of(location: Mapping[str, Any]) -> images.StoreId | None:
    """Return the store of a location, None if nobody has told Glance."""
    metadata = location.get('metadata')
    store = metadata.get('store') if isinstance(metadata, Mapping) else None
    return images.StoreId(str(store)) if store else None


def details_from_glance(
    stores: Iterable[Mapping[str, Any]],
) -> dict[images.StoreId, images.StoreDetails]:
    """Convert what GET /v2/info/stores/detail tells of the RBD stores.

    glance: api/v2/discovery.py get_stores_detail. A store whose pool or
    chunk size is missing is left out: nothing is known of it.
    """
    details = {}
    for raw in stores:
        told = raw.get('properties')
        if raw.get('type') != 'rbd' or not isinstance(told, Mapping):
            continue
        chunk_bytes = _size(told.get('chunk_size'))
        pool = _text(told.get('pool'))
        if raw.get('id') and chunk_bytes and pool:
            details[images.StoreId(str(raw['id']))] = images.StoreDetails(
                chunk_bytes, pool, _text(told.get('fsid')) or None
            )
    return details


def _properties(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the custom properties; one that is null is not set.

    They are strings to Glance. What is not one, from a property protection
    or a schema of the operator, is shown as JSON.
    """
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in raw.items()
        if value is not None
        and key not in _ATTRIBUTES
        and not key.startswith(glance_refusals.RESERVED)
    }


def task_from_glance(raw: Mapping[str, Any]) -> images.ImportTask:
    """Convert a task of GET /v2/images/{id}/tasks.

    ``input.backend`` has the stores the task writes to (glance:
    api/v2/images.py import_image).
    """
    message = _text(raw.get('message'))
    copied = _COPIED.search(message)
    given = raw.get('input')
    stores = given.get('backend') if isinstance(given, Mapping) else None
    created_at_s = _seconds(raw.get('created_at'))
    updated_at = raw.get('updated_at')
    return images.ImportTask(
        id=_text(raw.get('id')),
        status=_text(raw.get('status')),
        stores=_store_ids(stores),
        message=glance_refusals.line(message),
        copied_bytes=int(copied[1]) * 2**20 if copied else None,
        created_at_s=created_at_s,
        updated_at_s=_seconds(updated_at) if updated_at else created_at_s,
    )


def _text(value: object) -> str:
    """Return a text attribute, empty if it is null."""
    return '' if value is None else str(value)


def _flag(value: object) -> bool:
    """Return a boolean attribute, false unless it says otherwise."""
    return str(value).lower() == 'true'


def _size(value: object) -> int | None:
    """Return a size in bytes, None if Glance does not know it."""
    if isinstance(value, int) and value >= 0:
        return int(value)
    return None


def _items(value: object) -> tuple[str, ...]:
    """Return what a list holds, without nulls; nothing if it is none."""
    if not isinstance(value, list):
        return ()
    return tuple(str(item) for item in value if item is not None)


def _store_ids(value: object) -> tuple[images.StoreId, ...]:
    """Return store ids of a list, or of a string with commas between."""
    if isinstance(value, str):
        # NOTE: most of what is read of a large cloud's images are these, of
        # which there are few; each kept but once, they take little memory.
        items = map(str.strip, value.split(','))
        return tuple([images.StoreId(sys.intern(i)) for i in items if i])
    return tuple(images.StoreId(item) for item in _items(value) if item)


def _seconds(value: object) -> float:
    """Return seconds since the epoch of an ISO 8601 time, in UTC."""
    try:
        # fromisoformat knows no Z before Python 3.11.
        read = datetime.datetime.fromisoformat(
            str(value).replace('Z', '+00:00')
        )
    except ValueError as exc:
        raise exceptions.GlanceUnavailable(
            f'Glance sent {glance_refusals.line(value)!r} for a time'
        ) from exc
    if read.tzinfo is None:
        read = read.replace(tzinfo=datetime.timezone.utc)
    return read.timestamp()


def mapping(body: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object, or raise GlanceUnavailable."""
    if not isinstance(body, dict):
        raise exceptions.GlanceUnavailable(
            f'cannot {what}: the answer is no JSON object, which is not '
            'what Glance sends; is the endpoint right?'
        )
    return body


def mappings(body: object, what: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of JSON objects, or raise GlanceUnavailable."""
    if not isinstance(body, list):
        raise exceptions.GlanceUnavailable(
            f'cannot {what}: the answer lacks the list; is the endpoint right?'
        )
    return [mapping(item, what) for item in body]
