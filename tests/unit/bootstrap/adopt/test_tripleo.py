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
"""Files of TripleO: exports, ceph_client.yml and config-downloads."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import ceph_ansible
from dcn_distributor.bootstrap.adopt import ceph_client
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import tripleo_export
from dcn_distributor.core import cephx

KEYS = (
    'AQDY215eAAAAABAAv+R9oML+7c8FFygX7eUWrQ==',
    'AQCSH19eAAAAABAAi1MVKfoJv5dcdWsQd4OG+Q==',
)
FSIDS = (
    '539e2b96-316e-4c23-b7df-035b2037ddd1',
    '8649d6c3-dcb3-4aae-8c19-8c2fe5a853ac',
)
CAPS = {
    'mgr': 'allow *',
    'mon': 'profile rbd',
    'osd': 'profile rbd pool=images',
}
# As the document shows it.
BY_SCRIPT = f"""\
---
parameter_defaults:
  CephExternalMultiConfig:
    - cluster: "dcn0"
      fsid: "{FSIDS[0]}"
      external_cluster_mon_ips: "172.16.11.45"
      keys:
        - name: "client.glance"
          caps:
            mgr: "allow *"
            mon: "profile rbd"
            osd: "profile rbd pool=images"
          key: "{KEYS[0]}"
          mode: "0600"
      dashboard_enabled: false
      ceph_conf_overrides:
        client:
          keyring: /etc/ceph/dcn0.client.glance.keyring
    - cluster: "dcn1"
      fsid: "{FSIDS[1]}"
      external_cluster_mon_ips: "172.16.11.246"
      keys:
        - name: "client.glance"
          caps:
            mgr: "allow *"
            mon: "profile rbd"
            osd: "profile rbd pool=images"
          key: "{KEYS[1]}"
          mode: "0600"
      dashboard_enabled: false
"""
# As PyYAML dumps it: keys sorted, what stands twice by an alias.
BY_CLIENT = f"""\
parameter_defaults:
  CephExternalMultiConfig:
  - ceph_conf_overrides:
      client: &id001
        keyring: /etc/ceph/dcn0.client.openstack.keyring
    cluster: dcn0
    dashboard_enabled: false
    external_cluster_mon_ips: '[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0],\
[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]'
    fsid: {FSIDS[0]}
    keys:
    - caps:
        mgr: allow *
        mon: profile rbd
        osd: profile rbd pool=vms, profile rbd pool=volumes
      key: {KEYS[0]}
      mode: '0600'
      name: client.openstack
    other: *id001
"""
EXTERNAL = f"""\
parameter_defaults:
  CephClusterFSID: '{FSIDS[0]}'
  CephClientKey: '{KEYS[0]}'
  CephExternalMonHost: '172.16.1.7, 172.16.1.8'
"""
CEPH_CLIENT = f"""\
tripleo_ceph_client_fsid: {FSIDS[0]}
tripleo_ceph_client_cluster: dcn0
external_cluster_mon_ips: "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]"
keys:
- name: client.openstack
  key: "{KEYS[0]}"
  caps: {{mgr: "allow *", mon: "profile rbd", osd: "profile rbd pool=images"}}
"""
GROUP_VARS = f"""\
cluster: dcn0
cluster_network: 172.18.0.0/24
fsid: {FSIDS[0]}
keys:
-   caps: {{mgr: allow *, mon: profile rbd, osd: profile rbd pool=images}}
    key: {KEYS[0]}
    mode: '0600'
    name: client.openstack
-   caps: {{mon: allow r}}
    key: {KEYS[1]}
    name: client.radosgw
monitor_secret: !vault |
    abc
"""
INVENTORY = """\
Compute:
  hosts:
    compute-0: {storage_ip: 172.16.1.99}
Controller:
  hosts:
    controller-0: {ansible_host: 192.168.24.7, storage_ip: 172.16.1.1}
    controller-1: {ansible_host: 192.168.24.8, storage_ip: 172.16.1.2}
mons:
  children:
    Controller: {}
