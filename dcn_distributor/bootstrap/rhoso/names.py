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
"""What things are called on Kubernetes, and in which files they are.

One word ties a site together: its Glance API, its Cinder volume service and
the mount of its Ceph files have its name, as mounts reach pods by the name of
the instance (lib-common: modules/storage, Propagate).
"""

from dcn_distributor.core import sites
from dcn_distributor.core import stacks

CEPH_FILES = 'ceph-conf-files'
CONTROL_PLANE_FILE = 'control-plane.yaml'


def ceph_secret(site: stacks.Site) -> str:
    """The Secret with the Ceph files that a site has."""
    return CEPH_FILES if site.is_central else f'{CEPH_FILES}-{site.name}'


def ceph_secret_file(site: stacks.Site) -> str:
    """The file of that Secret."""
    return f'secrets/{ceph_secret(site)}.yaml'


def nova_config(site: stacks.Site) -> str:
    """The ConfigMap with what Nova is told at a site."""
    return f'{_nova(site)}-{site.name}'


def nova_config_file(site: stacks.Site) -> str:
    """The file of that ConfigMap."""
    return f'{site.name}/{nova_config(site)}.yaml'


def nova_service(site: stacks.Site) -> str:
    """The service of the data plane that tells Nova.

    It cannot be called ``nova``: that one is the operator's, which writes it
    anew (openstack-k8s-operators/docs: ceph.md).
    """
    kind = 'ceph' if site.has_store else 'glance'
    return f'nova-custom-{kind}-{site.name}'


def nova_service_file(site: stacks.Site) -> str:
    """The file of that service."""
    return f'{site.name}/{nova_service(site)}.yaml'


def node_set_file(site: stacks.Site, stack: stacks.Stack) -> str:
    """The file of a stack's node set, which has the stack's name."""
    return f'{site.name}/{stack.name}-node-set.yaml'


def deployment_file(site: stacks.Site, stack: stacks.Stack) -> str:
    """The file of a stack's deployment."""
    return f'{site.name}/{stack.name}-deployment.yaml'


def pre_ceph(stack: stacks.Stack) -> str:
    """The deployment of a stack before it has Ceph."""
    return f'{stack.name}-pre-ceph'


def pre_ceph_file(site: stacks.Site, stack: stacks.Stack) -> str:
    """The file of that deployment."""
    return f'{site.name}/{pre_ceph(stack)}.yaml'


def glance_url(cloud: stacks.Cloud, site: sites.SiteName) -> str:
    """Where a site's Glance is for those inside.

    Services have TLS unless somebody turns it off, and the internal one is
    called after the API (glance-operator: internal/controller).
    """
    return f'https://glance-{site}-internal.{cloud.rhoso.namespace}.svc:9292'


def _nova(site: stacks.Site) -> str:
    return 'ceph-nova' if site.has_store else 'glance-nova'
