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
"""Remove images of ours, whatever state a crash has left them in."""

from collections.abc import Iterator
import contextlib

import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import names
from dcn_distributor.clients.ceph import object_maps
from dcn_distributor.core import images
from dcn_distributor.core import storage


def remove(
    connection: ceph_connections.Connection,
    name: str,
    numbers: frozenset[int] | None = None,
) -> None:
    """Remove an image of ours with its snapshot; nothing if there is none.

    `numbers` are those of the objects that can exist, None for all. Raises
    NotAnOrphan if it has clones, CopyInProgress while it is open elsewhere:
    a client that died counts as such for half a minute.
    """
    with _unless_busy(connection, name):
        pool = connection.pool()
        rbd_id = headers.read_id(pool, name)
        header = headers.read_if_whole(pool, rbd_id) if rbd_id else None
        if rbd_id is None or header is None:
            _remove_stub(pool, name)
            return
        if header.features & headers.OBJECT_MAP:
            # librbd removes those objects only that the map knows.
            encoded = object_maps.encode(
                header.object_count, numbers, object_maps.State.EXISTS
            )
            headers.save_map(pool, rbd_id, None, encoded)
        if header.snap_ids:
            check_unused(connection, name)
            _remove_snapshot(pool, name)
        rbd.RBD().remove(pool, name)


@contextlib.contextmanager
def _unless_busy(
    connection: ceph_connections.Connection, name: str
) -> Iterator[None]:
    with connection.translated(f'remove image {name}'):
        try:
            yield
        except rbd.ImageBusy as exc:
            raise exceptions.CopyInProgress(
                f'image {name} is open elsewhere'
            ) from exc


def check_unused(connection: ceph_connections.Connection, name: str) -> None:
    """Raise NotAnOrphan if an image of ours has clones."""
    with connection.translated(f'look for clones of image {name}'):
        try:
            image = rbd.Image(connection.pool(), name, read_only=True)
        except rbd.ImageNotFound:
            return
        with image:
            if _has_clones(image):
                raise exceptions.NotAnOrphan(f'image {name} has clones: kept')


def _has_clones(image: rbd.Image) -> bool:
    if all(s['name'] != storage.SNAPSHOT for s in image.list_snaps()):
        return False
    image.set_snap(storage.SNAPSHOT)
    return any(image.list_children2())


def remove_orphan(
    connection: ceph_connections.Connection,
    image_id: images.ImageId,
    found: names.Found,
) -> None:
    """Remove an image that a crashed glance-api has left, if it is one.

    Raises CopyNotFound, NotAnOrphan.
    """
    if found.published is None:
        _remove_entry(connection, image_id)
        return
    if found.is_ours:
        raise exceptions.NotAnOrphan(f'image {image_id} is a copy of ours')
    with _unless_busy(connection, image_id):
        pool = connection.pool()
        try:
            image = rbd.Image(pool, image_id, read_only=True)
        except rbd.ImageNotFound:
            _remove_stub(pool, image_id)
            return
        with image:
            reason = _reason_to_keep(image)
        if reason is not None:
            raise exceptions.NotAnOrphan(f'image {image_id} {reason}: kept')
        _remove_snapshot(pool, image_id)
        rbd.RBD().remove(pool, image_id)


def _remove_entry(
    connection: ceph_connections.Connection, image_id: images.ImageId
) -> None:
    """Remove what the directory has for a name that leads nowhere.

    Raises CopyNotFound if it has nothing.
    """
    with connection.translated(f'look for image {image_id}'):
        pool = connection.pool()
        entered = headers.id_in_directory(pool, image_id)
        if entered is None:
            raise exceptions.CopyNotFound(f'no image {image_id} in this pool')
        if headers.read_if_whole(pool, entered) is not None:
            raise exceptions.NotAnOrphan(
                f'image {image_id} has no name but a header: kept'
            )
        headers.forget_entry(pool, image_id, entered)


def _reason_to_keep(image: rbd.Image) -> str | None:
    """Say why an image, opened read-only, may be in use; None if it is not.

    What glance-api leaves when it dies has no protected snapshot, and no
    watcher once its connection has timed out, half a minute later.
    """
    snapshots = {snap['name'] for snap in image.list_snaps()}
    if any(image.watchers_list()):
        return 'is open somewhere'
    if snapshots - {storage.SNAPSHOT}:
        return 'has other snapshots'
    with contextlib.suppress(rbd.ImageNotFound):
        image.parent_info()
        return 'is a clone'
    if snapshots and image.is_protected_snap(storage.SNAPSHOT):
        return 'is whole'
    return 'has clones' if _has_clones(image) else None


def _remove_snapshot(pool: rados.Ioctx, name: str) -> None:
    with (
        rbd.Image(pool, name) as image,
        contextlib.suppress(rbd.ImageNotFound),
    ):
        if image.is_protected_snap(storage.SNAPSHOT):
            image.unprotect_snap(storage.SNAPSHOT)
        image.remove_snap(storage.SNAPSHOT)


def _remove_stub(pool: rados.Ioctx, name: str) -> None:
    """Remove what there is of an image that has no header.

    That is made last, and removed first.
    """
    entered = headers.id_in_directory(pool, name)
    if entered is not None:
        headers.forget_entry(pool, name, entered)
    headers.forget_name(pool, name)
