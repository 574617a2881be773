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
"""RBD images as they are stored: to look at, to make, and to damage.

What tests rest their claims on, past any client of ours. Needs rados and
rbd, so nothing else of the lab imports it.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from concurrent import futures
import contextlib
import dataclasses
import itertools
import threading

import rados
import rbd

from lab import rados_options
from lab import waiting

_TIMEOUT_S = 20
_REMOVAL_S = 60
# Names of what RBD keeps in a pool; all else in it is somebody else's.
_RBD_PREFIX = 'rbd_'
_OF_AN_IMAGE = ('rbd_data', 'rbd_header', 'rbd_object_map')


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """An RBD image, whatever its name.

    :ivar snapshots: by name, whether each is protected
    :ivar maps: the object map of the image, and under a snapshot's name its
        own, as Ceph encodes it; None where it is flagged as invalid
    :ivar objects: the numbers of the objects that exist
    :ivar traces: what the header and its omap hold, so that two images of
        the same making are equal: names of keys, locks, metadata
    """

    size_bytes: int
    object_bytes: int
    features: int
    snapshots: Mapping[str, bool]
    maps: Mapping[str, bytes | None]
    objects: frozenset[int]
    traces: frozenset[str]


class Pool:
    """The images of a pool, for somebody who may do all.

    :param conf: path of a ceph.conf whose default keyring is client.admin's
    """

    def __init__(self, conf: str, name: str = 'images') -> None:
        self._cluster = rados.Rados(
            conffile=conf, conf=rados_options.time_limits(_TIMEOUT_S)
        )
        self._cluster.connect()
        self._pool = self._cluster.open_ioctx(name)
        self.name = name

    def close(self) -> None:
        """Let go of the cluster."""
        self._pool.close()
        self._cluster.shutdown()

    @property
    def fsid(self) -> str:
        """The cluster's id."""
        return str(self._cluster.get_fsid())

    # -- to look ----------------------------------------------------------

    def names(self) -> frozenset[str]:
        """The names of all images."""
        return frozenset(rbd.RBD().list(self._pool))

    def objects(self) -> frozenset[str]:
        """The names of all objects, with their namespaces if they have one."""
        with self._cluster.open_ioctx(self.name) as pool:
            pool.set_namespace(rados.LIBRADOS_ALL_NSPACES)
            return frozenset(
                f'{found.nspace}/{found.key}' if found.nspace else found.key
                for found in pool.list_objects()
            )

    def strays(self) -> frozenset[str]:
        """The names of RBD's objects that belong to no image."""
        known = {each['id'] for each in rbd.RBD().list2(self._pool)}
        names = self.names()
        return frozenset(
            name for name in self.objects() if _is_stray(name, known, names)
        )

    def marks(self) -> frozenset[str]:
        """The names of all objects that are not RBD's."""
        return frozenset(
            name for name in self.objects() if not name.startswith(_RBD_PREFIX)
        )

    def object_name(self, name: str, number: int) -> str:
        """Name an object of an image."""
        with self._image(name, read_only=True) as image:
            return f'{image.block_name_prefix()}.{number:016x}'

    def read(self, name: str, snapshot: str | None = 'snap') -> bytes:
        """Read all of an image."""
        with self._image(name, snapshot, read_only=True) as image:
            size = image.size()
            return bytes(image.read(0, size)) if size else b''

    def look(self, name: str) -> Stored:
        """Look at an image."""
        with self._image(name, read_only=True) as image:
            stat = image.stat()
            rbd_id = image.id()
            snapshots = {
                each['name']: each['id'] for each in image.list_snaps()
            }
            prefix = image.block_name_prefix() + '.'
            return Stored(
                size_bytes=stat['size'],
                object_bytes=stat['obj_size'],
                features=image.features(),
                snapshots={
                    each: bool(image.is_protected_snap(each))
                    for each in snapshots
                },
                maps=self._maps(name, rbd_id, snapshots),
                objects=frozenset(
                    int(each.removeprefix(prefix), 16)
                    for each in self.objects()
                    if each.startswith(prefix)
                ),
                traces=frozenset(self._traces(image, rbd_id, snapshots)),
            )

    def _maps(
        self, name: str, rbd_id: str, snapshots: Mapping[str, int]
    ) -> dict[str, bytes | None]:
        objects = {'': f'rbd_object_map.{rbd_id}'}
        for snapshot, number in snapshots.items():
            objects[snapshot] = f'rbd_object_map.{rbd_id}.{number:016x}'
        maps: dict[str, bytes | None] = {}
        for snapshot, key in objects.items():
            with self._image(name, snapshot or None, read_only=True) as image:
                is_valid = image.flags() == 0
            with contextlib.suppress(rados.ObjectNotFound):
                size, _ = self._pool.stat(key)
                content = bytes(self._pool.read(key, size))
                maps[snapshot] = content if is_valid else None
        return maps

    def _traces(
        self, image: 'rbd.Image', rbd_id: str, snapshots: Mapping[str, int]
    ) -> Iterator[str]:
        yield f'op_features {image.op_features()}'
        yield f'stripes {image.stripe_unit()} {image.stripe_count()}'
        for key, value in image.metadata_list():
            yield f'metadata {key}={value}'
        lockers = image.list_lockers()
        if lockers:
            yield f'lockers {lockers["tag"]}'
        called = {f'{number:016x}': name for name, number in snapshots.items()}
        for key in self._omap_keys(f'rbd_header.{rbd_id}'):
            for number, name in called.items():
                key = key.replace(number, name)
            yield f'omap {key}'

    def _omap_keys(self, key: str) -> tuple[str, ...]:
        with rados.ReadOpCtx() as operation:
            found, _ = self._pool.get_omap_vals(operation, '', '', 1000)
            self._pool.operate_read_op(operation, key)
            return tuple(str(name) for name, _ in found)

    # -- to make, as Glance, Nova and others do -----------------------------

    def put(
        self, name: str, data: bytes, object_bytes: int, *, stage: str = ''
    ) -> None:
        """Make an image as Glance does; objects of zeros are not written.

        With the stage `written` it is left without a snapshot, with
        `snapshot` the snapshot is left unprotected, as by a Glance that dies.
        """
        order = object_bytes.bit_length() - 1
        rbd.RBD().create(self._pool, name, len(data), order)
        with self._image(name) as image:
            for begin in range(0, len(data), object_bytes):
                piece = data[begin : begin + object_bytes]
                if piece.count(0) != len(piece):
                    image.write(piece, begin)
            if stage != 'written':
                image.create_snap('snap')
            if not stage:
                image.protect_snap('snap')

    def overwrite(self, name: str, offset: int, data: bytes) -> None:
        """Write to an image; its snapshots stay as they are."""
        with self._image(name) as image:
            image.write(data, offset)

    def clone(self, parent: str, name: str) -> None:
        """Clone a snapshot `snap` within the pool.

        One that is not protected is cloned in the newer way, where clusters
        let no client in that is older than Mimic.
        """
        with self._image(parent, read_only=True) as image:
            is_protected = image.is_protected_snap('snap')
        self._cluster.conf_set(
            'rbd_default_clone_format', '1' if is_protected else '2'
        )
        rbd.RBD().clone(self._pool, parent, 'snap', self._pool, name)

    def take_snapshot(self, name: str, snapshot: str) -> None:
        """Take a snapshot; one that is called `snap` is protected."""
        with self._image(name) as image:
            image.create_snap(snapshot)
            if snapshot == 'snap':
                image.protect_snap(snapshot)

    def rename(self, old: str, new: str) -> None:
        """Give an image another name."""
        rbd.RBD().rename(self._pool, old, new)

    @contextlib.contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Have an image open to be written meanwhile."""
        with self._image(name):
            yield

    # -- to damage, to remove -----------------------------------------------

    def flip(self, name: str, offset: int) -> None:
        """Flip a bit at rest, in image and snapshot."""
        with self._image(name, read_only=True) as image:
            size = image.stat()['obj_size']
        number, within = divmod(offset, size)
        key = self.object_name(name, number)
        byte = self._pool.read(key, 1, within)
        self._pool.write(key, bytes([byte[0] ^ 1]), within)

    def lose_object(self, name: str, number: int) -> None:
        """Remove an object from image and snapshot."""
        self._pool.remove_object(self.object_name(name, number))

    def wipe(self, names: frozenset[str]) -> None:
        """Remove images, and whatever hangs on them.

        Objects that their maps deny are left, as strays. A client that died
        has its images open for half a minute more.
        """
        left = set(names)

        def problem() -> str | None:
            # Each waits for the monitor's next tick, for its snapshots.
            names = sorted(left)
            with futures.ThreadPoolExecutor() as threads:
                removed = threads.map(self._remove, names)
            left.difference_update(itertools.compress(names, removed))
            return f'in use: {sorted(left)}' if left else None

        waiting.until(
            problem,
            what='removing images',
            timeout_s=_REMOVAL_S,
            cancelled=threading.Event(),
        )

    def wipe_objects(self, names: frozenset[str]) -> None:
        """Remove objects by their names, as objects() gives them."""
        for name in names:
            namespace, _, key = name.rpartition('/')
            with self._cluster.open_ioctx(self.name) as pool:
                pool.set_namespace(namespace)
                with contextlib.suppress(rados.ObjectNotFound):
                    pool.remove_object(key)

    def _remove(self, name: str) -> bool:
        """Remove an image; False if it has clones."""
        try:
            with self._image(name) as image:
                for snapshot in [each['name'] for each in image.list_snaps()]:
                    if image.is_protected_snap(snapshot):
                        image.unprotect_snap(snapshot)
                    image.remove_snap(snapshot)
            rbd.RBD().remove(self._pool, name)
        except (rbd.ImageBusy, rbd.ImageHasSnapshots):
            return False
        return True

    @contextlib.contextmanager
    def _image(
        self,
        name: str,
        snapshot: str | None = None,
        *,
        read_only: bool = False,
    ) -> Iterator['rbd.Image']:
        with rbd.Image(
            self._pool, name, snapshot=snapshot, read_only=read_only
        ) as image:
            yield image


def _is_stray(name: str, ids: set[str], names: frozenset[str]) -> bool:
    kind, _, rest = name.partition('.')
    if kind == 'rbd_id':
        return rest not in names
    return kind in _OF_AN_IMAGE and rest.partition('.')[0] not in ids
