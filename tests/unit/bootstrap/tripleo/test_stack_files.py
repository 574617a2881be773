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
"""Stacks and their Glances are described as the documents do."""

import dataclasses

import pytest

from dcn_distributor.core import stacks
from tests import plain_yaml
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered


@pytest.fixture(scope='module')
def multi_ceph() -> rendered.Rendered:
    return rendered.render(samples.load('multi-ceph'))


@pytest.fixture(scope='module')
def cache() -> rendered.Rendered:
    return rendered.render(samples.load('glance-cache'))


def test_nodes_of_the_control_plane_are_chosen_by_their_tags(multi_ceph):
    assert multi_ceph.parameters('control-plane/overrides.yaml') == {
        'ComputeCount': 0,
        'ControllerCount': 3,
        'OvercloudControllerFlavor': 'baremetal',
        'ControllerSchedulerHints': {
            'capabilities:node': '0-controller-%index%'
        },
        'ComputeHCICount': 1,
        'OvercloudComputeHCIFlavor': 'baremetal',
        'ComputeHCISchedulerHints': {'capabilities:node': '0-ceph-%index%'},
        'CephClusterName': 'central',
    }


def test_site_has_a_zone_and_a_cluster_of_its_name(multi_ceph):
    parameters = multi_ceph.parameters('dcn1/overrides.yaml')

    assert parameters['ControllerCount'] == 0
    assert parameters['DistributedComputeHCIScaleOutSchedulerHints'] == {
        'capabilities:node': '1-dcn-hci-scaleup-%index%'
    }
    assert parameters['CephClusterName'] == 'dcn1'
    assert parameters['CinderStorageAvailabilityZone'] == 'dcn1'
    assert parameters['CinderVolumeCluster'] == 'dcn1'
    assert parameters['NovaCrossAZAttach'] is False
    assert parameters['ManageNetworks'] is False


def test_zone_is_made_by_the_service_of_the_templates(multi_ceph):
    document = plain_yaml.load(multi_ceph.files['dcn0/nova-az.yaml'].text)

    assert document == {
        'resource_registry': {
            'OS::TripleO::Services::NovaAZConfig': (
                '/home/stack/templates/deployment/nova/nova-az-config.yaml'
            )
        },
        'parameter_defaults': {'NovaComputeAvailabilityZone': 'dcn0'},
    }


def test_machines_that_come_ready_are_not_scheduled():
    found = rendered.render(samples.load('multi-ceph'), 'xena')

    assert found.parameters('control-plane/overrides.yaml') == {
        'CephClusterName': 'central'
    }
    assert 'ManageNetworks' not in found.parameters('dcn0/overrides.yaml')


def test_nodes_with_names_are_taken_by_them(multi_ceph):
    nodes = plain_yaml.load(multi_ceph.files['dcn0/nodes.yaml'].text)

    assert nodes == [
        {
            'name': 'DistributedComputeHCI',
            'count': 1,
            'instances': [{'hostname': 'oc0-ceph-1', 'name': 'oc0-ceph-1'}],
        },
        {
            'name': 'DistributedComputeHCIScaleOut',
            'count': 1,
            'instances': [{'hostname': 'oc0-ceph-2', 'name': 'oc0-ceph-2'}],
        },
    ]


def test_nodes_without_names_are_taken_by_their_tags():
    role = stacks.Role('ComputeHCI', 2, 'hci')
    stack = stacks.Stack('dcn7', stacks.Kind.HYPERCONVERGED, 7, (role,))
    cloud = samples.with_site(
        samples.load('multi-ceph'), 'dcn1', stacks=(stack,)
    )

    found = rendered.render(cloud)

    (nodes,) = plain_yaml.load(found.files['dcn7/nodes.yaml'].text)
    assert nodes['instances'] == [
        {'capabilities': {'node': '7-hci-0'}},
        {'capabilities': {'node': '7-hci-1'}},
    ]


def test_central_has_the_stores_of_all_sites_after_the_update(multi_ceph):
    parameters = multi_ceph.parameters('control-plane/glance_update.yaml')

    assert parameters['GlanceBackendID'] == 'central'
    assert parameters['GlanceMultistoreConfig'] == {
        site: {
            'GlanceBackend': 'rbd',
            'GlanceStoreDescription': f'{site} rbd glance store',
            'CephClientUserName': 'glance',
            'CephClusterName': site,
        }
        for site in ('dcn0', 'dcn1')
    }


def test_store_of_central_has_one_id_before_and_after_the_update(multi_ceph):
    first = multi_ceph.parameters('control-plane/glance.yaml')
    later = multi_ceph.parameters('control-plane/glance_update.yaml')

    assert 'GlanceMultistoreConfig' not in first
    assert first.items() <= later.items()


