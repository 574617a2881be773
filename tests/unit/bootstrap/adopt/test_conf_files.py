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
"""Confs and keyrings of /etc/ceph."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import conf_files
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.core import cephx

KEY = 'AQDY215eAAAAABAAv+R9oML+7c8FFygX7eUWrQ=='
FSID = '8649d6c3-dcb3-4aae-8c19-8c2fe5a853ac'
MINIMAL = f'[global]\nfsid = {FSID}\nmon host = 10.0.0.1\n'
KEYRING = f'[client.openstack]\n\tkey = {KEY}\n'


def parse(**files):
    return conf_files.parse(
        findings.Source(f'/etc/ceph/{name}', text)
        for name, text in files.items()
    )


def pair(conf):
    return parse(
        **{'dcn0.conf': conf, 'dcn0.client.openstack.keyring': KEYRING}
    )


def problems(**files):
    with pytest.raises(exceptions.ConfigError) as raised:
        parse(**files)
    assert KEY not in str(raised.value)
    return [
        problem.removeprefix('/etc/ceph/') for problem in raised.value.problems
    ]


def test_conf_is_read_with_its_keyrings():
    found = parse(
        **{
            'dcn0.conf': MINIMAL,
            'dcn0.client.openstack.keyring': KEYRING,
            'dcn0.client.glance.keyring': KEYRING.replace(
                'openstack', 'glance'
            ),
            'rbdmap': 'x',
        }
    )

    secret = cephx.Secret(KEY)
    assert found == (
        findings.Found(
            '/etc/ceph/dcn0.conf',
            'dcn0',
            FSID,
            ('10.0.0.1',),
            (
                cephx.Entity('client.openstack', secret, {}),
                cephx.Entity('client.glance', secret, {}),
            ),
        ),
    )


@pytest.mark.parametrize(
    ('written', 'monitors'),
    [
        ('mon host = 10.0.0.1,10.0.0.2', ('10.0.0.1', '10.0.0.2')),
        ('mon_host=10.0.0.1 10.0.0.2:6789', ('10.0.0.1', '10.0.0.2:6789')),
        ('mon host = "10.0.0.1, 10.0.0.2"', ('10.0.0.1', '10.0.0.2')),
        ('mon host = [fd00::1],[fd00::2]', ('[fd00::1]', '[fd00::2]')),
        (
            'mon host = [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] '
            '[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]',
            (
                '[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]',
                '[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]',
            ),
        ),
        (
            'mon host = [v2:[fd00::1]:3300,v1:[fd00::1]:6789] # two',
            ('[v2:[fd00::1]:3300,v1:[fd00::1]:6789]',),
        ),
        ('mon host = 10.0.0.1, \\\n  10.0.0.2', ('10.0.0.1', '10.0.0.2')),
    ],
)
def test_monitors_are_read_in_all_forms(written, monitors):
    [found] = pair(f'# ours\n[global]\nfsid = {FSID.upper()}\n{written}\n')

    assert found.monitors == monitors
    assert found.fsid == FSID


def test_keys_of_ceph_itself_are_left_out():
    [found] = parse(
        **{
            'dcn0.conf': MINIMAL,
            'dcn0.client.admin.keyring': KEYRING.replace('openstack', 'admin'),
            'dcn0.client.openstack.keyring': KEYRING,
            'dcn0.mon.keyring': KEYRING.replace('client.openstack', 'mon.'),
        }
    )

    assert [entity.user for entity in found.entities] == ['openstack']


def test_directories_are_kept_apart():
    files = {'dcn0.conf': MINIMAL, 'dcn0.client.openstack.keyring': KEYRING}

    found = conf_files.parse(
        findings.Source(f'{directory}/{name}', text)
        for directory in ('a', 'b')
        for name, text in files.items()
    )

    assert [each.source for each in found] == ['a/dcn0.conf', 'b/dcn0.conf']


@pytest.mark.parametrize(
    ('conf', 'expected'),
    [
        (
            '[global]\nmon host = 10.0.0.1\n',
            "dcn0.conf: [global] fsid: is missing: 'ceph config generate",
        ),
        (
            f'[global]\nfsid = {FSID}\n',
            "dcn0.conf: [global] mon host: is missing: 'ceph config generate",
        ),
        (
            f'[client]\nfsid = {FSID}\n[global]\nfsid =\nmon host = ::1\n',
            'dcn0.conf: [global] fsid: is missing',
        ),
        (
            MINIMAL.replace('10.0.0.1', 'not found'),
            'dcn0.conf: [global] mon host: expected the address of a monitor',
        ),
        (
            MINIMAL.replace(FSID, 'not found'),
            "dcn0.conf: [global] fsid: expected a UUID, found 'not found'",
        ),
        ('fsid\n', 'dcn0.conf: line 1 is not one of a ceph.conf'),
    ],
)
def test_value_that_is_not_there_is_an_error(conf, expected):
    [problem] = problems(
        **{'dcn0.conf': conf, 'dcn0.client.openstack.keyring': KEYRING}
    )

    assert problem.startswith(expected)


def test_all_problems_are_told_at_once():
    told = problems(
        **{
            'dcn0.conf': '[global]\n',
            'dcn0.client.openstack.keyring': KEYRING[:-5],
            'dcn1.conf': MINIMAL,
            'dcn2.client.openstack.keyring': KEYRING,
            'dcn-3.conf': MINIMAL,
            'dcn-3.client.openstack.keyring': KEYRING,
        }
    )

    assert [problem.partition(': ')[0] for problem in told] == [
        'dcn0.client.openstack.keyring',
        'dcn0.conf',
        'dcn0.conf',
        'dcn1.conf',
        'dcn-3.conf',
        'dcn2.client.openstack.keyring',
    ]


def test_directory_without_files_of_ceph_is_an_error():
    [problem] = problems(rbdmap='')

    assert 'such as /etc/ceph' in problem
