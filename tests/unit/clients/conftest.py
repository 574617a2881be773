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
"""Fixtures of the clients' tests."""

from collections.abc import Iterator

from oslo_config import cfg
import pytest

from dcn_distributor.clients import glance
from tests.unit.clients import stub_cloud


@pytest.fixture
def cloud() -> Iterator[stub_cloud.StubCloud]:
    with stub_cloud.StubCloud() as started:
        yield started


@pytest.fixture
def conf(cloud: stub_cloud.StubCloud) -> cfg.ConfigOpts:
    """Return what an operator would configure for the cloud."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[])
    glance.register_opts(conf)
    conf.register_opts(dict(glance.list_opts())['glance'], group='glance')
    for name, value in {
        'auth_type': 'password',
        'auth_url': f'{cloud.url}/v3',
        'username': 'dcn-distributor',
        'password': stub_cloud.SECRET,
        'user_domain_name': 'Default',
        'project_name': 'service',
        'project_domain_name': 'Default',
    }.items():
        conf.set_override(name, value, group='glance')
    return conf


@pytest.fixture
def images(conf: cfg.ConfigOpts) -> Iterator[glance.GlanceImages]:
    client = glance.connect(conf)
    yield client
    client.close()
