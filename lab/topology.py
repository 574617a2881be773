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
"""sites.yaml of a lab: what it is made from, and what the agent reads.

A lab is made like one of the samples, or any other sites.yaml: the same
sites, clusters and Glances, with the addresses and files of this machine. Or
it is made from names of sites alone: each has a cluster, and central's Glance
the stores of all.
"""

from collections.abc import Mapping
import copy
import dataclasses
import io
from pathlib import Path
import re
from typing import Any

from ruamel import yaml

from lab import errors
from lab import ports
from lab import state as lab_state

Document = dict[str, Any]
AGENT = 'dcn-distributor'
# Those of sites.yaml, if it names none.
_POOLS = ('images', 'volumes', 'vms')
_REGIONS = ('north', 'south', 'east', 'west')
_NO_CLUSTER_NAME = re.compile(r'[^A-Za-z0-9]')


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """What sites.yaml has to say of a cluster that runs here.

    :ivar admin_conf: the ceph.conf of who may do everything
    """

    admin_conf: str
    fsid: str
    monitors: str


def files_of(state: lab_state.State, site: str = '') -> Path:
    """Give the directory of what is rendered: for a site, `agent`, or all."""
    return state.bootstrap_directory / 'files' / site


def read(path: Path) -> Document:
    """Read a sites.yaml. Raises LabError if it is none."""
    try:
        found = yaml.YAML(typ='safe', pure=True).load(path.read_text())
    except (OSError, ValueError, yaml.error.YAMLError) as exc:
        raise errors.LabError(f'{path} cannot be read: {exc}') from exc
    if _is_of_sites(found):
        return dict(found)
    raise errors.LabError(
        f"{path}: expected a sites.yaml with 'central' and 'sites', such as "
        'etc/dcn_distributor/sites-multi-ceph.yaml.sample'
    )


def _is_of_sites(found: object) -> bool:
    """Tell whether it has the shape; what is in it bootstrap checks."""
    if not isinstance(found, dict):
        return False
    sites = found.get('sites')
    return isinstance(sites, dict) and all(
        isinstance(site, dict)
        for site in (found.get('central'), *sites.values())
    )


def write(document: Document) -> str:
    """Write it as YAML for people."""
    stream = io.StringIO()
    writer = yaml.YAML()
    writer.dump(document, stream)
    return stream.getvalue()


def plan(state: lab_state.State) -> Document:
    """Describe all sites of a lab, without what is of this machine."""
    if state.like is None:
        return _plain(state)
    document = read(state.like)
    sites = document['sites']
    shape = next(iter(sites.values()), None)
    for number, site in enumerate(state.edges):
        if site in sites:
            continue
        if shape is None:
            raise errors.LabError(
                f'{state.like} has no site that {site} could be made like'
            )
        sites[site] = _another(site, shape, number)
    return document


def sites_with_cluster(document: Document) -> tuple[str, ...]:
    """Name the sites that have a cluster, central first."""
    return tuple(n for n, site in _sites(document) if site.get('cluster'))


def cluster_name(document: Document, site: str) -> str:
    """Give the name of a site's cluster, as its files have it."""
    described = dict(_sites(document))[site].get('deploy') or {}
    return str((described.get('ceph') or {}).get('name') or site)


def is_external(document: Document, site: str) -> bool:
    """Whether others make the keys of a site's cluster."""
    described = dict(_sites(document))[site].get('deploy') or {}
    return (described.get('ceph') or {}).get('owner') == 'external'


def entities(document: Document, site: str) -> dict[str, dict[str, str]]:
    """Say whom an external cluster's administrator makes, with their caps."""
    whole, described = document['deploy'], dict(_sites(document))[site]
    pools = described['deploy']['ceph'].get('pools', _POOLS)
    agent = described['cluster'].get('user', AGENT)
    caps = [f'profile rbd pool={pool}' for pool in pools]
    return {
        f'client.{whole.get("user", "openstack")}': {
            'mgr': 'allow *',
            'mon': 'profile rbd',
            'osd': ', '.join(caps),
        },
        f'client.{agent}': {'mon': 'profile rbd', 'osd': caps[0]},
    }


