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
"""Running an OpenStack WSGI application under gunicorn."""

from lab import ports
from lab import processes
from lab import state as lab_state

BIN = lab_state.TOP / '.venv-servers' / 'bin'

_CONF = """\
# Made by the lab. Everything stands here and nothing on the command line,
# which Keystone would parse as its own.
import sys

sys.path.insert(0, {top!r})
import lab.sqlite_begin  # noqa

wsgi_app = {application!r}
bind = [{bind!r}]
worker_class = 'gthread'
workers = {workers}
threads = {threads}
# A worker whose threads all wait for a slow store is not a dead worker.
timeout = 600
graceful_timeout = 10
# With the default of 2 s a request may meet the end of its connection.
keepalive = 75
control_socket_disable = True
proc_name = {name!r}
"""


def conf(
    name: str, application: str, port: int, *, workers: int, threads: int
) -> str:
    """Write gunicorn.conf.py for an application."""
    return _CONF.format(
        top=str(lab_state.TOP),
        application=application,
        bind=f'{ports.LOOPBACK}:{port}',
        workers=workers,
        threads=threads,
        name=f'lab-{name}',
    )


def program(name: str) -> str:
    """Give the path of a program of the servers' virtual environment."""
    return processes.find_program(
        str(BIN / name),
        'none: tools/setup.sh installs it into .venv-servers from PyPI',
    )
