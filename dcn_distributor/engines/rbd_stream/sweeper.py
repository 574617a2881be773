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
"""Removes what dead transfers left in the clusters, and nothing else.

A draft is material for the next pass as long as its image may still be
wanted there. It is removed once Glance has no such image any more, and a
claim once the copy it stands for is registered. A copy that has the image's
own name is never removed here: that Glance shows us no such image may be for
want of a role, and it may have been registered.
"""

from collections.abc import Callable
from collections.abc import Mapping
import threading

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import storage

LOG = log.getLogger(__name__)


def sweep(
    glance: ports.Images,
    clusters: Mapping[images.StoreId, storage.Cluster],
    is_running: Callable[[images.ImageId], bool],
) -> None:
    """Look through all clusters, and return when that is done.

    Each has a thread of its own, since one may hang.
    """
    sweeping = [
        threading.Thread(
            target=_sweep_one,
            args=[glance, store, cluster, is_running],
            name=f'sweep-{store}',
            daemon=True,
        )
        for store, cluster in clusters.items()
    ]
    for thread in sweeping:
        thread.start()
    for thread in sweeping:
        thread.join()


def _sweep_one(
    glance: ports.Images,
    store: images.StoreId,
    cluster: storage.Cluster,
    is_running: Callable[[images.ImageId], bool],
) -> None:
    """Clear what can be cleared; a lost cluster waits for another time."""
    try:
        for image_id in cluster.leftovers():
            if not is_running(image_id):
                _try_to_clear(glance, store, cluster, image_id)
    except exceptions.DistributorError as exc:
        LOG.debug('store=%s is not swept: %s', store, exc)
    except Exception:
        LOG.exception('store=%s: a bug in rbd-stream', store)


def _try_to_clear(
    glance: ports.Images,
    store: images.StoreId,
    cluster: storage.Cluster,
    image_id: images.ImageId,
) -> None:
    """Clear one image; what cannot be cleared does not keep the others.

    Raises ClusterUnavailable.
    """
    try:
        _clear(glance, store, cluster, image_id)
    except (exceptions.CopyInProgress, exceptions.GlanceUnavailable) as exc:
        LOG.debug('image=%s store=%s: %s', image_id, store, exc)
    except exceptions.ClusterUnavailable:
        raise
    except exceptions.DistributorError as exc:
        LOG.warning(
            'image=%s store=%s: what was left of a copy stays, and is tried '
            'again by the next resync: %s',
            image_id,
            store,
            exc,
        )
    except Exception:
        LOG.exception(
            'image=%s store=%s: a bug in rbd-stream', image_id, store
        )


def _clear(
    glance: ports.Images,
    store: images.StoreId,
    cluster: storage.Cluster,
    image_id: images.ImageId,
) -> None:
    try:
        image = glance.get(image_id)
    except exceptions.ImageNotFound:
        if cluster.remains(image_id).published is not None:
            LOG.warning(
                'image=%s store=%s: a copy of ours was left, and Glance shows '
                'no such image. If that was deleted, remove the copy with: '
                'dcn-distributor clean %s',
                image_id,
                store,
                image_id,
            )
            return
        is_registered = False
    else:
        is_registered = store in image.stores
        if not is_registered:
            return

    def is_still_registered() -> bool:
        if store not in glance.get(image_id).stores:
            raise exceptions.CopyInProgress(
                'a copy with the name of the image has come up meanwhile'
            )
        return True

    if cluster.clear(image_id, is_registered=is_still_registered):
        LOG.info(
            'image=%s store=%s: removed what was left of a copy that %s',
            image_id,
            store,
            'is registered' if is_registered else 'nobody needs any more',
        )
