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
"""Find out what a claimed image is, and open it to be filled or repaired."""

from collections.abc import Callable
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import copies
from dcn_distributor.clients.ceph import creation
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import names
from dcn_distributor.clients.ceph import objects
from dcn_distributor.clients.ceph import publication as ceph_publication
from dcn_distributor.clients.ceph import removal
from dcn_distributor.clients.ceph import repairs
from dcn_distributor.clients.ceph import snapshots
from dcn_distributor.clients.ceph import tasks


@dataclasses.dataclass(frozen=True, slots=True)
class Opening:
    """One image that is claimed, to be opened.

    :ivar on_close: called once when the copy is closed
    """

    connections: ceph_connections.Connections
    claim: claims.Claim
    on_close: Callable[[copies.Copy], None]

    def open_copy(self, size_bytes: int, object_bytes: int) -> copies.Copy:
        """Open what is ours, or make a draft. Raises OrphanInTheWay."""
        connection = self.connections.first()
        found, features = tasks.together(
            lambda: names.look(connection, self.claim),
            lambda: creation.plain_features(connection),
        )
        if found.published is not None and not found.is_ours:
            raise exceptions.OrphanInTheWay(
                f'image {self.claim.image_id} in {self.connections.label}: '
                'the name is taken by an RBD image that is not ours'
            )
        header = self._adopt(connection, found, size_bytes, object_bytes)
        is_fresh = header is None
        if header is None:
            header = creation.Creation(
                connection,
                names.draft(self.claim.image_id),
                size_bytes,
                object_bytes,
                features,
                self.claim.record,
            ).create()
        return self._copy(
            header, is_fresh=is_fresh, has_name=found.is_ours and not is_fresh
        )

    def _adopt(
        self,
        connection: ceph_connections.Connection,
        found: names.Found,
        size_bytes: int,
        object_bytes: int,
    ) -> headers.Header | None:
        """Give what is there and fits; remove a draft that does not."""
        image_id = self.claim.image_id
        rbd_id = found.published or found.draft
        if rbd_id is None:
            return None
        name = image_id if found.is_ours else names.draft(image_id)
        header = None
        if rbd_id != headers.UNFINISHED:
            with connection.translated(f'look at the copy of {image_id}'):
                header = headers.read_if_whole(connection.pool(), rbd_id)
        if found.is_ours:
            removal.check_unused(connection, name)
        if header is not None and header.fits(size_bytes, object_bytes):
            if found.ours != rbd_id:
                self.claim.record(rbd_id)
            return header
        if found.is_ours and header is not None:
            # It may be registered, so only an operator can remove it.
            raise exceptions.OrphanInTheWay(
                f'image {image_id} in {self.connections.label}: a copy that '
                'an agent made has other lengths than it should have now'
            )
        # The header goes first: without one there was a removal cut off.
        removal.remove(connection, name)
        if found.is_half_renamed:
            removal.remove(connection, names.draft(image_id))
        return None

    def _copy(
        self, header: headers.Header, *, is_fresh: bool, has_name: bool
    ) -> copies.Copy:
        """Put a copy together; `has_name` if it has the image's name already.

        Such a one may be registered, and in use: nothing is changed of it
        before the caller does.
        """
        publication = ceph_publication.Publication(
            self.connections, header, self.claim.image_id
        )
        pool = self.connections.new_native_pool(header.data_pool_id)
        try:
            if not has_name:
                publication.begin()
        except BaseException:
            pool.close()
            raise
        return copies.Copy(
            copies.Parts(
                self.connections,
                header,
                self.claim,
                objects.Objects(
                    self.connections,
                    header,
                    self.claim,
                    pool,
                    is_blank=is_fresh,
                ),
                publication,
            ),
            self.on_close,
            is_fresh=is_fresh,
        )

    def open_published(self) -> copies.Copy:
        """Open the copy that has the image's name, to be repaired.

        Raises CopyNotFound, and NotCopyable if its objects are not what the
        image shows: where it is striped, or a clone.
        """
        connection = self.connections.first()
        image_id = self.claim.image_id
        image = snapshots.open_image(connection, image_id)
        try:
            with connection.translated(f'look at image {image_id}'):
                facts = snapshots.facts_of(image)
                header = headers.read(connection.pool(), facts.rbd_id)
        finally:
            tasks.start(
                'ceph-close', lambda: snapshots.close_image(connection, image)
            )
        if facts.obstacle is not None:
            raise exceptions.NotCopyable(
                f'image {image_id} cannot be repaired: {facts.obstacle}'
            )
        publication = ceph_publication.Publication(
            self.connections, header, image_id
        )
        publication.has_snapshot(facts.snap_id)
        return copies.Copy(
            copies.Parts(
                self.connections,
                header,
                self.claim,
                repairs.RepairedObjects(
                    self.connections, header, self.claim, facts.snap_id
                ),
                publication,
            ),
            self.on_close,
            is_fresh=False,
        )
