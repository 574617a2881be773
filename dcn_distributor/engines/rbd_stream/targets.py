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
"""How a copy begins at a site: anew, where another pass left it, or adopted.

What lies under an image's name in a pool and has no location may be whole: a
glance-api or an agent died between the last byte and the location. Such a
copy is taken as it is once every chunk has been compared. What is not whole
is an orphan: Glance never removes it, and refuses to import there (facts of
glance_store: _drivers/rbd.py add). It is removed if the operator's
configuration says so, and else reported.
"""

from collections.abc import Collection
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import orphans
from dcn_distributor.engines.rbd_stream import registration

_ADVICE = (
    'See what it is, then remove it with: dcn-distributor clean IMAGE SITE'
)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a copy goes.

    :ivar object_bytes: the length of objects that the store's Glance gives
        its images
    :ivar removes_orphans: whether what a crashed glance-api left under the
        image's name is removed
    :ivar begins_narrow: whether the first chunks go one at a time, since a
        cluster gave no answer in time when there were more
    """

    site: sites.SiteName
    store: images.StoreId
    cluster: storage.Cluster
    object_bytes: int
    removes_orphans: bool = False
    begins_narrow: bool = False

    def location(self, image_id: images.ImageId) -> images.Location:
        """Where the copy will be, as Glance writes it."""
        url = registration.location_url(
            self.cluster.fsid, self.cluster.pool, image_id
        )
        return images.Location(url, self.store)

    def open(self, image: images.Image, glance: ports.Images) -> storage.Copy:
        """Open the copy to be filled. Raises what open_copy() raises."""
        assert image.size_bytes is not None
        arguments = image.id, image.size_bytes, self.object_bytes
        try:
            return self.cluster.open_copy(*arguments)
        except exceptions.OrphanInTheWay as exc:
            published = self.cluster.remains(image.id).published
            if published is None:
                # It went as we looked.
                return self.cluster.open_copy(*arguments)
            if published.is_whole(image.size_bytes):
                return Adopted(self.cluster.open_snapshot(image.id))
            if not self.removes_orphans:
                raise exceptions.OrphanInTheWay(f'{exc}. {_ADVICE}') from exc
            if published.has_watchers:
                # What a process that was killed had open is so for 30 s
                # more (Ceph: osd_client_watch_timeout).
                raise exceptions.CopyInProgress(
                    f'{exc}, and somebody has it open'
                ) from exc
        orphans.check(glance.get(image.id), self.location(image.id))
        self.cluster.remove_orphan(image.id)
        return self.cluster.open_copy(*arguments)


class Adopted:
    """A whole copy of unknown origin: a storage.Copy that takes no writes."""

    is_fresh = False

    def __init__(self, snapshot: storage.Readable) -> None:
        self._snapshot = snapshot
        self.size_bytes = snapshot.size_bytes
        self.object_bytes = snapshot.object_bytes
        self.checksum_obstacle = snapshot.checksum_obstacle
        self.object_name = snapshot.object_name
        self.read = snapshot.read
        self.checksum = snapshot.checksum
        self.close = snapshot.close

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """Refuse: it is not ours."""
        done(
            exceptions.OrphanInTheWay(
                'an RBD image of unknown origin has the name of this image '
                f'and holds other data at offset {offset}; no location in '
                f'Glance leads to it. {_ADVICE}'
            )
        )

    def record_objects(self, numbers: Collection[int]) -> None:
        """Do nothing: it has a map."""

    def take_snapshot(self) -> None:
        """Do nothing: it has one."""

    def rename(self) -> None:
        """Do nothing: it has the name."""

    def discard(self) -> None:
        """Do nothing: it is not ours."""

    def release(self) -> None:
        """Do nothing: nobody claimed it."""
