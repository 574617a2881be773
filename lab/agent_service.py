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
"""One of several agents, as a service of the lab."""

import hashlib
from pathlib import Path
import sys
import threading

from lab import agent
from lab import files
from lab import processes
from lab import service
from lab import state as lab_state

_PROGRAM = Path(sys.executable).with_name('dcn-distributor-agent')
_STARTED = b'Agent started'


class Agent(service.Service):
    """An agent that shares the links with others."""

    stage = service.Stage.LAST
    # As long as systemd gives it.
    stop_timeout_s = 75

    def __init__(
        self, name: str, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__(name, state, cancelled)
        self._log = state.log(name)
        self._log_begins = self.directory / 'log-begins'

    def ports(self) -> dict[str, int]:
        """It listens on none."""
        return {}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the one program."""
        path = str(agent.conf(self.state, self.name))
        return (
            self.daemon(
                'server',
                *(str(_PROGRAM), '--config-file', path),
                environment=lab_state.OUR_CODE,
            ),
        )

    def configure(self) -> bool:
        """Write its conf; another sites.yaml wants a new start, too."""
        changed = agent.write_conf(self.state, self.name)
        sites = (agent.shared(self.state) / 'sites.yaml').read_bytes()
        digest = hashlib.sha256(sites).hexdigest()
        path = self.directory / 'sites.sha256'
        return files.write_private(path, digest) or changed

    def launch(self) -> None:
        """Start it, and note where its log begins this time."""
        if self.missing():
            size = self._log.stat().st_size if self._log.exists() else 0
            files.write_private(self._log_begins, str(size))
        super().launch()

    def problem(self) -> str | None:
        """Look for its worker, and whether that has begun to work."""
        if len(self.alive()) < 2:
            return 'it has no worker'
        with self._log.open('rb') as log:
            log.seek(int(self._log_begins.read_text()))
            if _STARTED in log.read():
                return None
        return f'no {_STARTED.decode()!r} in {self._log}'
