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
"""etcd: one member, what several agents find each other by."""

import json
import threading

from lab import files
from lab import http
from lab import ports
from lab import processes
from lab import service
from lab import state as lab_state

NAME = 'etcd'
_PACKAGE = 'etcd-server'


def url(state: lab_state.State) -> str:
    """Give the URL that tooz connects to."""
    return f'etcd3+http://{ports.LOOPBACK}:{state.port(NAME)}'


class Etcd(service.Service):
    """The coordinator."""

    def __init__(
        self, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__(NAME, state, cancelled)
        self.port = state.port(NAME)
        self.peer_port = state.port(f'{NAME}-peer')

    def ports(self) -> dict[str, int]:
        """It listens for other members even if there are none."""
        return {'server': self.port, 'server-peer': self.peer_port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the one program."""
        program = processes.find_program('etcd', _PACKAGE)
        return (self.daemon('server', program, '--config-file', self._conf),)

    def configure(self) -> bool:
        """Write its configuration; JSON is YAML, too."""
        client = f'http://{ports.LOOPBACK}:{self.port}'
        peer = f'http://{ports.LOOPBACK}:{self.peer_port}'
        options = {
            'name': 'lab',
            'data-dir': str(self.directory / 'data' / 'etcd'),
            'listen-client-urls': client,
            'advertise-client-urls': client,
            'listen-peer-urls': peer,
            'initial-advertise-peer-urls': peer,
            'initial-cluster': f'lab={peer}',
            # What tooz talks to. On for who starts etcd by options, but off
            # for who has a file.
            'enable-grpc-gateway': True,
            'logger': 'zap',
        }
        text = json.dumps(options, indent=2) + '\n'
        return files.write_private(self.directory / 'etcd.yaml', text)

    def problem(self) -> str | None:
        """Ask for its health: whether it can write."""
        address = f'http://{ports.LOOPBACK}:{self.port}/health'
        try:
            answer = http.request('GET', address, timeout_s=3)
        except OSError as exc:
            return f'no answer from {address}: {getattr(exc, "reason", exc)}'
        if answer.status != 200:
            return f'{address} answered {answer.status}'
        return None

    @property
    def _conf(self) -> str:
        return str(self.directory / 'etcd.yaml')
