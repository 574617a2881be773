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
"""In which order the documents are applied, and what else is done between.

1. The Ceph files of all sites, so that nothing waits for a mount.
2. For each site what its nodes have without Ceph, and then its cluster.
3. The control plane, whose Glance opens the clusters as it starts.
4. For each site the rest of its nodes, Nova's cells and the zone.

A site that is added later goes through the same steps. Those of others find
everything as they left it, but for central's Ceph files and the control
plane, which get the new site's cluster.
"""

from collections.abc import Iterator

from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.bootstrap.rhoso import node_sets
from dcn_distributor.core import procedures
from dcn_distributor.core import sites
from dcn_distributor.core import stacks

# Server-side, because a document of ours names only a part of what is there,
# and because the other way keeps all of a Secret in an annotation.
_APPLY = (
    'oc',
    'apply',
    '--server-side',
    '--force-conflicts',
    '--field-manager=dcn-distributor',
    '-f',
)
_CONTROL_PLANE_MIN = 30
_SET_UP_MIN = 20
_DEPLOYMENT_MIN = 120


def order(cloud: stacks.Cloud) -> tuple[procedures.Step, ...]:
    """List all steps; their files are those of render().

    A site's steps are in the order in which they must be even if those of
    other sites are left out.
    """
    steps = [
        *_ceph_files(cloud),
        *_hosts(cloud),
        *_control_plane(),
        *_compute(cloud),
    ]
    return tuple(steps)


