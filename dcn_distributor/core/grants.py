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
"""Who needs a key to which cluster, and what it may do there.

Of the documents that DCN deployments follow: central's Glance writes to all
clusters, a site's Glance to its own and to central's, and each cluster has
one entity for that, so that it can be revoked by itself. The agent has one
more everywhere, which may do no more than it needs.
"""

import dataclasses

from dcn_distributor.core import cephx
from dcn_distributor.core import sites
from dcn_distributor.core import stacks

# The user that has nothing but Glance's pool; all others have all pools.
_GLANCE = 'glance'


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """One entity of one cluster.

    :ivar site: whose cluster
    :ivar entity: with its type, as ``client.glance``
    :ivar holders: the sites whose hosts have its keyring
    :ivar purpose: for what, in words
    """

    site: sites.SiteName
    entity: str
    caps: cephx.Caps
    holders: tuple[sites.SiteName, ...]
    purpose: str

    @property
    def user(self) -> str:
        """The entity without ``client.``."""
        return self.entity.removeprefix('client.')


def wanted(cloud: stacks.Cloud) -> tuple[Grant, ...]:
    """List all, those of central's cluster first."""
    grants = []
    for site, ceph in cloud.clusters():
        if not site.has_store:
            continue
        users = tuple(user.name for user in cloud.users_of(site))
        grants.append(
            Grant(
                site.name,
                f'client.{cloud.user}',
                user_caps(cloud.user, ceph),
                users,
                f'Glance of {", ".join(users)}',
            )
        )
        if ceph.agent_user is not None and ceph.agent_user != cloud.user:
            grants.append(
                Grant(
                    site.name,
                    f'client.{ceph.agent_user}',
                    agent_caps(ceph),
                    (sites.CENTRAL,),
                    'the agent',
                )
            )
    return tuple(grants)


def of_cluster(cloud: stacks.Cloud, site: stacks.Site) -> tuple[Grant, ...]:
    """List those of one site's cluster."""
    return tuple(g for g in wanted(cloud) if g.site == site.name)


def held_by(cloud: stacks.Cloud, site: stacks.Site) -> tuple[Grant, ...]:
    """List those whose keyrings a site's hosts have, its own cluster first."""
    held = [g for g in wanted(cloud) if site.name in g.holders]
    return tuple(sorted(held, key=lambda grant: grant.site != site.name))


def user_caps(user: str, ceph: stacks.Ceph) -> cephx.Caps:
    """What Glance's user may do: as tripleo's client.openstack."""
    pools = (ceph.image_pool,) if user == _GLANCE else ceph.pools
    return {
        'mgr': 'allow *',
        'mon': 'profile rbd',
        'osd': ', '.join(f'profile rbd pool={pool}' for pool in pools),
    }


def agent_caps(ceph: stacks.Ceph) -> cephx.Caps:
    """What the agent may do: read and write images in Glance's pool."""
    return {
        'mon': 'profile rbd',
        'osd': f'profile rbd pool={ceph.image_pool}',
    }
