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
"""Where the files are, below the directory that they are rendered to."""

from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import stacks


def own_keys(site: stacks.Site, stack: stacks.Stack) -> str | None:
    """The keys of the first deployment; None if there are none."""
    name = 'ceph_keys.yaml' if site.is_central else 'dcn_ceph_keys.yaml'
    has_own = relations.is_host(site, stack) and site.has_store
    has_others = not site.is_central and relations.has_glance(site, stack)
    if has_own or (has_others and site.has_store):
        return f'{stack.name}/{name}'
    return None


def keys_update(cloud: stacks.Cloud) -> str:
    """The keys of all sites, for central."""
    return f'{relations.control_plane(cloud).name}/ceph_keys_update.yaml'


def glance_update(cloud: stacks.Cloud) -> str:
    """The stores of all sites, for central."""
    return f'{relations.control_plane(cloud).name}/glance_update.yaml'


def external_ceph(site: stacks.Site) -> str:
    """A cluster that is not deployed with the stacks that use it."""
    return f'external-ceph-{site.name}.yaml'


def ceph(stack: stacks.Stack) -> str:
    """The cluster that a stack deploys."""
    return f'{stack.name}/ceph.yaml'


def ceph_vars(stack: stacks.Stack) -> str:
    """What is made in it before the stack is deployed.

    In a directory `cephadm`: `overcloud export ceph` takes a stack for one
    whose cluster was made by cephadm if it finds a file of that name below
    --config-download-dir and the stack's name (tripleoclient: export.py).
    """
    return f'{stack.name}/cephadm/vars.yaml'


def zone(stack: stacks.Stack) -> str:
    """Its availability zone."""
    return f'{stack.name}/nova-az.yaml'


def glance(stack: stacks.Stack) -> str:
    """Its Glance."""
    return f'{stack.name}/glance.yaml'


def overrides(stack: stacks.Stack) -> str:
    """What else is its own."""
    return f'{stack.name}/overrides.yaml'


def nodes(stack: stacks.Stack) -> str:
    """Its nodes, for `overcloud node provision`."""
    return f'{stack.name}/nodes.yaml'


def roles(stack: stacks.Stack) -> str:
    """Its roles, which TripleO writes."""
    return f'{stack.name}/roles.yaml'


def deployed_metal(stack: stacks.Stack) -> str:
    """Its nodes once they are there, which TripleO writes."""
    return f'{stack.name}/deployed-metal.yaml'


def deployed_ceph(stack: stacks.Stack) -> str:
    """Its cluster once it is there, which TripleO writes."""
    return f'{stack.name}/deployed-ceph.yaml'


def script(stack: stacks.Stack, name: str) -> str:
    """A script that takes some steps."""
    return f'{stack.name}/{name}'


def export(cloud: stacks.Cloud) -> str:
    """What the stacks of sites need of the control plane; secret.

    TripleO writes it, into the home directory of its user.
    """
    stack = relations.control_plane(cloud)
    return f'{cloud.tripleo.home}/{stack.name}-export.yaml'


def ceph_export(cloud: stacks.Cloud, of: str) -> str:
    """The keys and monitors of clusters as TripleO tells them; secret."""
    return f'{cloud.tripleo.home}/ceph-export-{of}.yaml'
