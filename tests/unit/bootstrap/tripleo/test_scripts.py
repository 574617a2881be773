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
"""Scripts run what the order says, and stop at what fails."""

import dataclasses
import json
import os
from pathlib import Path
import subprocess

import pytest

from dcn_distributor.bootstrap.tripleo import order
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered

# Stands for the client of OpenStack: writes down how it was called.
_RECORDER = """\
#!/usr/bin/env python3
import json, os, sys
call = [os.environ['OS_CLOUD'], os.getcwd(), *sys.argv]
with open(os.environ['RECORD'], 'a') as record:
    record.write(json.dumps(call) + '\\n')
sys.exit(os.environ.get('FAILING', '-') in sys.argv)
"""


class Undercloud:
    """A directory of rendered files, and a client that only records."""

    def __init__(self, path: Path, release: str, home: str | None) -> None:
        self.home = path / 'home of stack'
        self.top = path / 'out'
        self.record = path / 'record'
        client = path / 'bin' / 'openstack'
        for directory in (self.home, client.parent):
            directory.mkdir()
        client.write_text(_RECORDER)
        client.chmod(0o755)
        (self.home / 'stackrc').write_text(
            'export OS_CLOUD=undercloud${UNSET_BY_ALL}\n'
        )
        tripleo = stacks.Tripleo(home=home or str(self.home))
        self.cloud = dataclasses.replace(
            samples.load('multi-ceph'), tripleo=tripleo
        )
        for file in rendered.render(self.cloud, release).files.values():
            target = self.top / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)
            target.chmod(file.mode)

    def run(
        self, script: str, failing: str = '-'
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts, from somewhere else."""
        path = f'{self.home.parent}/bin:{os.environ["PATH"]}'
        return subprocess.run(
            [str(self.top / script)],
            cwd='/',
            env={
                'PATH': path,
                'HOME': str(self.home),
                'RECORD': str(self.record),
                'FAILING': failing,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """How the client was called."""
        return [
            json.loads(line) for line in self.record.read_text().splitlines()
        ]


@pytest.mark.parametrize('release', rendered.RELEASES)
def test_script_takes_all_steps_in_their_order(tmp_path, release):
    undercloud = Undercloud(tmp_path, release, None)

    done = undercloud.run('deploy.sh')

    assert (done.returncode, done.stderr) == (0, '')
    assert [call[3:] for call in undercloud.calls()] == [
        list(step.argv[1:]) for step in order.order(undercloud.cloud, release)
    ]
    assert {call[0] for call in undercloud.calls()} == {'undercloud'}
    assert {call[1] for call in undercloud.calls()} == {str(undercloud.top)}


def test_scripts_of_stacks_take_all_steps_that_are_theirs(tmp_path):
    undercloud = Undercloud(tmp_path, 'ussuri', None)

    for script in (
        'control-plane/deploy.sh',
        'dcn0/deploy.sh',
        'dcn1/deploy.sh',
        'control-plane/deploy-update.sh',
    ):
        assert undercloud.run(script).returncode == 0

    assert [call[3:] for call in undercloud.calls()] == [
        list(step.argv[1:]) for step in order.order(undercloud.cloud, 'ussuri')
    ]


def test_script_stops_at_the_first_failure_and_names_it(tmp_path):
    undercloud = Undercloud(tmp_path, 'ussuri', None)

    done = undercloud.run('deploy.sh', failing='dcn0')

    last = undercloud.calls()[-1]
    assert done.returncode == 1
    assert 'stopped at: deploy dcn0' in done.stderr
    assert last[3:7] == ['overcloud', 'deploy', '--stack', 'dcn0']


def test_home_directory_is_put_in_where_it_is_meant(tmp_path):
    undercloud = Undercloud(tmp_path, 'ussuri', '~/of tripleo')
    (undercloud.home / 'of tripleo').mkdir()
    (undercloud.home / 'stackrc').rename(
        undercloud.home / 'of tripleo' / 'stackrc'
    )

    done = undercloud.run('control-plane/deploy.sh')

    export = undercloud.calls()[-1]
    assert done.returncode == 0
    assert export[-1] == (
        f'{undercloud.home}/of tripleo/control-plane-export.yaml'
    )
