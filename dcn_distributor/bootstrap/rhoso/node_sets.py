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
"""The node sets of the data plane, and what is deployed on them when.

One node set for each stack with nodes. Networks, addresses and what Ansible
is told besides are of the people who run the cloud: these are the parts that
sites need, to be merged into that (server-side apply). Of the lists, which
are replaced whole, services and extraMounts are named here.
"""

import hashlib
import json

from dcn_distributor.bootstrap.rhoso import ceph_secrets
from dcn_distributor.bootstrap.rhoso import compute
from dcn_distributor.bootstrap.rhoso import control_plane
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

_API = 'dataplane.openstack.org/v1beta1'
# As the operator has them by default (openstack-operator: api/dataplane), and
# those of Ceph where its samples have them (config/samples/dataplane).
_HOST = (
    'redhat',
    'download-cache',
    'bootstrap',
    'configure-network',
    'validate-network',
    'install-os',
)
_RUN = (
    'configure-os',
    'ssh-known-hosts',
    'run-os',
    'reboot-os',
    'install-certs',
)
_OPENSTACK = ('ovn', 'neutron-metadata', 'libvirt')
_ALL_ROLES = frozenset(stacks.Kind) - {stacks.Kind.CONTROL_PLANE}


def node_roles(stack: stacks.Stack) -> tuple[stacks.Role, ...]:
    """The roles of a stack whose nodes are in the data plane.

    Controllers are pods; what else is in a stack with them (ComputeHCI) is
    known by its name, as TripleO calls it.
    """
    return tuple(
        role
        for role in stack.roles
        if role.count
        and (
            stack.kind in _ALL_ROLES
            or 'Compute' in role.name
            or 'Ceph' in role.name
        )
    )


def nodes(stack: stacks.Stack) -> tuple[str, ...]:
    """The names of those nodes; made up for a role that names none."""
    return tuple(
        node
        for role in node_roles(stack)
        for node in (
            role.nodes
            or [f'{stack.name}-{role.tag}-{i}' for i in range(role.count)]
        )
    )


def has_compute(stack: stacks.Stack) -> bool:
    """Tell whether instances run on its nodes."""
    return stack.kind is not stacks.Kind.CEPH


def hosts_ceph(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a cluster is deployed on its nodes."""
    if site.ceph is not None and site.ceph.is_external:
        return False
    if stack.kind is stacks.Kind.CONTROL_PLANE:
        roles = [role.name for role in node_roles(stack)]
        return any('HCI' in name or 'Ceph' in name for name in roles)
    return stack.kind is not stacks.Kind.COMPUTE


def node_set(
    cloud: stacks.Cloud, site: stacks.Site, stack: stacks.Stack
) -> documents.Document:
    """Make the node set of a stack that has nodes."""
    template: dict[str, object] = {
        'ansibleSSHPrivateKeySecret': cloud.rhoso.ssh_key
    }
    if site.has_store and has_compute(stack):
        template['extraMounts'] = [control_plane.ceph_mount(site)]
    return documents.resource(
        _API,
        'OpenStackDataPlaneNodeSet',
        cloud.rhoso.namespace,
        stack.name,
        spec={
            'services': list(
                before_ceph(site, stack) + after_ceph(site, stack)
            ),
            'nodes': {node: {'hostName': node} for node in nodes(stack)},
            'nodeTemplate': template,
        },
    )


def before_ceph(site: stacks.Site, stack: stacks.Stack) -> tuple[str, ...]:
    """The services that need no Ceph."""
    ceph = ('ceph-hci-pre',) if hosts_ceph(site, stack) else ()
    return (*_HOST, *ceph, *_RUN)


def after_ceph(site: stacks.Site, stack: stacks.Stack) -> tuple[str, ...]:
    """The services that may need it; () where no instances run."""
    if not has_compute(stack):
        return ()
    ceph = ('ceph-client',) if site.has_store else ()
    return (*ceph, *_OPENSTACK, names.nova_service(site), 'telemetry')


def pre_ceph(
    cloud: stacks.Cloud, site: stacks.Site, stack: stacks.Stack
) -> documents.Document:
    """Make the deployment of what comes before Ceph."""
    return _deployment(
        cloud,
        names.pre_ceph(stack),
        stack,
        {'servicesOverride': list(before_ceph(site, stack))},
    )


def deployment(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    stack: stacks.Stack,
) -> documents.Document:
    """Make the deployment of the rest, or of everything without Ceph.

    A deployment is done once; so that nodes get other keys or options, it
    needs another name. It has one that tells of all that nodes get.
    """
    override: dict[str, object] = {}
    if hosts_ceph(site, stack):
        override = {'servicesOverride': list(after_ceph(site, stack))}
    told = [
        node_set(cloud, site, stack),
        compute.config(cloud, ring, site),
        # Of central's files those of sites do not matter to its nodes.
        ceph_secrets.contents(cloud, ring, site, tuple(_used(cloud, site))),
    ]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return _deployment(cloud, f'{stack.name}-{digest[:8]}', stack, override)


def _used(cloud: stacks.Cloud, site: stacks.Site) -> list[stacks.Site]:
    return [s for s in (site, cloud.central) if s.has_store]


def _deployment(
    cloud: stacks.Cloud,
    name: str,
    stack: stacks.Stack,
    rest: dict[str, object],
) -> documents.Document:
    return documents.resource(
        _API,
        'OpenStackDataPlaneDeployment',
        cloud.rhoso.namespace,
        name,
        spec={'nodeSets': [stack.name], **rest},
    )
