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
"""A look into a site's Ceph cluster, past Glance and agent."""

from collections.abc import Iterator
import contextlib
import hashlib

import rados
import rbd

_TIMEOUT_S = '20'
_CHUNK = 8 * 2**20


class Cluster:
    """The pools of one site, seen as its administrator.

    :param conf: path of a ceph.conf whose default keyring is client.admin's
    """

    def __init__(self, conf: str) -> None:
        self._cluster = rados.Rados(
            conffile=conf,
            conf={
                'client_mount_timeout': _TIMEOUT_S,
                'rados_mon_op_timeout': _TIMEOUT_S,
                'rados_osd_op_timeout': _TIMEOUT_S,
            },
        )
        self._cluster.connect()

    def close(self) -> None:
        """Let go of the cluster."""
        self._cluster.shutdown()

    @property
    def fsid(self) -> str:
        """The cluster's id."""
        return str(self._cluster.get_fsid())

    def images(self) -> set[str]:
        """The names of all images in the pool of Glance."""
        with self._pool('images') as pool:
            return set(rbd.RBD().list(pool))

    def digest(self, image_id: str) -> str:
        """The sha256 of a copy's protected snapshot."""
        digest = hashlib.sha256()
        with (
            self._pool('images') as pool,
            rbd.Image(pool, image_id, 'snap', read_only=True) as image,
        ):
            assert image.is_protected_snap('snap')
            for offset in range(0, image.size(), _CHUNK):
                length = min(_CHUNK, image.size() - offset)
                digest.update(image.read(offset, length))
        return digest.hexdigest()

    def clone_opens(self, image_id: str) -> bool:
        """Make a clone of a copy, as Nova does, read it, and remove it."""
        name = f'clone-of-{image_id}'
        with self._pool('images') as images, self._pool('vms') as vms:
            rbd.RBD().clone(images, image_id, 'snap', vms, name)
            with rbd.Image(vms, name, read_only=True) as clone:
                opened = len(clone.read(0, 4096)) == 4096
            rbd.RBD().remove(vms, name)
        return opened

    def put(self, image_id: str, data: bytes) -> None:
        """Make an image with a protected snapshot, as Nova leaves one."""
        with self._pool('images') as pool:
            rbd.RBD().create(pool, image_id, len(data))
            with rbd.Image(pool, image_id) as image:
                image.write(data, 0)
                image.create_snap('snap')
                image.protect_snap('snap')

    @contextlib.contextmanager
    def _pool(self, name: str) -> Iterator[rados.Ioctx]:
        with self._cluster.open_ioctx(name) as pool:
            yield pool
