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
"""The `deploy` parts of sites.yaml: what `dcn-distributor bootstrap` needs.

Here is what each value by itself must be. What they must be together is
checked in core.stack_checks.
"""

import re
from typing import Annotated
from typing import Literal

import pydantic

from dcn_distributor.conf import schema
from dcn_distributor.core import monitors
from dcn_distributor.core import sizes
from dcn_distributor.core import text

_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?')
_ROLE = re.compile(r'[A-Za-z][A-Za-z0-9]{0,62}')
_TAG = re.compile(r'[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?')
_USER = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?')
_CLUSTER = re.compile(r'[A-Za-z0-9]{1,63}')
_COUNT = re.compile(r'[0-9]{1,4}')
_NODE = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._~-]{0,253}[A-Za-z0-9])?')
_POOL = re.compile(r'[A-Za-z0-9.][A-Za-z0-9._-]{0,127}')
_URL = re.compile(r'https?://[^\s/?#@]+(?:/[^\s?#]*)?')


def _matching(pattern: re.Pattern[str], expected: str) -> object:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise text.Malformed(
                f'expected {expected}, found {text.quote(value)}'
            )
        return value

    return pydantic.AfterValidator(check)


def _count(written: object) -> int:
    if not isinstance(written, str) or not _COUNT.fullmatch(written):
        raise text.Malformed(
            f'expected a number from 0 to 9999, found {schema.found(written)}'
        )
    return int(written)


def _size(written: object) -> int:
    if not isinstance(written, str):
        raise text.Malformed(
            f'expected a size such as 10GiB, found {schema.found(written)}'
        )
    return sizes.parse_size(written)


def _path(path: str) -> str:
    if not path.startswith(('/', '~/')) or not path.isprintable():
        raise text.Malformed(
            f'expected an absolute path, found {text.quote(path)}'
        )
    return path.rstrip('/') or '/'


def _line(value: str) -> str:
    """Check what becomes a line of an INI file."""
    if not schema.not_blank(value).isprintable():
        raise text.Malformed(
            f'expected one line of text, found {text.quote(value)}'
        )
    return value


_Name = Annotated[
    str, _matching(_NAME, "letters, digits, '_' and '-' for a name")
]
_Node = Annotated[
    str,
    _matching(_NODE, "letters, digits, '.', '_', '~' and '-' for a node"),
]
_Pool = Annotated[
    str, _matching(_POOL, "letters, digits, '.', '_' and '-' for a pool")
]
_RoleName = Annotated[
    str, _matching(_ROLE, 'letters and digits for the name of a role')
]
_Tag = Annotated[
    str, _matching(_TAG, "small letters, digits and '-' for a tag")
]
_User = Annotated[
    str,
    _matching(
        _USER,
        "a cephx user without 'client.', of letters, digits, '_' and '-': a "
        'dot would part the names of keyrings wrongly',
    ),
]
_ClusterName = Annotated[
    str,
    _matching(
        _CLUSTER,
        'letters and digits only for the name of a cluster, as TripleO takes '
        'it (CephClusterName)',
    ),
]
_Url = Annotated[str, _matching(_URL, 'a URL such as http://10.0.0.5:9292')]
_Count = Annotated[int, pydantic.PlainValidator(_count)]
_Size = Annotated[int, pydantic.PlainValidator(_size)]
_Path = Annotated[str, pydantic.AfterValidator(_path)]
_Monitor = Annotated[str, pydantic.AfterValidator(monitors.check)]
_Line = Annotated[str, pydantic.AfterValidator(_line)]
_ImportMethod = Literal[
    'glance-direct', 'web-download', 'copy-image', 'glance-download'
]


class Role(schema.Model):
    """Nodes of one kind; `tag` is the role's own in small letters."""

    count: _Count = 1
    tag: _Tag | None = None
    nodes: tuple[_Node, ...] = ()


class Stack(schema.Model):
    """One unit of deployment."""

    kind: Literal['ceph', 'control-plane', 'compute', 'hyperconverged']
    roles: dict[_RoleName, Role]


class Ceph(schema.Model):
    """A site's cluster."""

    name: _ClusterName | None = None
    owner: Literal['own', 'external'] = 'own'
    monitors: schema.OneOrMore[_Monitor] | None = None
    pools: schema.OneOrMore[_Pool] = ('images', 'volumes', 'vms')
    key_type: Literal['auto', 'aes', 'aes256k'] = 'auto'
    admin_conf: _Path | None = None


class Cache(schema.Model):
    """A glance-api's cache."""

    directory: _Path = '/var/lib/glance/image-cache'
    max_size: _Size = 10 << 30


class Glance(schema.Model):
    """A site's glance-api."""

    backend: Literal['rbd', 'swift'] = 'rbd'
    description: _Line | None = None
    url: _Url | None = None
    cache: Cache | None = None
    data: _Path = '/var/lib/glance'


class Site(schema.Model):
    """How a site is deployed."""

    number: _Count | None = None
    az: _Name | None = None
    ceph: Ceph | None = None
    glance: Glance = Glance()
    stacks: dict[_Name, Stack] = {}


class Tripleo(schema.Model):
    """How TripleO is called."""

    home: _Path = '/home/stack'
    templates: _Path = '/home/stack/templates'
    environments: tuple[_Path, ...] = ()
    network_data: _Path | None = None


class Rhoso(schema.Model):
    """How the operators on Kubernetes are addressed."""

    namespace: _Name = 'openstack'
    control_plane: _Name = 'openstack'
    storage_class: _Name = 'local-storage'
    storage_request: _Line = '20G'
    passwords: _Name = 'osp-secret'
    ssh_key: _Name = 'dataplane-ansible-ssh-private-key-secret'
    domain: _Node = 'ctlplane.example.com'


class Cloud(schema.Model):
    """What holds for all sites."""

    user: _User = 'openstack'
    rados_timeout: _Count | None = None
    import_methods: schema.OneOrMore[_ImportMethod] = (
        'glance-direct',
        'web-download',
        'copy-image',
    )
    tripleo: Tripleo = Tripleo()
    rhoso: Rhoso = Rhoso()
