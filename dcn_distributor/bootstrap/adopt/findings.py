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
"""What sources tell of clusters, before it is known which site has which."""

from collections.abc import Mapping
import dataclasses
import re

from dcn_distributor.core import cephx
from dcn_distributor.core import monitors
from dcn_distributor.core import text

_CLUSTER = re.compile(r'[A-Za-z0-9]+')
_FSID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
# What runs a cluster, and is nobody's who uses it.
_OF_CEPH = re.compile(r'client\.(?:admin|crash|bootstrap-.*)|(?!client\.).*')


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A text to read.

    :ivar name: its path, or what else it is called in messages
    :ivar text: all of it; there may be secrets in it
    """

    name: str
    text: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What one source tells of one cluster.

    :ivar source: which, in messages
    :ivar cluster: its name, as that of ``/etc/ceph/<name>.conf``
    :ivar monitors: as ``mon host`` has them
    :ivar entities: of who uses it; without caps where the source has none
    :ivar pool: of Glance, if the source tells
    :ivar is_external: whether the source says that it is not deployed here
    """

    source: str
    cluster: str
    fsid: str
    monitors: tuple[str, ...]
    entities: tuple[cephx.Entity, ...]
    pool: str | None = None
    is_external: bool = False


def check_cluster(name: str) -> str:
    """Return the name of a cluster. Raises Malformed."""
    if not _CLUSTER.fullmatch(name):
        raise text.Malformed(
            'expected the name of a cluster, of letters and digits, found '
            f'{text.quote(name)}: give it another name in this source'
        )
    return name


def check_fsid(fsid: str) -> str:
    """Return an fsid in small letters. Raises Malformed."""
    if not _FSID.fullmatch(fsid.lower()):
        raise text.Malformed(
            f"expected a UUID, found {text.quote(fsid)}: 'ceph fsid' prints "
            'that of a cluster'
        )
    return fsid.lower()


def check_monitors(mon_host: str) -> tuple[str, ...]:
    """Part a list of monitors. Raises Malformed."""
    try:
        return monitors.split(mon_host)
    except text.Malformed as exc:
        raise text.Malformed(
            f"{exc.message}: 'ceph config generate-minimal-conf' prints them"
        ) from None


def entity(name: str, key: str, caps: Mapping[str, str]) -> cephx.Entity:
    """Make an entity. Raises ValueError, which does not tell the key."""
    return cephx.Entity(
        cephx.check_name(name), cephx.parse_secret(key), dict(caps)
    )


def is_users(entity: cephx.Entity) -> bool:
    """Tell whether it is for who uses a cluster, and not for Ceph itself."""
    return not _OF_CEPH.fullmatch(entity.name)
