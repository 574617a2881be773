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
"""The agents' configuration for this lab.

One agent is started by whoever uses the lab; what runs several is in
lab.agent_service.
"""

from pathlib import Path

from lab import bus
from lab import etcd
from lab import files
from lab import keystone
from lab import ports
from lab import state as lab_state

# How long the others wait for a member that is silent.
LEASE_S = 15
_PLACEMENT = """\
version: 1
policies:
  all-public:
    match: {visibility: [public]}
    sites: all
"""


def names(state: lab_state.State) -> tuple[str, ...]:
    """Name the agents, as their directories and services are named."""
    if state.agents == 1:
        return ('agent',)
    return tuple(f'agent-{n}' for n in range(1, state.agents + 1))


def conf(state: lab_state.State, name: str) -> Path:
    """Give the --config-file of an agent."""
    return state.service_directory(name) / 'agent.conf'


def shared(state: lab_state.State) -> Path:
    """Give the directory of what all agents read, and the commands."""
    return state.service_directory('agent')


def coordination_url(state: lab_state.State) -> str:
    """Give what several agents find each other by; one needs nothing."""
    return '' if state.agents == 1 else etcd.url(state)


def configure(state: lab_state.State, sites: str) -> None:
    """Write admin.conf, the YAML files of all, and the conf of each agent.

    admin.conf is for commands that may upload images, too: `bootstrap verify`.

    placement.yaml is for people to edit, and written once; sites.yaml is the
    lab's.
    """
    directory = files.private_directory(shared(state))
    files.write_private(directory / 'sites.yaml', sites)
    if not (directory / 'placement.yaml').exists():
        files.write_private(directory / 'placement.yaml', _PLACEMENT)
    options = _options(state)
    options['glance'] = _user(state, 'admin', 'admin')
    files.write_private(directory / 'admin.conf', files.ini(options))
    if state.agents == 1:
        write_conf(state, 'agent')
    else:
        # Of the time when there was one; it would not know of the others.
        conf(state, 'agent').unlink(missing_ok=True)


def write_conf(state: lab_state.State, name: str) -> bool:
    """Write the conf of one agent; tell whether it changed."""
    options = _options(state)
    options['glance'] = _user(state, 'dcn-distributor', 'service')
    data = state.service_directory(name) / 'data'
    options['agent'] = {'state_dir': data}
    if state.agents > 1:
        options['DEFAULT']['host'] = name
        options['coordination'] = {
            'backend_url': coordination_url(state),
            'lease_timeout': LEASE_S,
        }
    return files.write_private(conf(state, name), files.ini(options))


def _options(state: lab_state.State) -> dict[str, dict[str, object]]:
    return {
        'DEFAULT': {
            'transport_url': bus.transport_url(state),
            'sites_file': shared(state) / 'sites.yaml',
            'placement_file': shared(state) / 'placement.yaml',
            'debug': 'false',
        },
        # Several agents may run on one lab, and several labs on a host.
        'metrics': {'port': 0},
        'oslo_messaging_rabbit': bus.agent_options(state),
    }


def _user(
    state: lab_state.State, user: str, project: str
) -> dict[str, object]:
    return {
        'auth_type': 'password',
        'auth_url': f'http://{ports.LOOPBACK}:{state.port("keystone")}/v3',
        'username': user,
        'password': state.passwords[user],
        'user_domain_name': keystone.DOMAIN,
        'project_name': project,
        'project_domain_name': keystone.DOMAIN,
        'interface': 'public',
        'region_name': keystone.REGION,
    }
