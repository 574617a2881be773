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
"""What a stack is: nodes, availability zones, its cluster."""

from typing import Any

from dcn_distributor.bootstrap.tripleo import keys
from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import procedures
from dcn_distributor.core import stacks

_AZ_SERVICE = 'OS::TripleO::Services::NovaAZConfig'
_FLAVOR = 'baremetal'
# Of all stacks, whatever roles they have: TripleO counts one where a file
# says nothing.
_ROLES_OF_OLD = ('Controller', 'Compute')
# Those that TripleO makes anyway.
_POOLS = ('vms', 'volumes')


def overrides(
    site: stacks.Site, stack: stacks.Stack, release: procedures.Release
) -> keys.Parameters:
    """What differs between this stack and others of its kind."""
    parameters = _scheduled(stack) if release == 'ussuri' else {}
    if relations.is_host(site, stack) and site.ceph is not None:
        parameters['CephClusterName'] = site.ceph.name
    if stack.kind is stacks.Kind.CONTROL_PLANE:
        return parameters
    if not site.is_central:
        parameters['CinderStorageAvailabilityZone'] = site.az
        parameters['CinderVolumeCluster'] = site.az
    if relations.has_compute(site, stack):
        parameters['NovaCrossAZAttach'] = False
    if release == 'ussuri':
        # The networks are the control plane's. Later they are no part of
        # any stack.
        parameters['ManageNetworks'] = False
    return parameters


def _scheduled(stack: stacks.Stack) -> keys.Parameters:
    parameters: keys.Parameters = {}
    named = [role.name for role in stack.roles]
    for name in _ROLES_OF_OLD:
        if name not in named:
            parameters[f'{name}Count'] = 0
    for role in stack.roles:
        parameters |= {
            f'{role.name}Count': role.count,
            f'Overcloud{role.name}Flavor': _FLAVOR,
            f'{role.name}SchedulerHints': {
                'capabilities:node': f'{stack.number}-{role.tag}-%index%'
            },
        }
    return parameters


def zone(site: stacks.Site) -> keys.Parameters:
    """The availability zone that a stack's compute nodes make."""
    return {'NovaComputeAvailabilityZone': site.az}


def zone_services(cloud: stacks.Cloud) -> dict[str, str]:
    """What makes it."""
    templates = cloud.tripleo.templates
    return {_AZ_SERVICE: f'{templates}/deployment/nova/nova-az-config.yaml'}


def cluster(ceph: stacks.Ceph) -> keys.Parameters:
    """The cluster that a stack deploys."""
    parameters: keys.Parameters = {'GlanceRbdPoolName': ceph.image_pool}
    if ceph.fsid is not None:
        parameters['CephClusterFSID'] = ceph.fsid
    more = [pool for pool in ceph.pools[1:] if pool not in _POOLS]
    if more:
        parameters['CephPools'] = [
            {'name': pool, 'application': 'rbd'} for pool in more
        ]
    return parameters


def nodes(stack: stacks.Stack) -> list[dict[str, Any]]:
    """What `openstack overcloud node provision` reads for a stack.

    A machine that has a name is taken by it, any other by its tag.
    """
    return [
        {
            'name': role.name,
            'count': role.count,
            'instances': [
                {'hostname': name, 'name': name} for name in role.nodes
            ]
            or [{'capabilities': {'node': tag}} for tag in stack.tags(role)],
        }
        for role in stack.roles
    ]
