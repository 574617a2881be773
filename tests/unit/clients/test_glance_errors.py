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
"""What Glance and Keystone may answer, and the error each becomes."""

import socket

from glanceclient.v2 import client as glance_client
from keystoneauth1 import identity
from keystoneauth1 import session as ksa_session
from oslo_config import cfg
import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import glance
from dcn_distributor.core import images as core_images
from tests.unit.clients import stub_cloud

ID = core_images.ImageId('3f0f1d52-4c1b-4f5e-9d0c-0c6a0b3c2f11')
STORES = [core_images.StoreId('dcn0'), core_images.StoreId('dcn1')]

IMPORT = {
    # Texts: glance api/v2/images.py and glance_store, 25.1.0 as 33.0.0.
    'the lock is held': (
        409,
        'Image has active task',
        exceptions.ImportInProgress,
    ),
    'the race for the lock is lost': (
        409,
        f"New operation on image '{ID}' is not permitted as prior operation "
        'is still in progress',
        exceptions.ImportInProgress,
    ),
    'a conflict nobody has heard of': (
        409,
        'Mercury is retrograde',
        exceptions.ImportInProgress,
    ),
    'a store is unknown': (
        409,
        'Store for identifier dcn7 not found',
        exceptions.StoreUnknown,
    ),
    'the driver of a store is unknown': (
        409,
        "Unknown scheme 'rbd' found in URI",
        exceptions.StoreUnknown,
    ),
    'the image is not active': (
        409,
        'Only images with status active can be targeted for copying',
        exceptions.NotCopyable,
    ),
    'the image has no container format': (
        409,
        "'container_format' needs to be set before import",
        exceptions.NotCopyable,
    ),
    'the image has no disk format': (
        409,
        "'disk_format' needs to be set before import",
        exceptions.NotCopyable,
    ),
    'a store has the image': (
        400,
        'Image is already present at store &#x27;dcn0&#x27;',
        exceptions.AlreadyPresent,
    ),
    'copy-image is not enabled': (
        400,
        'Unknown import method name &#x27;copy-image&#x27;.',
        exceptions.ImportDisabled,
    ),
    'Glance has a single store': (
        400,
        'All_stores_must_succeed can only be set with enabled_backends None',
        exceptions.StoreUnknown,
    ),
    'a bad request nobody has heard of': (
        400,
        'No.',
        exceptions.NotCopyable,
    ),
    'the image is gone': (
        404,
        f'No image found with ID {ID}',
        exceptions.ImageNotFound,
    ),
    'a policy forbids it': (
        403,
        'You are not authorized to complete copy_image action.',
        exceptions.AccessDenied,
    ),
    'the quota is used up': (
        413,
        'Project p is over a limit for [Resource image_size_total]',
        exceptions.TemporaryError,
    ),
    'the call is not there': (405, 'No.', exceptions.ImportDisabled),
    'the call is not implemented': (501, 'No.', exceptions.ImportDisabled),
    'Glance has a bug': (500, 'Oops', exceptions.GlanceUnavailable),
    'Glance is overloaded': (503, 'Later', exceptions.GlanceUnavailable),
    'too many requests': (429, 'Later', exceptions.GlanceUnavailable),
    'a status of no use': (418, 'Teapot', exceptions.GlanceUnavailable),
}


@pytest.mark.parametrize(
    ('status', 'text', 'error'), IMPORT.values(), ids=IMPORT.keys()
)
def test_refused_import_becomes(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    status: int,
    text: str,
    error: type[Exception],
) -> None:
    cloud.always(stub_cloud.refusal(status, text))

    with pytest.raises(exceptions.DistributorError) as caught:
        images.copy_to_stores(ID, STORES)

    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith(
        f'cannot copy image {ID} to dcn0, dcn1: Glance answered '
    )
    assert text.replace('&#x27;', "'").rstrip('.') in message


LOCATION = {
    # Texts: glance api/v2/images.py, location.py, quota and db, as 25.1.0
    # and 33.0.0 have sent them.
    'it is known': (
        400,
        'The location rbd://a/b/c/snap already exists',
        exceptions.AlreadyPresent,
        '',
    ),
    'it leads nowhere': (
        400,
        'Invalid location',
        exceptions.StoreUnknown,
        'enabled_backends',
    ),
    'locations are not shown': (
        403,
        'It&#x27;s not allowed to add locations if locations are invisible.',
        exceptions.AccessDenied,
        'set show_multiple_locations',
    ),
    'the policy forbids it': (
        403,
        'You are not authorized to complete set_image_location action.',
        exceptions.AccessDenied,
        'the rule "set_image_location"',
    ),
    'the policy allows it but not of images of others': (
        403,
        'You do not own this image',
        exceptions.AccessDenied,
        'the rule "context_is_admin"',
    ),
    'the image is gone': (
        404,
        f'No image found with ID {ID}',
        exceptions.ImageNotFound,
        '',
    ),
    'the image is deactivated': (
        409,
        'It&#x27;s not allowed to add locations if image status is '
        'deactivated.',
        exceptions.NotCopyable,
        '',
    ),
    'there are too many': (
        413,
        'The limit has been exceeded on the number of allowed image '
        'locations. Attempted: 11, Maximum: 10',
        exceptions.LocationQuotaExceeded,
        'image_location_quota',
    ),
    'there are too many bytes': (
        413,
        'Denying attempt to upload image because it exceeds the quota: The '
        'size of the data 1 will exceed the limit. 0 bytes remaining.',
        exceptions.StoreFull,
        'user_storage_quota',
    ),
    'its cluster does not answer': (
        500,
        'The server has either erred or is incapable of performing the '
        'requested operation.',
        exceptions.GlanceUnavailable,
        '',
    ),
    'a proxy is tired of waiting': (
        504,
        'Later',
        exceptions.GlanceUnavailable,
        '',
    ),
}


