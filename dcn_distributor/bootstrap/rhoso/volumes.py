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
"""Cinder's volume services, one for each site with a pool for volumes."""

from dcn_distributor.bootstrap import ini
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

POOL = 'volumes'
_BACKEND = 'ceph'


def has_volumes(site: stacks.Site) -> bool:
    """Tell whether Cinder keeps volumes in a site's cluster."""
    return site.has_store and site.ceph is not None and POOL in site.ceph.pools


def template(cloud: stacks.Cloud, ring: rings.Ring) -> dict[str, object]:
    """Make what is below spec.cinder.template; {} if there are no volumes."""
    sites = [site for site in cloud.sites if has_volumes(site)]
    if not sites:
        return {}
    return {
        'databaseInstance': 'openstack',
        'secret': cloud.rhoso.passwords,
        'customServiceConfig': ini.write(
            {'DEFAULT': {'storage_availability_zone': cloud.central.az}}
        ),
        # Both have to be there, and all that is in them is the operator's.
        'cinderAPI': {},
        'cinderScheduler': {},
        'cinderVolumes': {
            site.name: {'customServiceConfig': _config(cloud, ring, site)}
            for site in sites
        },
    }


def _config(cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site) -> str:
    assert site.ceph is not None
    return ini.write(
        {
            'DEFAULT': {
                'enabled_backends': _BACKEND,
                'glance_api_servers': names.glance_url(cloud, site.name),
            },
            _BACKEND: {
                'volume_backend_name': _BACKEND,
                'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver',
                'rbd_ceph_conf': site.ceph.conf,
                'rbd_user': rings.user_of(cloud, ring, site).user,
                'rbd_pool': POOL,
                # A volume stays a clone of its image.
                'rbd_flatten_volume_from_snapshot': 'False',
                'rbd_secret_uuid': site.ceph.fsid,
                'rbd_cluster_name': site.ceph.name,
                'backend_availability_zone': site.az,
            },
        }
    )
