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
"""The agent's configuration for this lab; the agent itself is not ours."""

from lab import files
from lab import glance
from lab import keystone
from lab import ports
from lab import state as lab_state

_PLACEMENT = """\
version: 1
policies:
  all-public:
    match: {visibility: [public]}
    sites: all
"""


def configure(state: lab_state.State, transport_url: str, sites: str) -> None:
    """Write agent.conf and admin.conf with their YAML files.

    admin.conf is for commands that may upload images, too: `bootstrap verify`.

    placement.yaml is for people to edit, and written once; sites.yaml is the
    lab's.
    """
    directory = files.private_directory(state.directory / 'agent')
    files.write_private(directory / 'sites.yaml', sites)
    if not (directory / 'placement.yaml').exists():
        files.write_private(directory / 'placement.yaml', _PLACEMENT)
    for name, user, project in (
        ('agent.conf', 'dcn-distributor', 'service'),
        ('admin.conf', 'admin', 'admin'),
    ):
        options = _options(state, transport_url)
        options['glance'] = _user(state, user, project)
        files.write_private(directory / name, files.ini(options))


def _options(
    state: lab_state.State, transport_url: str
) -> dict[str, dict[str, object]]:
    directory = state.directory / 'agent'
    return {
        'DEFAULT': {
            'transport_url': transport_url,
            'sites_file': directory / 'sites.yaml',
            'placement_file': directory / 'placement.yaml',
            'debug': 'false',
        },
        'oslo_messaging_rabbit': glance.MESSAGING,
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
