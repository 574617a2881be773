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
"""The machine that is measured on: what it is, and whether it is quiet."""

import datetime
from importlib import metadata
import os
from pathlib import Path
import platform
import subprocess
import sys
import time

from benchmarks import stage
from lab import state as lab_state

MOST_LOAD = 1.0
_QUIET_WITHIN_S = 180.0
_LOAD_EVERY_S = 10.0
_IDLE_SHARE = 0.15
_LOOK_S = 0.5


def facts() -> dict[str, str]:
    """What the figures depend on, in words."""
    memory_bytes = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        'machine': (
            f'{os.cpu_count()} cores of {stage.processor()}, '
            f'{memory_bytes / 2**30:.0f} GiB'
        ),
        'load': f'{os.getloadavg()[0]:.2f}',
        'date': now.isoformat(' ', 'seconds'),
        'kernel': platform.release(),
        'TCP congestion control': _sysctl('tcp_congestion_control'),
        'TCP send buffer': _sysctl('tcp_wmem'),
        'Python': platform.python_version(),
        'Ceph': _first_line('ceph', '--version'),
        'QEMU': _first_line('qemu-img', '--version'),
        'Glance': _glance(),
        'checkout': _first_line(
            'git', '-C', str(lab_state.TOP), 'describe', '--always', '--dirty'
        ),
    }


def check_quiet(is_busy_allowed: bool) -> None:
    """End the program, or warn, if others work on this machine.

    Waits for a while first: what ran just before still counts in the load.
    """
    end_s = time.monotonic() + _QUIET_WITHIN_S
    while (load := os.getloadavg()[0]) > MOST_LOAD:
        if is_busy_allowed:
            print(f'\n*** {_warning(load)} ***\n', file=sys.stderr)
            return
        if time.monotonic() > end_s:
            sys.exit(f'{_warning(load)} Give --busy to try this out.')
        print(f'the load is {load:.1f}: waiting ...', file=sys.stderr)
        time.sleep(_LOAD_EVERY_S)


def _warning(load: float) -> str:
    return (
        f'The load of this machine is {load:.1f}, above {MOST_LOAD:g}: what '
        'is measured now says nothing of anything but the load.'
    )


def settle(within_s: float) -> None:
    """Wait until the processors are idle, or for `within_s` seconds.

    A cluster still works on what was removed after the command has ended.
    """
    end_s = time.monotonic() + within_s
    while _busy_share() > _IDLE_SHARE and time.monotonic() < end_s:
        pass


def _busy_share() -> float:
    """Look for a while how busy all processors are, from 0 to 1."""
    total, idle = _ticks()
    time.sleep(_LOOK_S)
    total_after, idle_after = _ticks()
    passed = total_after - total
    return 1 - (idle_after - idle) / passed if passed else 0.0


def _ticks() -> tuple[int, int]:
    """Read all ticks, and those that were idle (proc(5), stat)."""
    first = Path('/proc/stat').read_text().splitlines()[0].split()[1:]
    ticks = [int(value) for value in first]
    return sum(ticks[:8]), ticks[3] + ticks[4]


def _sysctl(name: str) -> str:
    text = Path('/proc/sys/net/ipv4', name).read_text()
    return ' '.join(text.split())


def _first_line(*argv: str) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    return (done.stdout or 'unknown').splitlines()[0]


def _glance() -> str:
    libraries = (lab_state.TOP / '.venv-servers' / 'lib').glob('python3*')
    paths = [str(path / 'site-packages') for path in libraries]
    found = metadata.distributions(name='glance', path=paths)
    return next((one.version for one in found), 'unknown')