@pytest.mark.parametrize(
    ('status', 'text', 'error', 'hint'), LOCATION.values(), ids=LOCATION.keys()
)
def test_refused_location_becomes(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    status: int,
    text: str,
    error: type[Exception],
    hint: str,
) -> None:
    cloud.always(stub_cloud.refusal(status, text))
    location = core_images.Location('rbd://a/b/c/snap', STORES[0])

    with pytest.raises(exceptions.DistributorError) as caught:
        images.add_location(ID, location)

    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith(
        f'cannot register the copy of image {ID} in dcn0: Glance answered '
    )
    assert text.replace('&#x27;', "'").rstrip('.') in message
    assert hint in message.partition(';')[2]


@pytest.mark.parametrize(
    ('status', 'text'),
    [
        pytest.param(403, 'You are not authorized.', id='forbidden'),
        pytest.param(404, 'Multi backend is not supported', id='one store'),
        pytest.param(404, 'No such page', id='too old'),
    ],
)
def test_details_that_are_not_told_are_none(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    status: int,
    text: str,
) -> None:
    cloud.always(stub_cloud.refusal(status, text))

    assert images.store_details() == {}


@pytest.mark.parametrize('status', [401, 500, 503])
def test_trouble_does_not_hide_behind_missing_details(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages, status: int
) -> None:
    cloud.always(stub_cloud.refusal(status, 'No.'))

    with pytest.raises(
        (exceptions.GlanceUnavailable, exceptions.AccessDenied)
    ):
        images.store_details()


READ = {
    'no such image': (404, exceptions.ImageNotFound),
    'the token is worth nothing': (401, exceptions.AccessDenied),
    'a policy forbids it': (403, exceptions.AccessDenied),
    'too many requests': (429, exceptions.GlanceUnavailable),
    'Glance has a bug': (500, exceptions.GlanceUnavailable),
    'a proxy has lost Glance': (502, exceptions.GlanceUnavailable),
    'Glance is overloaded': (503, exceptions.GlanceUnavailable),
    'a proxy is tired of waiting': (504, exceptions.GlanceUnavailable),
}


@pytest.mark.parametrize(('status', 'error'), READ.values(), ids=READ.keys())
def test_refused_read_becomes(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    status: int,
    error: type[Exception],
) -> None:
    cloud.always(stub_cloud.refusal(status, 'because'))

    with pytest.raises(exceptions.DistributorError) as caught:
        images.get(ID)

    assert type(caught.value) is error


def test_forbidden_names_the_policy(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.refusal(403, 'No.'))

    with pytest.raises(exceptions.AccessDenied, match='"copy_image"'):
        images.copy_to_stores(ID, STORES)
    with pytest.raises(exceptions.AccessDenied, match='"get_image"'):
        images.get(ID)
    with pytest.raises(exceptions.AccessDenied, match='"get_images"'):
        next(images.list())