def test_site_has_its_own_store_and_that_of_central(multi_ceph):
    assert multi_ceph.parameters('dcn0/glance.yaml') == {
        'GlanceBackend': 'rbd',
        'GlanceBackendID': 'dcn0',
        'GlanceStoreDescription': 'dcn0 rbd glance store',
        'GlanceEnabledImportMethods': 'glance-direct,web-download,copy-image',
        'GlanceShowMultipleLocations': True,
        'GlanceMultistoreConfig': {
            'central': {
                'GlanceBackend': 'rbd',
                'GlanceStoreDescription': 'central rbd glance store',
                'CephClientUserName': 'glance',
                'CephClusterName': 'central',
            }
        },
    }


def test_every_api_has_the_import_methods(multi_ceph):
    """The first open point of the document."""
    methods = {
        path: document['parameter_defaults']['GlanceEnabledImportMethods']
        for path, document in multi_ceph.environments().items()
        if 'glance' in path
    }

    assert len(methods) == 4
    assert set(methods.values()) == {'glance-direct,web-download,copy-image'}


def test_pool_that_differs_is_named_with_the_store():
    cloud = samples.load('multi-ceph')
    ceph = cloud.site('dcn1').ceph
    assert ceph is not None
    other = dataclasses.replace(ceph, pools=('glance', 'volumes', 'more'))

    found = rendered.render(samples.with_site(cloud, 'dcn1', ceph=other))

    stores = found.parameters('control-plane/glance_update.yaml')[
        'GlanceMultistoreConfig'
    ]
    assert 'GlanceRbdPoolName' not in stores['dcn0']
    assert stores['dcn1']['GlanceRbdPoolName'] == 'glance'
    assert found.parameters('dcn1/ceph.yaml') == {
        'CephClusterFSID': ceph.fsid,
        'GlanceRbdPoolName': 'glance',
        'CephPools': [{'name': 'more', 'application': 'rbd'}],
    }


def test_all_sites_cache_the_one_swift_of_central(cache):
    assert cache.parameters('control-plane/glance.yaml') == {
        'GlanceBackend': 'swift',
        'GlanceBackendID': 'default_backend',
        'GlanceStoreDescription': 'default_backend swift glance store',
        'GlanceEnabledImportMethods': 'web-download',
    }
    assert cache.parameters('dcn1/glance.yaml') == {
        'GlanceBackend': 'swift',
        'GlanceBackendID': 'default_backend',
        'GlanceStoreDescription': 'default_backend swift glance store',
        'GlanceEnabledImportMethods': 'web-download',
        'GlanceCacheEnabled': True,
        'GlanceImageCacheDir': '/var/lib/glance/image-cache',
        'GlanceImageCacheMaxSize': 20 << 30,
    }


def test_cluster_of_its_own_stack_is_a_client_elsewhere():
    """A stack of Ceph alone, and two that use its cluster."""
    cloud = samples.load('external-ceph')
    central = cloud.central
    assert central.ceph is not None
    ceph_stack = stacks.Stack(
        'storage', stacks.Kind.CEPH, 0, (stacks.Role('CephAll', 3, 'ceph'),)
    )
    cloud = samples.with_site(
        cloud,
        central.name,
        ceph=dataclasses.replace(central.ceph, is_external=False),
        stacks=(*central.stacks, ceph_stack),
    )

    found = rendered.render(cloud)

    keys = found.parameters('storage/ceph_keys.yaml')
    used = found.parameters('external-ceph-central.yaml')
    assert keys['CephClientKey'] == used['CephClientKey']
    assert 'storage/glance.yaml' not in found.files
    assert 'storage/nova-az.yaml' not in found.files
    assert (
        found.parameters('storage/overrides.yaml')['CephClusterName']
        == (used['CephClusterName'])
    )


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_rendered_twice_is_the_same(topology, release):
    cloud = samples.load(topology)

    assert (
        rendered.render(cloud, release).files
        == rendered.render(cloud, release).files
    )


@pytest.mark.parametrize('is_external', [False, True])
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_cluster_that_glance_does_not_use_needs_no_keys(release, is_external):
    cloud = samples.load('glance-cache')
    ceph = stacks.Ceph('local', is_external, None, (), ('images', 'volumes'))
    cloud = samples.with_site(cloud, 'dcn0', ceph=ceph)

    found = rendered.render(cloud, release)

    text = ''.join(file.text for file in found.files.values())
    assert 'external-ceph' not in text
    assert 'ceph_keys' not in text
    assert 'export ceph' not in text
    assert 'null' not in text
    assert ('dcn0/ceph.yaml' in found.files) == (not is_external)


def test_another_site_changes_no_file_of_the_others(multi_ceph):
    cloud = multi_ceph.cloud
    without = dataclasses.replace(cloud, sites=cloud.sites[:-1])

    fewer = rendered.render(without)

    changed = {
        path
        for path, file in fewer.files.items()
        if multi_ceph.files[path] != file
    }
    assert changed == {
        'deploy.sh',
        'control-plane/ceph_keys_update.yaml',
        'control-plane/glance_update.yaml',
    }