def settle(
    state: lab_state.State, document: Document, clusters: Mapping[str, Cluster]
) -> Document:
    """Put in what is of this machine: addresses, confs and directories."""
    document = copy.deepcopy(document)
    whole = document.setdefault('deploy', {})
    if whole.get('user', 'openstack') != 'openstack':
        whole['rados_timeout'] = state.rados_timeout_s
    for name, site in _sites(document):
        deploy = site.setdefault('deploy', {})
        _settle_glance(state, name, deploy)
        if name in clusters:
            path = files_of(state, 'agent') / 'etc/ceph'
            conf = path / f'{cluster_name(document, name)}.conf'
            site['cluster'] = {
                **site['cluster'],
                'conf': str(conf),
                'fsid': clusters[name].fsid,
            }
            _settle_ceph(deploy, clusters[name])
    return document


# -- from names alone ---------------------------------------------------------


def _plain(state: lab_state.State) -> Document:
    edges = {
        site: {
            'store': site,
            'labels': {
                'tier': 'edge',
                'region': _REGIONS[number % len(_REGIONS)],
            },
            **_plain_cluster(site),
        }
        for number, site in enumerate(state.edges)
    }
    return {
        'version': 1,
        'deploy': {'user': 'glance'},
        'central': {
            'store': lab_state.CENTRAL,
            **_plain_cluster(lab_state.CENTRAL),
        },
        'sites': edges,
    }


def _plain_cluster(site: str) -> Document:
    if site == lab_state.CENTRAL:
        stack = {'kind': 'control-plane', 'roles': {'Controller': {}}}
    else:
        roles = {'DistributedComputeHCI': {'tag': 'dcn-hci'}}
        stack = {'kind': 'hyperconverged', 'roles': roles}
    return {
        'cluster': {'user': AGENT},
        'deploy': {
            'ceph': {'name': _plain_name(site)},
            'stacks': {site: stack},
        },
    }


def _plain_name(site: str) -> str:
    """Make a cluster's name of a site's: of letters and digits only."""
    return _NO_CLUSTER_NAME.sub('', site)


# -- like another -------------------------------------------------------------


def _another(name: str, shape: Document, number: int) -> Document:
    """Give one more site of the same shape, with a name and a number."""
    site = copy.deepcopy(shape)
    site.pop('store', None)
    deploy = site.get('deploy') or {}
    if 'ceph' in deploy:
        deploy['ceph']['name'] = _plain_name(name)
    stacks: Document = {}
    for stack in (deploy.get('stacks') or {}).values():
        for role in (stack.get('roles') or {}).values():
            role.pop('nodes', None)
        stacks[name if not stacks else f'{name}-{len(stacks)}'] = stack
    deploy |= {'stacks': stacks, 'number': 100 + number}
    return site


def _settle_glance(
    state: lab_state.State, name: str, deploy: Document
) -> None:
    glance = deploy.setdefault('glance', {})
    directory = state.service_directory(service_name(name))
    glance['url'] = url(state, name)
    glance['data'] = str(directory)
    if glance.get('cache'):
        glance['cache']['directory'] = str(directory / 'cache')


def _settle_ceph(deploy: Document, cluster: Cluster) -> None:
    ceph = deploy.setdefault('ceph', {})
    # Whoever owns an external cluster makes its keys, and tells where it is.
    if ceph.get('owner') == 'external':
        ceph['monitors'] = cluster.monitors
    else:
        ceph.pop('monitors', None)
        ceph['admin_conf'] = cluster.admin_conf


# -- Glances ------------------------------------------------------------------


def service_name(site: str) -> str:
    """Give the name of a site's glance-api among the services."""
    return 'glance' if site == lab_state.CENTRAL else f'glance-{site}'


def url(state: lab_state.State, site: str) -> str:
    """Give where a site's glance-api listens."""
    return f'http://{ports.LOOPBACK}:{state.port(service_name(site))}'


def _sites(document: Document) -> list[tuple[str, Document]]:
    return [
        (lab_state.CENTRAL, document['central']),
        *document['sites'].items(),
    ]
