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
"""The systemd unit, judged by systemd's own tools."""

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
UNIT = TOP / 'etc' / 'systemd' / 'dcn-distributor-agent.service'
# systemd counts in tenths: 2.0 of 10.
EXPOSURE = 20

pytestmark = pytest.mark.skipif(
    shutil.which('systemd-analyze') is None,
    reason='there is no systemd-analyze (Debian package systemd)',
)


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ['systemd-analyze', *words],
        check=False,
        capture_output=True,
        text=True,
    )


def test_unit_is_well_formed(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name('dcn-distributor-agent')
    text = UNIT.read_text()
    installed = '/opt/dcn_distributor/bin/dcn-distributor-agent'
    assert installed in text
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(installed, str(program)))

    ran = _analyze('verify', '--man=no', str(copy))

    assert (ran.returncode, ran.stderr) == (0, '')


def test_little_of_the_host_is_exposed() -> None:
    ran = _analyze(
        'security',
        '--offline=true',
        f'--threshold={EXPOSURE}',
        '--no-pager',
        str(UNIT),
    )

    assert ran.returncode == 0, ran.stdout[-200:]
