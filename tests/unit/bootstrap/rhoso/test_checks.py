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
"""Mistakes in documents, those of published samples among them."""

import base64
import copy

import pytest
import yaml

from dcn_distributor.bootstrap.rhoso import checks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.rhoso import clouds


@pytest.fixture
def documents() -> dict[str, dict]:
    return copy.deepcopy({**clouds.render(clouds.load('multi-ceph'))})


def _change(documents: dict[str, dict], api: str, old: str, new: str) -> None:
    glance = clouds.glance_apis(documents)[api]
    text = glance['customServiceConfig']
    assert old in text
    glance['customServiceConfig'] = text.replace(old, new)


def _said(documents: dict[str, dict]) -> tuple[str, ...]:
    return checks.check(documents.values())


@samples.topologies
def test_what_is_rendered_is_right(topology: str) -> None:
    assert _said({**clouds.render(clouds.load(topology))}) == ()


def test_a_store_in_the_cluster_of_another_is_found(
    documents: dict[str, dict],
) -> None:
    _change(documents, 'dcn1', '/etc/ceph/central.conf', '/etc/ceph/dcn1.conf')

    assert _said(documents) == (
        'Glance dcn1: dcn1 and central are both pool images of '
        '/etc/ceph/dcn1.conf: a store leads to the wrong cluster',
        'store central is not one cluster everywhere, but '
        '/etc/ceph/central.conf in central, dcn0; /etc/ceph/dcn1.conf in '
        'dcn1: a store leads to the wrong cluster',
    )


def test_a_store_without_its_section_is_found(
    documents: dict[str, dict],
) -> None:
    config = clouds.glance_apis(documents)['central']
    text = config['customServiceConfig']
    config['customServiceConfig'] = text[: text.index('[dcn1]')]

    assert _said(documents) == (
        'Glance central: enabled_backends has dcn1, and there is no section '
        '[dcn1]',
    )


def test_a_section_of_no_store_is_found(documents: dict[str, dict]) -> None:
    _change(documents, 'central', ',dcn1:rbd', '')

    assert _said(documents) == (
        'Glance central: there is a section [dcn1], and it is not in '
        'enabled_backends',
    )


def test_sections_that_are_reserved_are_no_stores(
    documents: dict[str, dict],
) -> None:
    staging = '[os_glance_staging_store]\nfilesystem_store_datadir = /srv\n'
    _change(documents, 'dcn0', '[glance_store]', f'{staging}[glance_store]')

    assert _said(documents) == ()


def test_a_default_that_is_not_enabled_is_found(
    documents: dict[str, dict],
) -> None:
    _change(documents, 'dcn0', 'default_backend = dcn0', '')

    assert _said(documents) == (
        'Glance dcn0: default_backend default_backend is not in '
        'enabled_backends: dcn0, central',
    )


@pytest.mark.parametrize(
    ('endpoint', 'said'),
    [
        ('dcn0', 'keystoneEndpoint dcn0 is of type edge'),
        ('default', "keystoneEndpoint 'default' is none of the Glance APIs"),
        ('', "keystoneEndpoint '' is none of the Glance APIs"),
    ],
)
def test_a_wrong_endpoint_is_found(
    documents: dict[str, dict], endpoint: str, said: str
) -> None:
    glance = documents['control-plane.yaml']['spec']['glance']
    glance['template']['keystoneEndpoint'] = endpoint

    (found,) = _said(documents)
    assert found.startswith(said)


@pytest.mark.parametrize(
    'new', ['', 'enabled_import_methods = [web-download]']
)
def test_a_glance_that_cannot_copy_is_found(
    documents: dict[str, dict], new: str
) -> None:
    old = 'enabled_import_methods = [glance-direct,web-download,copy-image]'
    _change(documents, 'dcn1', old, new)

    (found,) = _said(documents)
    assert found.startswith(
        'Glance dcn1: enabled_import_methods has no copy-image'
    )


def test_options_for_all_apis_count_for_those_without_their_own(
    documents: dict[str, dict],
) -> None:
    template = documents['control-plane.yaml']['spec']['glance']['template']
    central = template['glanceAPIs']['central'].pop('customServiceConfig')
    template['customServiceConfig'] = central
    assert _said(documents) == ()

    _change(documents, 'dcn0', ',copy-image]', ']')
    (found,) = _said(documents)
    assert found.startswith('Glance dcn0: enabled_import_methods has no')


def test_two_keyrings_of_a_cluster_are_found(
    documents: dict[str, dict],
) -> None:
    data = documents['secrets/ceph-conf-files-dcn0.yaml']['data']
    data['dcn0.client.external.keyring'] = data[
        'dcn0.client.openstack.keyring'
    ]

    assert _said(documents) == (
        'secret ceph-conf-files-dcn0: cluster dcn0 has keyrings of openstack '
        'and external: there can be one only',
    )


def test_a_user_with_a_dot_is_found(documents: dict[str, dict]) -> None:
    data = documents['secrets/ceph-conf-files-dcn0.yaml']['data']
    data['dcn0.client.dcn0.openstack.keyring'] = data.pop(
        'dcn0.client.openstack.keyring'
    )

    said = _said(documents)
    assert (
        'secret ceph-conf-files-dcn0: dcn0.client.dcn0.openstack.keyring is '
        'not called CLUSTER.client.USER.keyring, with no other dots'
    ) in said
    assert 'secret ceph-conf-files-dcn0: cluster dcn0 has no keyring' in said


