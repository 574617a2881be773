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
"""The key files have the structure that the documents give."""

import dataclasses

import pytest

from dcn_distributor import exceptions
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered

_FSID = '6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a6'
_CAPS = {
    'mgr': 'allow *',
    'mon': 'profile rbd',
    'osd': 'profile rbd pool=images',
}
_ALL_POOLS = (
    'profile rbd pool=images, profile rbd pool=volumes, profile rbd pool=vms'
)


@pytest.fixture(scope='module')
def multi_ceph() -> rendered.Rendered:
    return rendered.render(samples.load('multi-ceph'))


@pytest.fixture(scope='module')
def external() -> rendered.Rendered:
    return rendered.render(samples.load('external-ceph'))


def _cluster(name: str, number: int, mons: str, secret: str) -> dict:
    return {
        'cluster': name,
        'fsid': f'{_FSID}{number}',
        'external_cluster_mon_ips': mons,
        'keys': [
            {
                'name': 'client.glance',
                'caps': _CAPS,
                'key': secret,
                'mode': '0600',
            }
        ],
        'dashboard_enabled': False,
        'ceph_conf_overrides': {
            'client': {'keyring': f'/etc/ceph/{name}.client.glance.keyring'}
        },
    }


def test_central_makes_a_key_that_any_site_may_use(multi_ceph):
    parameters = multi_ceph.parameters('control-plane/ceph_keys.yaml')

    assert list(parameters) == ['CephExtraKeys']
    assert parameters['CephExtraKeys'][0] == {
        'name': 'client.glance',
        'caps': _CAPS,
        'key': multi_ceph.secret('central', 'glance'),
        'mode': '0600',
    }


def test_clusters_make_the_key_of_the_agent_too(multi_ceph):
    for path in ('control-plane/ceph_keys.yaml', 'dcn1/dcn_ceph_keys.yaml'):
        agent = multi_ceph.parameters(path)['CephExtraKeys'][1]

        assert agent['name'] == 'client.dcn-distributor'
        assert agent['caps'] == {
            'mon': 'profile rbd',
            'osd': 'profile rbd pool=images',
        }


def test_site_makes_a_key_of_its_own_and_gets_that_of_central(multi_ceph):
    parameters = multi_ceph.parameters('dcn0/dcn_ceph_keys.yaml')

    own, central = (
        parameters['CephExtraKeys'],
        parameters['CephExternalMultiConfig'],
    )
    assert own[0]['key'] == multi_ceph.secret('dcn0', 'glance')
    assert central == [
        _cluster(
            'central',
            0,
            '172.16.1.10,172.16.1.11,172.16.1.12',
            multi_ceph.secret('central', 'glance'),
        )
    ]


def test_central_gets_the_keys_of_all_sites(multi_ceph):
    """The second open point of the document, as it is written there."""
    parameters = multi_ceph.parameters('control-plane/ceph_keys_update.yaml')

    assert parameters == {
        'CephExternalMultiConfig': [
            _cluster(
                'dcn0', 1, '172.16.11.45', multi_ceph.secret('dcn0', 'glance')
            ),
            _cluster(
                'dcn1', 2, '172.16.11.246', multi_ceph.secret('dcn1', 'glance')
            ),
        ]
    }
    for cluster in parameters['CephExternalMultiConfig']:
        assert list(cluster) == [
            'cluster',
            'fsid',
            'external_cluster_mon_ips',
            'keys',
            'dashboard_enabled',
            'ceph_conf_overrides',
        ]
        assert list(cluster['keys'][0]) == ['name', 'caps', 'key', 'mode']


def test_sites_never_get_each_others_keys(multi_ceph):
    for own, other in (('dcn0', 'dcn1'), ('dcn1', 'dcn0')):
        text = ''.join(
            file.text
            for path, file in multi_ceph.files.items()
            if path.startswith(f'{own}/')
        )

        assert multi_ceph.secret(other, 'glance') not in text


def test_external_cluster_is_told_with_all_that_is_needed(external):
    assert external.parameters('external-ceph-dcn1.yaml') == {
        'CephClusterFSID': '7b1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a62',
        'CephClientKey': external.secret('dcn1', 'openstack'),
        'CephClientUserName': 'openstack',
        'CephExternalMonHost': '172.16.11.246',
        'CephClusterName': 'dcn1',
        'GlanceRbdPoolName': 'images',
    }


