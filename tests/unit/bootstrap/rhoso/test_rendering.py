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
"""What is rendered, read as its consumers read it."""

import base64
import dataclasses
from pathlib import Path
import re

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
import pytest

from dcn_distributor.bootstrap import rhoso
from dcn_distributor.bootstrap.rhoso import checks
from dcn_distributor.bootstrap.rhoso import options
from dcn_distributor.core import cephx
from dcn_distributor.core import rings
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.rhoso import clouds
from tests.unit.bootstrap.rhoso import definitions

_LABEL = re.compile(r'[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?')
_CORE = {'Secret': 'v1', 'ConfigMap': 'v1'}
_some = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@definitions.needed
@samples.topologies
def test_published_definitions_allow_what_is_rendered(topology: str) -> None:
    for path, document in clouds.render(clouds.load(topology)).items():
        if document['kind'] in _CORE:
            assert document['apiVersion'] == _CORE[document['kind']]
            assert {type(v) for v in document['data'].values()} == {str}
        else:
            assert definitions.complaints(document) == [], path


@definitions.needed
@_some
@given(cloud=clouds.clouds())
def test_published_definitions_allow_any_cloud(cloud: stacks.Cloud) -> None:
    for document in clouds.render(cloud).values():
        if document['kind'] not in _CORE:
            assert definitions.complaints(document) == []


@_some
@given(cloud=clouds.clouds())
def test_checks_find_nothing_in_any_cloud(cloud: stacks.Cloud) -> None:
    documents = clouds.render(cloud)

    assert checks.check(documents.values()) == ()
    for document in documents.values():
        assert _LABEL.fullmatch(document['metadata']['name'])


@pytest.mark.parametrize(
    'description',
    ['"all"', "it's $5", ' # none; ', '$store_description', '%(a)s', "'"],
)
def test_any_description_is_read_as_it_was_written(
    tmp_path: Path, description: str
) -> None:
    cloud = clouds.load('multi-ceph')
    glance = dataclasses.replace(
        cloud.site('dcn0').glance, description=description
    )
    cloud = samples.with_site(cloud, 'dcn0', glance=glance)

    api = clouds.glance_apis(clouds.render(cloud))['central']
    conf = clouds.options(tmp_path, api['customServiceConfig'])
    assert conf.dcn0.store_description == description


@_some
@given(cloud=clouds.clouds())
def test_every_site_has_the_stores_that_it_may_see(
    tmp_path_factory: pytest.TempPathFactory, cloud: stacks.Cloud
) -> None:
    apis = clouds.glance_apis(clouds.render(cloud))

    assert list(apis) == [site.name for site in cloud.sites]
    for site in cloud.sites:
        conf = clouds.options(
            tmp_path_factory.mktemp('glance'),
            apis[site.name]['customServiceConfig'],
        )
        stores = cloud.stores_of(site)
        if not stores:
            assert conf.enabled_backends == {cloud.central.store: 'swift'}
            continue
        assert list(conf.enabled_backends) == [s.store for s in stores]
        assert conf.glance_store.default_backend == site.store
        assert conf.enabled_import_methods == [*cloud.import_methods]
        for store in stores:
            section = conf[store.store]
            assert section.store_description == store.glance.description
            assert section.rbd_store_ceph_conf == store.ceph.conf
            assert section.rbd_store_pool == 'images'
            assert section.rbd_store_user == 'openstack'
            assert section.rbd_thin_provisioning


@_some
@given(cloud=clouds.clouds())
def test_secrets_hold_the_keys_of_stores_and_no_others(
    cloud: stacks.Cloud,
) -> None:
    secrets = clouds.of_kind(clouds.render(cloud), 'Secret')

    assert len(secrets) == sum(site.has_store for site in cloud.sites)
    for site in cloud.sites:
        if not site.has_store:
            continue
        suffix = '' if site.is_central else f'-{site.name}'
        files = _files(secrets[f'ceph-conf-files{suffix}'])
        wanted = {store.ceph.name: store for store in cloud.stores_of(site)}
        assert {*files} == {f'{name}.conf' for name in wanted} | {
            f'{name}.client.openstack.keyring' for name in wanted
        }
        for name, store in wanted.items():
            (entity,) = cephx.parse_keyring(
                files[f'{name}.client.openstack.keyring']
            )
            assert entity.name == 'client.openstack'
            assert entity.secret == samples.secret(f'{store.name}/openstack')
            conf = options.parse(files[f'{name}.conf'])
            assert conf['global'] == {
                'fsid': store.ceph.fsid,
                'mon_host': ','.join(store.ceph.monitors),
            }
            # Of awk -F = '/fsid/ {print $2}' there is one line only.
            assert files[f'{name}.conf'].count('fsid = ') == 1


