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
"""In which order the stacks of a cloud are deployed with TripleO."""

from collections.abc import Iterator

from dcn_distributor.bootstrap.tripleo import commands
from dcn_distributor.bootstrap.tripleo import paths
from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import procedures
from dcn_distributor.core import stacks

_CENTRAL = 'central'
_SITES = 'sites'


def order(
    cloud: stacks.Cloud, release: procedures.Release
) -> tuple[procedures.Step, ...]:
    """List all steps.

    ussuri: central, its export, the sites, and central again, with the keys
    and stores of all. xena: the machines and clusters of all, and then each
    stack once. Environments that TripleO writes on the way are part of the
    command lines, but not of `files`.

    A path that begins with ``~/`` is left so: who runs it puts in the home
    directory.
    """
    if release == 'ussuri':
        return (*_stacks(cloud, release), *_update(cloud))
    return (
        *_machines(cloud),
        *_clusters(cloud),
        *_ceph_exports(cloud),
        *_stacks(cloud, release),
    )


def _stacks(
    cloud: stacks.Cloud, release: procedures.Release
) -> Iterator[procedures.Step]:
    for site, stack in cloud.stacks():
        if release == 'ussuri':
            yield _roles(site, stack)
        yield _deploy(cloud, site, stack, release)
        if stack == relations.control_plane(cloud):
            yield procedures.Step(
                f'export {stack.name}',
                site.name,
                stack.name,
                commands.export(cloud),
                (),
                'the other stacks need its endpoints and passwords',
            )


def _roles(site: stacks.Site, stack: stacks.Stack) -> procedures.Step:
    return procedures.Step(
        f'roles {stack.name}',
        site.name,
        stack.name,
        commands.generate_roles(stack),
        (),
        'which services its nodes have',
    )


def _deploy(
    cloud: stacks.Cloud,
    site: stacks.Site,
    stack: stacks.Stack,
    release: procedures.Release,
) -> procedures.Step:
    is_control_plane = stack == relations.control_plane(cloud)
    ours = _environments(cloud, site, stack)
    if is_control_plane and release == 'xena':
        ours += _updates(cloud)
    theirs = _written_by_tripleo(cloud, site, stack, release)
    return procedures.Step(
        f'deploy {stack.name}',
        site.name,
        stack.name,
        commands.deploy(cloud, site, stack, (*theirs, *ours), release),
        tuple(ours),
        'the control plane, and the Glance of central'
        if is_control_plane
        else f'the nodes of {site.name}',
    )


def _environments(
    cloud: stacks.Cloud, site: stacks.Site, stack: stacks.Stack
) -> list[str]:
    """Our files of a stack, those of the documents in their order."""
    keys = paths.own_keys(site, stack)
    found = [keys] if keys else []
    if relations.is_client(site, stack):
        found.append(paths.external_ceph(site))
    if relations.is_host(site, stack):
        found.append(paths.ceph(stack))
    if relations.has_compute(site, stack):
        found.append(paths.zone(stack))
    if stack.kind is not stacks.Kind.CEPH:
        found.append(paths.glance(stack))
    return [*found, paths.overrides(stack)]


def _updates(cloud: stacks.Cloud) -> list[str]:
    if not relations.has_update(cloud):
        return []
    return [paths.keys_update(cloud), paths.glance_update(cloud)]


def _written_by_tripleo(
    cloud: stacks.Cloud,
    site: stacks.Site,
    stack: stacks.Stack,
    release: procedures.Release,
) -> list[str]:
    found = []
    if release == 'xena':
        found.append(paths.deployed_metal(stack))
        if relations.is_host(site, stack):
            found.append(paths.deployed_ceph(stack))
    if stack.kind not in (stacks.Kind.CEPH, stacks.Kind.CONTROL_PLANE):
        found.append(paths.export(cloud))
    return found


def _update(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    if not relations.has_update(cloud):
        return
    site, stack = cloud.central, relations.control_plane(cloud)
    ours = [*_environments(cloud, site, stack), *_updates(cloud)]
    yield procedures.Step(
        f'update {stack.name}',
        site.name,
        stack.name,
        commands.deploy(cloud, site, stack, ours, 'ussuri'),
        tuple(ours),
        "central's Glance gets the keys and stores of all sites",
    )


def _machines(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    for site, stack in cloud.stacks():
        yield _roles(site, stack)
        yield procedures.Step(
            f'metal {stack.name}',
            site.name,
            stack.name,
            commands.provision(stack),
            (paths.nodes(stack),),
            'its machines get an operating system',
        )


def _clusters(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    for site, stack in relations.hosts(cloud):
        if site.ceph is not None:
            yield procedures.Step(
                f'ceph {stack.name}',
                site.name,
                stack.name,
                commands.deploy_ceph(cloud, stack, site.ceph.name),
                (paths.ceph_vars(stack),),
                f'the cluster {site.ceph.name}, with its pools and keys',
            )


def _ceph_exports(cloud: stacks.Cloud) -> Iterator[procedures.Step]:
    """What TripleO says of the clusters it made, to compare and to adopt.

    The files that are rendered have the same already, and have external
    clusters, too, which TripleO cannot export.
    """
    used = [(site, s) for site, s in relations.hosts(cloud) if site.has_store]
    central = [stack for site, stack in used if site.is_central]
    edges = [stack for site, stack in used if not site.is_central]
    for of, exported in ((_CENTRAL, central), (_SITES, edges)):
        if exported:
            yield procedures.Step(
                f'export ceph of {of}',
                cloud.central.name,
                None,
                commands.export_ceph(
                    cloud, exported, paths.ceph_export(cloud, of)
                ),
                (),
                "what the clusters really have, for 'bootstrap adopt'",
            )
