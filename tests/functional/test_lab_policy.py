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
"""What the sample policy lets the agent's user do in Glance, and what not.

Over HTTP, on the Glance of the lab, so for the policies of that release.
"""

from collections.abc import Iterator
import dataclasses
import os
from pathlib import Path
import time
from typing import Any

import pytest
import rados
import rbd

from lab import deployment
from lab import http

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

AGENT = 'dcn-distributor'
PATCH = 'application/openstack-images-v2.1-json-patch'
DATA = bytes(range(256)) * 4096
SECRET = {'name': 'a secret', 'visibility': 'private'}


@dataclasses.dataclass
class User:
    """A user of the cloud, with nothing but HTTP."""

    lab: deployment.Lab
    name: str

    def __post_init__(self) -> None:
        self.token = self.lab.credentials(self.name).token()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        data: bytes | None = None,
        kind: str = 'application/json',
    ) -> http.Answer:
        """Send a request to Glance."""
        return http.request(
            method,
            f'{self.lab.glance_url}/v2/{path}',
            body=body,
            data=data,
            headers={'X-Auth-Token': self.token, 'Content-Type': kind},
        )

    def patch(self, image_id: str, *changes: dict[str, Any]) -> http.Answer:
        """Change an image."""
        return self.call(
            'PATCH', f'images/{image_id}', list(changes), kind=PATCH
        )

    def image(self, image_id: str) -> dict[str, Any]:
        """Read an image one may read."""
        answer = self.call('GET', f'images/{image_id}')
        assert answer.status == 200, answer
        return answer.json()

    def create(self, **values: object) -> str:
        """Make an image without data."""
        body = {**SECRET, 'disk_format': 'raw', 'container_format': 'bare'}
        answer = self.call('POST', 'images', {**body, **values})
        assert answer.status == 201, answer
        return str(answer.json()['id'])

    def upload(self, image_id: str) -> None:
        """Give an image its data."""
        answer = self.call(
            'PUT',
            f'images/{image_id}/file',
            data=DATA,
            kind='application/octet-stream',
        )
        assert answer.status == 204, answer


