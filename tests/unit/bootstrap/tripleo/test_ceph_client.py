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
"""tripleo-ansible and tripleoclient make working files of what is rendered.

Their own templates and tasks are run here, as far as they are expressions;
around them stands what Ansible would add.
"""

import configparser
import copy
import functools
import json
import logging
import os
import types
from typing import Any

import jsonschema
import pytest
import yaml

from dcn_distributor.core import cephx
from tests import plain_yaml
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import ceph_client
from tests.unit.bootstrap.tripleo import rendered
from tests.unit.bootstrap.tripleo import sources

pytestmark = sources.needed
_MULTIPLE = (
    ('multi-ceph', 'control-plane/ceph_keys_update.yaml'),
    ('multi-ceph', 'dcn0/dcn_ceph_keys.yaml'),
    ('external-ceph', 'control-plane/ceph_keys_update.yaml'),
    ('external-ceph', 'dcn1/dcn_ceph_keys.yaml'),
)


def _entries(topology: str, path: str) -> list[tuple[Any, dict[str, str]]]:
    found = rendered.render(samples.load(topology))
    return [
        (entry, ceph_client.files_of(entry))
        for entry in found.parameters(path)['CephExternalMultiConfig']
    ]


@pytest.mark.parametrize(('topology', 'path'), _MULTIPLE)
def test_clients_get_a_conf_that_leads_to_the_cluster(topology, path):
    for entry, files in _entries(topology, path):
        conf = configparser.ConfigParser(interpolation=None)
        conf.read_string(files[f'/etc/ceph/{entry["cluster"]}.conf'])

        assert conf['global']['fsid'] == entry['fsid']
        assert conf['global']['mon host'] == entry['external_cluster_mon_ips']
        assert conf['client']['keyring'] in files


@pytest.mark.parametrize(('topology', 'path'), _MULTIPLE)
def test_clients_get_a_keyring_with_the_issued_key(topology, path):
    found = rendered.render(samples.load(topology))

    for entry, files in _entries(topology, path):
        assert len(files) == 2
        (keyring,) = (t for name, t in files.items() if 'keyring' in name)
        (entity,) = cephx.parse_keyring(keyring)
        (issued,) = (
            known.entities[f'client.{found.cloud.user}']
            for site, known in found.ring.clusters.items()
            if site == entry['cluster']
        )
        assert entity == issued


def test_keys_of_a_new_cluster_are_those_of_the_later_files():
    """What `overcloud ceph deploy` makes is what hosts get later on."""
    found = rendered.render(samples.load('multi-ceph'), 'xena')
    variables = plain_yaml.load(found.files['dcn0/cephadm/vars.yaml'].text)
    later = found.parameters('dcn0/dcn_ceph_keys.yaml')

    assert variables['tripleo_cephadm_keys'] == later['CephExtraKeys']
    known = (
        sources.directory(f'{sources.ANSIBLE}/roles/tripleo_cephadm/tasks')
    ).glob('*.yaml')
    text = ''.join(path.read_text() for path in known)
    for name in variables:
        assert name in text


def _client_vars(found: rendered.Rendered, stack: str) -> str:
    """Give what tripleo_cephadm leaves of a cluster for its clients."""
    document = plain_yaml.load(found.files[f'{stack}/cephadm/vars.yaml'].text)
    site = (
        found.cloud.central
        if stack == 'control-plane'
        else (found.cloud.site(stack))
    )
    assert site.ceph is not None
    asked = [
        types.SimpleNamespace(
            stdout=json.dumps([{**key, 'entity': key['name']}])
        )
        for key in document['tripleo_cephadm_keys']
    ]
    return ceph_client.template(
        sources.directory(f'{sources.ANSIBLE}/roles/tripleo_cephadm'),
        'ceph_client.yaml.j2',
        {
            'tripleo_cephadm_fsid': document['tripleo_cephadm_fsid'],
            'tripleo_cephadm_cluster': site.ceph.name,
            'external_cluster_mon_ips': site.ceph.mon_host,
            'tripleo_cephadm_client_keys': types.SimpleNamespace(
                results=asked
            ),
        },
    )


@pytest.mark.parametrize(
    ('stacks', 'path'),
    [
        (('control-plane',), 'dcn0/dcn_ceph_keys.yaml'),
        (('dcn0', 'dcn1'), 'control-plane/ceph_keys_update.yaml'),
    ],
)
def test_tripleo_exports_what_was_rendered(tmp_path, stacks, path):
    """`overcloud export ceph` of the clusters gives our file again."""
    found = rendered.render(samples.load('multi-ceph'), 'xena')
    top, work = tmp_path / 'out', tmp_path / 'overcloud-deploy'
    for file in found.files.values():
        (top / file.path).parent.mkdir(parents=True, exist_ok=True)
        (top / file.path).write_text(file.text)
    for stack in stacks:
        (work / stack).mkdir(parents=True)
        (work / stack / 'ceph_client.yml').write_text(
            _client_vars(found, stack)
        )
    constants = types.SimpleNamespace(
        DEFAULT_WORK_DIR=str(work),
    )
    export = sources.definitions(
        sources.directory(sources.CLIENTS['xena'])
        / 'tripleoclient'
        / 'export.py',
        {
            'logging': logging,
            'os': os,
            'yaml': yaml,
            'constants': constants,
            'oooutils': types.SimpleNamespace(
                get_default_working_dir=lambda stack: str(work / stack)
            ),
            '__name__': 'export',
        },
    )

    exported = [
        export['export_ceph'](stack, found.cloud.user, str(top))
        for stack in stacks
    ]

    ours = copy.deepcopy(found.parameters(path)['CephExternalMultiConfig'])
    for entry in ours:
        for key in entry['keys']:
            # The client does not say who may read the file.
            del key['mode']
    assert exported == ours


@functools.cache
def _nodes_schema() -> dict[str, Any]:
    path = sources.directory(f'{sources.ANSIBLE}/ansible_plugins')
    names = sources.definitions(
        path / 'module_utils' / 'baremetal_deploy.py',
        {'dcopy': copy.deepcopy, '__name__': 'baremetal_deploy'},
    )
    schema: dict[str, Any] = names['_ROLES_INPUT_SCHEMA']
    return schema


@samples.topologies
def test_nodes_are_what_the_provisioning_takes(topology):
    found = rendered.render(samples.load(topology), 'xena')

    paths = [path for path in found.files if path.endswith('/nodes.yaml')]
    assert paths
    for path in paths:
        nodes = plain_yaml.load(found.files[path].text)
        jsonschema.validate(nodes, _nodes_schema())
        for role in nodes:
            assert len(role['instances']) == role['count']
