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
"""Read images from Glance and ask it to copy them.

The one importer of glanceclient and keystoneauth1, and the only place that
sees their exceptions and the dictionaries of Glance's API: what leaves is
`core.images` and `exceptions`. It decides nothing, retries nothing (but for
keystoneauth1's one new token after a 401) and keeps nothing.

Paths named ``glance:`` are those of Glance 33.0.0; 25.1.0 does the same
where nothing else is said.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import html
import json
import re
from typing import Any
import urllib.parse

from glanceclient import exc as glance_exc
from glanceclient.v2 import client as glance_client
from keystoneauth1 import exceptions as ksa_exc
from keystoneauth1 import loading
from keystoneauth1 import session as ksa_session
from oslo_config import cfg

from dcn_distributor import exceptions
from dcn_distributor.core import images

GROUP = 'glance'

# Glance's own stores (staging, tasks) and properties begin with this.
_RESERVED = 'os_glance_'

# What every image has, glance: api/v2/images.py get_base_properties; all
# else in an image is a property that somebody gave it.
_ATTRIBUTES = frozenset((
    'checksum', 'container_format', 'created_at', 'direct_url',
    'disk_format', 'file', 'id', 'locations', 'min_disk', 'min_ram', 'name',
    'os_hash_algo', 'os_hash_value', 'os_hidden', 'owner', 'protected',
    'schema', 'self', 'size', 'status', 'stores', 'tags', 'updated_at',
    'virtual_size', 'visibility',
))  # fmt: skip

# glance: schema of the id in api/v2/images.py get_base_properties. Anything
# else cannot be an image, and "..", "" or "a?b" would be another request.
_UUID = re.compile(r'[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')

# glance: async_/flows/api_image_import.py _ImportToStore._status_callback
_COPIED = re.compile(r'Copied (\d+) MiB')

# Connections kept for reuse; requests keeps 10 and logs a warning for each
# it has to throw away beyond these.
_POOL_SIZE = 64

# A message is for one line of a log or of a table.
_MESSAGE_LENGTH = 500


# --- options ---------------------------------------------------------------

_OPTIONS = [
    cfg.FloatOpt(
        'timeout',
        default=60.0,
        min=1.0,
        help='How long to wait for Glance and Keystone to accept a '
        'connection, and again for each piece of their answer, in seconds. '
        'Raise it if Glance needs longer for a page of images; an answer '
        'that comes too late counts as an outage and is asked for again.',
    ),
    cfg.IntOpt(
        'page_size',
        default=200,
        min=1,
        max=1000,
        help='How many images to read with one request when all are '
        'listed. A larger page needs fewer requests and more memory, here '
        'and in Glance, whose api_limit_max also caps it.',
    ),
]

# Of keystoneauth1's options those that fit: none that retries in here, and
# none that would put a version into the path, which glanceclient does.
_SESSION_OPTIONS = frozenset(('cafile', 'certfile', 'keyfile', 'insecure'))
_ADAPTER_OPTIONS = frozenset((
    'service_type', 'service_name', 'valid_interfaces', 'region_name',
    'endpoint_override',
))  # fmt: skip


def _client_options() -> list[cfg.Opt]:
    """Return the options of the group that are not about authentication."""
    session = loading.get_session_conf_options()
    adapter = loading.get_adapter_conf_options(include_deprecated=False)
    cfg.set_defaults(
        adapter, service_type='image', valid_interfaces=['public']
    )
    return [
        *(option for option in session if option.dest in _SESSION_OPTIONS),
        *(option for option in adapter if option.dest in _ADAPTER_OPTIONS),
        *_OPTIONS,
    ]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group [glance]: credentials, endpoint, time-outs.

    The options of the authentication plugin come with `connect`, once
    ``auth_type`` is known.
    """
    loading.register_auth_conf_options(conf, GROUP)
    conf.register_opts(_client_options(), group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options for oslo-config-generator, with password's."""
    return [
        (
            GROUP,
            [
                *loading.get_auth_common_conf_options(),
                *loading.get_auth_plugin_conf_options('password'),
                *_client_options(),
            ],
        )
    ]


def connect(conf: cfg.ConfigOpts) -> 'GlanceImages':
    """Return the images of the Glance that group [glance] describes.

    Nothing is sent before the first call of a method, so wrong credentials
    show there. Call it in the process that uses it, after the fork. Raises
    ConfigError for options that cannot be right.
    """
    group = conf[GROUP]
    session = ksa_session.Session(
        auth=_credentials(conf),
        verify=not group.insecure and (group.cafile or True),
        cert=_certificate(group),
        timeout=group.timeout,
        app_name='dcn-distributor',
    )
    for scheme in ('http://', 'https://'):
        session.session.mount(
            scheme, ksa_session.TCPKeepAliveAdapter(pool_maxsize=_POOL_SIZE)
        )
    client = glance_client.Client(
        session=session,
        service_type=group.service_type,
        service_name=group.service_name,
        interface=group.valid_interfaces,
        region_name=group.region_name,
        endpoint_override=group.endpoint_override,
    )
    return GlanceImages(client, page_size=group.page_size)


def _credentials(conf: cfg.ConfigOpts) -> Any:
    """Return the authentication plugin. Raises ConfigError.

    keystoneauth1 finds out about a missing password only when it needs it.
    """
    section = conf[GROUP].auth_section or GROUP
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP)
    except ksa_exc.ClientException as exc:
        raise exceptions.ConfigError(f'[{section}] {_line(exc)}') from exc
    if auth is None:
        raise exceptions.ConfigError(
            f'[{section}] auth_type: missing; "password" is the usual one'
        )
    if 'password' in conf[section] and not conf[section].password:
        raise exceptions.ConfigError(f'[{section}] password: missing')
    return auth


