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
"""RabbitMQ as a cluster: several nodes and the port mapper they share.

A node finds the others through the mapper, of which there can be one only on
the loopback interface. So it is a service of its own, and a node that is
killed does not take it along.
"""

from pathlib import Path
import subprocess
import threading

from lab import processes
from lab import rabbitmq
from lab import service
from lab import state as lab_state

MAPPER = 'rabbitmq-epmd'
_ANSWER_S = 3.0
_SPLIT = 'rabbit_node_monitor partitions []'
_SEEN = 'erlang nodes []'
# NAMES_REQ of its protocol, behind the length.
_NAMES = b'\x00\x01n'


class PortMapper(service.Service):
    """Erlang's port mapper: which node has which port."""

    # A node that finds none would start one of its own.
    stage = service.Stage.FIRST

    def __init__(
        self, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__(MAPPER, state, cancelled)
        self.port = state.port(MAPPER)

    def ports(self) -> dict[str, int]:
        """It has one."""
        return {'server': self.port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the one program."""
        return (self.daemon('server', *rabbitmq.port_mapper(self.port)),)

    def configure(self) -> bool:
        """Make what the nodes know each other by, before any starts."""
        rabbitmq.make_cookie(self.directory)
        return False

    def problem(self) -> str | None:
        """Ask for the names it knows; its own port comes before them."""
        try:
            answer = rabbitmq.greet(self.port, _NAMES, 4)
        except OSError as exc:
            return f'no port mapper on port {self.port}: {exc}'
        if answer != self.port.to_bytes(4, 'big'):
            return f'no port mapper on port {self.port}: it said {answer!r}'
        return None


class Node(rabbitmq.RabbitMQ):
    """One of several brokers that are a cluster."""

    start_timeout_s = 120

    def __init__(
        self, number: int, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__(state, cancelled, name(number))
        self._number = number

    def ports(self) -> dict[str, int]:
        """Give its own; the mapper is another service."""
        return {'server': self.port, 'server-distribution': self.cluster_port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the broker alone."""
        return (self.server(),)

    @property
    def home(self) -> Path:
        """All have the cookie of the mapper."""
        return self.state.service_directory(MAPPER)

    @property
    def node_name(self) -> str:
        """Give what the others know it by."""
        return _node_name(self._number)

    def problem(self) -> str | None:
        """Look at it as a client, then for others it is split from."""
        return super().problem() or self._split()

    def launch(self) -> None:
        """Start it, or start it anew if it is split from others.

        With pause_minority a node that wakes up or is heard again when the
        others have given it up neither pauses nor joins them
        (rabbitmq-server issues 8110 and 17319).
        """
        if self._is_split():
            self.kill()
        super().launch()

    def thaw(self) -> None:
        """Let it go on, or start it anew if the others have given it up."""
        is_frozen = any(process.is_frozen for process in self.alive())
        if is_frozen and self._is_given_up():
            self.kill()
            self.launch()
        else:
            super().thaw()

    def _split(self) -> str | None:
        found = self._ask(self.node_name, _SPLIT)
        if found is None:
            return f'no Erlang on port {self.cluster_port}'
        return None if found == '[]' else f'it is split from {found}'

    def _is_split(self) -> bool:
        return self._ask(self.node_name, _SPLIT) not in (None, '[]')

    def _is_given_up(self) -> bool:
        others = [n for n in numbers(self.state) if n != self._number]
        views = [self._ask(_node_name(n), _SEEN) for n in others]
        return any(v is not None and self.node_name not in v for v in views)

    def _ask(self, node: str, question: str) -> str | None:
        """Call a function of a node; None if it does not answer."""
        program = processes.find_program('erl_call', 'erlang-base')
        try:
            done = subprocess.run(
                [program, '-sname', node, '-a', question],
                env={
                    'HOME': str(self.home),
                    'ERL_EPMD_PORT': str(self.mapper_port),
                },
                capture_output=True,
                text=True,
                check=True,
                timeout=_ANSWER_S,
            )
        except subprocess.SubprocessError:
            return None
        return done.stdout.strip()

    def options(self) -> dict[str, object]:
        """Add who belongs to the cluster, and what a loss of nodes does."""
        key = 'cluster_formation.classic_config.nodes'
        nodes = {f'{key}.{n}': _node_name(n) for n in numbers(self.state)}
        return {
            **super().options(),
            'cluster_formation.peer_discovery_backend': 'classic_config',
            **nodes,
            'cluster_partition_handling': 'pause_minority',
            # A node that hangs is given up after about so many seconds, and
            # then what waits for it goes on. The default is 60.
            'net_ticktime': 15,
        }


def numbers(state: lab_state.State) -> range:
    """Give the numbers of the nodes; the first is 1."""
    return range(1, state.rabbitmq_nodes + 1)


def name(number: int) -> str:
    """Give the name of a node among the services."""
    return f'rabbitmq-{number}'


def _node_name(number: int) -> str:
    return f'rabbit-{number}@localhost'
