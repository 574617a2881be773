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
"""A look into a site's Ceph cluster, past Glance and agent.

What tests and demo rest their claims on: how much of a copy is written, and
whether a copy that Glance lists is what was uploaded. Needs rados and rbd,
so nothing else of the lab imports it.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib

import rados
import rbd

from lab import rados_options

CHUNK = 8 * 2**20
HEAD = 2**20
_TIMEOUT_S = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """What a cluster holds of an image.

    `clone_head` is what a copy-on-write clone of the snapshot begins with,
    `clone_bytes` how much that clone takes up itself.
    """

    size_bytes: int
    sha256: str
    is_protected: bool
    clone_head: bytes
    clone_bytes: int


class Cluster:
    """The pools of one site, seen as its administrator.

    :param conf: path of a ceph.conf whose default keyring is client.admin's
    """

    def __init__(self, conf: str, timeout_s: int = _TIMEOUT_S) -> None:
        self._cluster = rados.Rados(
            conffile=conf, conf=rados_options.time_limits(timeout_s)
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

    def holds(self, image_id: str) -> bool:
        """Tell whether the pool of Glance has anything of that name."""
        return image_id in self.images()

    def put(self, image_id: str, data: bytes) -> None:
        """Make an image with a protected snapshot, as Nova leaves one."""
        with self._pool('images') as pool:
            rbd.RBD().create(pool, image_id, len(data))
            with rbd.Image(pool, image_id) as image:
                image.write(data, 0)
                image.create_snap('snap')
                image.protect_snap('snap')

    def written_bytes(self, image_id: str) -> int | None:
        """Count what is written of an image; None if it is not begun."""
        with self._pool('images') as pool:
            try:
                with rbd.Image(pool, image_id, read_only=True) as image:
                    return _allocated(image)
            except rbd.ImageNotFound:
                return None

    def inspect(self, image_id: str) -> Copy:
        """Read a copy to its end, and clone it as Nova does."""
        digest = hashlib.sha256()
        with (
            self._pool('images') as pool,
            rbd.Image(pool, image_id, 'snap', read_only=True) as image,
        ):
            size = image.size()
            for offset in range(0, size, CHUNK):
                digest.update(image.read(offset, min(CHUNK, size - offset)))
            is_protected = bool(image.is_protected_snap('snap'))
        head, own = self._clone(image_id) if is_protected else (b'', 0)
        return Copy(size, digest.hexdigest(), is_protected, head, own)

    def _clone(self, image_id: str) -> tuple[bytes, int]:
        name = f'clone-of-{image_id}'
        with self._pool('images') as images, self._pool('vms') as vms:
            with contextlib.suppress(rbd.ImageNotFound):
                rbd.RBD().remove(vms, name)
            rbd.RBD().clone(images, image_id, 'snap', vms, name)
            try:
                with rbd.Image(vms, name, read_only=True) as clone:
                    head = clone.read(0, min(HEAD, clone.size()))
                    return head, _allocated(clone)
            finally:
                rbd.RBD().remove(vms, name)

    @contextlib.contextmanager
    def _pool(self, name: str) -> Iterator['rados.Ioctx']:
        with self._cluster.open_ioctx(name) as pool:
            yield pool


def _allocated(image: 'rbd.Image') -> int:
    """Count the bytes of an image's own objects, without its parent's."""
    lengths: list[int] = []

    def count(_offset: int, length: int, exists: bool) -> None:
        if exists:
            lengths.append(length)

    image.diff_iterate(0, image.size(), None, count, False, True)
    return sum(lengths)