def test_nothing_is_made_in_an_external_cluster(external):
    for path in (
        'control-plane/ceph_keys_update.yaml',
        'dcn1/dcn_ceph_keys.yaml',
    ):
        assert list(external.parameters(path)) == ['CephExternalMultiConfig']

    assert 'control-plane/ceph_keys.yaml' not in external.files
    assert 'dcn1/ceph.yaml' not in external.files


def test_site_with_an_external_cluster_gets_central_as_a_second(external):
    (cluster,) = external.parameters('dcn1/dcn_ceph_keys.yaml')[
        'CephExternalMultiConfig'
    ]

    assert cluster['cluster'] == 'central'
    assert cluster['external_cluster_mon_ips'].count('[v2:') == 3
    assert ' ' not in cluster['external_cluster_mon_ips']
    assert cluster['keys'][0]['caps']['osd'] == _ALL_POOLS


def test_key_of_openstack_is_the_one_that_tripleo_makes_itself(external):
    parameters = external.parameters('dcn0/dcn_ceph_keys.yaml')

    names = [each['name'] for each in parameters['CephExtraKeys']]
    assert names == ['client.dcn-distributor']
    assert parameters['CephClientKey'] == external.secret('dcn0', 'openstack')
    assert parameters['CephClientUserName'] == 'openstack'


def test_no_keys_where_glance_only_caches():
    files = rendered.render(samples.load('glance-cache')).files

    assert not [path for path in files if 'key' in path or 'ceph' in path]
    assert not [path for path, file in files.items() if file.is_secret]


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_files_with_a_secret_are_for_their_owner_alone(topology, release):
    found = rendered.render(samples.load(topology), release)
    secrets = found.secrets()

    for path, file in found.files.items():
        has_secret = any(secret in file.text for secret in secrets)
        assert file.is_secret == has_secret, path


@pytest.mark.parametrize('site', ['central', 'dcn0', 'dcn1'])
def test_long_key_is_refused_where_tripleo_cannot_take_it(site):
    cloud = samples.load('external-ceph')
    ring = rendered.with_long_key(samples.ring_for(cloud), site, 'openstack')

    with pytest.raises(exceptions.ConfigError) as raised:
        rendered.of(cloud, ring, 'ussuri')

    (problem,) = raised.value.problems
    assert problem.startswith(f'{site}: ')
    assert 'CephClientKey' in problem
    assert "deploy.ceph.key_type to 'aes'" in problem


def test_long_key_is_taken_where_tripleo_does_not_look_at_it():
    cloud = samples.load('multi-ceph')
    ring = rendered.with_long_key(samples.ring_for(cloud), 'dcn0', 'glance')

    found = rendered.of(cloud, ring, 'ussuri')

    (own, _) = found.parameters('dcn0/dcn_ceph_keys.yaml')['CephExtraKeys']
    assert len(own['key']) == 60


def test_key_of_glance_alone_is_refused_for_an_external_cluster():
    cloud = samples.load('external-ceph')
    cloud = dataclasses.replace(cloud, user='glance')

    with pytest.raises(exceptions.ConfigError, match=r'deploy\.user'):
        rendered.render(cloud)


def test_successor_of_a_key_is_named_wherever_it_serves():
    cloud = samples.load('multi-ceph')
    ring = samples.ring_for(cloud)
    name = cloud.central.name
    known = ring.of(name)
    later = dataclasses.replace(
        known.entities['client.glance'], name='client.glance-r2'
    )
    entities = {**known.entities, 'client.glance': later}
    ring = ring.replacing(name, dataclasses.replace(known, entities=entities))

    found = rendered.of(cloud, ring, 'ussuri')

    (central,) = found.parameters('dcn0/dcn_ceph_keys.yaml')[
        'CephExternalMultiConfig'
    ]
    store = found.parameters('dcn0/glance.yaml')['GlanceMultistoreConfig']
    assert central['keys'][0]['name'] == 'client.glance-r2'
    assert central['ceph_conf_overrides']['client']['keyring'] == (
        '/etc/ceph/central.client.glance-r2.keyring'
    )
    assert store['central']['CephClientUserName'] == 'glance-r2'
