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
"""The Glance client: options, credentials, pages, tasks, threads."""

from collections.abc import Iterator
from concurrent import futures
import logging
import subprocess
import sys
from typing import Any

from oslo_config import cfg
import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import glance
from dcn_distributor.clients import glance_values
from dcn_distributor.core import images as core_images
from tests.unit.clients import stub_cloud

ID = core_images.ImageId('3f0f1d52-4c1b-4f5e-9d0c-0c6a0b3c2f11')
TASKS = f'/v2/images/{ID}/tasks'


# -- options and credentials ------------------------------------------------


def test_options_have_sane_defaults() -> None:
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[])
    glance.register_opts(conf)

    assert conf.glance.service_type == 'image'
    assert conf.glance.valid_interfaces == ['public']
    assert conf.glance.timeout == 60.0
    assert conf.glance.page_size == 200


def test_options_for_the_sample_hide_the_password() -> None:
    options = {option.dest: option for option in glance.list_opts()[0][1]}

    assert options['password'].secret
    assert {'auth_type', 'auth_url', 'username', 'timeout'} <= set(options)


MISSING = {
    'auth_type': 'auth_type: missing',
    'auth_url': 'auth_url',
    'password': 'password: missing',
}


@pytest.mark.parametrize(('option', 'says'), MISSING.items(), ids=MISSING)
def test_missing_option_is_found_before_anything_is_sent(
    cloud: stub_cloud.StubCloud, conf: cfg.ConfigOpts, option: str, says: str
) -> None:
    conf.clear_override(option, group='glance')

    with pytest.raises(exceptions.ConfigError, match=says) as caught:
        glance.connect(conf)

    assert str(caught.value).startswith('[glance] ')


def test_unknown_kind_of_credentials_is_a_config_error(
    conf: cfg.ConfigOpts,
) -> None:
    conf.set_override('auth_type', 'telepathy', group='glance')

    with pytest.raises(exceptions.ConfigError, match='telepathy'):
        glance.connect(conf)


