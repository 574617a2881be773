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
"""Which images of a pool are claimed: one object that names them all.

RADOS has no list of a namespace: to find the claims by listing objects is to
list all of the pool, and its data are millions of objects (ceph: PGNLS, as in
osd/PrimaryLogPG.cc, filters what it has read). So the id of each image that
is claimed is a key in the omap of an object beside the claims.

An image may be named here that is not claimed, if a process died in between
or two met; it is forgotten when somebody clears it up.
"""

import rados

from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.core import images

# The name of no claim: those are UUIDs.
NAME = 'index'
_PAGE = 1000


class ClaimIndex:
    """The images that are claimed in a pool, or were when a process died."""

    def __init__(self, connections: ceph_connections.Connections) -> None:
        self._connections = connections

    def add(self, image_id: images.ImageId) -> None:
        """Name an image; nothing if it is named already."""
        connection = self._connections.first()
        with (
            connection.translated(f'enter image {image_id} in the claims'),
            rados.WriteOpCtx() as operation,
        ):
            pool = connection.pool(namespace=ceph_connections.NAMESPACE)
            pool.set_omap(operation, (image_id,), (b'',))
            pool.operate_write_op(operation, NAME)

    def remove(self, image_id: images.ImageId) -> None:
        """Name it no more; nothing if it is not named."""
        connection = self._connections.first()
        with (
            connection.translated(f'take image {image_id} from the claims'),
            rados.WriteOpCtx() as operation,
        ):
            pool = connection.pool(namespace=ceph_connections.NAMESPACE)
            pool.remove_omap_keys(operation, (image_id,))
            pool.operate_write_op(operation, NAME)

    def list(self) -> frozenset[images.ImageId]:
        """List all; one round trip for a thousand."""
        connection = self._connections.first()
        found: list[str] = []
        with connection.translated(
            f'list claims in {self._connections.label}'
        ):
            pool = connection.pool(namespace=ceph_connections.NAMESPACE)
            page = _read(pool, '')
            while page:
                found += page
                page = _read(pool, page[-1]) if len(page) == _PAGE else []
        return frozenset(images.ImageId(name) for name in found)


def _read(pool: rados.Ioctx, after: str) -> list[str]:
    """Read the names that follow one, so many at most."""
    with rados.ReadOpCtx() as operation:
        found, _ = pool.get_omap_keys(operation, after, _PAGE)
        try:
            pool.operate_read_op(operation, NAME)
        except rados.ObjectNotFound:
            return []
        return [str(name) for name, _ in found]