def _certificate(group: Any) -> tuple[str, str] | str | None:
    """Return the client certificate as requests wants it."""
    if group.certfile and group.keyfile:
        return (group.certfile, group.keyfile)
    return group.certfile or None


# --- the client ------------------------------------------------------------


class GlanceImages:
    """The images of a Glance: `core.ports.Images`.

    Works on the plain dictionaries of the API instead of glanceclient's
    models: these need the image schema first and check each image against
    it, which refuses what a newer Glance or an old image has.

    :param client: a glanceclient v2 client with a session of its own.
    :param page_size: images to ask for with one request in `list`.
    """

    def __init__(
        self, client: glance_client.Client, *, page_size: int
    ) -> None:
        self._client = client
        self._page_size = page_size

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._client.http_client.session.session.close()

    def get(self, image_id: images.ImageId) -> images.Image:
        """Read one image. Raises ImageNotFound."""
        _check_id(image_id)
        what = f'read image {image_id}'
        with _translated(what, policy='get_image'):
            body = self._read(f'/v2/images/{image_id}')
        return from_glance(_mapping(body, what))

    def list(self) -> Iterator[images.Image]:
        """Read all images, a page at a time.

        The filter for hidden images takes true or false only (glance:
        api/v2/images.py ImagesController.index), hence two lists. Without
        ``visibility=all`` the community images of other projects are left
        out (glance: db/sqlalchemy/api.py _select_images_query).
        """
        for hidden in ('false', 'true'):
            query = {
                'visibility': 'all',
                'os_hidden': hidden,
                'sort': 'created_at:asc,id:asc',
                'limit': str(self._page_size),
            }
            for raw in self._pages(query):
                yield from_glance(raw)

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """Read the task that holds the image's import lock."""
        if image.import_task is None:
            return None
        for raw in self._tasks(image.id):
            if raw.get('id') == image.import_task:
                return _task_from_glance(raw)
        return None

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """Read the newest import task of the image, ended or not."""
        tasks = [
            _task_from_glance(raw)
            for raw in self._tasks(image_id)
            if raw.get('type') == 'api_image_import'
        ]
        return max(
            tasks,
            key=lambda task: (task.created_at_s, task.updated_at_s),
            default=None,
        )

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """Ask for an import of the image into `stores`, by copy-image.

        ``allow_failure`` sends all_stores_must_succeed=false: with true,
        which is Glance's own default, a failing store takes the copies of
        the same request that are done with it (glance:
        async_/flows/api_image_import.py _ImportToStore.revert). The stores
        are written in the order given (get_flow, same file).
        """
        wanted = [*dict.fromkeys(stores)]
        if not wanted:
            raise ValueError('no store to copy to: Glance would pick one')
        _check_id(image_id)
        _check_not_reserved(wanted)
        where = _line(', '.join(wanted))
        with _translated(
            f'copy image {image_id} to {where}',
            policy='copy_image',
            special=_IMPORT_ERRORS,
        ):
            self._client.images.image_import(
                image_id, 'copy-image', stores=wanted, allow_failure=True
            )

    def stores(self) -> frozenset[images.StoreId]:
        """Read which stores Glance has, without its internal ones.

        Raises StoreUnknown if it is not set up for several, which it tells
        by 404 (glance: api/v2/discovery.py get_stores).
        """
        what = 'read the stores'
        with _translated(what, policy='', special={404: _one_store}):
            body = self._read('/v2/info/stores')
        return frozenset(
            images.StoreId(str(raw['id']))
            for raw in _mappings(_mapping(body, what).get('stores'), what)
            if raw.get('id') and not str(raw['id']).startswith(_RESERVED)
        )

    def _read(self, path: str) -> object:
        """Send a GET, return the JSON of the answer."""
        _, body = self._client.http_client.get(path)
        return body

    def _tasks(self, image_id: images.ImageId) -> Sequence[Mapping[str, Any]]:
        """Read the tasks of an image: none if Glance cannot tell.

        404 stands for an image that is gone as well as for a Glance before
        22 (API 2.12), and either has no tasks to show.
        """
        _check_id(image_id)
        what = f'read the tasks of image {image_id}'
        try:
            with _translated(what, policy='get_image'):
                body = self._read(f'/v2/images/{image_id}/tasks')
        except exceptions.ImageNotFound:
            return ()
        return _mappings(_mapping(body, what).get('tasks'), what)

    def _pages(self, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Read the images of a query, oldest first.

        The image that a page ended with may be deleted before the next page
        is asked for by its id, and Glance then refuses (unless to an admin).
        The list goes on by time, from the second in which that image was
        created and less what was in the last page: an image may come twice,
        but none is left out.
        """
        where: dict[str, str] = {}
        page: Sequence[Mapping[str, Any]] = ()
        while True:
            seen = frozenset(raw.get('id') for raw in page)
            try:
                page, more = self._page({**query, **where})
            except _MarkerGone:
                where = {'created_at': f'gte:{page[-1].get("created_at")}'}
                continue
            yield from (raw for raw in page if raw.get('id') not in seen)
            if not more:
                return
            marker = str(page[-1].get('id'))
            if marker == where.get('marker'):
                raise exceptions.GlanceUnavailable(
                    'cannot list the images: Glance repeats the page that '
                    f'ends with image {_line(marker)}'
                )
            where = {**where, 'marker': marker}

    def _page(
        self, query: Mapping[str, str]
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Read one page; say whether more follow.

        glance: api/v2/images.py index answers 400 for a marker it does not
        find.
        """
        what = 'list the images'
        special = {400: _marker_gone} if 'marker' in query else {}
        path = '/v2/images?' + urllib.parse.urlencode(query)
        with _translated(what, policy='get_images', special=special):
            body = self._read(path)
        answer = _mapping(body, what)
        page = _mappings(answer.get('images'), what)
        return page, bool(page) and 'next' in answer


# --- what Glance answers, as values ----------------------------------------


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
    )


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
        and not key.startswith(_RESERVED)
    }


