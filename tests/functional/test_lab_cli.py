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
"""tools/lab refuses what cannot work, in words, and starts nothing."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from lab import errors
from lab import files
from lab import processes
from lab import state

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def lab(
    directory: Path, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab as tools/lab does once all is installed."""
    return subprocess.run(
        [sys.executable, '-m', 'lab', *words],
        cwd=state.TOP,
        env={**os.environ, 'DCN_LAB_DIR': str(directory), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize('command', [('ps',), ('env',), ('stop', 'glance')])
def test_a_command_without_a_lab_says_how_to_start_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = lab(tmp_path / 'none', *command)

    assert done.returncode == 1
    assert 'tools/lab up' in done.stderr


def test_down_without_a_lab_has_nothing_to_do(tmp_path: Path) -> None:
    assert lab(tmp_path / 'none', 'down', '--purge').returncode == 0


def test_wrong_usage_exits_2(tmp_path: Path) -> None:
    assert lab(tmp_path, 'sideways').returncode == 2
    assert lab(tmp_path, 'up', '--glance', 'fedora').returncode == 2
    assert lab(tmp_path, 'up', '--agents', '0').returncode == 2
    assert lab(tmp_path, 'up', '--rabbitmq-nodes', '2').returncode == 2


def test_help_tells_exit_codes_and_examples(tmp_path: Path) -> None:
    done = lab(tmp_path, '--help')

    assert done.returncode == 0
    assert 'exit codes' in done.stdout
    assert 'tools/lab down --purge' in done.stdout


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    programs = tmp_path / 'bin'
    programs.mkdir()
    (programs / 'setsid').symlink_to('/usr/bin/setsid')
    done = lab(tmp_path / 'lab', 'up', PATH=str(programs))

    assert done.returncode == 1
    assert 'package erlang-base' in done.stderr
    assert not (tmp_path / 'lab' / 'state.json').exists()


@pytest.mark.parametrize(
    ('site', 'reason'),
    [
        ('Dcn0', 'small letter'),
        ('../up', 'small letter'),
        ('os_glance_x', 'small letter'),
        ('central', 'central'),
    ],
)
def test_an_impossible_site_is_refused(
    tmp_path: Path, site: str, reason: str
) -> None:
    done = lab(tmp_path / 'lab', 'up', '--site', site)

    assert done.returncode == 1
    assert repr(site) in done.stderr
    assert reason in done.stderr


def test_sites_that_would_share_a_variable_are_refused() -> None:
    with pytest.raises(errors.LabError, match="'a-b'"):
        state.check_sites(('a-b', 'a_b'))


def test_a_directory_with_other_things_in_it_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / 'thesis.tex').write_text('the only copy')
    for command in (('up',), ('down', '--purge')):
        done = lab(tmp_path, *command)

        assert done.returncode == 1
        assert 'not a lab' in done.stderr

    assert (tmp_path / 'thesis.tex').exists()


def test_an_unwritable_directory_is_named() -> None:
    done = lab(Path('/proc/lab'), 'up')

    assert done.returncode == 1
    assert '/proc/lab, cannot be written' in done.stderr


def test_a_time_limit_that_is_no_number_is_refused(tmp_path: Path) -> None:
    done = lab(tmp_path / 'lab', 'up', DCN_LAB_RADOS_TIMEOUT='soon')

    assert done.returncode == 1
    assert "'soon'" in done.stderr


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    directory = tmp_path / 'lab'
    process = subprocess.Popen(
        [sys.executable, '-m', 'lab', 'up', '--site', 'edge'],
        cwd=state.TOP,
        env={**os.environ, 'DCN_LAB_DIR': str(directory)},
        stderr=subprocess.PIPE,
        text=True,
    )
    identity = ''
    deadline = time.monotonic() + 60
    while not (identity and processes.marked(identity)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        known = state.load(directory) if directory.exists() else None
        identity = f'{known.identity}/' if known else ''
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=90)

    assert process.returncode == 130
    assert 'interrupted' in said
    assert processes.marked(identity) == []
    assert lab(directory, 'down', '--purge').returncode == 0


def test_only_marked_processes_are_signalled(tmp_path: Path) -> None:
    sleep = processes.find_program('sleep', 'coreutils')
    for mark in ('one/test/server', 'other/test/server'):
        processes.start(
            processes.Daemon(
                mark=mark,
                argv=(sleep, '300'),
                environment={},
                log=tmp_path / 'log',
                directory=tmp_path,
            )
        )
    try:
        processes.kill('one/')

        assert processes.marked('one/') == []
        assert len(processes.marked('other/')) == 1
    finally:
        processes.kill('other/')


def test_private_files_are_private_and_tell_of_changes(
    tmp_path: Path,
) -> None:
    path = tmp_path / 'new' / 'secret'

    assert files.write_private(path, 'one')
    assert not files.write_private(path, 'one')
    assert files.write_private(path, 'two')
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
