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
"""Glance by a session of somebody else: which endpoint, whose token."""

from collections.abc import Iterator
import dataclasses

from keystoneauth1 import session as ksa_session
from keystoneauth1 import token_endpoint
from keystoneauth1.identity import v3
from oslo_config import cfg
import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import glance
from dcn_distributor.clients import glance_sessions
from dcn_distributor.core import images as core_images
from tests.unit.clients import stub_cloud

ID = core_images.ImageId('3f0f1d52-4c1b-4f5e-9d0c-0c6a0b3c2f11')


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    """Without credentials."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[])
    glance.register_opts(conf)
    return conf


@pytest.fixture
def access(cloud: stub_cloud.StubCloud) -> Iterator[glance_sessions.Access]:
    """Somebody who is logged in."""
    session = ksa_session.Session(
        auth=v3.Password(
            auth_url=f'{cloud.url}/v3',
            username='somebody',
            password=stub_cloud.SECRET,
            user_domain_name='Default',
            project_name='theirs',
            project_domain_name='Default',
        )
    )
    yield glance_sessions.Access(session, 'here', 'public', None)
    session.session.close()


def asked(
    cloud: stub_cloud.StubCloud,
    conf: cfg.ConfigOpts,
    access: glance_sessions.Access,
) -> stub_cloud.Request:
    """Read an image; return what Glance was asked."""
    requests = []

    def answer(request: stub_cloud.Request) -> stub_cloud.Answer:
        requests.append(request)
        return stub_cloud.Answer(200, {'id': ID})

    cloud.answer = answer
    assert glance_sessions.connect(conf, access).get(ID).id == ID
    return requests[-1]


def test_their_token_is_sent(cloud, conf, access):
    request = asked(cloud, conf, access)

    assert request.path == f'/v2/images/{ID}'
    assert request.token == access.session.get_token()
    assert cloud.tokens == 1


@pytest.mark.parametrize('version', ['', '/v2', '/v2/'])
def test_their_endpoint_may_have_a_version(cloud, conf, version):
    url = f'{cloud.url}/image{version}'
    auth = token_endpoint.Token(url, 'a-token')
    session = ksa_session.Session(auth=auth)

    access = glance_sessions.Access(session, None, None, url)
    request = asked(cloud, conf, access)
    session.session.close()

    assert request.path == f'/image/v2/images/{ID}'
    assert request.token == 'a-token'


@pytest.mark.parametrize(
    'elsewhere', [{'region_name': 'there'}, {'interface': 'admin'}], ids=str
)
def test_region_and_interface_are_theirs(conf, access, elsewhere):
    port = glance_sessions.connect(
        conf, dataclasses.replace(access, **elsewhere)
    )

    with pytest.raises(exceptions.GlanceUnavailable, match='image'):
        port.get(ID)