def _task_from_glance(raw: Mapping[str, Any]) -> images.ImportTask:
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
        message=message,
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
        value = [item.strip() for item in value.split(',')]
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
            f'Glance sent {_line(value)!r} for a time'
        ) from exc
    if read.tzinfo is None:
        read = read.replace(tzinfo=datetime.timezone.utc)
    return read.timestamp()


def _mapping(body: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object, or raise GlanceUnavailable."""
    if not isinstance(body, dict):
        raise exceptions.GlanceUnavailable(
            f'cannot {what}: the answer is no JSON object, which is not '
            'what Glance sends; is the endpoint right?'
        )
    return body


def _mappings(body: object, what: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of JSON objects, or raise GlanceUnavailable."""
    if not isinstance(body, list):
        raise exceptions.GlanceUnavailable(
            f'cannot {what}: the answer lacks the list; is the endpoint right?'
        )
    return [_mapping(item, what) for item in body]


# --- what Glance refuses, as errors ----------------------------------------


class _MarkerGone(exceptions.TemporaryError):
    """The image after which a page should begin is gone."""


_Error = type[exceptions.DistributorError]
_Special = Mapping[int, Callable[[str], tuple[_Error, str]]]


@contextlib.contextmanager
def _translated(
    what: str, *, policy: str, special: _Special | None = None
) -> Iterator[None]:
    """Turn whatever the libraries raise into an error of ours.

    Whatever: beside its own errors that is OSError (those of requests are,
    so is an unreadable CA file), ValueError (broken JSON, URLs, encodings),
    what exc.from_response of glanceclient trips over in an error without
    Content-Type, and bare Exception (keystoneauth1: an option that Keystone
    needs is missing). For that reason only a call of the libraries belongs
    inside: no bug of ours must look like an outage.

    :param what: what was tried, to follow "cannot".
    :param policy: the rule of Glance that has to allow it.
    :param special: by status, a function from what Glance said to the error
        and a hint, where the status alone does not tell.
    """
    try:
        yield
    except Exception as exc:
        error, said = _classify(exc, policy, special or {})
        raise error(f'cannot {what}: {said}') from exc


def _classify(
    exc: Exception, policy: str, special: _Special
) -> tuple[_Error, str]:
    """Return the error for a foreign one, and what to say of it."""
    if isinstance(exc, ksa_exc.HttpError):
        return _from_keystone(exc)
    if not isinstance(exc, glance_exc.HTTPException):
        name = type(exc).__name__
        return exceptions.GlanceUnavailable, f'{name}: {_line(exc)}'
    text = _line(exc.details)
    if exc.code in special:
        error, hint = special[exc.code](text)
    else:
        error, hint = _BY_STATUS.get(exc.code, _OUTAGE)
    code = str(exc.code)
    said = text if text.startswith(code) else f'{code}: {text}'
    said = f'Glance answered {said}'.removesuffix('.')
    return error, said + hint.format(policy=policy)


def _from_keystone(exc: Any) -> tuple[_Error, str]:
    """Return the error for one of Keystone.

    Only asking Keystone for a token raises these: what Glance answers is
    checked by glanceclient.
    """
    said = f'Keystone answered {exc.http_status}: {_line(exc.message)}'
    if exc.http_status in (401, 403):
        hint = f'; check the credentials in [{GROUP}]'
        return exceptions.AccessDenied, said + hint
    return exceptions.GlanceUnavailable, said


_OUTAGE: tuple[_Error, str] = (exceptions.GlanceUnavailable, '')
_BY_STATUS: Mapping[object, tuple[_Error, str]] = {
    401: (
        exceptions.AccessDenied,
        f'; check the credentials in [{GROUP}] and those of Glance itself',
    ),
    403: (
        exceptions.AccessDenied,
        '; check the roles of the agent\'s user and the rule "{policy}" of '
        "Glance's policy",
    ),
    404: (exceptions.ImageNotFound, ''),
    # A quota of the agent's own project (glance: quota/keystone.py
    # enforce_image_size_total), which may be raised or become free without
    # a change of the image: so no permanent error.
    413: (
        exceptions.TemporaryError,
        "; check the quota image_size_total of the agent's project",
    ),
}
_IMPORT_METHODS = '; add copy-image to enabled_import_methods of Glance'


def _refused(text: str) -> tuple[_Error, str]:
    """Return the error for a 400 to an import.

    glance: api/v2/images.py import_image and _validate_import_body.
    """
    if 'already present' in text:
        return exceptions.AlreadyPresent, ''
    if 'Unknown import method' in text:
        return exceptions.NotCopyable, _IMPORT_METHODS
    if 'enabled_backends' in text:
        return exceptions.StoreUnknown, '; Glance has just one store'
    return exceptions.NotCopyable, ''


def _conflict(text: str) -> tuple[_Error, str]:
    """Return the error for a 409 to an import.

    glance: api/v2/images.py import_image; for a store, glance_store:
    multi_backend.py get_store_from_store_identifier. Two texts tell of the
    lock: held when the request came, or lost to one that came with it. A
    text unknown to us is taken for a passing conflict too.
    """
    if 'Store for identifier' in text or 'Unknown scheme' in text:
        return exceptions.StoreUnknown, ''
    if 'status active' in text or 'needs to be set' in text:
        return exceptions.NotCopyable, ''
    return exceptions.ImportInProgress, ''


def _no_import(_text: str) -> tuple[_Error, str]:
    """Return the error where the call itself is not there."""
    return exceptions.NotCopyable, _IMPORT_METHODS


def _one_store(_text: str) -> tuple[_Error, str]:
    """Return the error for a Glance without enabled_backends."""
    return exceptions.StoreUnknown, '; set enabled_backends in Glance'


_IMPORT_ERRORS: _Special = {
    400: _refused,
    405: _no_import,
    409: _conflict,
    501: _no_import,
}


def _marker_gone(_text: str) -> tuple[_Error, str]:
    """Return the error for a page after an image that is gone."""
    return _MarkerGone, ''


def _check_id(image_id: str) -> None:
    """Refuse without asking what cannot be the id of an image."""
    if not _UUID.fullmatch(image_id):
        raise exceptions.ImageNotFound(
            f'no image {_line(image_id)!r}: an image id is a UUID'
        )


def _check_not_reserved(stores: Iterable[str]) -> None:
    """Refuse Glance's internal stores, which an import would accept.

    glance_store: multi_backend.py get_store_from_store_identifier looks
    among the reserved stores too.
    """
    for store in stores:
        if store.startswith(_RESERVED):
            raise exceptions.StoreUnknown(
                f"store {_line(store)} is one of Glance's own"
            )


def _line(text: object) -> str:
    """Return a text of others on one line, without markup, safe to print."""
    plain = html.unescape(re.sub(r'<[^<>]*>', ' ', _text(text)))
    line = ' '.join(plain.split())[:_MESSAGE_LENGTH]
    return ''.join(
        char if char.isprintable() else ascii(char)[1:-1] for char in line
    )
