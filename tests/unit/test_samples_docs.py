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
"""The YAML in the documentation is what the code reads."""

from pathlib import Path
import re
import textwrap

import pytest

from dcn_distributor.cmd import cli
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites

TOP = Path(__file__).resolve().parent.parent.parent
DOC = TOP / 'doc' / 'source'
SITES = TOP / 'etc' / 'dcn_distributor' / 'sites.yaml.sample'


def yaml_blocks(page):
    """Read the YAML files that a page shows, each with its line."""
    text = (DOC / page).read_text()
    pattern = r'^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)'
    return [
        pytest.param(
            textwrap.dedent(match[1]),
            id=f'{page}:{text.count(chr(10), 0, match.start()) + 1}',
        )
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]


@pytest.mark.parametrize('content', yaml_blocks('policies.rst'))
def test_policies_of_the_documentation_can_be_used(content, tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text(content)

    policies = placement.load(str(path), sites.load(str(SITES)))

    assert policies.policies
    assert policies.warnings() == ()


@pytest.mark.parametrize('content', yaml_blocks('configure.rst'))
def test_sites_of_the_documentation_can_be_used(content, tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_text(content)

    assert len(sites.load(str(path))) == 2


def test_command_line_page_has_every_command():
    page = (DOC / 'cli.rst').read_text()

    missing = [
        name
        for name in cli.COMMANDS
        if f'.. program-help:: dcn_distributor.cmd.cli {name}\n' not in page
    ]

    assert missing == []
