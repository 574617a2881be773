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
"""sites.yaml as `dcn-distributor bootstrap` reads it: sites and stacks."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from dcn_distributor.conf import clusters
from dcn_distributor.conf import deployments
from dcn_distributor.conf import schema
from dcn_distributor.conf import sites as sites_file
from dcn_distributor.conf import yaml_files
from dcn_distributor.core import cephx
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import stack_checks
from dcn_distributor.core import stacks


def load(path: str) -> stacks.Cloud:
    """Read sites.yaml. Raises ConfigError with everything wrong in it."""
    document, file = sites_file.read(path)
    cloud = _cloud(file)
    problems = [
        *_undescribed(file),
        *_pools(file),
        *_together(cloud, file),
    ]
    if problems:
        raise yaml_files.error(path, _placed(document, problems))
    return cloud


def check(path: str) -> None:
    """Check what sites.yaml says of stacks, if it says anything.

    Raises ConfigError with everything wrong in it.
    """
    _, file = sites_file.read(path)
    parts = [file.deploy, file.central.deploy]
    parts += [site.deploy for site in file.sites.values()]
    if any(part is not None for part in parts):
        load(path)


def _placed(
    document: yaml_files.Document,
    problems: Iterable[stack_checks.Problem],
) -> list[yaml_files.Problem]:
    """Find where problems are, or what is nearest to that.

    Those at one place become one: of two problems there yaml_files.error()
    would tell the first only.
    """
    messages: dict[tuple[int, int], list[str]] = {}
    for problem in problems:
        at = schema.problem_at(document, problem.path, '')
        messages.setdefault((at.line, at.column), []).append(problem.message)
    return [
        yaml_files.Problem(line, column, '; '.join(of))
        for (line, column), of in messages.items()
    ]


def _undescribed(file: sites_file.File) -> Iterator[stack_checks.Problem]:
    for path, _, deploy in _everywhere(file):
        if deploy is None:
            yield stack_checks.Problem(
                path,
                f"{path[-1]} has no 'deploy': bootstrap needs to know its "
                'stacks, cluster and Glance',
            )


def _together(
    cloud: stacks.Cloud, file: sites_file.File
) -> Iterator[stack_checks.Problem]:
    """Check the sites that are described; without central none can be."""
    if file.central.deploy is None:
        return
    described = tuple(
        site
        for site in cloud.sites
        if site.is_central or file.sites[site.name].deploy is not None
    )
    yield from stack_checks.check(dataclasses.replace(cloud, sites=described))


def _pools(file: sites_file.File) -> Iterator[stack_checks.Problem]:
    for path, cluster, deploy in _everywhere(file):
        if cluster is None or deploy is None or deploy.ceph is None:
            continue
        if cluster.pool not in deploy.ceph.pools:
            yield stack_checks.Problem(
                (*path, 'deploy', 'ceph', 'pools'),
                f"{path[-1]}: the agent's pool is {cluster.pool} "
                f'(cluster.pool), and not one of '
                f'{", ".join(deploy.ceph.pools)}: name the pool of Glance in '
                'both',
            )


def _everywhere(
    file: sites_file.File,
) -> Iterator[
    tuple[stack_checks.Path, clusters.Cluster | None, deployments.Site | None]
]:
    yield ('central',), file.central.cluster, file.central.deploy
    for name, site in file.sites.items():
        yield ('sites', name), site.cluster, site.deploy


def _cloud(file: sites_file.File) -> stacks.Cloud:
    whole = file.deploy or deployments.Cloud()
    central = file.central
    described = [
        _site(sites.CENTRAL, 0, central.store, central.cluster, central.deploy)
    ]
    described += [
        _site(
            sites.SiteName(name),
            number,
            site.store or name,
            site.cluster,
            site.deploy,
        )
        for number, (name, site) in enumerate(file.sites.items())
    ]
    tripleo, rhoso = whole.tripleo, whole.rhoso
    return stacks.Cloud(
        tuple(described),
        whole.user,
        tuple(whole.import_methods),
        stacks.Tripleo(
            tripleo.home,
            tripleo.templates,
            tripleo.environments,
            tripleo.network_data,
        ),
        stacks.Rhoso(
            rhoso.namespace,
            rhoso.control_plane,
            rhoso.storage_class,
            rhoso.storage_request,
            rhoso.passwords,
            rhoso.ssh_key,
            rhoso.domain,
        ),
        whole.rados_timeout,
    )


def _site(
    name: sites.SiteName,
    number: int,
    store: str,
    cluster: clusters.Cluster | None,
    deploy: deployments.Site | None,
) -> stacks.Site:
    deploy = deploy or deployments.Site()
    number = number if deploy.number is None else deploy.number
    return stacks.Site(
        name,
        images.StoreId(store),
        deploy.az or name,
        tuple(
            stacks.Stack(
                stack_name, stacks.Kind(stack.kind), number, _roles(stack)
            )
            for stack_name, stack in deploy.stacks.items()
        ),
        _glance(store, deploy.glance),
        _ceph(name, cluster, deploy.ceph),
    )


def _roles(stack: deployments.Stack) -> tuple[stacks.Role, ...]:
    return tuple(
        stacks.Role(name, role.count, role.tag or name.lower(), role.nodes)
        for name, role in stack.roles.items()
    )


def _glance(store: str, glance: deployments.Glance) -> stacks.Glance:
    backend = stacks.Backend(glance.backend)
    cache = glance.cache
    return stacks.Glance(
        backend,
        glance.description or f'{store} {backend.value} glance store',
        glance.url.rstrip('/') if glance.url else None,
        stacks.Cache(cache.directory, cache.max_size) if cache else None,
        glance.data,
    )


def _ceph(
    site: sites.SiteName,
    cluster: clusters.Cluster | None,
    ceph: deployments.Ceph | None,
) -> stacks.Ceph | None:
    if ceph is None:
        return None
    key_type = None
    if ceph.key_type != 'auto':
        key_type = cephx.KeyType[ceph.key_type.upper()]
    pools = tuple(ceph.pools)
    if cluster is not None and cluster.pool in pools:
        # That of Glance comes first.
        rest = (pool for pool in pools if pool != cluster.pool)
        pools = (cluster.pool, *rest)
    return stacks.Ceph(
        ceph.name or site,
        ceph.owner == 'external',
        cluster.fsid if cluster else None,
        tuple(ceph.monitors or ()),
        pools,
        key_type,
        cluster.user if cluster else None,
        ceph.admin_conf,
    )
