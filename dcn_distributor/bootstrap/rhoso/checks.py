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
"""Find what is wrong in documents for RHOSO, ours or those of others.

Each of these mistakes was in somebody's published sample: a store that leads
to another site's cluster, a store that is enabled but not described, and so
on. The operators take such documents, and Glance starts with them.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

from dcn_distributor.bootstrap.rhoso import glance_checks
from dcn_distributor.bootstrap.rhoso import secret_checks
from dcn_distributor.bootstrap.rhoso import trees

_GLANCES = {
    'OpenStackControlPlane': ('spec', 'glance', 'template'),
    'Glance': ('spec',),
}


def check(documents: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Say what is wrong, a line for each; no secret is ever part of it."""
    known = tuple(documents)
    secrets = secret_checks.read(known)
    return (
        *secret_checks.check(secrets),
        *_control_planes(known, secrets),
        *_node_sets(known, secrets),
    )


def _control_planes(
    documents: tuple[Mapping[str, object], ...],
    secrets: Mapping[str, secret_checks.Secret],
) -> Iterator[str]:
    for document in documents:
        path = _GLANCES.get(str(document.get('kind')))
        if path is None or trees.at(document, *path) is None:
            continue
        template = trees.mapping(document, *path)
        mounts = [
            *trees.sequence(document, 'spec', 'extraMounts'),
            *trees.sequence(template, 'extraMounts'),
        ]
        yield from glance_checks.check(template, mounts, secrets)


def _node_sets(
    documents: tuple[Mapping[str, object], ...],
    secrets: Mapping[str, secret_checks.Secret],
) -> Iterator[str]:
    for document in documents:
        if document.get('kind') != 'OpenStackDataPlaneNodeSet':
            continue
        name = trees.at(document, 'metadata', 'name')
        mounts = trees.sequence(
            document, 'spec', 'nodeTemplate', 'extraMounts'
        )
        mounted = [
            secrets[secret]
            for mount in mounts
            for secret in trees.secrets(mount)
            if secret in secrets
        ]
        yield from secret_checks.check_together(f'node set {name}', mounted)
