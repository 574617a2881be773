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
"""Options of the group that several agents form."""

import dataclasses
import socket

from oslo_config import cfg

GROUP = 'coordination'
SHORTEST_LEASE_S = 3.0

HOST_OPTS = [
    cfg.StrOpt(
        'host',
        default=socket.gethostname(),
        sample_default='controller-1',
        help="The agent's name among the agents of the deployment. Each needs "
        'one of its own, and keeps it: links are shared out by these names.',
    ),
]

OPTS = [
    cfg.StrOpt(
        'backend_url',
        default='',
        secret=True,
        help='Where the agents of the deployment find each other, such as '
        'etcd3+http://127.0.0.1:2379, redis://HOST:6379, or '
        'file:///var/lib/dcn_distributor/group for several agents on one '
        'host; further options of the driver of tooz follow as a query. The '
        'links of sites.yaml are shared out among them. Leave it empty for a '
        'single agent, which has all links.',
    ),
    cfg.FloatOpt(
        'lease_timeout',
        default=30.0,
        min=SHORTEST_LEASE_S,
        help='Seconds after which an agent that is not heard of counts as '
        'gone, and its links go to the others. It stops by itself a little '
        'earlier if it cannot reach the coordinator. Who joins takes links '
        'after the same time. Lower it for a sooner takeover, raise it if '
        'the coordinator is slow at times. It must be the same for all '
        'agents.',
    ),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Coordination:
    """How to find other agents; `backend_url` is empty for a single one."""

    backend_url: str = dataclasses.field(repr=False)
    lease_timeout_s: float


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(HOST_OPTS)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [('DEFAULT', HOST_OPTS), (GROUP, OPTS)]


def host(conf: cfg.ConfigOpts) -> str:
    """Take the agent's name. Raises ValueError if it is none."""
    name: str = conf.host
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(f'host: expected a name, found {name!r}')
    return name


def coordination(conf: cfg.ConfigOpts) -> Coordination:
    """Take what was read."""
    group = conf[GROUP]
    return Coordination(group.backend_url, group.lease_timeout)
