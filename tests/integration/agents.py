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
"""The agent as a process, as systemd would run it."""

import configparser
import os
from pathlib import Path
import signal
import subprocess
import sys

from tests import waiting

# Pauses that fit a test; all else is as the lab's operator has it.
HASTY = {
    ('agent', 'retry_first'): '1',
    ('agent', 'retry_max'): '4',
    ('agent', 'resync_interval'): '600',
    ('copy_image', 'poll_interval'): '1',
}


class Agent:
    """An agent with a directory of its own for configuration and log.

    :param lab_conf: the lab's configuration of an agent
    :param options: more of it, by group and name
    """

    def __init__(
        self,
        directory: Path,
        lab_conf: Path,
        placement: str,
        options: dict[tuple[str, str], str] | None = None,
    ) -> None:
        self.directory = directory
        self.placement_file = directory / 'placement.yaml'
        self.sites_file = directory / 'sites.yaml'
        self.conf_file = directory / 'agent.conf'
        self.log_file = directory / 'agent.log'
        self._process: subprocess.Popen[bytes] | None = None
        parser = configparser.RawConfigParser()
        parser.read(lab_conf)
        self.sites_file.write_text(
            Path(parser['DEFAULT']['sites_file']).read_text()
        )
        self.placement_file.write_text(placement)
        parser['DEFAULT']['sites_file'] = str(self.sites_file)
        parser['DEFAULT']['placement_file'] = str(self.placement_file)
        self._parser = parser
        state = {('agent', 'state_dir'): str(directory / 'state')}
        self._set({**HASTY, **state, **(options or {})})

    def _set(self, options: dict[tuple[str, str], str]) -> None:
        for (group, name), value in options.items():
            if group != 'DEFAULT' and not self._parser.has_section(group):
                self._parser.add_section(group)
            self._parser.set(group, name, value)
        opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731
        with open(self.conf_file, 'w', opener=opener) as file:
            self._parser.write(file)

    @property
    def log(self) -> str:
        """All that it has logged."""
        if not self.log_file.exists():
            return ''
        return self.log_file.read_text(errors='replace')

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """The processes: the master, and its worker."""
        assert self._process is not None
        master = self._process.pid
        children = Path(f'/proc/{master}/task').glob('*/children')
        workers = [file.read_text().split() for file in children]
        return [master, *(int(pid) for some in workers for pid in some)]

    def start(self) -> None:
        """Start it, and wait until it has begun to work."""
        before = self.log.count('Agent started')
        program = Path(sys.executable).with_name('dcn-distributor-agent')
        with self.log_file.open('ab') as log:
            self._process = subprocess.Popen(
                [program, '--config-file', self.conf_file],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        waiting.until(
            'the agent starts',
            lambda: self.log.count('Agent started') > before,
        )

    def stop(self) -> int:
        """End it as systemd does; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(90)

    def kill(self) -> None:
        """End master and worker at once, without a chance to tidy up."""
        if self._process is not None and self._process.poll() is None:
            # cotyledon's master leads a session of its own by setsid; the
            # process group of it and its workers is what was started here.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def freeze(self) -> None:
        """Stop master and worker where they are; connections stay open."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def option(self, group: str, name: str) -> str:
        """Give an option of its configuration."""
        return self._parser.get(group, name)

    def change(self, options: dict[tuple[str, str], str]) -> None:
        """Change its configuration, and have it read that if it runs."""
        self._set(options)
        if self.is_running:
            self.reload()

    def reload(self) -> None:
        """Have it read its files again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
