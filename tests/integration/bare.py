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
"""A Debian 12 with nothing but systemd on it, made once for all runs.

It is kept in the user's cache directory: to make it takes half a minute and
a mirror, to copy it a second.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import subprocess

from tests.integration import registries

PROGRAM = 'debootstrap'
_PACKAGES = ('systemd', 'systemd-sysv')


def root() -> Path:
    """Give its files, which are for copying; make it if there is none yet."""
    with _lock():
        return _made()


def _made() -> Path:
    argv = [
        PROGRAM,
        '--variant=minbase',
        f'--include={",".join(_PACKAGES)}',
        registries.SUITE,
    ]
    mirror = registries.mirror()
    digest = hashlib.sha256(' '.join([*argv, mirror]).encode()).hexdigest()
    made = _cache() / f'{registries.SUITE}-{digest[:16]}'
    if made.exists():
        return made
    new = made.with_name(made.name + '.new')
    if new.exists():
        shutil.rmtree(new)
    # What it mounts goes with it, even if it is killed.
    _run('unshare', '--mount', *argv, str(new), mirror)
    return new.rename(made)


def _cache() -> Path:
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    path = Path(home) / 'dcn_distributor'
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    with (_cache() / 'lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*argv: str) -> None:
    ran = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, f'{argv}: {(ran.stdout + ran.stderr)[-2000:]}'
