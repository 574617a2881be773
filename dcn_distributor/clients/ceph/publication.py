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
"""What makes an image of objects: its snapshot, its object maps, its name.

The snapshot is taken while the data flows: it needs a decision of the
monitors, up to a second, and shows what is written afterwards, too (see
`objects`). It is entered into the image's header directly. librbd would open
the image for that, in 45 round trips; and a watcher and a lock would be left
behind, for half a minute, whenever this process dies.

Until the end all objects count as existing in the object maps, so that
whoever removes a draft, or reads it, misses none.
"""

from collections.abc import Collection
from concurrent import futures
import errno
import functools
import threading

import rados
import rbd

from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import names
from dcn_distributor.clients.ceph import object_maps
from dcn_distributor.clients.ceph import renaming
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from dcn_distributor.core import storage

# What an OSD answers that does not know a method, or not its argument.
_NOT_UNDERSTOOD = frozenset((errno.EINVAL, errno.EOPNOTSUPP))


class Publication:
    """One image on its way to be a copy, or one that is a copy already."""

    def __init__(
        self,
        connections: ceph_connections.Connections,
        header: headers.Header,
        image_id: images.ImageId,
    ) -> None:
        self._connections = connections
        self._header = header
        self._image_id = image_id
        self._lock = threading.Lock()
        self._taking: futures.Future[int] | None = None
        self._wants_journaling = False
        self._beginning = threading.Lock()
        self._is_begun = False

    @property
    def is_begun(self) -> bool:
        """Whether begin() was called, and has returned."""
        return self._is_begun

    def begin(self) -> None:
        """Stop the journal; then take the snapshot, in the background.

        MAY be called again: nothing, once it has succeeded.
        """
        with self._beginning:
            if self._is_begun:
                return
            self._stop_journaling()
            with self._lock:
                self._taking = tasks.start('ceph-snapshot', self._take)
            self._is_begun = True

    def has_snapshot(self, snap_id: int) -> None:
        """Use this snapshot, that of a published copy."""
        with self._lock:
            self._taking = futures.Future()
            self._taking.set_result(snap_id)
        self._is_begun = True

    def wait(self) -> None:
        """Wait for what was begun, whatever becomes of it."""
        with self._lock:
            taking = self._taking
        if taking is not None:
            futures.wait([taking])

    def finish_snapshot(self) -> int:
        """Wait for the snapshot; take it again if that has failed."""
        self.begin()
        with self._lock:
            taking = self._taking
            if taking is None or (taking.done() and taking.exception()):
                taking = tasks.start('ceph-snapshot', self._take)
                self._taking = taking
        return taking.result()

    def _take(self) -> int:
        """Take the snapshot, or finish what another pass has begun."""
        connection = self._connections.first()
        rbd_id = self._header.id
        with connection.translated(f'snapshot of image {self._image_id}'):
            pool = connection.pool()
            found, _ = tasks.together(
                lambda: headers.find_snapshot(pool, rbd_id, storage.SNAPSHOT),
                lambda: self._save_maps(pool, self._header.snap_ids, None),
            )
            snap_id = found or headers.add_snapshot(
                pool,
                connection.pool(self._header.data_pool_id),
                rbd_id,
                storage.SNAPSHOT,
            )
            tasks.together(
                lambda: headers.protect_snapshot(pool, rbd_id, snap_id),
                lambda: self._save_maps(pool, (snap_id,), None),
            )
            return snap_id

    def record(self, numbers: frozenset[int]) -> None:
        """Say in the object maps which objects exist."""
        snap_id = self.finish_snapshot()
        connection = self._connections.first()
        with connection.translated(f'object maps of image {self._image_id}'):
            pool = connection.pool()
            if self._header.features & headers.OBJECT_MAP:
                self._record_maps(pool, snap_id, numbers)
            if self._wants_journaling:
                self._set_journaling(pool, True)

    def _record_maps(
        self, pool: rados.Ioctx, snap_id: int, numbers: frozenset[int]
    ) -> None:
        try:
            _, is_valid = tasks.together(
                lambda: self._save_maps(pool, (snap_id,), numbers),
                lambda: self._are_maps_valid(pool, snap_id),
            )
        except rados.Error as exc:
            if errors.number_of(exc) not in _NOT_UNDERSTOOD:
                raise
            is_valid = False
        if not is_valid:
            self._rebuild_maps(pool)

    def _stop_journaling(self) -> None:
        """Take that feature off, which new images have in some clusters.

        What is written to the objects is in no journal. It is put on again
        when the copy is whole, so that mirrors copy it as a whole.
        """
        connection = self._connections.first()
        with connection.translated(f'journal of image {self._image_id}'):
            defaults = connection.handle.conf_get('rbd_default_features')
            has_journal = self._header.features & headers.JOURNALING
            self._wants_journaling = bool(
                has_journal or headers.is_journaling(defaults)
            )
            if has_journal:
                self._set_journaling(connection.pool(), False)

    def _set_journaling(self, pool: rados.Ioctx, is_on: bool) -> None:
        feature = rbd.RBD_FEATURE_JOURNALING
        with rbd.Image(pool, image_id=self._header.id) as image:
            if bool(image.features() & feature) is not is_on:
                image.update_features(feature, is_on)

    def _save_maps(
        self,
        pool: rados.Ioctx,
        snap_ids: Collection[int],
        numbers: frozenset[int] | None,
    ) -> None:
        """Save the map of the image and those of its snapshots.

        `numbers` are those of the objects that exist, None for all. With a
        snapshot, those of the image itself are clean: nothing has changed
        since then.
        """
        header = self._header
        if not header.features & headers.OBJECT_MAP:
            return
        state = object_maps.State
        is_clean = snap_ids and header.features & headers.FAST_DIFF
        states: dict[int | None, object_maps.State] = {
            None: state.EXISTS_CLEAN if is_clean else state.EXISTS,
            **dict.fromkeys(snap_ids, state.EXISTS),
        }

        def save(snap_id: int | None) -> None:
            encoded = object_maps.encode(
                header.object_count, numbers, states[snap_id]
            )
            headers.save_map(pool, header.id, snap_id, encoded)

        tasks.together(*(functools.partial(save, snap) for snap in states))

    def _are_maps_valid(self, pool: rados.Ioctx, snap_id: int) -> bool:
        return not any(
            tasks.together(
                lambda: headers.has_flags(pool, self._header.id, None),
                lambda: headers.has_flags(pool, self._header.id, snap_id),
            )
        )

    def _rebuild_maps(self, pool: rados.Ioctx) -> None:
        """Have librbd look at all objects, where it believes no map."""
        for snapshot in (None, storage.SNAPSHOT):
            with rbd.Image(pool, image_id=self._header.id) as image:
                image.set_snap(snapshot)
                image.rebuild_object_map()

    def rename(self) -> None:
        """Give it the image's id for its name."""
        connection = self._connections.first()
        with connection.translated(f'rename the copy of {self._image_id}'):
            renaming.rename(
                connection.pool(),
                self._header.id,
                names.draft(self._image_id),
                self._image_id,
            )
