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
"""The Secrets with the Ceph files of each site.

Central has those of all clusters, an edge site its own and central's. A
Secret has one keyring for a cluster: on nodes the key of a cluster is found
by its fsid, and the user by parting the name of the keyring at its dots
(edpm-ansible: edpm_libvirt, tasks/post-install.yml). What the agent has at
each cluster is therefore in none of them.
"""

import base64
from collections.abc import Iterator

from dcn_distributor.bootstrap import ceph_files
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

# In pods, and in the containers on nodes.
ETC = '/etc/ceph'


def secret(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> documents.Document:
    """Make the Secret of a site that has a store."""
    files = contents(cloud, ring, site, cloud.stores_of(site))
    return documents.resource(
        'v1',
        'Secret',
        cloud.rhoso.namespace,
        names.ceph_secret(site),
        type='Opaque',
        data={
            name: base64.b64encode(text.encode()).decode()
            for name, text in files.items()
        },
    )


def contents(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    stores: tuple[stacks.Site, ...],
) -> dict[str, str]:
    """Give the Ceph files that a site has of the clusters of `stores`."""
    wanted = {store.name for store in stores}
    return {
        name: text
        for grant in grants.held_by(cloud, site)
        if grant.user == cloud.user and grant.site in wanted
        for name, text in _pair(cloud, ring, grant)
    }


def _pair(
    cloud: stacks.Cloud, ring: rings.Ring, grant: grants.Grant
) -> Iterator[tuple[str, str]]:
    ceph = cloud.site(grant.site).ceph
    entity = ring.entity(grant)
    assert ceph is not None
    assert entity is not None
    keyring = ceph_files.keyring_name(ceph, entity.name)
    yield f'{ceph.name}.conf', ceph_files.conf(ceph, keyring, ETC)
    yield keyring, cephx.keyring([entity])
