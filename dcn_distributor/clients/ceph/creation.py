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
"""Create an image in two round trips, where librbd takes eight.

What librbd would create by the cluster's configuration is made by the same
calls of the OSD's class ``rbd`` (ceph: librbd/image/CreateRequest.cc); where
that is more than a plain image, librbd does it. The names come first and the
header last: what a crash leaves is a stub, as a crash of librbd's would leave.
"""

from collections.abc import Callable
import dataclasses
import secrets

import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import removal
from dcn_distributor.clients.ceph import tasks

_PLAIN = (
    rbd.RBD_FEATURE_LAYERING
    | rbd.RBD_FEATURE_EXCLUSIVE_LOCK
    | rbd.RBD_FEATURE_OBJECT_MAP
    | rbd.RBD_FEATURE_FAST_DIFF
    | rbd.RBD_FEATURE_DEEP_FLATTEN
)
# A pool's own configuration of what is created in it.
_OVERRIDE = 'conf_rbd_default_'
# RBD_MAX_IMAGE_ID_LENGTH.
_ID_LENGTH = 14


def plain_features(connection: ceph_connections.Connection) -> int | None:
    """Tell with which features librbd would make a plain image.

    None if it would not: it keeps data in another pool, is journaled, or the
    pool has a configuration of its own. One round trip.
    """
    configured = connection.handle.conf_get
    features = configured('rbd_default_features')
    if not features.strip().isdigit() or configured('rbd_default_data_pool'):
        return None
    if not _is_plain(int(features)):
        return None
    try:
        settings = rbd.RBD().pool_metadata_list(connection.pool())
        if any(key.startswith(_OVERRIDE) for key, _ in settings):
            return None
    except (rbd.Error, rados.Error):
        return None
    return int(features)


def _is_plain(features: int) -> bool:
    has_map, has_diff = (
        bool(features & feature)
        for feature in (rbd.RBD_FEATURE_OBJECT_MAP, rbd.RBD_FEATURE_FAST_DIFF)
    )
    return (
        bool(features & rbd.RBD_FEATURE_LAYERING)
        and not features & ~_PLAIN
        and has_map == has_diff
        and (not has_map or bool(features & rbd.RBD_FEATURE_EXCLUSIVE_LOCK))
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Creation:
    """An image to be created.

    :ivar features: those of a plain image, None to have librbd make it
    :ivar record: is told the internal id, at the latest with the header
    """

    connection: ceph_connections.Connection
    name: str
    size_bytes: int
    object_bytes: int
    features: int | None
    record: Callable[[str], None]

    def create(self) -> headers.Header:
        """Create it.

        What a maker that died after its first steps has left is removed
        before.
        """
        make = self._by_librbd if self.features is None else self._by_calls
        with self.connection.translated(f'create image {self.name}'):
            try:
                return make()
            except (rbd.ImageExists, rados.ObjectExists):
                removal.remove(self.connection, self.name)
                return make()

    def _by_calls(self) -> headers.Header:
        assert self.features is not None
        pool, features = self.connection.pool(), self.features
        rbd_id = _new_id(self.connection.handle)
        tasks.together(
            lambda: headers.take_new_name(pool, rbd_id, self.name),
            lambda: headers.enter(pool, rbd_id, self.name),
        )
        header, _ = tasks.together(
            lambda: headers.write(
                pool, rbd_id, self.size_bytes, self.object_bytes, features
            ),
            lambda: self.record(rbd_id),
        )
        return header

    def _by_librbd(self) -> headers.Header:
        """Features and data pool are those of the cluster's configuration.

        As Glance's images have them; but never stripes over several objects.
        """
        pool = self.connection.pool()
        rbd.RBD().create(
            *(pool, self.name, self.size_bytes),
            self.object_bytes.bit_length() - 1,
            old_format=False,
            stripe_unit=self.object_bytes,
            stripe_count=1,
        )
        rbd_id = headers.read_id(pool, self.name)
        if not rbd_id:
            raise exceptions.ClusterUnavailable(
                f'image {self.name}: gone as soon as it was created'
            )
        header, _ = tasks.together(
            lambda: headers.read(pool, rbd_id), lambda: self.record(rbd_id)
        )
        return header


def _new_id(handle: rados.Rados) -> str:
    """Make an id as librbd does: the client's number, and a random one."""
    text = f'{handle.get_instance_id():x}{secrets.randbits(32):x}'
    return text[-_ID_LENGTH:]
