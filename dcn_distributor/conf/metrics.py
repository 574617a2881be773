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
"""Options of what machines read of a running agent."""

import dataclasses

from oslo_config import cfg

GROUP = 'metrics'
REPORTS_GROUP = 'oslo_reports'

OPTS = [
    cfg.HostAddressOpt(
        'host',
        default='127.0.0.1',
        help='The address at which the agent answers to http requests for '
        '/metrics (for Prometheus), /healthz and /readyz. They are answered '
        'to whoever asks and tell the names of the sites; give an address '
        'that only the monitoring can reach, or leave it to a proxy on this '
        'host that knows who asks.',
    ),
    cfg.PortOpt(
        'port',
        default=19292,
        help='The port for that; 0 answers to nobody. Several agents on a '
        'host need a port each: if it is taken, the agent says so, works '
        'without, and tries again.',
    ),
]

REPORTS_OPTS = [
    cfg.StrOpt(
        'log_dir',
        help='The directory that a report on the state of the agent is '
        'written to when it gets SIGUSR2, in a file of its own that only its '
        'user can read. Without it, reports go to stderr, beside the log.',
    ),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where to answer to http requests; nowhere if `port` is 0."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f'[{self.host}]' if ':' in self.host else self.host
        return f'{host}:{self.port}'


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(OPTS, group=GROUP)
    conf.register_opts(REPORTS_OPTS, group=REPORTS_GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [(GROUP, OPTS), (REPORTS_GROUP, REPORTS_OPTS)]


def address(conf: cfg.ConfigOpts) -> Address:
    """Take what was read."""
    return Address(conf[GROUP].host, conf[GROUP].port)
