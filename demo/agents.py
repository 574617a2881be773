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
"""The agent of the demo: its configuration, its process, its log.

It carries the lab's mark, as the lab's own servers do: so `tools/lab down`
ends it, too, and a demo that comes later finds what a crashed one has left.
"""

import configparser
import io
from pathlib import Path
import sys
import threading
import time

from demo import errors
from lab import deployment
from lab import files
from lab import processes

PLACEMENT = Path(__file__).with_name('placement.yaml')
# Pauses for somebody who watches; all else is the lab's.
_OPTIONS = {
    ('agent', 'retry_first'): '1',
    ('agent', 'retry_max'): '15',
    ('agent', 'resync_interval'): '60',
    ('copy_image', 'poll_interval'): '1',
    ('copy', 'fallback_after'): '1',
    # Nobody could follow it otherwise; sites are farther away than here.
    ('rbd_stream', 'rate'): '24MiB',
}
_STARTED = 'Agent started'
_START_S = 60.0
_GRACE_S = 10.0


class Agent:
    """See the module.

    :param directory: of the demo, for what the agent reads and writes
    """

    def __init__(self, lab: deployment.Lab, directory: Path) -> None:
        self.conf_file = directory / 'agent.conf'
        self.placement_file = directory / 'placement.yaml'
        self.pid_file = directory / 'agent.pid'
        self.log_file = directory / 'agent.log'
        self._lab = lab
        self._mark = f'{lab.state.identity}/demo/agent'

    def configure(self) -> None:
        """Write its files: the lab's configuration with our policies."""
        files.write_private(self.placement_file, PLACEMENT.read_text())
        parser = configparser.RawConfigParser()
        parser.read(self._lab.agent_conf)
        parser['DEFAULT']['placement_file'] = str(self.placement_file)
        for (group, name), value in _OPTIONS.items():
            if not parser.has_section(group):
                parser.add_section(group)
            parser.set(group, name, value)
        text = io.StringIO()
        parser.write(text)
        files.write_private(self.conf_file, text.getvalue())

    def start(self) -> int:
        """Start it, wait until it has begun to work, return its pid."""
        before = self._starts()
        program = Path(sys.executable).with_name('dcn-distributor-agent')
        processes.start(
            processes.Daemon(
                self._mark,
                (str(program), '--config-file', str(self.conf_file)),
                {},
                self.log_file,
                self.log_file.parent,
            )
        )
        deadline = time.monotonic() + _START_S
        while self._starts() == before or not self.is_running:
            if time.monotonic() > deadline:
                raise errors.DemoError(
                    f'the agent has not started within {_START_S:.0f} s'
                )
            threading.Event().wait(0.1)
        pid = self._main_pid()
        files.write_private(self.pid_file, f'{pid}\n')
        return pid

    @property
    def is_running(self) -> bool:
        """Tell whether its main process is there."""
        return self._main_pid() != 0

    def stop(self) -> None:
        """End it as systemd does; what does not end is killed."""
        processes.end(self._mark, _GRACE_S)

    def _main_pid(self) -> int:
        found = processes.marked(self._mark)
        return next((p.pid for p in found if p.is_main), 0)

    def _starts(self) -> int:
        try:
            return self.log_file.read_text(errors='replace').count(_STARTED)
        except FileNotFoundError:
            return 0
