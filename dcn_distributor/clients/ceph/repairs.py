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
"""The objects of a published copy, repaired under its snapshot and clones.

A write with an empty snapshot context changes the object itself. As long as
the object was not written after the snapshot was taken, which nobody does to
a Glance image, the snapshot has no clone of it in the OSD and shows the same
object, and so do the RBD clones of the snapshot. Whether that is so is
looked at before the first write of each.
"""

import contextlib
import threading

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import objects
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import storage


class RepairedObjects(objects.Objects):
    """Objects, as the snapshot shows them; written only if it shows that."""

    def __init__(
        self,
        connections: ceph_connections.Connections,
        header: headers.Header,
        claim: claims.Claim,
        snap_id: int,
    ) -> None:
        with contextlib.ExitStack() as opened:
            pools = []
            for each in (snap_id, snap_id, None):
                pool = connections.new_native_pool(
                    header.data_pool_id, snap_id=each
                )
                opened.callback(pool.close)
                pools.append(pool)
            opened.pop_all()
        of_checksums, self._at_snapshot, self._at_head = pools
        super().__init__(
            connections,
            header,
            claim,
            of_checksums,
            is_blank=False,
            snap_id=snap_id,
        )
        self._looking = threading.Lock()
        # Those that image and snapshot shared before we wrote any of it.
        self._shared: set[str] = set()

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """Write one chunk, if image and snapshot share its object."""
        name = self._header.object_name(offset // self._header.object_bytes)

        def work() -> None:
            try:
                self._check_shared(name)
            except exceptions.DistributorError as exc:
                done(exc)
                return
            super(RepairedObjects, self).write(offset, data, done)

        tasks.start('ceph-repair', work)

    def _check_shared(self, name: str) -> None:
        """Look at an object, before the first of its chunks is written.

        Not again: a chunk of ours may arrive between the two looks.
        """
        with self._looking:
            if name in self._shared:
                return
            with errors.translated(f'look at object {name}'):
                versions = tasks.together(
                    lambda: self._at_snapshot.version(name),
                    lambda: self._at_head.version(name),
                )
            if versions[0] != versions[1]:
                raise exceptions.VerificationFailed(
                    f'object {name} was written after the snapshot was '
                    'taken: it cannot be repaired in place'
                )
            self._shared.add(name)

    def close(self) -> None:
        """Let go of the pools."""
        super().close()
        self._at_snapshot.close()
        self._at_head.close()
