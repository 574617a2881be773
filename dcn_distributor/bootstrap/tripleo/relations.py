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
"""Which stack has a site's cluster, and which have its Glance."""

from dcn_distributor.core import stacks

# Who has the monitors and disks, if a site has several stacks.
_HOSTS = (
    stacks.Kind.CEPH,
    stacks.Kind.HYPERCONVERGED,
    stacks.Kind.CONTROL_PLANE,
    stacks.Kind.COMPUTE,
)

CEPH_USER = 'openstack'
"""The cephx user that TripleO makes in every cluster it deploys."""


def is_host(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a stack brings its site's cluster with it."""
    if site.ceph is None or site.ceph.is_external:
        return False
    first = min(site.stacks, key=lambda each: _HOSTS.index(each.kind))
    return stack == first


def is_client(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a stack uses a cluster that is not deployed with it.

    One that Glance does not use has no keys here: it is described in the
    operator's environments.
    """
    return site.has_store and not is_host(site, stack)


def deploys_ceph(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a stack has disks of Ceph, whoever cares for them.

    Hyper-converged nodes have them without a description, too, for volumes
    and instances alone.
    """
    return is_host(site, stack) or (
        site.ceph is None
        and stack.kind in (stacks.Kind.HYPERCONVERGED, stacks.Kind.CEPH)
    )


def has_glance(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a stack has the glance-api of its site."""
    if site.is_central:
        return stack.kind is stacks.Kind.CONTROL_PLANE
    return stack.kind is not stacks.Kind.CEPH


def has_compute(site: stacks.Site, stack: stacks.Stack) -> bool:
    """Tell whether a stack's nodes are in the availability zone."""
    return stack.kind in (
        stacks.Kind.COMPUTE,
        stacks.Kind.HYPERCONVERGED,
    )


def control_plane(cloud: stacks.Cloud) -> stacks.Stack:
    """The stack of the control plane: core.stack_checks wants one."""
    return next(
        stack
        for stack in cloud.central.stacks
        if stack.kind is stacks.Kind.CONTROL_PLANE
    )


def hosts(cloud: stacks.Cloud) -> tuple[tuple[stacks.Site, stacks.Stack], ...]:
    """The stacks that deploy a described cluster, in order."""
    return tuple(
        (site, stack) for site, stack in cloud.stacks() if is_host(site, stack)
    )


def seen_from(
    cloud: stacks.Cloud, site: stacks.Site
) -> tuple[stacks.Site, ...]:
    """The other sites whose clusters a site's Glance uses."""
    return cloud.stores_of(site)[1:] if site.has_store else ()


def has_update(cloud: stacks.Cloud) -> bool:
    """Tell whether central has to know more than can be known at first."""
    return bool(seen_from(cloud, cloud.central))
