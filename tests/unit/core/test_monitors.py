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
"""Monitors' addresses, as ceph.conf and the monitors themselves write them."""

import re
import shutil
import subprocess

import pytest

from dcn_distributor.core import monitors
from dcn_distributor.core import text

ADDRESSES = (
    '172.16.11.45',
    '172.16.11.45:6789',
    '172.16.11.45:6789/0',
    'fd00::45',
    '[fd00::45]',
    '[fd00::45]:3300',
    '[v2:172.16.11.45:3300,v1:172.16.11.45:6789]',
    '[v2:172.16.11.45:3300/0,v1:172.16.11.45:6789/0]',
    '[v1:172.16.11.45:6789]',
    '[v2:[fd00::45]:3300,v1:[fd00::45]:6789]',
    '[v2:[fd00::45]:3300/0,v1:[fd00::45]:6789/0]',
)


@pytest.mark.parametrize('address', ADDRESSES)
def test_address_is_taken_as_it_is(address):
    assert monitors.check(address) == address
    assert monitors.split(address) == (address,)


@pytest.mark.skipif(
    shutil.which('monmaptool') is None, reason='no monmaptool here'
)
def test_ceph_takes_all_of_them_as_one_monitor_each(tmp_path):
    conf, monmap = tmp_path / 'ceph.conf', tmp_path / 'monmap'
    for address in ADDRESSES:
        conf.write_text(f'[global]\nmon host = {address}\n')
        tool = ('monmaptool', '-c', conf)
        made = subprocess.run(
            (*tool, '--create', '--clobber', '--generate', '--print', monmap),
            check=True,
            capture_output=True,
            text=True,
        )

        [monitor] = re.findall(r'^\d+: (.*)', made.stdout, re.MULTILINE)
        [ip] = [ip for ip in ('172.16.11.45', 'fd00::45') if ip in address]
        assert ip in monitor


@pytest.mark.parametrize(
    'address',
    [
        '',
        'the.monitor',
        'not found',
        '172.16.11',
        '172.16.11.45:',
        '172.16.11.45:0',
        '172.16.11.45:65536',
        '172.16.11.45/24',
        '172.16.11.45/0/0',
        '[172.16.11.45]',
        '[172.16.11.45]:3300',
        '[fd00::45',
        'fd00::45]',
        'fe80::45%eth0',
        '[v2:172.16.11.45:3300',
        '[v2:172.16.11.45:3300,]',
        '[v2:172.16.11.45:3300,172.16.11.45:6789]',
        '[v3:172.16.11.45:3300]',
        '[v1:v2:172.16.11.45:3300]',
        '[v2:172.16.11.45:3300/x]',
        '[v2:172.16.11.45:3300, v1:172.16.11.45:6789]',
        '172.16.11.45,172.16.11.46',
        '172.16.11.45\n',
        '\uff1172.16.11.45',
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(text.Malformed, match='the address of a monitor'):
        monitors.check(address)


@pytest.mark.parametrize('between', [',', ', ', ' ', ';', '\t', ' ,\n'])
def test_mon_host_is_parted_outside_of_brackets(between):
    assert monitors.split(between.join(ADDRESSES)) == ADDRESSES


def test_spaces_in_brackets_are_left_out():
    found = monitors.split('[v2:10.0.0.1:3300, v1:10.0.0.1:6789], 10.0.0.2')

    assert found == ('[v2:10.0.0.1:3300,v1:10.0.0.1:6789]', '10.0.0.2')


def test_protocol_without_brackets_is_put_into_them():
    assert monitors.split('v2:10.0.0.1:3300') == ('[v2:10.0.0.1:3300]',)


@pytest.mark.parametrize(
    'mon_host', ['', ' , ', 'not found', '10.0.0.1]', '[[10.0.0.1', 'a,b']
)
def test_what_is_no_mon_host_is_refused(mon_host):
    with pytest.raises(text.Malformed):
        monitors.split(mon_host)