def _files(secret: dict) -> dict[str, str]:
    assert secret['type'] == 'Opaque'
    return {
        name: base64.b64decode(of, validate=True).decode()
        for name, of in secret['data'].items()
    }


@samples.topologies
def test_only_secrets_are_secret(topology: str) -> None:
    cloud = clouds.load(topology)
    ring = samples.ring_for(cloud)
    keys = [
        entity.secret.text
        for known in ring.clusters.values()
        for entity in known.entities.values()
    ]
    keys += [base64.b64encode(key.encode()).decode() for key in keys]

    for file in rhoso.render(cloud, ring):
        assert file.is_secret == ('kind: Secret' in file.text)
        if not file.is_secret:
            assert not any(key in file.text for key in keys)


@samples.topologies
def test_rendering_twice_gives_the_same(topology: str) -> None:
    cloud = clouds.load(topology)
    ring = samples.ring_for(cloud)

    assert rhoso.render(cloud, ring) == rhoso.render(cloud, ring)


def test_central_is_in_the_catalogue_and_sites_are_edge() -> None:
    documents = clouds.render(clouds.load('multi-ceph'))
    template = documents['control-plane.yaml']['spec']['glance']['template']

    assert template['keystoneEndpoint'] == 'central'
    assert {
        name: (api['type'], api['replicas'])
        for name, api in template['glanceAPIs'].items()
    } == {'central': ('split', 3), 'dcn0': ('edge', 1), 'dcn1': ('edge', 1)}


def test_pods_of_a_site_mount_the_files_of_that_site() -> None:
    spec = clouds.render(clouds.load('multi-ceph'))['control-plane.yaml'][
        'spec'
    ]

    mounted = {
        volume['propagation'][0]: volume['volumes'][0]['secret']['secretName']
        for volume in spec['extraMounts'][0]['extraVol']
    }
    assert mounted == {
        'central': 'ceph-conf-files',
        'dcn0': 'ceph-conf-files-dcn0',
        'dcn1': 'ceph-conf-files-dcn1',
    }
    assert {*mounted} == {*spec['cinder']['template']['cinderVolumes']}


def test_cinder_and_nova_use_the_cluster_of_their_site() -> None:
    cloud = clouds.load('multi-ceph')
    documents = clouds.render(cloud)
    fsid = cloud.site('dcn1').ceph.fsid
    cinder = documents['control-plane.yaml']['spec']['cinder']['template']
    volume = options.parse(
        cinder['cinderVolumes']['dcn1']['customServiceConfig']
    )
    config_map = documents['dcn1/ceph-nova-dcn1.yaml']
    nova = options.parse(config_map['data']['03-ceph-nova.conf'])

    assert volume['ceph']['rbd_ceph_conf'] == '/etc/ceph/dcn1.conf'
    assert volume['ceph']['rbd_secret_uuid'] == fsid
    assert volume['ceph']['backend_availability_zone'] == 'dcn1'
    assert nova['libvirt']['images_rbd_ceph_conf'] == '/etc/ceph/dcn1.conf'
    assert nova['libvirt']['images_rbd_glance_store_name'] == 'dcn1'
    assert nova['libvirt']['rbd_secret_uuid'] == fsid
    url = 'https://glance-dcn1-internal.openstack.svc:9292'
    assert volume['DEFAULT']['glance_api_servers'] == url
    assert nova['glance']['endpoint_override'] == url


def test_nodes_get_their_options_and_files() -> None:
    documents = clouds.render(clouds.load('multi-ceph'))
    node_set = clouds.of_kind(documents, 'OpenStackDataPlaneNodeSet')['dcn0']
    services = clouds.of_kind(documents, 'OpenStackDataPlaneService')

    assert [*node_set['spec']['nodes']] == ['oc0-ceph-1', 'oc0-ceph-2']
    (mount,) = node_set['spec']['nodeTemplate']['extraMounts']
    assert mount['volumes'][0]['secret'] == {
        'secretName': 'ceph-conf-files-dcn0'
    }
    wanted = node_set['spec']['services']
    assert wanted.index('ceph-hci-pre') < wanted.index('ceph-client')
    assert wanted.index('ceph-client') < wanted.index('libvirt')
    assert 'nova' not in wanted
    (ours,) = [name for name in wanted if name in services]
    sources = services[ours]['spec']['dataSources']
    assert {'configMapRef': {'name': 'ceph-nova-dcn0'}} in sources


def test_before_and_after_ceph_nothing_is_left_out() -> None:
    documents = clouds.render(clouds.load('multi-ceph'))

    whole = documents['dcn0/dcn0-node-set.yaml']['spec']['services']
    parts = [
        documents[f'dcn0/dcn0-{part}.yaml']['spec']['servicesOverride']
        for part in ('pre-ceph', 'deployment')
    ]
    assert [*parts[0], *parts[1]] == whole