@pytest.fixture(scope='module')
def lab(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[deployment.Lab]:
    """Return the lab the environment names, or one for these tests."""
    if 'LAB_DIR' in os.environ:
        yield deployment.Lab(Path(os.environ['LAB_DIR']))
        return
    one = deployment.Lab(tmp_path_factory.mktemp('lab'), sites=('edge',))
    one.up()
    yield one
    one.down(purge=True)


@pytest.fixture(scope='module')
def owner(lab: deployment.Lab) -> User:
    return User(lab, 'demo')


@pytest.fixture(scope='module')
def agent(lab: deployment.Lab) -> User:
    return User(lab, AGENT)


@pytest.fixture(scope='module')
def active(owner: User) -> Iterator[str]:
    """Return a private image of somebody else, with data."""
    image_id = owner.create()
    owner.upload(image_id)
    yield image_id
    assert owner.call('DELETE', f'images/{image_id}').status == 204


@pytest.fixture(scope='module')
def queued(owner: User) -> Iterator[str]:
    """Return a private image of somebody else, without data."""
    image_id = owner.create()
    yield image_id
    assert owner.call('DELETE', f'images/{image_id}').status == 204


# -- what it may ------------------------------------------------------------


@pytest.mark.parametrize('visibility', ['private', 'shared', 'community'])
def test_the_agent_sees_images_of_others(
    owner: User, agent: User, visibility: str
) -> None:
    image_id = owner.create(visibility=visibility)
    # Community images are listed for those who ask for them.
    listed = agent.call('GET', f'images?visibility={visibility}&limit=1000')
    alone = agent.image(image_id)
    owner.call('DELETE', f'images/{image_id}')

    assert image_id in [one['id'] for one in listed.json()['images']]
    assert alone['visibility'] == visibility


def test_the_agent_lists_private_images_unasked(
    agent: User, active: str
) -> None:
    listed = agent.call('GET', 'images?limit=1000').json()['images']

    assert active in [one['id'] for one in listed]


def test_the_agent_sees_stores_and_locations(agent: User, active: str) -> None:
    image = agent.image(active)

    assert 'central' in image['stores'].split(',')
    assert image['locations'][0]['url'].endswith(f'/images/{active}/snap')
    assert image['locations'][0]['metadata'] == {'store': 'central'}


def test_the_agent_learns_of_stores(lab: deployment.Lab, agent: User) -> None:
    plain = agent.call('GET', 'info/stores').json()['stores']
    detail = agent.call('GET', 'info/stores/detail').json()['stores']

    assert [store['id'] for store in plain] == list(lab.sites)
    assert {store['properties']['pool'] for store in detail} == {'images'}


def test_the_agent_has_an_image_copied_and_follows_it(
    lab: deployment.Lab, agent: User, active: str
) -> None:
    store = lab.sites[1]
    answer = agent.call(
        'POST',
        f'images/{active}/import',
        {
            'method': {'name': 'copy-image'},
            'stores': [store],
            'all_stores_must_succeed': False,
        },
    )
    tasks = agent.call('GET', f'images/{active}/tasks')

    assert answer.status == 202
    assert [task['image_id'] for task in tasks.json()['tasks']] == [active]
    deadline = time.monotonic() + 120
    while store not in agent.image(active)['stores'].split(','):
        assert time.monotonic() < deadline
    # Later tests, and the removal, find it at rest.
    while 'os_glance_import_task' in agent.image(active):
        assert time.monotonic() < deadline


def test_the_agent_registers_a_copy_it_made(
    lab: deployment.Lab, owner: User, agent: User
) -> None:
    image_id = owner.create()
    owner.upload(image_id)
    store = lab.sites[1]
    url = _put_into_store(lab, store, image_id)
    location = {'url': url, 'metadata': {'store': store}}
    answer = agent.patch(
        image_id, {'op': 'add', 'path': '/locations/-', 'value': location}
    )

    assert answer.status == 200, answer
    assert answer.json()['stores'] == f'central,{store}'
    # Its removal takes the data out of both stores.
    assert owner.call('DELETE', f'images/{image_id}').status == 204


# -- what it may not --------------------------------------------------------

REFUSED = {
    'delete an image': ('DELETE', 'images/{active}', None),
    'delete data from a store': ('DELETE', 'stores/central/{active}', None),
    'download an image': ('GET', 'images/{active}/file', None),
    'deactivate an image': (
        'POST',
        'images/{active}/actions/deactivate',
        None,
    ),
    'reactivate an image': (
        'POST',
        'images/{active}/actions/reactivate',
        None,
    ),
    'create an image': ('POST', 'images', {'name': 'mine'}),
    'import data': (
        'POST',
        'images/{queued}/import',
        {'method': {'name': 'web-download', 'uri': 'http://127.0.0.1:9/'}},
    ),
    'share an image': ('POST', 'images/{active}/members', {'member': 'me'}),
    'tag an image': ('PUT', 'images/{active}/tags/mine', None),
    'read the old task list': ('GET', 'tasks', None),
    'make a task': ('POST', 'tasks', {'type': 'import', 'input': {}}),
}
REFUSED_CHANGES = {
    'rename': {'op': 'replace', 'path': '/name', 'value': 'mine'},
    'set a property': {'op': 'add', 'path': '/mine', 'value': 'yes'},
    'publicize': {'op': 'replace', 'path': '/visibility', 'value': 'public'},
    'communitize': {
        'op': 'replace',
        'path': '/visibility',
        'value': 'community',
    },
    'take over': {'op': 'replace', 'path': '/owner', 'value': 'me'},
    'protect': {'op': 'replace', 'path': '/protected', 'value': True},
    'hide': {'op': 'replace', 'path': '/os_hidden', 'value': True},
    'remove a location': {'op': 'remove', 'path': '/locations/0'},
    'remove all locations': {
        'op': 'replace',
        'path': '/locations',
        'value': [],
    },
}


@pytest.mark.parametrize('what', REFUSED)
def test_the_agent_may_not(
    agent: User, owner: User, active: str, queued: str, what: str
) -> None:
    method, path, body = REFUSED[what]
    before = owner.image(active), owner.image(queued)
    answer = agent.call(
        method, path.format(active=active, queued=queued), body
    )

    assert answer.status == 403, answer
    assert (owner.image(active), owner.image(queued)) == before


@pytest.mark.parametrize('change', REFUSED_CHANGES)
def test_the_agent_may_not_by_patch(
    agent: User, owner: User, active: str, change: str
) -> None:
    before = owner.image(active)
    answer = agent.patch(active, REFUSED_CHANGES[change])

    assert answer.status == 403, answer
    assert owner.image(active) == before


@pytest.mark.parametrize('where', ['file', 'stage'])
def test_the_agent_may_not_upload(
    agent: User, owner: User, queued: str, where: str
) -> None:
    answer = agent.call(
        'PUT',
        f'images/{queued}/{where}',
        data=DATA,
        kind='application/octet-stream',
    )

    assert answer.status == 403, answer
    assert owner.image(queued)['status'] == 'queued'


def test_the_agent_may_not_replace_the_locations_of_an_image(
    agent: User, owner: User, active: str
) -> None:
    """Here it is Glance itself that refuses, policy or not."""
    before = owner.image(active)
    location = {'url': 'rbd://else/images/where/snap', 'metadata': {}}
    answer = agent.patch(
        active, {'op': 'replace', 'path': '/locations', 'value': [location]}
    )

    assert answer.status >= 400, answer
    assert owner.image(active) == before


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_the_agent_may_not_use_the_services_location_api(
    agent: User, queued: str, method: str
) -> None:
    body = {'url': 'http://127.0.0.1:9/'} if method == 'POST' else None
    answer = agent.call(method, f'images/{queued}/locations', body)

    # Releases before 29 do not have it.
    assert answer.status in (403, 404, 405), answer


@pytest.mark.parametrize(
    ('method', 'path', 'body'),
    [
        ('GET', 'cache', None),
        ('PUT', 'cache/{active}', None),
        ('DELETE', 'cache', None),
        ('POST', 'metadefs/namespaces', {'namespace': 'Mine'}),
    ],
)
def test_the_agent_may_not_manage_cache_and_definitions(
    agent: User, active: str, method: str, path: str, body: object
) -> None:
    answer = agent.call(method, path.format(active=active), body)

    # 404: the lab's Glance has no cache, and some releases hide what one
    # may not see.
    assert answer.status in (403, 404), answer


def test_the_agent_is_nobody_in_keystone(
    lab: deployment.Lab, agent: User
) -> None:
    for path in ('users', 'projects', 'roles'):
        answer = http.request(
            'GET',
            f'{lab.keystone_url}/{path}',
            headers={'X-Auth-Token': agent.token},
        )

        assert answer.status == 403, answer


# -- what it must not take from others --------------------------------------


def test_an_administrator_still_may_all(lab: deployment.Lab) -> None:
    admin = User(lab, 'admin')
    image_id = admin.create()
    admin.upload(image_id)
    published = admin.patch(image_id, REFUSED_CHANGES['publicize'])

    assert published.status == 200, published
    assert admin.call('GET', f'images/{image_id}/file').body == DATA
    assert admin.call('GET', 'tasks').status == 200
    assert admin.call('DELETE', f'images/{image_id}').status == 204


def test_an_ordinary_user_has_no_more_than_before(
    lab: deployment.Lab, owner: User
) -> None:
    admin = User(lab, 'admin')
    image_id = admin.create()
    admin.upload(image_id)
    hidden = owner.call('GET', f'images/{image_id}')
    mine = owner.create()
    owner.upload(mine)
    body = {'method': {'name': 'copy-image'}, 'stores': [lab.sites[1]]}
    copied = owner.call('POST', f'images/{mine}/import', body)
    published = owner.patch(mine, REFUSED_CHANGES['publicize'])
    detail = owner.call('GET', 'info/stores/detail')
    admin.call('DELETE', f'images/{image_id}')
    owner.call('DELETE', f'images/{mine}')

    assert hidden.status == 404
    assert copied.status == 403
    assert published.status == 403
    assert detail.status == 403


def _put_into_store(lab: deployment.Lab, store: str, image_id: str) -> str:
    """Lay a copy into a store as glance_store would; give its URL."""
    conf = lab.ceph_conf(store, f'client.{AGENT}')
    with (
        rados.Rados(conffile=conf, name=f'client.{AGENT}') as cluster,
        cluster.open_ioctx('images') as pool,
    ):
        rbd.RBD().create(pool, image_id, len(DATA))
        with rbd.Image(pool, image_id) as image:
            image.write(DATA, 0)
            image.create_snap('snap')
            image.protect_snap('snap')
        return f'rbd://{cluster.get_fsid()}/images/{image_id}/snap'