def test_disabled_method_names_the_option(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    cloud.always(stub_cloud.refusal(400, "Unknown import method name 'x'."))

    with pytest.raises(
        exceptions.ImportDisabled, match='enabled_import_methods'
    ):
        images.copy_to_stores(ID, STORES)


USELESS = {
    'no JSON': stub_cloud.Answer(200, '<html>'),
    'no JSON by its type': stub_cloud.Answer(200, '{}', 'text/plain'),
    'no type': stub_cloud.Answer(200, '{}', None),
    'a list': stub_cloud.Answer(200, []),
    'an image without id': stub_cloud.Answer(200, {'name': 'x'}),
    'null': stub_cloud.Answer(200, 'null'),
    'an octet stream': stub_cloud.Answer(
        200, b'\0\1', 'application/octet-stream'
    ),
    'an error without type': stub_cloud.Answer(500, 'x', None),
    'an error of flat JSON': stub_cloud.Answer(500, {'message': 'no'}),
    'an error of a JSON list': stub_cloud.Answer(500, ['no']),
    'an error of broken JSON': stub_cloud.Answer(500, '{'),
    'an error of broken UTF-8': stub_cloud.Answer(500, b'\xff', 'text/plain'),
    'an error of no words': stub_cloud.Answer(500, ''),
}


@pytest.mark.parametrize('answer', USELESS.values(), ids=USELESS.keys())
def test_useless_answer_is_an_outage(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    answer: stub_cloud.Answer,
) -> None:
    cloud.always(answer)

    with pytest.raises(exceptions.GlanceUnavailable):
        images.get(ID)


USELESS_LISTS = {
    'no list': {'images': 'x'},
    'nothing': {},
    'no images in it': {'images': ['x']},
    'an image without id': {'images': [{'name': 'x'}]},
}


@pytest.mark.parametrize(
    'body', USELESS_LISTS.values(), ids=USELESS_LISTS.keys()
)
def test_useless_list_is_an_outage(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages, body: object
) -> None:
    cloud.always(stub_cloud.Answer(200, body))

    with pytest.raises(exceptions.GlanceUnavailable):
        list(images.list())


def test_broken_connection_is_an_outage(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    cloud.answer = lambda _: None

    with pytest.raises(exceptions.GlanceUnavailable):
        images.get(ID)


def test_silence_is_an_outage_once_the_time_is_up(
    cloud: stub_cloud.StubCloud,
) -> None:
    def keep_silent(_: stub_cloud.Request) -> None:
        cloud.released.wait()

    cloud.answer = keep_silent
    auth = identity.Password(
        auth_url=f'{cloud.url}/v3',
        username='x',
        password='x',
        user_domain_id='d',
    )
    session = ksa_session.Session(auth=auth, timeout=0.05)
    client = glance_client.Client(session=session, endpoint_override=cloud.url)
    images = glance.GlanceImages(client, page_size=200)

    with pytest.raises(exceptions.GlanceUnavailable, match='imed out'):
        images.get(ID)
    images.close()


def test_refused_connection_is_an_outage(
    cloud: stub_cloud.StubCloud, conf: cfg.ConfigOpts
) -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{taken.getsockname()[1]}'
        conf.set_override('endpoint_override', url, group='glance')
        images = glance.connect(conf)

        with pytest.raises(exceptions.GlanceUnavailable, match='refused'):
            images.get(ID)
    images.close()


KEYSTONE = {
    'wrong password': (401, exceptions.AccessDenied),
    'forbidden': (403, exceptions.AccessDenied),
    'not a Keystone': (404, exceptions.GlanceUnavailable),
    'broken': (500, exceptions.GlanceUnavailable),
    'overloaded': (503, exceptions.GlanceUnavailable),
}


@pytest.mark.parametrize(
    ('status', 'error'), KEYSTONE.values(), ids=KEYSTONE.keys()
)
def test_keystone_that_refuses_becomes(
    cloud: stub_cloud.StubCloud,
    images: glance.GlanceImages,
    status: int,
    error: type[Exception],
) -> None:
    body = {'error': {'code': status, 'message': 'because', 'title': 'x'}}
    cloud.keystone = stub_cloud.Answer(status, body)

    with pytest.raises(exceptions.DistributorError) as caught:
        images.get(ID)

    assert type(caught.value) is error
    assert stub_cloud.SECRET not in str(caught.value)


def test_catalogue_without_images_is_an_outage(
    cloud: stub_cloud.StubCloud, conf: cfg.ConfigOpts
) -> None:
    conf.set_override('region_name', 'elsewhere', group='glance')
    images = glance.connect(conf)

    with pytest.raises(exceptions.GlanceUnavailable, match='not found'):
        images.get(ID)
    images.close()


def test_single_store_glance_has_no_stores_to_name(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    text = 'Multi backend is not supported at this site.'
    cloud.always(stub_cloud.refusal(404, text))

    with pytest.raises(exceptions.StoreUnknown, match='enabled_backends'):
        images.stores()


NO_IDS = [
    '',
    '.',
    '..',
    'x',
    '../stores',
    f'{ID}/tasks',
    f'{ID}?x=y',
    f'{ID}\n',
    f'{ID} ',
    'a' * 10_000,
    '\u202e' + ID,
    '٣f0f1d52-4c1b-4f5e-9d0c-0c6a0b3c2f11',
]


@pytest.mark.parametrize('image_id', NO_IDS, ids=ascii)
def test_what_is_no_uuid_is_not_asked_for(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages, image_id: str
) -> None:
    cloud.always(stub_cloud.Answer(200, {'id': image_id, 'tasks': []}))

    for ask in (
        images.get,
        images.last_import_task,
        lambda one: images.copy_to_stores(one, STORES),
    ):
        with pytest.raises(exceptions.ImageNotFound) as caught:
            ask(core_images.ImageId(image_id))

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600
    assert cloud.tokens == 0


def test_words_of_others_are_made_safe_to_print(
    cloud: stub_cloud.StubCloud, images: glance.GlanceImages
) -> None:
    text = 'a\r\n\tb \x1b[31m \u202ec &lt;d&gt; <b>e</b>' + 'f' * 10_000
    cloud.always(stub_cloud.Answer(500, text, 'text/plain; charset=utf-8'))

    with pytest.raises(exceptions.GlanceUnavailable) as caught:
        images.get(ID)

    message = str(caught.value)
    assert message.isprintable()
    assert r'a b \x1b[31m \u202ec <d> e' in message
    assert len(message) < 1000