"""


def entity(number, name='client.glance', caps=CAPS):
    return cephx.Entity(name, cephx.Secret(KEYS[number]), caps)


def export(text):
    return tripleo_export.parse(findings.Source('export.yaml', text))


def client(text):
    return ceph_client.parse(findings.Source('ceph_client.yml', text))


def download(group_vars, inventory, *network):
    return ceph_ansible.parse(
        findings.Source('all.yml', group_vars),
        findings.Source('inventory.yaml', inventory),
        *network,
    )


def problems(parse, *texts):
    with pytest.raises(exceptions.ConfigError) as raised:
        parse(*texts)
    told = str(raised.value)
    assert not any(key[:12] in told for key in KEYS)
    return raised.value.problems


def test_what_the_documents_write_by_hand_is_read():
    assert export(BY_SCRIPT) == (
        findings.Found(
            'export.yaml', 'dcn0', FSIDS[0], ('172.16.11.45',), (entity(0),)
        ),
        findings.Found(
            'export.yaml', 'dcn1', FSIDS[1], ('172.16.11.246',), (entity(1),)
        ),
    )


def test_what_export_ceph_writes_is_read():
    [found] = export(BY_CLIENT)

    assert found.monitors == (
        '[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]',
        '[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]',
    )
    assert [e.name for e in found.entities] == ['client.openstack']
    assert not found.is_external


def test_external_cluster_has_the_defaults_of_its_parameters():
    assert export(EXTERNAL) == (
        findings.Found(
            'export.yaml',
            'ceph',
            FSIDS[0],
            ('172.16.1.7', '172.16.1.8'),
            (entity(0, 'client.openstack', {}),),
            is_external=True,
        ),
    )


def test_external_cluster_may_be_called_otherwise():
    [found] = export(
        EXTERNAL + '  CephClusterName: dcn0\n'
        '  CephClientUserName: external\n  GlanceRbdPoolName: pictures\n'
    )

    assert (found.cluster, found.pool) == ('dcn0', 'pictures')
    assert [e.name for e in found.entities] == ['client.external']


def test_pools_of_other_clusters_are_read_of_their_stores():
    found = export(
        BY_SCRIPT + '  GlanceMultistoreConfig:\n    dcn0:\n'
        '      GlanceBackend: rbd\n      CephClusterName: dcn0\n'
        '      GlanceRbdPoolName: pictures\n'
    )

    assert [each.pool for each in found] == ['pictures', None]


def test_ceph_client_is_read():
    assert client(CEPH_CLIENT) == (
        findings.Found(
            'ceph_client.yml',
            'dcn0',
            FSIDS[0],
            ('[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]',),
            (entity(0, 'client.openstack'),),
        ),
    )


def test_config_download_is_read():
    assert download(GROUP_VARS, INVENTORY) == (
        findings.Found(
            'all.yml',
            'dcn0',
            FSIDS[0],
            ('172.16.1.1', '172.16.1.2'),
            (
                entity(0, 'client.openstack'),
                entity(1, 'client.radosgw', {'mon': 'allow r'}),
            ),
        ),
    )


def test_monitors_may_be_in_another_network():
    [found] = download(
        GROUP_VARS,
        INVENTORY.replace('storage_ip', 'storage_cloud_0_ip'),
        'storage_cloud_0',
    )

    assert found.monitors == ('172.16.1.1', '172.16.1.2')


@pytest.mark.parametrize(
    ('line', 'key'),
    [
        ('cluster: "dcn0"', 'cluster'),
        (f'fsid: "{FSIDS[0]}"', 'fsid'),
        (
            'external_cluster_mon_ips: "172.16.11.45"',
            'external_cluster_mon_ips',
        ),
        (f'key: "{KEYS[0]}"', 'keys[0].key'),
    ],
)
@pytest.mark.parametrize('value', ['', 'not found'])
def test_value_of_an_export_that_is_not_there_is_an_error(line, key, value):
    name = line.partition(':')[0]
    assert line in BY_SCRIPT

    [problem] = problems(
        export, BY_SCRIPT.replace(line, f'{name}: "{value}"', 1)
    )

    assert problem.startswith(
        f'export.yaml: parameter_defaults.CephExternalMultiConfig[0].{key}'
        if value == '' or 'key' not in key
        else 'export.yaml: parameter_defaults.CephExternalMultiConfig[0].keys'
    )


@pytest.mark.parametrize(
    ('line', 'key'),
    [
        ('CephClusterFSID', 'CephClusterFSID'),
        ('CephClientKey', 'CephClientKey'),
    ],
)
def test_value_of_an_external_cluster_that_is_not_there_is_an_error(line, key):
    text = ''.join(
        each for each in EXTERNAL.splitlines(keepends=True) if line not in each
    )

    [problem] = problems(export, text)

    assert problem.startswith(
        f'export.yaml: parameter_defaults.{key}: is missing: '
    )


def test_file_that_tells_of_no_cluster_is_an_error():
    [problem] = problems(export, 'parameter_defaults: {CephExtraKeys: []}\n')

    assert "a file that 'openstack overcloud export ceph' wrote" in problem


def test_all_problems_of_an_export_are_told_at_once():
    told = problems(
        export,
        BY_SCRIPT.replace('"dcn0"', '"dcn-0"')
        .replace(KEYS[1], KEYS[1][:-1])
        .replace('172.16.11.246', 'mon.example.org'),
    )

    multi = 'export.yaml: parameter_defaults.CephExternalMultiConfig'
    assert [problem.split(': ')[1] for problem in told] == [
        f'{multi[13:]}[0].cluster',
        f'{multi[13:]}[1].external_cluster_mon_ips',
        f'{multi[13:]}[1].keys[0]',
    ]


@pytest.mark.parametrize(
    ('name', 'is_list'),
    [
        ('tripleo_ceph_client_fsid', False),
        ('tripleo_ceph_client_cluster', False),
        ('external_cluster_mon_ips', False),
        ('keys', True),
    ],
)
def test_value_of_ceph_client_that_is_not_there_is_an_error(name, is_list):
    text = CEPH_CLIENT.replace(f'{name}:', f'no_{name}:', 1)

    [problem] = problems(client, text)

    words = 'expected a list' if is_list else 'is missing: take the file'
    assert problem.startswith(f'ceph_client.yml: {name}: {words}')


@pytest.mark.parametrize(
    ('group_vars', 'inventory', 'expected'),
    [
        (
            GROUP_VARS.replace('cluster: ', 'x: '),
            INVENTORY,
            'all.yml: cluster: is missing: download it anew',
        ),
        (
            GROUP_VARS.replace('fsid: ', 'x: '),
            INVENTORY,
            'all.yml: fsid: is missing: download it anew',
        ),
        (
            GROUP_VARS.replace('keys:', 'x:'),
            INVENTORY,
            'all.yml: keys: expected a list',
        ),
        (
            GROUP_VARS,
            INVENTORY.replace('mons:', 'x:'),
            'inventory.yaml: mons.children: no role there has hosts',
        ),
        (
            GROUP_VARS,
            INVENTORY.replace('storage_ip: 172.16.1.2', 'storage_ip: ""'),
            'inventory.yaml: Controller.hosts.controller-1.storage_ip: is '
            'missing: name the network that the monitors are in',
        ),
    ],
)
def test_value_of_a_download_that_is_not_there_is_an_error(
    group_vars, inventory, expected
):
    [problem] = problems(download, group_vars, inventory)

    assert problem.startswith(expected)


@pytest.mark.parametrize('parse', [export, client])
@pytest.mark.parametrize(
    'text',
    ['', '- a list\n', f'key: [{KEYS[0]}\n', f'a: "{KEYS[0]}\\x"\n', 'a\0'],
)
def test_what_is_no_mapping_is_refused_without_telling_it(parse, text):
    [problem] = problems(parse, text)

    assert 'give the file as the program wrote it' in problem


def test_users_are_needed_besides_those_of_ceph():
    [problem] = problems(
        client, CEPH_CLIENT.replace('client.openstack', 'client.admin')
    )

    assert problem.startswith('ceph_client.yml: keys: has no user')