def test_connecting_sends_nothing(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    assert cloud.tokens == 0


def test_one_token_serves_many_requests(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.Answer(200, {'id': ID}))

    for _ in range(5):
        images.get(ID)

    assert cloud.tokens == 1


def test_expired_token_is_replaced_unnoticed(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.Answer(200, {'id': ID}))
    images.get(ID)
    cloud.expired.add(f'{stub_cloud.SECRET}-1')

    assert images.get(ID).id == ID
    assert cloud.tokens == 2


def test_copy_survives_an_expired_token(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    bodies = []

    def accept(request: stub_cloud.Request) -> stub_cloud.Answer:
        bodies.append(request.json)
        return stub_cloud.Answer(202, '', stub_cloud.HTML)

    cloud.answer = accept
    cloud.expired.add(f'{stub_cloud.SECRET}-1')

    images.copy_to_stores(ID, [core_images.StoreId('dcn0')])

    assert [body['stores'] for body in bodies] == [['dcn0']]


def test_neither_password_nor_token_is_logged(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cloud.always(stub_cloud.Answer(200, {'id': ID}))

    with caplog.at_level(logging.DEBUG):
        images.get(ID)

    assert f'/v2/images/{ID}' in caplog.text
    assert stub_cloud.SECRET not in caplog.text


def test_core_and_exceptions_do_without_glanceclient() -> None:
    code = (
        'import sys; from dcn_distributor.core import ports; '
        'print({"glanceclient", "keystoneauth1"} & set(sys.modules))'
    )

    ran = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, check=True
    )

    assert ran.stdout.decode().strip() == 'set()'


def test_many_threads_share_one_client(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    def echo(request: stub_cloud.Request) -> stub_cloud.Answer:
        return stub_cloud.Answer(200, {'id': request.path.split('/')[-1]})

    cloud.answer = echo
    ids = [
        core_images.ImageId(f'{number:08x}-0000-0000-0000-000000000000')
        for number in range(200)
    ]

    with futures.ThreadPoolExecutor(32) as pool:
        read = [image.id for image in pool.map(images.get, ids)]

    assert read == ids
    assert cloud.tokens == 1


# -- what is asked ----------------------------------------------------------


def test_failures_are_always_allowed(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    bodies = []

    def accept(request: stub_cloud.Request) -> stub_cloud.Answer:
        bodies.append((request.path, request.json))
        return stub_cloud.Answer(202, '', stub_cloud.HTML)

    cloud.answer = accept

    images.copy_to_stores(ID, map(core_images.StoreId, ('b', 'a', 'b')))

    assert bodies == [
        (
            f'/v2/images/{ID}/import',
            {
                'method': {'name': 'copy-image'},
                'stores': ['b', 'a'],
                'all_stores_must_succeed': False,
            },
        )
    ]


def test_copy_to_no_store_is_a_bug_of_the_caller(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    with pytest.raises(ValueError, match='no store'):
        images.copy_to_stores(ID, [])

    assert cloud.tokens == 0


def test_internal_stores_are_neither_shown_nor_written(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    names = ('central', 'dcn0', 'os_glance_staging_store')
    stores = [{'id': name} for name in names]
    cloud.always(stub_cloud.Answer(200, {'stores': stores}))

    assert images.stores() == {'central', 'dcn0'}
    with pytest.raises(exceptions.StoreUnknown):
        images.copy_to_stores(ID, [core_images.StoreId(names[2])])


def test_location_is_added_by_one_request(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    requests = []

    def accept(request: stub_cloud.Request) -> stub_cloud.Answer:
        requests.append((request.method, request.path, request.json))
        return stub_cloud.Answer(200, {'id': ID})

    cloud.answer = accept
    url = f'rbd://fsid/images/{ID}/snap'

    images.add_location(ID, core_images.Location(url, None))
    images.add_location(
        ID, core_images.Location(url, core_images.StoreId('dcn0'))
    )

    assert requests == [
        (
            'PATCH',
            f'/v2/images/{ID}',
            [
                {
                    'op': 'add',
                    'path': '/locations/-',
                    'value': {'url': url, 'metadata': metadata},
                }
            ],
        )
        for metadata in ({}, {'store': 'dcn0'})
    ]


# -- lists ------------------------------------------------------------------


class Index:
    """Images as GET /v2/images lists them (glance: api/v2/images.py)."""

    def __init__(self, count: int) -> None:
        self.images = [
            {
                'id': f'{number:08x}-0000-0000-0000-000000000000',
                'created_at': f'2026-01-01T00:{number // 3:02}:00Z',
                'os_hidden': number % 4 == 3,
            }
            for number in range(count)
        ]
        self.queries: list[dict[str, str]] = []
        self.limit_max = 1000

    def __call__(self, request: stub_cloud.Request) -> stub_cloud.Answer:
        """Answer a page."""
        query = request.query
        self.queries.append(query)
        limit = min(int(query['limit']), self.limit_max)
        hidden = query['os_hidden'] == 'true'
        found = [one for one in self.images if one['os_hidden'] is hidden]
        since = query.get('created_at', 'gte:').removeprefix('gte:')
        found = [one for one in found if str(one['created_at']) >= since]
        marker = query.get('marker')
        if marker is not None:
            ids = [one['id'] for one in found]
            if marker not in ids:
                text = f'No image found with ID {marker}'
                return stub_cloud.refusal(400, text)
            found = found[ids.index(marker) + 1 :]
        body: dict[str, Any] = {'images': found[:limit]}
        if len(found) >= limit:
            body['next'] = '/v2/images?marker=whatever'
        return stub_cloud.Answer(200, body)

    def delete(self, image_id: str) -> None:
        """Delete an image."""
        self.images = [one for one in self.images if one['id'] != image_id]


@pytest.fixture
def paged(conf: cfg.ConfigOpts) -> Iterator[glance.GlanceImages]:
    conf.set_override('page_size', 4, group='glance')
    client = glance.connect(conf)
    yield client
    client.close()


@pytest.mark.parametrize('count', [0, 1, 4, 15, 16, 17, 40])
def test_every_image_is_listed_once(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages, count: int
) -> None:
    cloud.answer = index = Index(count)

    listed = [image.id for image in paged.list()]

    assert sorted(listed) == [one['id'] for one in index.images]


def test_all_visibilities_are_asked_for_in_a_stable_order(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.answer = index = Index(20)

    list(paged.list())

    assert {query['visibility'] for query in index.queries} == {'all'}
    assert {query['sort'] for query in index.queries} == {
        'created_at:asc,id:asc'
    }
    assert {query['limit'] for query in index.queries} == {'4'}


def test_glance_may_send_smaller_pages_than_asked_for(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.answer = index = Index(20)
    index.limit_max = 3

    assert len(list(paged.list())) == 20


def test_pages_are_read_as_they_are_needed(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.answer = index = Index(40)
    listing = paged.list()

    next(listing)

    assert len(index.queries) == 1


@pytest.mark.parametrize('at', range(20), ids=lambda at: f'after {at} images')
def test_image_deleted_while_listing_hides_no_other(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages, at: int
) -> None:
    cloud.answer = index = Index(20)
    expected = {str(one['id']) for one in index.images}
    listed: list[str] = []

    for image in paged.list():
        if len(listed) == at:
            # Often the one that the next page is asked for by.
            index.delete(image.id)
        listed.append(image.id)

    assert set(listed) == expected


def test_every_image_deleted_as_it_is_listed_ends_the_list(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.answer = index = Index(40)
    expected = {str(one['id']) for one in index.images}
    listed = set()

    for image in paged.list():
        index.delete(image.id)
        listed.add(image.id)

    assert listed == expected


def test_list_that_repeats_itself_is_given_up(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    body = {'images': [{'id': ID}], 'next': '/v2/images?marker=x'}
    cloud.always(stub_cloud.Answer(200, body))

    with pytest.raises(exceptions.GlanceUnavailable, match='repeats'):
        list(paged.list())


def test_refused_first_page_is_an_outage(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.refusal(400, 'Invalid visibility value: all'))

    with pytest.raises(exceptions.GlanceUnavailable, match='visibility'):
        list(paged.list())


def test_list_that_is_not_there_is_an_outage(
    cloud: stub_cloud.StubCloud, paged: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.refusal(404, 'No such page'))

    with pytest.raises(exceptions.GlanceUnavailable, match='endpoint'):
        list(paged.list())


# -- tasks ------------------------------------------------------------------


def _task(number: int, **values: object) -> dict[str, object]:
    """Return a task as Glance 33.0.0 answers it."""
    return {
        'id': f't{number}',
        'type': 'api_image_import',
        'status': 'processing',
        'owner': 'p',
        'expires_at': None,
        'created_at': f'2026-11-21T22:00:0{number}.000000',
        'updated_at': f'2026-11-21T22:01:0{number}.500000',
        'deleted_at': None,
        'deleted': False,
        'image_id': ID,
        'request_id': 'req-1',
        'user_id': 'u',
        'input': {'image_id': ID, 'backend': ['dcn1', 'dcn0']},
        'result': None,
        'message': '',
        **values,
    }


def _locked(task_id: str | None) -> core_images.Image:
    return glance_values.from_glance(
        {'id': ID, 'os_glance_import_task': task_id}
    )


def test_task_of_the_lock_is_found_among_others(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    tasks = [_task(1), _task(2, message='Copied 12 MiB'), _task(3)]
    cloud.always(stub_cloud.Answer(200, {'tasks': tasks}))

    assert images.import_task(_locked('t2')) == core_images.ImportTask(
        id='t2',
        status='processing',
        stores=tuple(map(core_images.StoreId, ('dcn1', 'dcn0'))),
        message='Copied 12 MiB',
        copied_bytes=12 * 2**20,
        created_at_s=1795298402.0,
        updated_at_s=1795298462.5,
    )


def test_image_without_lock_has_no_task_and_asks_for_none(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    assert images.import_task(_locked(None)) is None
    assert cloud.tokens == 0


def test_newest_import_is_the_last_one(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    tasks = [
        _task(1),
        _task(3),
        _task(2),
        _task(4, type='location_import'),
    ]
    cloud.always(stub_cloud.Answer(200, {'tasks': tasks}))

    last = images.last_import_task(ID)

    assert last is not None
    assert last.id == 't3'


@pytest.mark.parametrize(
    'answer',
    [
        pytest.param(stub_cloud.Answer(200, {'tasks': []}), id='none left'),
        pytest.param(
            stub_cloud.refusal(404, 'not found'),
            id='a Glance too old, or the image is gone',
        ),
    ],
)
def test_no_tasks_to_see_is_no_error(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    answer: stub_cloud.Answer,
) -> None:
    cloud.always(answer)

    assert images.import_task(_locked('t1')) is None
    assert images.last_import_task(ID) is None


ODD_TASKS: dict[str, tuple[dict[str, object], str, object]] = {
    'no input shown': ({'input': None}, 'stores', ()),
    'input without stores': ({'input': {}}, 'stores', ()),
    'input as text': ({'input': 'x'}, 'stores', ()),
    'a single store': ({'input': {'backend': [None]}}, 'stores', ()),
    'no message': ({'message': None}, 'message', ''),
    'a message without a figure': (
        {'message': 'Expired lock preempted'},
        'copied_bytes',
        None,
    ),
    'time with a zone': (
        {'created_at': '2026-11-21T22:00:01Z'},
        'created_at_s',
        1795298401.0,
    ),
    'never updated': ({'updated_at': None}, 'updated_at_s', 1795298401.0),
}


@pytest.mark.parametrize(
    ('values', 'attribute', 'expected'),
    ODD_TASKS.values(),
    ids=ODD_TASKS.keys(),
)
def test_odd_task(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    values: dict[str, object],
    attribute: str,
    expected: object,
) -> None:
    cloud.always(stub_cloud.Answer(200, {'tasks': [_task(1, **values)]}))

    task = images.last_import_task(ID)

    assert getattr(task, attribute) == expected


@pytest.mark.parametrize(
    'body',
    [
        pytest.param({'tasks': [_task(1, created_at='soon')]}, id='no time'),
        pytest.param({'tasks': None}, id='no list'),
        pytest.param({'tasks': ['x']}, id='no task'),
    ],
)
def test_useless_tasks_are_an_outage(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages, body: object
) -> None:
    cloud.always(stub_cloud.Answer(200, body))

    with pytest.raises(exceptions.GlanceUnavailable):
        images.last_import_task(ID)
