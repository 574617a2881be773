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
"""What must hold between the stacks, clusters and Glances of a cloud.

All that is wrong is found at once. What each value by itself must be is the
schema's business.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import re

from dcn_distributor.core import sites
from dcn_distributor.core import stacks
from dcn_distributor.core import text

Path = tuple[str | int, ...]

_RESERVED = 'os_glance_'
# As TripleO takes them (GlanceBackendID, CephClusterName); Glance itself
# parts stores by commas and colons, and names a section after each.
_STORE = re.compile(r'[A-Za-z0-9_-]+')
_CLUSTER = re.compile(r'[A-Za-z0-9]+')
# Sections that a glance-api.conf has anyway.
_SECTIONS = frozenset(
    (
        'DEFAULT',
        'cors',
        'database',
        'glance_store',
        'healthcheck',
        'image_format',
        'key_manager',
        'keystone_authtoken',
        'oslo_concurrency',
        'oslo_limit',
        'oslo_messaging_notifications',
        'oslo_middleware',
        'oslo_policy',
        'paste_deploy',
        'store_type_location_strategy',
        'task',
        'taskflow_executor',
        'wsgi',
    )
)
# What the user that may do everything is called.
_ADMIN = 'admin'


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to do.

    :ivar path: the keys that lead to it in sites.yaml
    """

    path: Path
    message: str


def check(cloud: stacks.Cloud) -> tuple[Problem, ...]:
    """Find all that is wrong."""
    return (
        *_backends(cloud),
        *_stores(cloud),
        *_clusters(cloud),
        *_monitors(cloud),
        *_users(cloud),
        *_urls(cloud),
        *_import_methods(cloud),
        *_stacks(cloud),
        *_nodes(cloud),
    )


def deploy_path(site: stacks.Site, *keys: str | int) -> Path:
    """Where a value of a site's `deploy` stands."""
    return (*site_path(site), 'deploy', *keys)


def site_path(site: stacks.Site) -> Path:
    """Where a site stands."""
    return ('central',) if site.is_central else ('sites', site.name)


def _backends(cloud: stacks.Cloud) -> Iterator[Problem]:
    for site in cloud.sites:
        glance = site.glance
        if glance.backend is stacks.Backend.RBD and site.ceph is None:
            yield Problem(
                deploy_path(site),
                f'{site.name}: Glance keeps images in RBD, but there is no '
                "'ceph': describe the cluster, or set glance.backend to swift",
            )
        if glance.backend is not cloud.central.glance.backend:
            yield Problem(
                deploy_path(site, 'glance'),
                f'{site.name}: Glance keeps images in {glance.backend.value}, '
                f'and central in {cloud.central.glance.backend.value}: all '
                'sites share the same images, so both must be the same',
            )
        if (
            not site.is_central
            and glance.backend is stacks.Backend.SWIFT
            and glance.cache is None
        ):
            yield Problem(
                deploy_path(site, 'glance'),
                f"{site.name}: add 'cache': without one every boot there "
                "fetches the whole image from central's Swift",
            )


def _stores(cloud: stacks.Cloud) -> Iterator[Problem]:
    for site in cloud.sites:
        if site.store.startswith(_RESERVED):
            yield Problem(
                (*site_path(site), 'store'),
                f'{site.store}: Glance keeps names that begin with '
                f'{_RESERVED} for itself',
            )
        elif site.store in _SECTIONS:
            yield Problem(
                (*site_path(site), 'store'),
                f'{site.store}: a section of glance-api.conf is called so: '
                "give the store another name with 'store'",
            )
        elif not _STORE.fullmatch(site.store):
            yield Problem(
                (*site_path(site), 'store'),
                f'{text.quote(site.store)} cannot be a store that is '
                "deployed: give it a name of letters, digits, '_' and '-' "
                "with 'store'",
            )
    yield from _twice(
        (
            ((*site_path(s), 'store'), f'store {s.store}', str(s.name))
            for s in cloud.sites
        ),
        'every site has a store of its own',
    )


def _clusters(cloud: stacks.Cloud) -> Iterator[Problem]:
    clusters = list(cloud.clusters())
    yield from _twice(
        (
            (deploy_path(s, 'ceph', 'name'), f'cluster {c.name}', s.name)
            for s, c in clusters
        ),
        'hosts that use both would have two files of one name in /etc/ceph: '
        'invent another name for one of them',
    )
    yield from _twice(
        (
            ((*site_path(s), 'cluster', 'fsid'), f'fsid {c.fsid}', s.name)
            for s, c in clusters
            if c.fsid
        ),
        'two sites cannot have the same cluster',
    )
    for site, ceph in clusters:
        if not _CLUSTER.fullmatch(ceph.name):
            yield Problem(
                deploy_path(site, 'ceph', 'name'),
                f'{site.name}: {text.quote(ceph.name)} cannot be the name of '
                "a cluster: add 'name' with letters and digits only",
            )
        if ceph.is_external and ceph.fsid is None:
            yield Problem(
                (*site_path(site), 'cluster'),
                f'{site.name}: the cluster is external, so nobody but you '
                'can tell its fsid: add it as cluster.fsid',
            )
        if ceph.is_external and not ceph.monitors:
            yield Problem(
                deploy_path(site, 'ceph', 'monitors'),
                f'{site.name}: the cluster is external, so nobody but you '
                'can tell its monitors: add them as deploy.ceph.monitors',
            )


