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
"""What Nova is told at a site: its Ceph, its Glance, its zone."""

from dcn_distributor.bootstrap import ini
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

POOL = 'vms'
# Nova reads what matches *nova*.conf, in the order of names.
_FILE = {True: '03-ceph-nova.conf', False: '03-glance-nova.conf'}


def has_disks(site: stacks.Site) -> bool:
    """Tell whether Nova keeps the disks of instances in a site's cluster."""
    return site.has_store and site.ceph is not None and POOL in site.ceph.pools


def config_map(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> documents.Document:
    """Make the ConfigMap of a site."""
    return documents.resource(
        'v1',
        'ConfigMap',
        cloud.rhoso.namespace,
        names.nova_config(site),
        data={_FILE[site.has_store]: config(cloud, ring, site)},
    )


def service(cloud: stacks.Cloud, site: stacks.Site) -> documents.Document:
    """Make the service of the data plane: as ``nova``, and the ConfigMap."""
    return documents.resource(
        'dataplane.openstack.org/v1beta1',
        'OpenStackDataPlaneService',
        cloud.rhoso.namespace,
        names.nova_service(site),
        spec={
            'playbook': 'osp.edpm.nova',
            'edpmServiceType': 'nova',
            'caCerts': 'combined-ca-bundle',
            'containerImageFields': ['NovaComputeImage'],
            'dataSources': [
                {'configMapRef': {'name': names.nova_config(site)}},
                {'secretRef': {'name': 'nova-cell1-compute-config'}},
                {'secretRef': {'name': 'nova-migration-ssh-key'}},
            ],
        },
    )


def config(cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site) -> str:
    """Write what Nova reads."""
    return ini.write(
        {
            **(
                {'libvirt': _libvirt(cloud, ring, site)}
                if has_disks(site)
                else {}
            ),
            'glance': {
                'endpoint_override': names.glance_url(cloud, site.name),
                'valid_interfaces': 'internal',
            },
            'cinder': {
                'cross_az_attach': 'False',
                'catalog_info': 'volumev3:cinderv3:internalURL',
            },
        }
    )


def _libvirt(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> dict[str, object]:
    assert site.ceph is not None
    return {
        'images_type': 'rbd',
        'images_rbd_pool': POOL,
        'images_rbd_ceph_conf': site.ceph.conf,
        # From this store Nova clones; what is not there it has copied there,
        # looking every so many seconds, for so many at most.
        'images_rbd_glance_store_name': site.store,
        'images_rbd_glance_copy_poll_interval': 15,
        'images_rbd_glance_copy_timeout': 600,
        'rbd_user': rings.user_of(cloud, ring, site).user,
        'rbd_secret_uuid': site.ceph.fsid,
    }
