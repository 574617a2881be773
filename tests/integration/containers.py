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
"""A machine of its own for a test: a container that systemd boots.

It has the network of its host, so that what listens on loopback here does so
there; nothing else is shared but what is bound. Its files are in memory, some
600 MiB, and go with it. systemd-nspawn runs without systemd on the host too,
since it gets a hierarchy of cgroups to itself.
"""

import os
from pathlib import Path
import shutil
import subprocess

from tests import waiting
from tests.integration import bare
from tests.integration import registries
from tests.integration import supervisors

_PROGRAMS = (bare.PROGRAM, 'nsenter', 'setpriv', 'systemd-nspawn', 'unshare')
_CGROUPS = '/sys/fs/cgroup'
# It ends with whoever runs the test, in mounts that nobody else sees.
_APART = ('setpriv', '--pdeathsig=TERM', 'unshare', '--mount')
_MOUNT = f'mount -t cgroup2 cgroup2 {_CGROUPS}'
_BOOT = f"""\
{_MOUNT}
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mkdir "$0"
echo $$ >"$0/cgroup.procs"
mount -t tmpfs -o mode=755 tmpfs "$2"
cp -a "$1/." "$2"
set -- "$@" --directory="$2"
shift 2
exec systemd-nspawn "$@"
"""
_TRY = f'{_MOUNT} && mkdir "$0" && rmdir "$0"'
_SWEEP = f'{_MOUNT} && find "$0" -depth -type d -exec rmdir {{}} +'
_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def obstacle() -> str:
    """Why there can be no container on this machine; '' if there can."""
    if os.geteuid() != 0:
        return 'only root may start a container'
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f'not installed: {", ".join(missing)}'
    namespaces = ('--uts', '--ipc', '--pid', '--cgroup', '--fork')
    tried = subprocess.run(
        [*_APART, *namespaces, 'sh', '-ec', _TRY, f'{_group()}-try'],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        return f'namespaces and cgroups are refused: {tried.stderr.strip()}'
    return ''


def _group() -> str:
    return f'{_CGROUPS}/dcn-test-{os.getpid()}'


class Container:
    """See the module.

    :param directory: for its socket and the log of its console
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._console = directory / 'console.log'
        self._notified = supervisors.NotifySocket(directory / 'notify')
        self._access = registries.access()
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it, and wait until systemd has reached its target."""
        root = self._directory / 'root'
        root.mkdir()
        binds = {'/etc/hosts': '/etc/hosts', **self._access.binds}
        argv = [
            *(*_APART, 'sh', '-ec', _BOOT, _group()),
            *(str(bare.root()), str(root)),
            *('--boot', '--register=no', '--keep-unit', '--settings=no'),
            *('--notify-ready=yes', '--link-journal=no', '--console=pipe'),
            '--machine=dcn-test',
            f'--bind={self._access.pip_cache}:/root/.cache/pip',
            *(f'--bind-ro={here}:{there}' for here, there in binds.items()),
        ]
        environment = {'NOTIFY_SOCKET': str(self._notified.path)}
        with self._console.open('wb') as console:
            self._process = subprocess.Popen(
                argv,
                env={'PATH': _PATH, **environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        waiting.until(f'it boots ({self._console})', self._has_booted, 180.0)
        given = '# The test answers for the one who types.\n'
        given += 'APT::Get::Assume-Yes "true";\n' + self._access.apt
        (self.root / 'etc/apt/apt.conf.d/90host').write_text(given)

    @property
    def root(self) -> Path:
        """Its files, as seen from here while it runs."""
        return Path(f'/proc/{self._leader}/root')

    @property
    def _leader(self) -> str:
        return self._notified.value('X_NSPAWN_LEADER_PID')

    def _has_booted(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._console.read_text()
        return self._notified.has_heard('READY=1')

    def run(self, script: str, directory: str = '/') -> str:
        """Have bash run a script as root; give what it writes.

        Fails if one of its commands does.
        """
        namespaces = ('--mount', '--uts', '--ipc', '--pid', '--cgroup')
        ran = subprocess.run(
            [
                *('nsenter', f'--target={self._leader}', *namespaces),
                *('bash', '-ec', f'cd {directory}\n{script}'),
            ],
            check=False,
            env={
                'PATH': _PATH,
                'HOME': '/root',
                'DEBIAN_FRONTEND': 'noninteractive',
                **self._access.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        told = f'{script}\nended with {ran.returncode}:\n{ran.stdout[-4000:]}'
        assert ran.returncode == 0, told
        return ran.stdout

    def close(self) -> None:
        """Shut it down."""
        if self._process is not None:
            self._end(self._process)
            subprocess.run(
                [*_APART, 'sh', '-ec', _SWEEP, _group()],
                check=False,
                capture_output=True,
            )
        self._notified.close()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        # The first has its systemd shut down, the second pulls the plug.
        for patience_s in (60.0, 10.0):
            process.terminate()
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            return
        process.kill()
        process.wait(10.0)