def test_nodes_of_external_clusters_are_deployed_at_once() -> None:
    documents = clouds.render(clouds.load('external-ceph'))

    deployment = documents['dcn1/dcn1-deployment.yaml']['spec']
    assert deployment == {'nodeSets': ['dcn1']}
    assert 'dcn1/dcn1-pre-ceph.yaml' not in documents


def test_another_key_makes_another_deployment_of_its_site_only() -> None:
    cloud = clouds.load('multi-ceph')
    ring = samples.ring_for(cloud)
    rotated = _rotated(ring, 'dcn0')

    before, after = (
        {file.path: file.text for file in rhoso.render(cloud, each)}
        for each in (ring, rotated)
    )

    assert {path for path in before if before[path] != after[path]} == {
        'secrets/ceph-conf-files.yaml',
        'secrets/ceph-conf-files-dcn0.yaml',
        'dcn0/dcn0-deployment.yaml',
    }


def _rotated(ring: rings.Ring, site: str) -> rings.Ring:
    known = ring.of(site)
    entity = dataclasses.replace(
        known.entities['client.openstack'], secret=samples.secret('new')
    )
    return ring.replacing(site, known.with_entity(entity))


def test_one_more_site_changes_nothing_of_the_others() -> None:
    whole = clouds.load('multi-ceph')
    ring = samples.ring_for(whole)
    fewer = dataclasses.replace(whole, sites=whole.sites[:-1])

    before, after = (
        {file.path: file.text for file in rhoso.render(cloud, ring)}
        for cloud in (fewer, whole)
    )

    assert {path for path in before if before[path] != after[path]} == {
        'secrets/ceph-conf-files.yaml',
        'control-plane.yaml',
    }


def test_caches_lie_in_front_of_one_swift(tmp_path: Path) -> None:
    documents = clouds.render(clouds.load('glance-cache'))
    apis = clouds.glance_apis(documents)
    spec = documents['control-plane.yaml']['spec']

    assert {n: api.get('imageCache') for n, api in apis.items()} == {
        'central': None,
        'central-compute': {'size': '10Gi'},
        'dcn0': {'size': '20Gi'},
        'dcn1': {'size': '20Gi'},
    }
    assert spec['swift']['enabled']
    assert 'extraMounts' not in spec
    assert 'cinder' not in spec
    conf = clouds.options(tmp_path, apis['dcn0']['customServiceConfig'])
    assert conf.enabled_backends == {'default_backend': 'swift'}
    # The operator fills in both.
    section = conf.default_backend
    assert section.swift_store_auth_address == '{{ .KeystoneInternalURL }}'
    assert section.swift_store_key == '{{ .ServicePassword }}'


def test_nova_takes_images_from_the_cache_of_its_site() -> None:
    documents = clouds.render(clouds.load('glance-cache'))
    text = documents['dcn0/glance-nova-dcn0.yaml']['data'][
        '03-glance-nova.conf'
    ]

    nova = options.parse(text)
    assert nova['glance']['endpoint_override'] == (
        'https://glance-dcn0-internal.openstack.svc:9292'
    )
    assert 'libvirt' not in nova


def test_nodes_reach_a_glance_at_the_address_it_was_given() -> None:
    apis = clouds.glance_apis(clouds.render(clouds.load('multi-ceph')))

    service = apis['dcn0']['override']['service']['internal']
    assert service['spec'] == {'type': 'LoadBalancer'}
    assert '172.16.11.45' in service['metadata']['annotations'].values()


def test_a_name_instead_of_an_address_is_left_to_others() -> None:
    cloud = clouds.load('multi-ceph')
    glance = dataclasses.replace(
        cloud.site('dcn0').glance, url='http://glance.dcn0.example:9292'
    )
    cloud = samples.with_site(cloud, 'dcn0', glance=glance)

    assert 'override' not in clouds.glance_apis(clouds.render(cloud))['dcn0']


def test_rotated_key_is_used_wherever_its_keyring_is() -> None:
    """Glance, Cinder and Nova: each names the user that its Secret has."""
    cloud = clouds.load('multi-ceph')
    ring = samples.rotated(samples.ring_for(cloud), cloud, 'dcn0')

    text = ''.join(file.text for file in rhoso.render(cloud, ring))

    # Glance at both sites, Cinder and Nova at dcn0.
    assert len(re.findall(r'rbd_store_user = openstack-r1\b', text)) == 2
    assert len(re.findall(r'rbd_user = openstack-r1\b', text)) == 2
    assert 'dcn0.client.openstack-r1.keyring' in text
    assert 'dcn0.client.openstack.keyring' not in text
