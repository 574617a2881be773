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
"""What librbd stores of an image beside its data, read and set directly.

librbd takes a dozen round trips to open an image, and 27 to rename one;
each of these takes one to three. The calls are methods of the OSD's class
``rbd``, by which old and new clients, the kernel's included, understand each
other (ceph: cls/rbd/cls_rbd.cc), so they stay what they are.
"""

import contextlib
import dataclasses
import errno
import struct

import rados

from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import object_maps
from dcn_distributor.clients.ceph import tasks

_HEAD = struct.pack('<Q', 2**64 - 2)
_DIRECTORY = 'rbd_directory'
_ANSWER_BYTES = 64 << 10

STRIPING = 1 << 1
OBJECT_MAP = 1 << 3
FAST_DIFF = 1 << 4
JOURNALING = 1 << 6
# What a name leads to, if its image was being created when its maker died.
UNFINISHED = ''
# RBD_PROTECTION_STATUS_PROTECTED.
_PROTECTED = 2
_NO_DATA_POOL = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """The facts of an image that a writer of its objects needs."""

    id: str
    size_bytes: int
    object_bytes: int
    features: int
    prefix: str
    data_pool_id: int | None
    snap_ids: tuple[int, ...]

    @property
    def object_count(self) -> int:
        """How many objects it can have."""
        return -(-self.size_bytes // self.object_bytes)

    def fits(self, size_bytes: int, object_bytes: int) -> bool:
        """Tell whether it has these lengths, and plain objects."""
        return (
            self.size_bytes == size_bytes
            and self.object_bytes == object_bytes
            and not self.features & STRIPING
        )

    def object_name(self, number: int) -> str:
        """Give the name of one of its objects."""
        return f'{self.prefix}.{number:016x}'


def read_id(pool: rados.Ioctx, name: str) -> str | None:
    """Give the internal id of the image of a name, None if there is none.

    One round trip. Raises rados.Error.
    """
    try:
        data = pool.read(f'rbd_id.{name}')
    except rados.ObjectNotFound:
        return None
    return _decode_string(data) if data else UNFINISHED


def read(pool: rados.Ioctx, image_id: str) -> Header:
    """Read the header of an image, by its internal id.

    One round trip. Raises rados.Error, ObjectNotFound if it has none.
    """

    def call(method: str, argument: bytes = b'') -> bytes:
        return execute(pool, _header_name(image_id), method, argument)

    size, prefix, features, data_pool, snaps = tasks.together(
        lambda: call('get_size', _HEAD),
        lambda: call('get_object_prefix'),
        lambda: call('get_features', _HEAD + b'\1'),
        lambda: call('get_data_pool'),
        lambda: call('get_snapcontext'),
    )
    order, size_bytes = struct.unpack('<BQ', size[:9])
    (data_pool_id,) = struct.unpack('<q', data_pool[:8])
    return Header(
        id=image_id,
        size_bytes=size_bytes,
        object_bytes=1 << order,
        features=struct.unpack('<Q', features[:8])[0],
        prefix=_decode_string(prefix),
        data_pool_id=None if data_pool_id < 0 else data_pool_id,
        snap_ids=_decode_snap_ids(snaps),
    )


def is_journaling(features: str) -> bool:
    """Tell whether a configuration's list of features has journaling.

    Clusters give it as a number or as names, by their releases.
    """
    if features.strip().isdigit():
        return bool(int(features) & JOURNALING)
    return 'journaling' in features


def read_if_whole(pool: rados.Ioctx, image_id: str) -> Header | None:
    """Read the header of an image, None if it was never written."""
    try:
        return read(pool, image_id)
    except rados.ObjectNotFound:
        return None


def list_names(pool: rados.Ioctx, count: int) -> bytes:
    """Read so many entries of the directory, encoded."""
    argument = _encode('') + struct.pack('<Q', count)
    return execute(pool, _DIRECTORY, 'dir_list', argument)


def find_snapshot(pool: rados.Ioctx, image_id: str, name: str) -> int | None:
    """Look for a snapshot by its name; give its number.

    Two round trips, or one if there is none at all.
    """
    answer = execute(pool, _header_name(image_id), 'get_snapcontext', b'')
    for snap_id in _decode_snap_ids(answer):
        argument = struct.pack('<Q', snap_id)
        answer = execute(
            pool, _header_name(image_id), 'get_snapshot_name', argument
        )
        if _decode_string(answer) == name:
            return snap_id
    return None


def add_snapshot(
    pool: rados.Ioctx, data_pool: rados.Ioctx, image_id: str, name: str
) -> int:
    """Give the image a snapshot; give its number.

    The monitors give out the numbers, each pool has its own. The object map
    of the snapshot is left to the caller.
    """
    snap_id = int(data_pool.create_self_managed_snap())
    # NOTE: the number is not given back if this fails: it may be that only
    # the answer was lost, and a snapshot with a number that was given back
    # cannot be read. One that nobody uses costs nothing.
    argument = _encode(name) + struct.pack('<Q', snap_id)
    execute(pool, _header_name(image_id), 'snapshot_add', argument)
    return snap_id


def protect_snapshot(pool: rados.Ioctx, image_id: str, snap_id: int) -> None:
    """Protect a snapshot; MAY be done again."""
    execute(
        pool,
        _header_name(image_id),
        'set_protection_status',
        struct.pack('<QB', snap_id, _PROTECTED),
    )


def has_flags(pool: rados.Ioctx, image_id: str, snap_id: int | None) -> bool:
    """Tell whether librbd has given up an object map of the image."""
    snap = _HEAD if snap_id is None else struct.pack('<Q', snap_id)
    flags = execute(pool, _header_name(image_id), 'get_flags', snap)
    return any(flags[:8])


def save_map(
    pool: rados.Ioctx, image_id: str, snap_id: int | None, encoded: bytes
) -> None:
    """Replace an object map, that of a snapshot if one is given."""
    name = f'rbd_object_map.{image_id}'
    if snap_id is not None:
        name += f'.{snap_id:016x}'
    execute(pool, name, 'object_map_save', encoded)


def take_new_name(pool: rados.Ioctx, image_id: str, name: str) -> None:
    """Have a name lead to an image. Raises rados.ObjectExists."""
    _create_by(pool, f'rbd_id.{name}', 'set_id', _encode(image_id))


def enter(pool: rados.Ioctx, image_id: str, name: str) -> None:
    """Enter an image in the directory. Raises rados.ObjectExists."""
    execute(
        pool,
        _DIRECTORY,
        'dir_add_image',
        _encode(name) + _encode(image_id),
    )


def write(
    pool: rados.Ioctx,
    image_id: str,
    size_bytes: int,
    object_bytes: int,
    features: int,
) -> Header:
    """Write the header of an image that has none; its data is in this pool.

    One round trip. Raises rados.ObjectExists.
    """
    prefix = f'rbd_data.{image_id}'
    order = object_bytes.bit_length() - 1
    argument = (
        struct.pack('<QBQ', size_bytes, order, features)
        + _encode(prefix)
        + struct.pack('<q', _NO_DATA_POOL)
    )
    _create_by(pool, _header_name(image_id), 'create', argument)
    return Header(
        id=image_id,
        size_bytes=size_bytes,
        object_bytes=object_bytes,
        features=features,
        prefix=prefix,
        data_pool_id=None,
        snap_ids=(),
    )


def _create_by(
    pool: rados.Ioctx, name: str, method: str, argument: bytes
) -> None:
    """Create an object by a method of the class ``rbd``."""
    operation = pool.create_write_op()
    try:
        operation.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
        operation.execute('rbd', method, argument)
        pool.operate_write_op(operation, name)
    finally:
        pool.release_write_op(operation)


def change_entry(
    pool: rados.Ioctx, image_id: str, source: str, target: str
) -> None:
    """Enter an image in the directory by another name.

    Raises rados.ObjectExists if there is an entry of that name.
    """
    execute(
        pool,
        _DIRECTORY,
        'dir_rename_image',
        _encode(source) + _encode(target) + _encode(image_id),
    )


def name_in_directory(pool: rados.Ioctx, image_id: str) -> str:
    """Look up by which name an image is entered in the directory."""
    argument = _encode(image_id)
    return _decode_string(execute(pool, _DIRECTORY, 'dir_get_name', argument))


def id_in_directory(pool: rados.Ioctx, name: str) -> str | None:
    """Look an image up in the directory, where a new one is entered first."""
    try:
        return _decode_string(
            execute(pool, _DIRECTORY, 'dir_get_id', _encode(name))
        )
    except rados.ObjectNotFound:
        return None


def forget_name(pool: rados.Ioctx, name: str) -> None:
    """Remove what leads from a name to an image, if it is there."""
    with contextlib.suppress(rados.ObjectNotFound):
        pool.remove_object(f'rbd_id.{name}')


def forget_entry(pool: rados.Ioctx, name: str, image_id: str) -> None:
    """Remove an image from the directory, if it is there."""
    try:
        execute(
            pool,
            _DIRECTORY,
            'dir_remove_image',
            _encode(name) + _encode(image_id),
        )
    except rados.Error as exc:
        if errors.number_of(exc) not in (errno.ENOENT, errno.ESTALE):
            raise


def execute(
    pool: rados.Ioctx, name: str, method: str, argument: bytes
) -> bytes:
    """Call a method of the class ``rbd`` on an object."""
    _, answer = pool.execute(name, 'rbd', method, argument, _ANSWER_BYTES)
    return bytes(answer)


def _header_name(image_id: str) -> str:
    return f'rbd_header.{image_id}'


def _decode_snap_ids(snap_context: bytes) -> tuple[int, ...]:
    """Take the numbers of the snapshots out of a context, newest first."""
    (count,) = struct.unpack_from('<I', snap_context, 8)
    return struct.unpack_from(f'<{count}Q', snap_context, 12)


def _encode(text: str) -> bytes:
    return object_maps.as_argument(text.encode())


def _decode_string(data: bytes) -> str:
    (length,) = struct.unpack_from('<I', data)
    return data[4 : 4 + length].decode()
