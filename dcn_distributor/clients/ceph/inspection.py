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
"""Look at the images of a pool, without changing any."""

import contextlib

import rbd

from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import names as ceph_names
from dcn_distributor.core import images
from dcn_distributor.core import storage


def published(
    connection: ceph_connections.Connection, image_id: images.ImageId
) -> storage.Published | None:
    """Look at what has the image's id for its name, if anything has."""
    with connection.translated(f'look at image {image_id}'):
        pool = connection.pool()
        if headers.read_id(pool, image_id) is None:
            return None
        try:
            image = rbd.Image(pool, image_id, read_only=True)
        except rbd.ImageNotFound:
            # Its maker died before it had a header.
            return storage.Published(
                size_bytes=0,
                has_snapshot=False,
                is_protected=False,
                has_watchers=False,
            )
        with image:
            is_protected = False
            names = [snap['name'] for snap in image.list_snaps()]
            if storage.SNAPSHOT in names:
                with contextlib.suppress(rbd.ImageNotFound):
                    is_protected = image.is_protected_snap(storage.SNAPSHOT)
            return storage.Published(
                size_bytes=image.size(),
                has_snapshot=storage.SNAPSHOT in names,
                is_protected=is_protected,
                has_watchers=any(image.watchers_list()),
            )


def has_draft(
    connection: ceph_connections.Connection, image_id: images.ImageId
) -> bool:
    """Tell whether there is an image of ours to be filled."""
    name = ceph_names.draft(image_id)
    with connection.translated(f'look for image {name}'):
        return headers.read_id(connection.pool(), name) is not None


def drafts(
    connection: ceph_connections.Connection,
) -> frozenset[images.ImageId]:
    """List the images that have a draft. Reads the list of the pool."""
    with connection.translated('list images'):
        names = rbd.RBD().list(connection.pool())
    return frozenset(
        images.ImageId(name.removesuffix(storage.DRAFT_SUFFIX))
        for name in names
        if name.endswith(storage.DRAFT_SUFFIX)
    )
