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

With glance_errors, which turns their exceptions into ours, the one importer
of glanceclient and keystoneauth1; glance_values reads what Glance answers,
glance_pages its lists, and glance_refusals what it refuses. It decides
nothing, retries nothing (but for keystoneauth1's one new token after a 401)
and keeps nothing.

Paths named ``glance:`` are those of Glance 33.0.0; 25.1.0 does the same
where nothing else is said.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any
import urllib.parse

from glanceclient.v2 import client as glance_client
from keystoneauth1 import exceptions as ksa_exc
from keystoneauth1 import loading
from keystoneauth1 import session as ksa_session
from oslo_config import cfg

from dcn_distributor import exceptions
from dcn_distributor.clients import glance_errors
from dcn_distributor.clients import glance_pages
from dcn_distributor.clients import glance_refusals
from dcn_distributor.clients import glance_values
from dcn_distributor.core import images

GROUP = 'glance'

# Connections kept for reuse; requests keeps 10 and logs a warning for each
# it has to throw away beyond these.
_POOL_SIZE = 64

# glance: api/v2/images.py RequestDeserializer._get_change_operation_d10
_JSON_PATCH = 'application/openstack-images-v2.1-json-patch'

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
    return GlanceImages(make_client(conf), page_size=conf[GROUP].page_size)


def make_client(
    conf: cfg.ConfigOpts, endpoint: str | None = None
) -> glance_client.Client:
    """Make a client of glanceclient, with a session of its own.

    `endpoint` is that of another Glance of the same cloud. Raises ConfigError
    for options that cannot be right.
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
    return glance_client.Client(
        session=session,
        service_type=group.service_type,
        service_name=group.service_name,
        interface=group.valid_interfaces,
        region_name=group.region_name,
        endpoint_override=endpoint or group.endpoint_override,
    )


def _credentials(conf: cfg.ConfigOpts) -> Any:
    """Return the authentication plugin. Raises ConfigError.

    keystoneauth1 finds out about a missing password only when it needs it.
    """
    section = conf[GROUP].auth_section or GROUP
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP)
    except ksa_exc.ClientException as exc:
        raise exceptions.ConfigError(
            f'[{section}] {glance_refusals.line(exc)}'
        ) from exc
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
        glance_refusals.check_id(image_id)
        what = f'read image {image_id}'
        with glance_errors.translated(what, policy='get_image'):
            body = self._read(f'/v2/images/{image_id}')
        return glance_values.from_glance(glance_values.mapping(body, what))

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
            for raw in glance_pages.read(self._page, query):
                yield glance_values.from_glance(raw)

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """Read the task that holds the image's import lock."""
        if image.import_task is None:
            return None
        for raw in self._tasks(image.id):
            if raw.get('id') == image.import_task:
                return glance_values.task_from_glance(raw)
        return None

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """Read the newest import task of the image, ended or not."""
        tasks = [
            glance_values.task_from_glance(raw)
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
        glance_refusals.check_id(image_id)
        glance_refusals.check_not_reserved(wanted)
        where = glance_refusals.line(', '.join(wanted))
        with glance_errors.translated(
            f'copy image {image_id} to {where}',
            policy='copy_image',
            special=glance_refusals.FOR_IMPORTS,
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
        with glance_errors.translated(
            what, policy='', special=glance_refusals.FOR_STORES
        ):
            body = self._read('/v2/info/stores')
        return frozenset(
            images.StoreId(str(raw['id']))
            for raw in glance_values.mappings(
                glance_values.mapping(body, what).get('stores'), what
            )
            if raw.get('id')
            and not str(raw['id']).startswith(glance_refusals.RESERVED)
        )

    def store_details(self) -> Mapping[images.StoreId, images.StoreDetails]:
        """Read what Glance tells of its RBD stores.

        Empty where it has no such call, which came with release 24, is not
        set up for several stores, or forbids it (glance: policies/
        discovery.py stores_info_detail).
        """
        what = 'read the details of the stores'
        try:
            with glance_errors.translated(
                what, policy='', special=glance_refusals.FOR_DETAILS
            ):
                body = self._read('/v2/info/stores/detail')
        except glance_refusals.NothingTold:
            return {}
        found = glance_values.mapping(body, what).get('stores')
        return glance_values.details_from_glance(
            glance_values.mappings(found, what)
        )

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """Register a copy that lies in a store already.

        Sent as it is: glanceclient's own method reads the image's schema
        first and the whole image again afterwards. The store need not be
        named: Glance puts the one whose cluster and pool the URL has in its
        place, if there is one (glance: common/store_utils.py
        get_updated_store_location).
        """
        glance_refusals.check_id(image_id)
        metadata = {} if location.store is None else {'store': location.store}
        value = {'url': location.url, 'metadata': metadata}
        where = glance_refusals.line(location.store or location.url)
        with glance_errors.translated(
            f'register the copy of image {image_id} in {where}',
            policy='set_image_location',
            special=glance_refusals.FOR_LOCATIONS,
        ):
            self._client.http_client.patch(
                f'/v2/images/{image_id}',
                headers={'Content-Type': _JSON_PATCH},
                data=json.dumps(
                    [{'op': 'add', 'path': '/locations/-', 'value': value}]
                ),
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
        glance_refusals.check_id(image_id)
        what = f'read the tasks of image {image_id}'
        try:
            with glance_errors.translated(what, policy='get_image'):
                body = self._read(f'/v2/images/{image_id}/tasks')
        except exceptions.ImageNotFound:
            return ()
        return glance_values.mappings(
            glance_values.mapping(body, what).get('tasks'), what
        )

    def _page(
        self, query: Mapping[str, str]
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Read one page; say whether more follow.

        glance: api/v2/images.py index answers 400 for a marker it does not
        find.
        """
        what = 'list the images'
        special = (
            glance_refusals.FOR_PAGES
            if 'marker' in query
            else glance_refusals.FOR_LISTS
        )
        path = '/v2/images?' + urllib.parse.urlencode(query)
        with glance_errors.translated(
            what, policy='get_images', special=special
        ):
            body = self._read(path)
        answer = glance_values.mapping(body, what)
        page = glance_values.mappings(answer.get('images'), what)
        return page, bool(page) and 'next' in answer
