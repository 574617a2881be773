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
"""Render what each site's glance-api has to be told of stores.

One file for each, to lie beside its others in a directory of configuration
files (``glance-api.conf.d``): databases, Keystone and the bus are the
deployment tool's business.

A store's id and its section's name are the same (glance_store: multi_backend),
``enabled_import_methods`` wants brackets (glance: async_/flows/
api_image_import.py), and ``worker_self_reference_url`` is where other
glance-apis fetch what was staged here.
"""

from collections.abc import Mapping

from dcn_distributor.bootstrap import ceph_files
from dcn_distributor.bootstrap import glance_stores
from dcn_distributor.bootstrap import ini
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

NAME = 'dcn-stores.conf'


def render(
    cloud: stacks.Cloud, ring: rings.Ring, etc: str = '/etc/ceph'
) -> tuple[renderings.File, ...]:
    """Render ``<site>/glance-api.conf.d/dcn-stores.conf`` for every site.

    `cloud` is resolved, and nothing is missing. `etc` is where ceph.confs are
    on the hosts; ``{site}`` in it stands for each site's name.
    """
    return tuple(
        renderings.File(
            f'{site.name}/glance-api.conf.d/{NAME}',
            ini.write(
                options(cloud, ring, site, ceph_files.etc_of(etc, site.name))
            ),
        )
        for site in cloud.sites
    )


def options(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site, etc: str
) -> Mapping[str, Mapping[str, object]]:
    """Give the sections of one glance-api.

    For Swift the store's own options, with its credentials, are not ours.
    """
    glance = site.glance
    backends = {str(s.store): s.glance.backend for s in _stores(cloud, site)}
    methods = ','.join(cloud.import_methods)
    return {
        'DEFAULT': {
            'enabled_backends': ','.join(
                f'{store}:{backend.value}'
                for store, backend in backends.items()
            ),
            'enabled_import_methods': f'[{methods}]',
            # The agent announces copies as locations.
            'show_multiple_locations': _said(site.has_store),
            'image_location_quota': -1 if site.has_store else None,
            'worker_self_reference_url': glance.url,
            **_cache(glance.cache),
        },
        'glance_store': {'default_backend': next(iter(backends))},
        'paste_deploy': {
            'flavor': 'keystone+cachemanagement'
            if glance.cache
            else 'keystone'
        },
        **{
            str(each.store): _rbd(cloud, ring, each, etc)
            for each in cloud.stores_of(site)
        },
        **{
            f'os_glance_{name}_store': {
                'filesystem_store_datadir': f'{glance.data}/{name}'
            }
            for name in ('staging', 'tasks')
        },
    }


def _stores(cloud: stacks.Cloud, site: stacks.Site) -> tuple[stacks.Site, ...]:
    """The sites whose stores it has; that of central, if all share one."""
    return cloud.stores_of(site) or (cloud.central,)


def _rbd(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site, etc: str
) -> dict[str, object]:
    assert site.ceph is not None
    return glance_stores.section(
        site, rings.user_of(cloud, ring, site), f'{etc}/{site.ceph.name}.conf'
    )


def _cache(cache: stacks.Cache | None) -> dict[str, object]:
    if cache is None:
        return {}
    return {
        'image_cache_dir': cache.directory,
        'image_cache_max_size': cache.max_bytes,
    }


def _said(is_so: bool) -> str:
    return 'true' if is_so else 'false'
