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
"""What of a cloud cannot be had on Kubernetes.

It may be right for other deployment tools; that is why sites.yaml takes it.
"""

from collections.abc import Iterator
import re

from dcn_distributor.bootstrap.rhoso import compute
from dcn_distributor.bootstrap.rhoso import node_sets
from dcn_distributor.bootstrap.rhoso import volumes
from dcn_distributor.core import grants
from dcn_distributor.core import stack_checks
from dcn_distributor.core import stacks
from dcn_distributor.core import text

_LABEL = re.compile(r'[a-z0-9](?:[a-z0-9-]*[a-z0-9])?')
_STORE = re.compile(r'[A-Za-z0-9_.-]+')
# Of the 63 letters of a label, what pods add to the name of a Cinder volume
# service or a Glance API is taken off: 'cinder-12345-', '-volume-', a hash
# (openstack-operator and glance-operator: GetCrMaxLengthCorrection).
_SITE_LETTERS = 30
# '-pre-ceph', or a hyphen and eight digits.
_STACK_LETTERS = 63 - 9
_LETTERS = 63


def problems(cloud: stacks.Cloud) -> tuple[stack_checks.Problem, ...]:
    """Find all of it."""
    return (*_names(cloud), *_stores(cloud), *_users(cloud))


def _names(cloud: stacks.Cloud) -> Iterator[stack_checks.Problem]:
    rhoso = cloud.rhoso
    for key, name in (
        ('namespace', rhoso.namespace),
        ('control_plane', rhoso.control_plane),
        ('storage_class', rhoso.storage_class),
        ('passwords', rhoso.passwords),
        ('ssh_key', rhoso.ssh_key),
    ):
        yield from _label(('deploy', 'rhoso', key), name, _LETTERS)
    for site in cloud.sites:
        yield from _label(
            stack_checks.site_path(site), site.name, _SITE_LETTERS
        )
    for site, stack in cloud.stacks():
        path = stack_checks.deploy_path(site, 'stacks', stack.name)
        if node_sets.nodes(stack):
            yield from _label(path, stack.name, _STACK_LETTERS)
        for role in node_sets.node_roles(stack):
            for node in role.nodes:
                yield from _label(
                    (*path, 'roles', role.name, 'nodes'), node, _LETTERS
                )


def _label(
    path: stack_checks.Path, name: str, letters: int
) -> Iterator[stack_checks.Problem]:
    if len(name) > letters or not _LABEL.fullmatch(name):
        yield stack_checks.Problem(
            path,
            f'{text.quote(name)}: RHOSO wants a DNS label here: at most '
            f"{letters} small letters, digits and '-', with a letter or "
            'digit at both ends',
        )


def _stores(cloud: stacks.Cloud) -> Iterator[stack_checks.Problem]:
    for site in cloud.sites:
        if not _STORE.fullmatch(site.store):
            yield stack_checks.Problem(
                (*stack_checks.site_path(site), 'store'),
                f'{text.quote(site.store)}: RHOSO wants letters, digits, '
                "'_', '.' and '-' only for a store, which is a section of "
                "Glance's options",
            )
        if '{{' in site.glance.description:
            yield stack_checks.Problem(
                stack_checks.deploy_path(site, 'glance', 'description'),
                f"{site.name}: leave out '{{{{': RHOSO takes it for one of "
                'its own values in the options of Glance',
            )


def _users(cloud: stacks.Cloud) -> Iterator[stack_checks.Problem]:
    """Glance, Nova and Cinder have one keyring of a cluster together."""
    for site, ceph in cloud.clusters():
        if not site.has_store:
            continue
        used = [
            pool
            for pool, is_used in (
                (volumes.POOL, volumes.has_volumes(site)),
                (compute.POOL, compute.has_disks(site)),
            )
            if is_used
        ]
        granted = grants.user_caps(cloud.user, ceph)['osd'].split(', ')
        denied = [
            pool for pool in used if f'profile rbd pool={pool}' not in granted
        ]
        if denied:
            yield stack_checks.Problem(
                ('deploy', 'user'),
                f'{site.name}: client.{cloud.user} may not use '
                f'{" and ".join(denied)}, and on RHOSO Nova and Cinder have '
                "no other keyring than Glance: set deploy.user to 'openstack'",
            )
