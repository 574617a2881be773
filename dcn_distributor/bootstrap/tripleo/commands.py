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
"""The command lines of TripleO. None has a secret: files have them."""

from collections.abc import Sequence

from dcn_distributor.bootstrap.tripleo import paths
from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import procedures
from dcn_distributor.core import stacks

Argv = tuple[str, ...]
_OVERCLOUD = ('openstack', 'overcloud')
_CEPH = {
    'ussuri': 'ceph-ansible/ceph-ansible.yaml',
    'xena': 'cephadm/cephadm-rbd-only.yaml',
}
_EXTERNAL_CEPH = {
    'ussuri': 'ceph-ansible/ceph-ansible-external.yaml',
    'xena': 'external-ceph.yaml',
}
_EDGE = {'ussuri': 'dcn-hci.yaml', 'xena': 'dcn-storage.yaml'}


def generate_roles(stack: stacks.Stack) -> Argv:
    """Have the roles file of a stack written."""
    return (
        *_OVERCLOUD,
        'roles',
        'generate',
        '--output-file',
        paths.roles(stack),
        *(role.name for role in stack.roles),
    )


def provision(stack: stacks.Stack) -> Argv:
    """Have a stack's machines made ready."""
    return (
        *_OVERCLOUD,
        'node',
        'provision',
        '--yes',
        '--stack',
        stack.name,
        '--output',
        paths.deployed_metal(stack),
        paths.nodes(stack),
    )


def deploy_ceph(
    cloud: stacks.Cloud, stack: stacks.Stack, cluster: str
) -> Argv:
    """Have a cluster made on a stack's machines."""
    network = cloud.tripleo.network_data
    return (
        *_OVERCLOUD,
        'ceph',
        'deploy',
        '--yes',
        '--stack',
        stack.name,
        '--cluster',
        cluster,
        '--roles-data',
        paths.roles(stack),
        *(('--network-data', network) if network else ()),
        # Without --force no variables are taken.
        '--force',
        '--ansible-extra-vars',
        paths.ceph_vars(stack),
        '--output',
        paths.deployed_ceph(stack),
        paths.deployed_metal(stack),
    )


def export_ceph(
    cloud: stacks.Cloud, of: Sequence[stacks.Stack], output: str
) -> Argv:
    """Have the keys and monitors of clusters written to a file."""
    return (
        *_OVERCLOUD,
        'export',
        'ceph',
        '--force-overwrite',
        '--stack',
        ','.join(stack.name for stack in of),
        '--cephx-key-client-name',
        cloud.user,
        # Where paths.ceph_vars() of these stacks are; see there.
        '--config-download-dir',
        '.',
        '--output-file',
        output,
    )


def export(cloud: stacks.Cloud) -> Argv:
    """Have written what the stacks of sites need of the control plane."""
    return (
        *_OVERCLOUD,
        'export',
        '--force-overwrite',
        '--stack',
        relations.control_plane(cloud).name,
        '--output-file',
        paths.export(cloud),
    )


def deploy(
    cloud: stacks.Cloud,
    site: stacks.Site,
    stack: stacks.Stack,
    environments: Sequence[str],
    release: procedures.Release,
) -> Argv:
    """Deploy a stack, or bring it up to date.

    :param environments: those of this stack; the later ones prevail
    """
    tripleo = cloud.tripleo
    network = tripleo.network_data
    shipped = _shipped(cloud, site, stack, release)
    every = (*shipped, *tripleo.environments, *environments)
    return (
        *_OVERCLOUD,
        'deploy',
        '--stack',
        stack.name,
        '--templates',
        tripleo.templates,
        '--roles-file',
        paths.roles(stack),
        *(('--networks-file', network) if network else ()),
        *(word for path in every for word in ('-e', path)),
    )


def _shipped(
    cloud: stacks.Cloud,
    site: stacks.Site,
    stack: stacks.Stack,
    release: procedures.Release,
) -> list[str]:
    """The environments that come with TripleO's templates."""
    names = []
    if relations.deploys_ceph(site, stack):
        names.append(_CEPH[release])
    if relations.is_client(site, stack):
        names.append(_EXTERNAL_CEPH[release])
    if relations.has_glance(site, stack) and not site.is_central:
        names.append(_EDGE[release])
    return [f'{cloud.tripleo.templates}/environments/{n}' for n in names]
