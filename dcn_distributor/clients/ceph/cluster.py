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
"""One site's cluster: core.storage.Cluster by librados and librbd."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import logging
import threading

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import checks
from dcn_distributor.clients.ceph import claims as ceph_claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import copies
from dcn_distributor.clients.ceph import inspection
from dcn_distributor.clients.ceph import memory
from dcn_distributor.clients.ceph import names
from dcn_distributor.clients.ceph import opening
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.clients.ceph import removal
from dcn_distributor.clients.ceph import snapshots
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage

LOG = logging.getLogger(__name__)


class Cluster:
    """core.storage.Cluster."""

    def __init__(
        self, settings: sites.Cluster, options: ceph_options.Options
    ) -> None:
        memory.share_heap()
        self._settings = settings
        self._options = options
        self._connections = ceph_connections.Connections(settings, options)
        self._claims = ceph_claims.Claims(
            self._connections, options.identity, options.timeout_s
        )
        self._lock = threading.Lock()
        self._opened: set[snapshots.Snapshot | copies.Copy] = set()
        # Ends the thread that keeps claims and connections, if it runs.
        self._end: threading.Event | None = None

    @property
    def fsid(self) -> str:
        """The cluster's id, as it says itself."""
        return checks.fsid(self._first())

    @property
    def pool(self) -> str:
        """The name of the pool."""
        return self._settings.pool

    def check(self) -> None:
        """Try all that a copy needs; say what to do if it fails."""
        self._keep_up()
        checks.check(self._settings, self._connections)

    def remains(self, image_id: images.ImageId) -> storage.Remains:
        """Look at what lies under the names of an image."""
        connection = self._first()
        published, draft, is_claimed = tasks.together(
            lambda: inspection.published(connection, image_id),
            lambda: inspection.has_draft(connection, image_id),
            lambda: self._claims.exists(image_id),
        )
        return storage.Remains(published, draft, is_claimed)

    def leftovers(self) -> Sequence[images.ImageId]:
        """List the images that a draft or a claim of ours stands for."""
        drafts, claimed = tasks.together(
            lambda: inspection.drafts(self._first()), self._claims.list
        )
        return tuple(sorted(drafts | claimed))

    def open_snapshot(self, image_id: images.ImageId) -> storage.Readable:
        """Open the snapshot of a copy. Raises CopyNotFound."""
        self._keep_up()
        snapshot = snapshots.Snapshot(
            image_id, self._connections, self._forget
        )
        self._remember(snapshot)
        try:
            snapshot.open()
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def open_copy(
        self, image_id: images.ImageId, size_bytes: int, object_bytes: int
    ) -> storage.Copy:
        """Claim the image, and open what is there, or a new draft."""
        return self._open_claimed(
            image_id,
            lambda claimed: claimed.open_copy(size_bytes, object_bytes),
        )

    def open_published(self, image_id: images.ImageId) -> storage.Copy:
        """Claim a published copy, to repair it in place."""
        return self._open_claimed(
            image_id, lambda claimed: claimed.open_published()
        )

    def _open_claimed(
        self,
        image_id: images.ImageId,
        open_it: Callable[[opening.Opening], copies.Copy],
    ) -> storage.Copy:
        self._keep_up()
        claim = self._claims.take(image_id)
        try:
            copy = open_it(
                opening.Opening(self._connections, claim, self._forget)
            )
        except BaseException:
            self._abandon(claim)
            raise
        self._remember(copy)
        return copy

    def _abandon(self, claim: ceph_claims.Claim) -> None:
        """Give a claim up after an error, and leave no trace of it.

        Unless there is something of ours that it has to stand for.
        """
        with contextlib.suppress(exceptions.DistributorError):
            try:
                if self._stands_for_nothing(claim):
                    claim.remove()
            finally:
                # One that is not would be renewed for ever.
                claim.give_up()

    def _stands_for_nothing(self, claim: ceph_claims.Claim) -> bool:
        """Tell whether it need not be left; False if closed meanwhile."""
        return (
            not self._connections.is_closed
            and names.look(self._connections.first(), claim).is_nothing
        )

    @contextlib.contextmanager
    def _claimed(
        self, image_id: images.ImageId
    ) -> Iterator[ceph_claims.Claim]:
        """Hold the claim meanwhile."""
        claim = self._claims.take(image_id)
        try:
            yield claim
        finally:
            if not claim.is_removed:
                self._abandon(claim)

    def clear(
        self, image_id: images.ImageId, *, is_registered: Callable[[], bool]
    ) -> bool:
        """Remove draft and claim of an image; say if there was any."""
        was_claimed = self._claims.exists(image_id)
        with self._claimed(image_id) as claim:
            connection = self._first()
            found = names.look(connection, claim)
            if found.is_half_renamed:
                names.finish_rename(connection, image_id, found)
            else:
                removal.remove(connection, names.draft(image_id))
            if found.is_ours and not is_registered():
                removal.remove(connection, image_id)
            claim.remove()
        return was_claimed or found.draft is not None

    def remove_orphan(self, image_id: images.ImageId) -> None:
        """Remove what a crashed glance-api left under the image's name."""
        with self._claimed(image_id) as claim:
            connection = self._first()
            found = names.look(connection, claim)
            removal.remove_orphan(connection, image_id, found)

    def close(self) -> None:
        """Close all that is open, and the connections."""
        with self._lock:
            end, self._end = self._end, None
            opened = tuple(self._opened)
        if end is not None:
            end.set()
        if opened:
            tasks.together(*(each.close for each in opened))
        self._connections.close()

    # -- upkeep -----------------------------------------------------------

    def _first(self) -> ceph_connections.Connection:
        self._keep_up()
        return self._connections.first()

    def _remember(self, opened: snapshots.Snapshot | copies.Copy) -> None:
        with self._lock:
            self._opened.add(opened)

    def _forget(self, closed: snapshots.Snapshot | copies.Copy) -> None:
        with self._lock:
            self._opened.discard(closed)
            is_last = not self._opened
        if is_last:
            tasks.start('ceph-memory', memory.give_back)

    def _keep_up(self) -> None:
        """Have a thread that renews claims and closes what is idle."""
        with self._lock:
            if self._end is not None:
                return
            end = self._end = threading.Event()
        tasks.start('ceph-upkeep', lambda: self._upkeep(end))

    def _upkeep(self, end: threading.Event) -> None:
        while not end.wait(ceph_claims.RENEWAL_S):
            try:
                self._renew_or_close()
            except Exception:
                # Whatever it is: without this thread all claims lapse.
                LOG.exception('%s: a bug', self._connections.label)

    def _renew_or_close(self) -> None:
        self._claims.renew()
        with self._lock:
            is_idle = (
                not self._opened
                and self._connections.idle_s > self._options.idle_s
            )
        if is_idle:
            self.close()