def _ceph_files(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    for site in cloud.sites:
        if site.has_store:
            others = 'all sites' if site.is_central else 'central'
            yield _apply(
                f'Ceph files of {site.name}',
                site,
                None,
                names.ceph_secret_file(site),
                f'the clusters of {site.name} and {others}, for its Glance, '
                'Cinder and Nova',
            )


def _hosts(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    for site in cloud.sites:
        stacks_with_nodes = _with_nodes(cloud, site)
        if stacks_with_nodes:
            yield _apply(
                f'Nova options of {site.name}',
                site,
                None,
                names.nova_config_file(site),
                "Nova's disks and images come from the site itself",
            )
            yield _apply(
                f'Nova service of {site.name}',
                site,
                None,
                names.nova_service_file(site),
                'brings these options to nodes',
            )
        for stack in stacks_with_nodes:
            yield from _node_set(site, stack)
        if any(node_sets.hosts_ceph(site, s) for s in stacks_with_nodes):
            yield procedures.Step(
                f'Ceph of {site.name}',
                site.name,
                None,
                (),
                (),
                'deploy the cluster on these nodes with cephadm: '
                + _cluster(cloud, site),
            )


def _node_set(
    site: stacks.Site, stack: stacks.Stack
) -> Iterator[procedures.Step]:
    node_set = names.node_set_file(site, stack)
    yield _apply(
        f'node set {stack.name}',
        site,
        stack,
        node_set,
        'its services and Ceph files; networks stay as they are',
    )
    yield _wait(
        f'node set {stack.name} is set up',
        site,
        stack,
        node_set,
        ('SetupReady', _SET_UP_MIN),
        'addresses and inventory have to be there before a deployment',
    )
    if node_sets.hosts_ceph(site, stack):
        before = names.pre_ceph_file(site, stack)
        yield _apply(
            f'deployment of {stack.name} before Ceph',
            site,
            stack,
            before,
            'networks, firewall and time for a cluster',
        )
        yield _wait(
            f'{stack.name} is ready for Ceph',
            site,
            stack,
            before,
            ('Ready', _DEPLOYMENT_MIN),
            'a cluster cannot be deployed without networks',
        )


def _control_plane() -> Iterator[procedures.Step]:
    yield procedures.Step(
        'control plane',
        sites.CENTRAL,
        None,
        (*_APPLY, names.CONTROL_PLANE_FILE),
        (names.CONTROL_PLANE_FILE,),
        'a Glance for each site, with the stores that it may use',
    )
    yield procedures.Step(
        'control plane is ready',
        sites.CENTRAL,
        None,
        _waiting(names.CONTROL_PLANE_FILE, 'Ready', _CONTROL_PLANE_MIN),
        (names.CONTROL_PLANE_FILE,),
        'nodes ask its services',
    )


def _compute(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    zones: set[str] = set()
    for site in cloud.sites:
        hosts: list[str] = []
        for stack in _with_nodes(cloud, site):
            if node_sets.after_ceph(site, stack):
                yield from _deployment(site, stack)
                hosts += node_sets.nodes(stack)
        if hosts:
            yield _inside(
                cloud,
                f'compute hosts of {site.name} in a cell',
                site,
                'nova-cell0-conductor-0',
                ('nova-manage', 'cell_v2', 'discover_hosts', '--verbose'),
                'no instance runs on a host that is in no cell',
            )
            yield from _zone(cloud, site, hosts, is_new=site.az not in zones)
            zones.add(site.az)


def _deployment(
    site: stacks.Site, stack: stacks.Stack
) -> Iterator[procedures.Step]:
    file = names.deployment_file(site, stack)
    yield _apply(
        f'deployment of {stack.name}',
        site,
        stack,
        file,
        'Nova on its nodes, with the Ceph files of the site',
    )
    yield _wait(
        f'{stack.name} is deployed',
        site,
        stack,
        file,
        ('Ready', _DEPLOYMENT_MIN),
        'its hosts can be in a cell once Nova runs there',
    )


def _zone(
    cloud: stacks.Cloud, site: stacks.Site, hosts: list[str], *, is_new: bool
) -> Iterator[procedures.Step]:
    aggregate = ('openstack', 'aggregate')
    if is_new:
        yield _inside(
            cloud,
            f'zone {site.az}',
            site,
            'openstackclient',
            (*aggregate, 'create', '--zone', site.az, site.az),
            'instances are asked for by zone',
        )
    for host in hosts:
        yield _inside(
            cloud,
            f'{host} in zone {site.az}',
            site,
            'openstackclient',
            (*aggregate, 'add', 'host', site.az, _nova_name(cloud, host)),
            'Nova calls it by its name and domain',
        )


def _nova_name(cloud: stacks.Cloud, host: str) -> str:
    return f'{host}.{cloud.rhoso.domain}'


def _with_nodes(
    cloud: stacks.Cloud, site: stacks.Site
) -> tuple[stacks.Stack, ...]:
    return tuple(
        stack
        for of, stack in cloud.stacks()
        if of is site and node_sets.nodes(stack)
    )


def _cluster(cloud: stacks.Cloud, site: stacks.Site) -> str:
    if site.ceph is None or not site.has_store:
        return 'it is for volumes and instances only'
    return (
        f'fsid {site.ceph.fsid}, monitors {site.ceph.mon_host}, pools '
        f'{", ".join(site.ceph.pools)}, client.{cloud.user} with the key that '
        'was issued'
    )


def _apply(
    name: str,
    site: stacks.Site,
    stack: stacks.Stack | None,
    file: str,
    why: str,
) -> procedures.Step:
    of = None if stack is None else stack.name
    return procedures.Step(name, site.name, of, (*_APPLY, file), (file,), why)


def _wait(
    name: str,
    site: stacks.Site,
    stack: stacks.Stack,
    file: str,
    until: tuple[str, int],
    why: str,
) -> procedures.Step:
    argv = _waiting(file, *until)
    return procedures.Step(name, site.name, stack.name, argv, (file,), why)


def _waiting(file: str, condition: str, minutes: int) -> tuple[str, ...]:
    wait = ('oc', 'wait', f'--for=condition={condition}')
    return (*wait, f'--timeout={minutes}m', '-f', file)


def _inside(
    cloud: stacks.Cloud,
    name: str,
    site: stacks.Site,
    pod: str,
    argv: tuple[str, ...],
    why: str,
) -> procedures.Step:
    inside = ('oc', 'rsh', '--namespace', cloud.rhoso.namespace, pod)
    return procedures.Step(name, site.name, None, (*inside, *argv), (), why)
