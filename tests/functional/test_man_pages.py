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
"""The man pages, as `tox -e man` builds them."""

from pathlib import Path
import subprocess
import sys

import pytest

from dcn_distributor.cmd import cli

TOP = Path(__file__).resolve().parents[2]
PAGES = {
    'man1/dcn-distributor.1',
    'man5/dcn_distributor.conf.5',
    'man5/dcn_distributor-placement.yaml.5',
    'man8/dcn-distributor-agent.8',
}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Build them, and give their texts without what escapes a hyphen."""
    out = tmp_path_factory.mktemp('man')
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q']
    subprocess.run(
        [*command, '-b', 'man', '-d', out / 'trees', TOP / 'doc/source', out],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        str(path.relative_to(out)): path.read_text().replace('\\-', '-')
        for path in out.glob('man*/*')
    }


def test_all_pages_are_there(built):
    assert set(built) == PAGES


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_command_has_its_help_in_the_page(built, name):
    _, found, section = built['man1/dcn-distributor.1'].partition(
        f'\n.SS {name}\n'
    )

    assert found
    assert f'usage: dcn-distributor {name} ' in section.partition('\n.SS ')[0]


def test_the_page_of_the_configuration_has_the_options(built):
    page = built['man5/dcn_distributor.conf.5']

    for word in (
        'sites.yaml',
        'transport_url',
        'resync_interval',
        'rbd_stream',
    ):
        assert word in page
