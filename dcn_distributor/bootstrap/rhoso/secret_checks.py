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
"""Find what is wrong in Secrets with Ceph files.

On a node one fsid has one key (libvirt), and which user it is of is read
from the name of a keyring, parted at its dots (edpm-ansible: edpm_libvirt,
tasks/post-install.yml).
"""

import base64
import binascii
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re

from dcn_distributor.bootstrap.rhoso import options
from dcn_distributor.bootstrap.rhoso import trees

_CONF = re.compile(r'(?P<cluster>[^/]+)\.conf')
_KEYRING = re.compile(
    r'(?P<cluster>[^./]+)\.client\.(?P<user>[^./]+)\.keyring'
)
_DATA = ('data', 'stringData')


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A Secret that has Ceph files.

    :ivar fsids: by the name of the cluster that a conf is of
    :ivar users: by the name of the cluster that keyrings are of
    :ivar strange: what is wrong with single files
    """

    name: str
    fsids: Mapping[str, str]
    users: Mapping[str, tuple[str, ...]]
    strange: tuple[str, ...]


def read(
    documents: Iterable[Mapping[str, object]],
) -> Mapping[str, Secret]:
    """Find the Secrets with Ceph files, by name."""
    found = {}
    for document in documents:
        if document.get('kind') != 'Secret':
            continue
        keys = [key for part in _DATA for key in trees.mapping(document, part)]
        # Others have a .conf, too.
        if any(key.endswith('.keyring') for key in keys):
            name = trees.text(document, 'metadata', 'name')
            found[name] = _read(name, document)
    return found


def _read(name: str, document: Mapping[str, object]) -> Secret:
    fsids: dict[str, str] = {}
    users: dict[str, tuple[str, ...]] = {}
    strange = []
    for part in _DATA:
        for key, value in trees.mapping(document, part).items():
            text = _text(value) if part == 'data' else str(value)
            conf = _CONF.fullmatch(key)
            keyring = _KEYRING.fullmatch(key)
            if text is None:
                strange.append(f'{key} is not base64 of a text')
            elif conf:
                sections = options.parse(text) or {}
                fsid = sections.get('global', {}).get('fsid', '')
                if not fsid:
                    strange.append(f'{key} has no fsid')
                fsids[conf['cluster']] = fsid
            elif keyring:
                cluster = keyring['cluster']
                users[cluster] = (*users.get(cluster, ()), keyring['user'])
            elif key.endswith('.keyring'):
                strange.append(
                    f'{key} is not called CLUSTER.client.USER.keyring, with '
                    'no other dots'
                )
    return Secret(name, fsids, users, tuple(strange))


def _text(value: object) -> str | None:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def check(secrets: Mapping[str, Secret]) -> Iterator[str]:
    """Say what is wrong in each of them."""
    for secret in secrets.values():
        for strange in secret.strange:
            yield f'secret {secret.name}: {strange}'
        for cluster, users in secret.users.items():
            if len(users) > 1:
                yield (
                    f'secret {secret.name}: cluster {cluster} has keyrings of '
                    f'{" and ".join(users)}: there can be one only'
                )
        for cluster in sorted({*secret.fsids} ^ {*secret.users}):
            lacks = 'conf' if cluster in secret.users else 'keyring'
            yield f'secret {secret.name}: cluster {cluster} has no {lacks}'


def check_together(where: str, secrets: Iterable[Secret]) -> Iterator[str]:
    """Say which fsid comes twice to one place."""
    seen: dict[str, str] = {}
    for secret in secrets:
        for cluster, fsid in secret.fsids.items():
            source = f'{cluster}.conf of secret {secret.name}'
            if fsid and fsid in seen:
                yield (
                    f'{where}: fsid {fsid} is in {seen[fsid]} and in '
                    f'{source}: a cluster can be in one only'
                )
            seen[fsid] = source
