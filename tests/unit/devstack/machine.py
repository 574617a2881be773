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
"""A machine that devstack runs on: files, and stand-ins for its programs."""

import os
from pathlib import Path
import stat
import subprocess
import sys

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent.parent
PROGRAMS = HERE / 'bin'
FSID = '6f1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a6b'
# oslo.config would take the rest of such words for options of its own.
PASSWORD = 'not$for-the-log'
RABBIT_PASSWORD = 'nor$is-this'


class Machine:
    """One machine, with a cluster that devstack-plugin-ceph has made or not.

    `log` is all that devstack has printed. `programs` stand in for others of
    their names.
    """

    def __init__(self, directory: Path, programs: Path = PROGRAMS) -> None:
        self.directory = directory
        self.programs = programs
        self.log = ''

    @property
    def conf(self) -> Path:
        """Where the agent's files are."""
        return self.directory / 'etc/dcn_distributor'

    @property
    def glance(self) -> Path:
        """Where Glance's files are."""
        return self.directory / 'etc/glance'

    @property
    def cluster(self) -> Path:
        """What the cluster holds."""
        return self.directory / 'cluster'

    @property
    def keystone(self) -> Path:
        """What Keystone holds."""
        return self.directory / 'keystone'

    def prepare(self) -> None:
        """Have services run that are there before the plugin."""
        names = ('data', 'units', 'keystone/users', 'keystone/roles')
        for name in (*names, 'keystone/assignments', 'etc'):
            (self.directory / name).mkdir(parents=True)

    def make_cluster(self) -> None:
        """Do as devstack-plugin-ceph does before other plugins."""
        for name in ('pools', 'auth', 'caps', 'config'):
            (self.cluster / name).mkdir(parents=True)
        (self.cluster / 'fsid').write_text(f'{FSID}\n')
        (self.cluster / 'pools/images').write_text('rbd\n')
        self.join_cluster(f'[global]\n\tfsid = {FSID}\n', '[client.admin]\n')

    def join_cluster(self, conf: str, keyring: str) -> None:
        """Put the files that lead to a cluster where devstack has them."""
        etc = self.directory / 'etc/ceph'
        etc.mkdir()
        (etc / 'ceph.conf').write_text(conf)
        (etc / 'ceph.client.admin.keyring').write_text(keyring)

    def try_to(
        self, script: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run stack, unstack or clean with all its output in one."""
        ran = subprocess.run(
            ['bash', str(HERE / 'run.bash'), script],
            cwd=self.directory,
            env=self._environment() | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.log += ran.stdout
        return ran

    def run(self, script: str, **settings: str) -> None:
        """Run stack, unstack or clean, which has to succeed."""
        ran = self.try_to(script, **settings)
        assert ran.returncode == 0, ran.stdout

    def state(self) -> dict[str, tuple[int, bytes]]:
        """Give all files but the events: mode and content."""
        return {
            str(path.relative_to(self.directory)): (
                stat.S_IMODE(path.stat().st_mode),
                path.read_bytes(),
            )
            for path in self.directory.rglob('*')
            if path.is_file() and path.name != 'events'
        }

    def events(self) -> list[str]:
        """Say what happened, in order, beside what is in files."""
        path = self.directory / 'events'
        return path.read_text().splitlines() if path.exists() else []

    def names(self, directory: Path) -> set[str]:
        """Name what a directory holds."""
        return {path.name for path in directory.iterdir()}

    def _environment(self) -> dict[str, str]:
        return {
            'PATH': os.pathsep.join((str(self.programs), os.environ['PATH'])),
            'PYTHON': sys.executable,
            'PYTHONPATH': str(TOP),
            'PYTHONDONTWRITEBYTECODE': '1',
            'STAND_IN': str(HERE),
            'PLUGIN': str(TOP / 'devstack'),
            'WORLD': str(self.directory),
            'GLANCE_CONF_DIR': str(self.glance),
            'SERVICE_PASSWORD': PASSWORD,
            'RABBIT_PASSWORD': RABBIT_PASSWORD,
            'DISABLED_SERVICES': '',
        }
