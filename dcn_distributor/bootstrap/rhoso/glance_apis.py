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
"""The Glance APIs of the control plane, one for each site.

That of central is the one in Keystone's catalogue, with a public part that
hides locations and an internal one that tells them (type split); those of
edge sites have an internal part only (type edge). Staging, tasks, the URL of
each worker and which part tells locations are the operator's business
(glance-operator: templates/common/config, internal/glanceapi).
"""

from collections.abc import Mapping
import ipaddress
from urllib import parse

from dcn_distributor.bootstrap import glance_stores
from dcn_distributor.bootstrap import ini
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

_CENTRAL_REPLICAS = 3
_EDGE_REPLICAS = 1
_POOL = 'internalapi'
_METALLB = 'metallb.universe.tf'


def template(cloud: stacks.Cloud, ring: rings.Ring) -> dict[str, object]:
    """Make what is below spec.glance.template."""
    rhoso = cloud.rhoso
    return {
        'databaseInstance': 'openstack',
        'secret': rhoso.passwords,
        # Never of type edge: the operator refuses that (glance_webhook.go).
        'keystoneEndpoint': cloud.central.name,
        'imageCache': {'size': ''},
        'storage': {
            'storageClass': rhoso.storage_class,
            'storageRequest': rhoso.storage_request,
        },
        'glanceAPIs': {
            site.name: _api(cloud, ring, site) for site in cloud.sites
        },
    }


def options(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Mapping[str, Mapping[str, object]]:
    """Give the sections of a site's glance-api, the site's own store first."""
    stores = cloud.stores_of(site)
    if stores:
        sections = {str(of.store): _rbd(cloud, ring, of) for of in stores}
        backend = stacks.Backend.RBD
    else:
        # All sites share the one that central has.
        sections = {str(cloud.central.store): _swift()}
        backend = stacks.Backend.SWIFT
    methods = ','.join(cloud.import_methods)
    default = next(iter(sections))
    return {
        'DEFAULT': {
            'enabled_backends': ','.join(
                f'{store}:{backend.value}' for store in sections
            ),
            'enabled_import_methods': f'[{methods}]',
            # Of one location for each store, ten are too few.
            'image_location_quota': -1 if stores else None,
        },
        'glance_store': {'default_backend': default},
        **sections,
    }


def _api(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> dict[str, object]:
    api: dict[str, object] = {
        'type': 'split' if site.is_central else 'edge',
        'replicas': _CENTRAL_REPLICAS if site.is_central else _EDGE_REPLICAS,
        'customServiceConfig': ini.write(options(cloud, ring, site)),
    }
    if site.glance.cache is not None:
        api['imageCache'] = {'size': quantity(site.glance.cache.max_bytes)}
    address = _address(site.glance.url)
    if address is not None:
        api['override'] = {'service': {'internal': _balanced(address)}}
    return api


def _rbd(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> dict[str, object]:
    assert site.ceph is not None
    user = rings.user_of(cloud, ring, site)
    return {
        **glance_stores.section(site, user, site.ceph.conf),
        'rbd_thin_provisioning': 'True',
    }


def _swift() -> dict[str, object]:
    """Swift as Glance's own user; the operator fills in what is in braces."""
    return {
        'swift_store_create_container_on_put': 'True',
        'swift_store_auth_version': 3,
        'swift_store_auth_address': '{{ .KeystoneInternalURL }}',
        'swift_store_endpoint_type': 'internalURL',
        'swift_store_user': 'service:glance',
        'swift_store_key': '{{ .ServicePassword }}',
        'swift_store_region': '{{ .Region }}',
    }


def quantity(size_bytes: int) -> str:
    """Write a size as Kubernetes does."""
    for unit, shift in (('Gi', 30), ('Mi', 20), ('Ki', 10)):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f'{size_bytes >> shift}{unit}'
    return str(size_bytes)


def _address(url: str | None) -> str | None:
    """The address in a URL; None if it has a name, which others look after."""
    host = parse.urlsplit(url).hostname if url else None
    try:
        return str(ipaddress.ip_address(host or ''))
    except ValueError:
        return None


def _balanced(address: str) -> dict[str, object]:
    """Have a service at an address: nodes are outside of Kubernetes."""
    return {
        'metadata': {
            'annotations': {
                f'{_METALLB}/address-pool': _POOL,
                f'{_METALLB}/allow-shared-ip': _POOL,
                f'{_METALLB}/loadBalancerIPs': address,
            }
        },
        'spec': {'type': 'LoadBalancer'},
    }
