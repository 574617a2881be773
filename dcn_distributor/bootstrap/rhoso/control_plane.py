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
"""The parts of the OpenStackControlPlane that a cloud of sites needs.

They are to be merged into what is there (server-side apply): what is not
named here stays as it is, but for lists, which are replaced whole. The only
one here is extraMounts.
"""

from dcn_distributor.bootstrap.rhoso import ceph_secrets
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.rhoso import glance_apis
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.bootstrap.rhoso import volumes
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def control_plane(cloud: stacks.Cloud, ring: rings.Ring) -> documents.Document:
    """Make them."""
    spec: dict[str, object] = {
        'secret': cloud.rhoso.passwords,
        'storageClass': cloud.rhoso.storage_class,
    }
    mounts = [_mount(site) for site in cloud.sites if site.has_store]
    if mounts:
        spec['extraMounts'] = [
            {'name': 'v1', 'region': 'r1', 'extraVol': mounts}
        ]
    spec['glance'] = {
        'enabled': True,
        'template': glance_apis.template(cloud, ring),
    }
    cinder = volumes.template(cloud, ring)
    if cinder:
        spec['cinder'] = {'enabled': True, 'template': cinder}
    if cloud.central.glance.backend is stacks.Backend.SWIFT:
        # How many there are of each, and on what, is the operator's.
        parts = ('swiftProxy', 'swiftRing', 'swiftStorage')
        spec['swift'] = {
            'enabled': True,
            'template': {part: {} for part in parts},
        }
    return documents.resource(
        'core.openstack.org/v1beta1',
        'OpenStackControlPlane',
        cloud.rhoso.namespace,
        cloud.rhoso.control_plane,
        spec=spec,
    )


def _mount(site: stacks.Site) -> dict[str, object]:
    """Mount a site's Ceph files in the pods that have its name."""
    backups = ['CinderBackup'] if site.is_central else []
    return {
        'propagation': [site.name, *backups],
        **ceph_mount(site),
    }


def ceph_mount(site: stacks.Site) -> dict[str, object]:
    """Mount the Secret with a site's Ceph files."""
    volume = 'ceph' if site.is_central else f'ceph-{site.name}'
    return {
        'extraVolType': 'Ceph',
        'volumes': [
            {
                'name': volume,
                'secret': {'secretName': names.ceph_secret(site)},
            }
        ],
        'mounts': [
            {
                'name': volume,
                'mountPath': ceph_secrets.ETC,
                'readOnly': True,
            }
        ],
    }