def _monitors(cloud: stacks.Cloud) -> Iterator[Problem]:
    yield from _twice(
        (
            (
                deploy_path(site, 'ceph', 'monitors', index),
                f'monitor {monitor}',
                site.name,
            )
            for site, ceph in cloud.clusters()
            for index, monitor in enumerate(ceph.monitors)
        ),
        'every cluster has its own',
    )


def _users(cloud: stacks.Cloud) -> Iterator[Problem]:
    why = (
        'client.admin may do everything, and bootstrap would take that from '
        'it: name a user that is for images only'
    )
    if cloud.user == _ADMIN:
        yield Problem(('deploy', 'user'), why)
    for site, ceph in cloud.clusters():
        if ceph.agent_user == _ADMIN:
            yield Problem((*site_path(site), 'cluster', 'user'), why)
    if cloud.user == stacks.SHARED_USER and cloud.rados_timeout_s:
        yield Problem(
            ('deploy', 'rados_timeout'),
            f'the user {cloud.user} is also that of instances, which would '
            'see I/O errors once their cluster hangs for longer: leave this '
            "out, or give Glance a user of its own ('deploy.user')",
        )


def _urls(cloud: stacks.Cloud) -> Iterator[Problem]:
    yield from _twice(
        (
            (deploy_path(s, 'glance', 'url'), f'url {s.glance.url}', s.name)
            for s in cloud.sites
            if s.glance.url
        ),
        'the other Glances would ask the wrong one for staged images',
    )
    for site in cloud.sites:
        if site.glance.cache is not None and site.glance.url is None:
            yield Problem(
                deploy_path(site, 'glance', 'cache'),
                f"{site.name}: add 'url' beside 'cache': a cache is known by "
                "its Glance's own (worker_self_reference_url)",
            )


def _import_methods(cloud: stacks.Cloud) -> Iterator[Problem]:
    if (
        cloud.central.glance.backend is stacks.Backend.RBD
        and 'copy-image' not in cloud.import_methods
    ):
        yield Problem(
            ('deploy', 'import_methods'),
            'add copy-image: without it Glance copies no image to a site',
        )
    if 'glance-direct' not in cloud.import_methods:
        return
    for site in cloud.sites:
        if site.glance.url is None:
            yield Problem(
                deploy_path(site, 'glance'),
                f"{site.name}: add 'url', where the other Glances reach this "
                'one: with glance-direct they fetch staged images there '
                '(worker_self_reference_url)',
            )


def _stacks(cloud: stacks.Cloud) -> Iterator[Problem]:
    yield from _twice(
        (
            (deploy_path(s, 'stacks', t.name), f'stack {t.name}', s.name)
            for s, t in cloud.stacks()
        ),
        'every stack has a name of its own',
    )
    central = {stack.kind for stack in cloud.central.stacks}
    if stacks.Kind.CONTROL_PLANE not in central:
        yield Problem(
            deploy_path(cloud.central),
            'central: no stack is of kind control-plane',
        )
    for site in cloud.edges:
        for stack in site.stacks:
            if stack.kind is stacks.Kind.CONTROL_PLANE:
                yield Problem(
                    deploy_path(site, 'stacks', stack.name, 'kind'),
                    f'{site.name}: the control plane is at central, and '
                    "Keystone's endpoint for images leads there",
                )


def _nodes(cloud: stacks.Cloud) -> Iterator[Problem]:
    tags: list[tuple[Path, str, str]] = []
    nodes: list[tuple[Path, str, str]] = []
    for site, stack in cloud.stacks():
        for role in stack.roles:
            path = deploy_path(site, 'stacks', stack.name, 'roles', role.name)
            owner = f'{stack.name}/{role.name}'
            tags += [
                ((*path, 'tag'), f'tag {tag}', owner)
                for tag in stack.tags(role)
            ]
            nodes += [
                ((*path, 'nodes', index), f'node {node}', owner)
                for index, node in enumerate(role.nodes)
            ]
            if role.nodes and len(role.nodes) != role.count:
                yield Problem(
                    (*path, 'nodes'),
                    f'{len(role.nodes)} nodes for a count of {role.count}',
                )
    yield from _twice(tags, "give one of the roles another 'tag'")
    yield from _twice(nodes, 'a machine is in one stack only')


def _twice(
    claims: Iterable[tuple[Path, str, str | sites.SiteName]],
    why: str,
) -> Iterator[Problem]:
    """Find what two have that only one can have."""
    owners: dict[str, str] = {}
    for path, claim, owner in claims:
        if claim in owners:
            yield Problem(
                path, f'{claim} is already that of {owners[claim]}: {why}'
            )
        owners.setdefault(claim, str(owner))
