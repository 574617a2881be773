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
"""cephx keys in the parameters of TripleO.

CephExtraKeys has what a cluster makes when it is deployed, and
CephExternalMultiConfig what a stack's hosts get of other clusters: as
`openstack overcloud export ceph` writes it (tripleoclient: export.py), and
as tripleo-ansible's role tripleo_ceph_client reads it.
"""

from typing import Any

from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

_DAEMONS = ('mgr', 'mon', 'osd', 'mds')
Parameters = dict[str, Any]


def of_own_cluster(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Parameters:
    """What the cluster that a stack deploys makes, beside TripleO's own.

    client.openstack is TripleO's own, which it makes of CephClientKey.
    """
    extra = []
    parameters: Parameters = {}
    for grant in grants.of_cluster(cloud, site):
        issued = ring.entity(grant)
        if issued is None:
            continue
        if grant.user == relations.CEPH_USER:
            parameters['CephClientUserName'] = issued.user
            parameters['CephClientKey'] = issued.secret.text
        else:
            extra.append(_key(issued))
    if extra:
        parameters['CephExtraKeys'] = extra
    return parameters


def of_other_clusters(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Parameters:
    """What a site's hosts need of the other clusters its Glance uses."""
    return {
        'CephExternalMultiConfig': [
            _cluster(cloud, ring, other)
            for other in relations.seen_from(cloud, site)
        ]
    }


def of_external_cluster(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Parameters:
    """How a site's stacks use its cluster, if it comes from elsewhere."""
    ceph = _ceph(site)
    user = rings.user_of(cloud, ring, site)
    return {
        'CephClusterFSID': ceph.fsid,
        'CephClientKey': user.secret.text,
        'CephClientUserName': user.user,
        'CephExternalMonHost': ceph.mon_host,
        'CephClusterName': ceph.name,
        'GlanceRbdPoolName': ceph.image_pool,
    }


def of_deployed_ceph(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Parameters:
    """What `openstack overcloud ceph deploy` makes in a new cluster.

    Variables of tripleo-ansible's role tripleo_cephadm.
    """
    ceph = _ceph(site)
    made = [
        _key(issued)
        for grant in grants.of_cluster(cloud, site)
        if (issued := ring.entity(grant)) is not None
    ]
    variables: Parameters = {
        'tripleo_cephadm_pools': [
            {'name': pool, 'pg_autoscale_mode': True, 'application': 'rbd'}
            for pool in ceph.pools
        ]
    }
    if ceph.fsid is not None:
        variables['tripleo_cephadm_fsid'] = ceph.fsid
    if made:
        # Without any, the client makes client.openstack itself.
        variables['tripleo_cephadm_keys'] = made
    return variables


def _cluster(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Parameters:
    ceph = _ceph(site)
    user = rings.user_of(cloud, ring, site)
    return {
        'cluster': ceph.name,
        'fsid': ceph.fsid,
        'external_cluster_mon_ips': ceph.mon_host,
        'keys': [_key(user)],
        'dashboard_enabled': False,
        # Glance opens a cluster by its conf and a user alone, so the conf
        # has to say where that user's keyring is.
        'ceph_conf_overrides': {
            'client': {'keyring': ceph.keyring(user.user)}
        },
    }


def _key(each: cephx.Entity) -> Parameters:
    return {
        'name': each.name,
        'caps': {d: each.caps[d] for d in _DAEMONS if d in each.caps},
        'key': each.secret.text,
        'mode': '0600',
    }


def _ceph(site: stacks.Site) -> stacks.Ceph:
    if site.ceph is None:
        raise ValueError(f'{site.name} has no cluster')
    return site.ceph
