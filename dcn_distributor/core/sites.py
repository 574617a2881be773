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
"""The sites of a cloud, as sites.yaml describes them."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import NewType

from dcn_distributor.core import images
from dcn_distributor.core import links

SiteName = NewType('SiteName', str)


CENTRAL = SiteName('central')


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach a site's Ceph cluster directly.

    :ivar conf: the path of its ceph.conf, which names its keyring
    :ivar user: the cephx entity without ``client.``
    :ivar pool: where the site's Glance store keeps its images
    :ivar fsid: the id the cluster has to have, if it is told
    """

    conf: str
    user: str
    pool: str
    fsid: str | None = None


_OWN_LINK = links.Link('')


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """An edge site: where copies go. `store` is its Glance store.

    `cluster` is None if it can only be reached through Glance. Every site
    hangs on a link; left out, it is one of its own, called as the site is.
    """

    name: SiteName
    store: images.StoreId
    labels: Mapping[str, str]
    cluster: Cluster | None = None
    link: links.Link = _OWN_LINK
    taints: tuple[links.Taint, ...] = ()

    def __post_init__(self) -> None:
        if self.link is _OWN_LINK:
            object.__setattr__(self, 'link', links.Link(self.name))


@dataclasses.dataclass(frozen=True, slots=True)
class Sites:
    """All sites: central, and the edge sites by name."""

    central_store: images.StoreId
    edges: tuple[Site, ...]
    central_cluster: Cluster | None = None
    central_cost: float = 0.0

    @property
    def everywhere(self) -> tuple[Site, ...]:
        """All sites, central first."""
        central = Site(
            CENTRAL,
            self.central_store,
            {},
            self.central_cluster,
            links.Link(CENTRAL, self.central_cost),
        )
        return (central, *self.edges)

    def __iter__(self) -> Iterator[Site]:
        return iter(self.edges)

    def __len__(self) -> int:
        return len(self.edges)
