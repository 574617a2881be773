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
"""The command lines are those that python-tripleoclient takes."""

import ast
import configparser
from pathlib import Path

import pytest

from dcn_distributor.bootstrap.tripleo import order
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered
from tests.unit.bootstrap.tripleo import sources

pytestmark = sources.needed


def _commands(top: Path) -> dict[str, str]:
    """Where the client has which command: `overcloud_deploy`, and so on."""
    setup = configparser.ConfigParser()
    setup.read(top / 'setup.cfg')
    lines = setup['entry_points']['openstack.tripleoclient.v2']
    pairs = (line.partition('=') for line in lines.split('\n') if line)
    return {name.strip(): where.strip() for name, _, where in pairs}


def _options(path: Path) -> set[str]:
    """All options that a module of the client adds to a parser."""
    return {
        argument.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == 'add_argument'
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_client_has_the_commands_and_their_options(topology, release):
    top = sources.directory(sources.CLIENTS[release])
    commands = _commands(top)

    for step in order.order(samples.load(topology), release):
        assert step.argv[0] == 'openstack'
        names = ['_'.join(step.argv[1:end]) for end in range(2, 5)]
        (*_, name) = (n for n in names if n in commands)
        module = commands[name].partition(':')[0].replace('.', '/')
        options = _options(top / f'{module}.py')
        for word in step.argv:
            if word.startswith('-'):
                assert word in options, f'{step.name}: {word}'
