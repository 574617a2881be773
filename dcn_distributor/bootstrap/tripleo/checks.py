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
"""What TripleO cannot take, though it is right in itself."""

from collections.abc import Iterator

from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import cephx
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

_GLANCE = 'glance'


def find(cloud: stacks.Cloud, ring: rings.Ring) -> Iterator[str]:
    """Say what is wrong, and what to do; nothing if all is well."""
    for site in cloud.sites:
        if site.has_store:
            yield from _client_keys(cloud, ring, site)


def _client_keys(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Iterator[str]:
    is_used = any(relations.is_client(site, stack) for stack in site.stacks)
    user = rings.user_of(cloud, ring, site)
    if is_used and cloud.user == _GLANCE:
        yield (
            f'{site.name}: Nova and Cinder use the same key of the cluster '
            f"as Glance there, and {user.name} may use Glance's pool alone: "
            'set deploy.user to openstack'
        )
    if not is_used and cloud.user != relations.CEPH_USER:
        return
    if user.secret.key_type is not cephx.KeyType.AES:
        yield (
            f'{site.name}: TripleO takes keys of type aes only for '
            f'CephClientKey, and that of {user.name} is of type '
            f"{user.secret.key_type.word}: set deploy.ceph.key_type to 'aes', "
            "allow that in the cluster, and run 'bootstrap keys' again"
        )