def test_one_fsid_in_two_secrets_of_a_node_set_is_found(
    documents: dict[str, dict],
) -> None:
    template = documents['dcn0/dcn0-node-set.yaml']['spec']['nodeTemplate']
    projected = {'sources': [{'secret': {'name': 'ceph-conf-files-dcn1'}}]}
    template['extraMounts'].append(
        {
            'volumes': [{'name': 'more', 'projected': projected}],
            'mounts': [{'name': 'more', 'mountPath': '/etc/ceph/more'}],
        }
    )

    assert _said(documents) == (
        'node set dcn0: fsid 6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a60 is in '
        'central.conf of secret ceph-conf-files-dcn0 and in central.conf of '
        'secret ceph-conf-files-dcn1: a cluster can be in one only',
    )


def test_a_store_whose_files_are_not_mounted_is_found(
    documents: dict[str, dict],
) -> None:
    spec = documents['control-plane.yaml']['spec']
    volumes = spec['extraMounts'][0]['extraVol']
    volumes[2]['volumes'][0]['secret']['secretName'] = 'ceph-conf-files-dcn0'
    _change(
        documents, 'dcn0', 'rbd_store_user = openstack', 'rbd_store_user ='
    )

    said = _said(documents)
    assert 'Glance dcn1: dcn1 needs /etc/ceph/dcn1.conf: not in ' in said[2]
    assert 'dcn0: dcn0 is for user , and ceph-conf-files-dcn0 has' in said[0]


@pytest.mark.parametrize(
    'value', ['%%%', 'AAA', base64.b64encode(b'\xff\xfe')]
)
def test_what_is_no_text_in_base64_is_found(
    documents: dict[str, dict], value: str
) -> None:
    data = documents['secrets/ceph-conf-files-dcn0.yaml']['data']
    data['central.conf'] = value if isinstance(value, str) else value.decode()

    assert (
        'secret ceph-conf-files-dcn0: central.conf is not base64 of a text'
    ) in _said(documents)


def test_no_mistake_tells_a_secret(documents: dict[str, dict]) -> None:
    data = documents['secrets/ceph-conf-files-dcn0.yaml']['data']
    keyring = data.pop('dcn0.client.openstack.keyring')
    data['dcn0.keyring'] = keyring
    data['central.conf'] = keyring

    said = '\n'.join(_said(documents))
    key = base64.b64decode(keyring).decode().split()[-1]
    assert said
    assert keyring not in said
    assert key not in said


# As an edge sample of glance-operator had it: every API has a store of the
# same name, and of another cluster.
_SAME_NAME = """
apiVersion: core.openstack.org/v1beta1
kind: OpenStackControlPlane
metadata: {name: openstack}
spec:
  glance:
    template:
      keystoneEndpoint: default
      glanceAPIs:
        default:
          customServiceConfig: |
            [DEFAULT]
            enabled_backends = default_backend:rbd
            enabled_import_methods = ['web-download', 'copy-image']
            [default_backend]
            rbd_store_ceph_conf = /etc/ceph/ceph.conf
        az1:
          type: edge
          customServiceConfig: |
            [DEFAULT]
            enabled_backends = default_backend:rbd
            enabled_import_methods = [web-download,copy-image]
            [default_backend]
            rbd_store_ceph_conf = /etc/ceph/az1.conf
"""


def test_one_store_name_for_two_clusters_is_found() -> None:
    (said,) = checks.check([yaml.safe_load(_SAME_NAME)])

    assert said == (
        'store default_backend is not one cluster everywhere, but '
        '/etc/ceph/ceph.conf in default; /etc/ceph/az1.conf in az1: a store '
        'leads to the wrong cluster'
    )


@pytest.mark.parametrize(
    'document',
    [
        {},
        {'kind': 'Secret'},
        {'kind': 'Secret', 'data': {'password': 'AAAA'}},
        {'kind': 'Secret', 'stringData': {'s3.conf': '[s3]\nkey = 1\n'}},
        {'kind': 'Glance', 'spec': {'keystoneEndpoint': 'default'}},
        {'kind': 'OpenStackControlPlane', 'spec': {'glance': None}},
        {'kind': 'OpenStackDataPlaneNodeSet', 'spec': []},
        {'kind': 'Deployment', 'spec': {'template': {'extraMounts': 5}}},
    ],
)
def test_documents_of_others_are_passed_over(document: dict) -> None:
    assert checks.check([document]) == ()


def test_one_store_needs_no_copies() -> None:
    document = yaml.safe_load(_SAME_NAME)
    apis = document['spec']['glance']['template']['glanceAPIs']
    del apis['az1']
    methods = "enabled_import_methods = ['web-download', 'copy-image']"
    old = apis['default']['customServiceConfig']
    apis['default']['customServiceConfig'] = old.replace(methods, '')

    assert checks.check([document]) == ()


def test_options_that_are_none_are_found() -> None:
    document = yaml.safe_load(_SAME_NAME)
    apis = document['spec']['glance']['template']['glanceAPIs']
    apis['az1']['customServiceConfig'] = 'enabled_backends = a:rbd\n'

    assert (
        checks.check([document])
        == (
            'Glance az1: customServiceConfig is no INI',
            'Glance default: default_backend',
        )[:1]
    )
