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

from collections.abc import Mapping
from pathlib import Path

from lab import files
from lab import glance
from lab import keystone
from lab import ports
from lab import state as lab_state

_REGIONS = ('north', 'south', 'east', 'west')
_PLACEMENT = """\
version: 1
policies:
  all-public:
    match: {visibility: [public]}
    sites: all
"""


def configure(
    state: lab_state.State,
    transport_url: str,
    ceph_confs: Mapping[str, str],
) -> Path:
    """Write agent.conf, sites.yaml and placement.yaml; give the first.

    `ceph_confs` names, by site, the ceph.conf with the agent's keyring.

    The two YAML files are for people to edit: placement.yaml is written
    once, sites.yaml again only when the sites of the lab change.
    """
    directory = files.private_directory(state.directory / 'agent')
    files.write_private(directory / 'sites.yaml', _sites(state, ceph_confs))
    if not (directory / 'placement.yaml').exists():
        files.write_private(directory / 'placement.yaml', _PLACEMENT)
    path = directory / 'agent.conf'
    files.write_private(path, files.ini(_options(state, transport_url)))
    return path


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
        'glance': {
            'auth_type': 'password',
            'auth_url': f'http://{ports.LOOPBACK}:{state.port("keystone")}/v3',
            'username': 'dcn-distributor',
            'password': state.passwords['dcn-distributor'],
            'user_domain_name': keystone.DOMAIN,
            'project_name': 'service',
            'project_domain_name': keystone.DOMAIN,
            'interface': 'public',
            'region_name': keystone.REGION,
        },
        'oslo_messaging_rabbit': glance.MESSAGING,
    }


def _sites(state: lab_state.State, ceph_confs: Mapping[str, str]) -> str:
    central = lab_state.CENTRAL
    lines = [
        'version: 1',
        'central:',
        f'  store: {central}',
        f'  cluster: {{conf: {ceph_confs[central]}}}',
        'sites:' if state.edges else 'sites: {}',
    ]
    for number, site in enumerate(state.edges):
        region = _REGIONS[number % len(_REGIONS)]
        lines += [
            f'  {site}:',
            f'    store: {site}',
            f'    labels: {{tier: edge, region: {region}}}',
            f'    cluster: {{conf: {ceph_confs[site]}}}',
        ]
    return '\n'.join(lines) + '\n'
