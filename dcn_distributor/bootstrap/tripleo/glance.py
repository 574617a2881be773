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
"""Glance in the parameters of TripleO: stores, import methods, cache."""

from dcn_distributor.bootstrap.tripleo import keys
from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def at_first(cloud: stacks.Cloud, site: stacks.Site) -> keys.Parameters:
    """A site's own store, and what holds for every glance-api.

    The store has its final id from the first deployment on: images remember
    it. So central's Swift has the same id wherever it is read from.
    """
    glance = site.glance
    is_rbd = glance.backend is stacks.Backend.RBD
    owner = site if is_rbd else cloud.central
    parameters: keys.Parameters = {
        'GlanceBackend': glance.backend.value,
        'GlanceBackendID': owner.store,
        'GlanceStoreDescription': owner.glance.description,
        'GlanceEnabledImportMethods': ','.join(cloud.import_methods),
    }
    if is_rbd:
        # Nova clones an image only if it learns of its location.
        parameters['GlanceShowMultipleLocations'] = True
    if glance.cache is not None:
        parameters |= {
            'GlanceCacheEnabled': True,
            'GlanceImageCacheDir': glance.cache.directory,
            'GlanceImageCacheMaxSize': glance.cache.max_bytes,
        }
    return parameters


def with_others(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> keys.Parameters:
    """A site's own store and those of the others that it uses."""
    parameters = at_first(cloud, site)
    others = relations.seen_from(cloud, site)
    if others:
        parameters['GlanceMultistoreConfig'] = {
            other.store: _store(cloud, ring, site, other) for other in others
        }
    return parameters


def _store(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    other: stacks.Site,
) -> keys.Parameters:
    store: keys.Parameters = {
        'GlanceBackend': other.glance.backend.value,
        'GlanceStoreDescription': other.glance.description,
    }
    if other.ceph is not None:
        store['CephClientUserName'] = rings.user_of(cloud, ring, other).user
        store['CephClusterName'] = other.ceph.name
        own = site.ceph.image_pool if site.ceph is not None else None
        if other.ceph.image_pool != own:
            # What is not said is that of the stack itself.
            store['GlanceRbdPoolName'] = other.ceph.image_pool
    return store
