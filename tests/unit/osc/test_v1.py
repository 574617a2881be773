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
"""Which commands `openstack` has of us, and by which names."""

import configparser
import importlib.metadata
from pathlib import Path
import subprocess
import sys

import pytest

from dcn_distributor.cmd import cli
from dcn_distributor.osc import plugin
from dcn_distributor.osc import v1
from tests.unit.osc import shells

TOP = Path(__file__).resolve().parents[3]
GROUP = 'openstack.image_distribution.v1'

# Commands of dcn-distributor that are not for `openstack`, each with why.
NOT_THERE = {
    name: 'prepares stacks and keys, mostly before there is a cloud to log in'
    for name in cli.COMMANDS
    if name.startswith('bootstrap ')
} | {'complete': '`openstack complete` has our commands, too'}


def entry_points(group):
    """Read a group of setup.cfg, installed or not."""
    parser = configparser.ConfigParser(delimiters=['='])
    parser.optionxform = str
    parser.read(TOP / 'setup.cfg')
    lines = parser['entry_points'][group].strip().splitlines()
    pairs = (line.split(' = ') for line in lines)
    return [
        importlib.metadata.EntryPoint(name, value, group)
        for name, value in pairs
    ]


COMMANDS = [
    pytest.param(point, id=point.name.replace('_', ' '))
    for point in entry_points(GROUP)
]


def test_every_command_is_there_or_has_a_reason_not_to_be():
    there = {point.load().factory for point in entry_points(GROUP)}
    here = {
        name: factory
        for name, factory in cli.COMMANDS.items()
        if name not in NOT_THERE
    }

    assert [n for n, factory in here.items() if factory not in there] == []


def test_every_command_of_the_table_has_a_line_in_setup_cfg():
    installed = {
        point.load().factory: point.name.replace('_', ' ')
        for point in entry_points(GROUP)
    }

    assert installed == v1.spelling()


def test_the_group_is_the_one_that_openstack_looks_for():
    [point] = entry_points('openstack.cli.extension')
    extension = point.load()

    assert extension is plugin
    assert f'openstack.{extension.API_NAME}.v1' == GROUP
    assert extension.DEFAULT_API_VERSION in extension.API_VERSIONS


@pytest.mark.parametrize('point', COMMANDS)
def test_help_is_in_the_words_of_openstack(point):
    shell = shells.Shell()
    command = point.load()(shell, shell.options)

    told = command.get_parser('openstack x').format_help()

    words = point.name.replace('_', ' ')
    assert told.startswith('usage: openstack x [-h]')
    assert '\n  0  ' in told
    assert f'\n  openstack {words}' in told
    assert 'dcn-distributor ' not in told
    assert command.get_description().endswith('.')


@pytest.mark.parametrize('point', COMMANDS)
def test_only_what_needs_no_cloud_does_without_a_login(point):
    shell = shells.Shell()
    command = point.load()(shell, shell.options)

    assert command.auth_required is not point.name.endswith('_validate')


def test_a_start_of_openstack_imports_none_of_our_commands():
    ended = subprocess.run(
        [
            sys.executable,
            '-c',
            'import sys, dcn_distributor.osc.plugin, dcn_distributor.osc.v1\n'
            'print(*sorted(m for m in sys.modules if m.split(".")[0] in\n'
            '    ("dcn_distributor", "cliff", "oslo_config", "pydantic")))',
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.split() == [
        'dcn_distributor',
        'dcn_distributor.osc',
        'dcn_distributor.osc.plugin',
        'dcn_distributor.osc.v1',
    ]
