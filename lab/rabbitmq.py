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
"""RabbitMQ: one node, its Erlang port mapper, one user.

Several that are a cluster are in lab.rabbitmq_cluster.
"""

import contextlib
import os
from pathlib import Path
import secrets
import socket
import threading

from lab import files
from lab import ports
from lab import processes
from lab import service
from lab import state as lab_state

USER = 'openstack'
_PACKAGE = 'rabbitmq-server'
# The wrapper in /usr/sbin changes to the user and directory of the system's
# own broker; this is the script below it.
_SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
_HELLO = b'AMQP\x00\x00\x09\x01'


class RabbitMQ(service.Service):
    """The message broker."""

    start_timeout_s = 90

    def __init__(
        self,
        state: lab_state.State,
        cancelled: threading.Event,
        name: str = 'rabbitmq',
    ) -> None:
        super().__init__(name, state, cancelled)
        self.port = state.port(name)
        self.mapper_port = state.port('rabbitmq-epmd')
        self.cluster_port = state.port(f'{name}-distribution')

    def ports(self) -> dict[str, int]:
        """Name the ports after the programs that open them."""
        return {
            'epmd': self.mapper_port,
            'server': self.port,
            'server-distribution': self.cluster_port,
        }

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Start the port mapper ourselves: the broker's own would stay."""
        return (
            self.daemon('epmd', *port_mapper(self.mapper_port)),
            self.server(),
        )

    def server(self) -> processes.Daemon:
        """Give the broker proper.

        On one CPU: its start is many small steps of many threads, and what
        these cost in waking one another on several is a third of it all.
        """
        cpus = sorted(os.sched_getaffinity(0))
        return self.daemon(
            'server',
            processes.find_program('taskset', 'util-linux'),
            '--cpu-list',
            str(cpus[self.port % len(cpus)]),
            processes.find_program(_SERVER, _PACKAGE),
            environment=self._environment(),
        )

    def configure(self) -> bool:
        """Write its configuration; the user is made at the first start."""
        make_cookie(self.home)
        files.write_private(self.directory / 'enabled_plugins', '[].\n')
        files.write_private(self.directory / 'env.conf', '')
        files.write_private(self.directory / 'advanced.config', '[].\n')
        text = ''.join(
            f'{key} = {value}\n' for key, value in self.options().items()
        )
        return files.write_private(self.directory / 'rabbitmq.conf', text)

    def options(self) -> dict[str, object]:
        """Give what rabbitmq.conf says."""
        return {
            'listeners.tcp.1': f'{ports.LOOPBACK}:{self.port}',
            'default_user': USER,
            'default_pass': self.state.passwords['rabbitmq'],
            'loopback_users': 'none',
            'log.console.level': 'info',
        }

    def problem(self) -> str | None:
        """Say hello in AMQP: the broker answers with Connection.Start."""
        try:
            answer = greet(self.port, _HELLO, 7)
        except OSError as exc:
            return f'no AMQP on port {self.port}: {exc}'
        if not answer.startswith(b'\x01\x00\x00'):
            return f'no AMQP 0-9-1 on port {self.port}: it said {answer!r}'
        return None

    @property
    def home(self) -> Path:
        """Where Erlang looks for the cookie."""
        return self.directory

    @property
    def node_name(self) -> str:
        """What other nodes and the command line know it by."""
        return 'rabbit@localhost'

    def _environment(self) -> dict[str, str]:
        base = self.directory
        data = base / 'data'
        return {
            'HOME': str(self.home),
            'ERL_EPMD_ADDRESS': ports.LOOPBACK,
            'ERL_EPMD_PORT': str(self.mapper_port),
            'RABBITMQ_NODENAME': self.node_name,
            'RABBITMQ_DIST_PORT': str(self.cluster_port),
            'RABBITMQ_CONF_ENV_FILE': str(base / 'env.conf'),
            'RABBITMQ_CONFIG_FILE': str(base / 'rabbitmq.conf'),
            'RABBITMQ_ADVANCED_CONFIG_FILE': str(base / 'advanced.config'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(base / 'enabled_plugins'),
            'RABBITMQ_GENERATED_CONFIG_DIR': str(data / 'generated'),
            'RABBITMQ_SCHEMA_DIR': str(data / 'schema'),
            'RABBITMQ_MNESIA_BASE': str(data / 'mnesia'),
            'RABBITMQ_PID_FILE': str(data / 'pid'),
            'RABBITMQ_LOG_BASE': str(data / 'log'),
            'RABBITMQ_LOGS': '-',
            # The script then becomes the broker; otherwise it stays above
            # it and turns a SIGTERM into a slow command of its own.
            'RUNNING_UNDER_SYSTEMD': 'true',
            # The port between nodes would listen on every address.
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                '-kernel inet_dist_use_interface {127,0,0,1}'
            ),
        }


def greet(port: int, words: bytes, count: int) -> bytes:
    """Say something to a server; give the first bytes of its answer."""
    with contextlib.closing(
        socket.create_connection((ports.LOOPBACK, port), 2)
    ) as connection:
        connection.settimeout(3)
        connection.sendall(words)
        return connection.recv(count)


def port_mapper(port: int) -> tuple[str, ...]:
    """Give the command of Erlang's port mapper."""
    program = processes.find_program('epmd', 'erlang-base')
    return (program, '-address', ports.LOOPBACK, '-port', str(port))


def make_cookie(home: Path) -> None:
    """Make, once, the secret that nodes of one cluster share."""
    cookie = home / '.erlang.cookie'
    if not cookie.exists():
        files.write_private(cookie, secrets.token_hex(20))
    cookie.chmod(0o400)
