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
"""In-memory Ceph clusters that implement core.storage, for tests.

It is a fake with behaviour, not a mock, and passes the contract suite
(tests/contract/test_clusters.py) as the real clusters do. How to use it::

    world = timing.World(seed=7, reorder_s=0.01)     # virtual time
    site = ceph.Ceph(world)                          # a cluster, its far side
    handle = clusters.FakeCluster(site)              # what one process holds

    site.pool.put(image_id, data, object_bytes=8)    # as Glance makes it
    copy = handle.open_copy(image_id, len(data), 8)
    copy.write(0, b'abcd', answers.append)
    world.run_until(lambda: answers)                 # or step(), run_for(s)
    assert site.pool.read(image_id) == data          # the state of the world

- All lengths come from arguments: objects and chunks may have 2 bytes.
- In a `World`, read(), write() and checksum() come to an end only in step()
  and the run methods; the other methods end at once, or after the latency
  of their steps, while what falls due happens. Latency, bandwidth and errors
  are set at `site.faults`: delay(), read_bytes_s, fail('write', nth=3),
  fall_short(), corrupt('read'), is_full. site.freeze() and thaw() stop and
  restart all answers. site.pool.flip(name, offset) is decay at rest.
- Each handle is a process. handle.die() is its SIGKILL: what was in flight
  happens or not, by chance; from then on all of its calls raise ceph.Killed.
  site.faults.call('rename_image', handle.die) kills it before that step, and
  call(faults.ANY, handle.die, nth=n) before its n-th, whichever it is.
- With `timing.Instant()` every call is answered before it returns, with
  `timing.Threads()` from other threads and in real time.
- Stricter than the real one where the contract tells the caller what not to
  do: that raises ValueError.
"""

from collections.abc import Callable
from collections.abc import Sequence

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.fakes import ceph as fake_ceph
from tests.fakes import copies
from tests.fakes import rbd_pool


class FakeCluster:
    """See storage.Cluster: a handle on a cluster, as one process has it.

    :param fsid: what the cluster's id should be; None if nobody says
    """

    def __init__(self, ceph: fake_ceph.Ceph, fsid: str | None = None) -> None:
        self._ceph = ceph
        self._expected_fsid = fsid
        self._process = fake_ceph.Process(ceph)
        self._is_connected = False

    def die(self) -> None:
        """End this process as by SIGKILL."""
        self._process.die()

    @property
    def fsid(self) -> str:
        """See storage.Cluster."""
        self._connect()
        return self._ceph.fsid

    @property
    def pool(self) -> str:
        """See storage.Cluster."""
        return self._ceph.pool_name

    def check(self) -> None:
        """See storage.Cluster."""
        self._connect()
        if self._expected_fsid not in (None, self._ceph.fsid):
            raise exceptions.ConfigError(
                f'this is the cluster {self._ceph.fsid}, '
                f'expected {self._expected_fsid}'
            )
        self._process.step('look', lambda: None)

    def remains(self, image_id: images.ImageId) -> storage.Remains:
        """See storage.Cluster."""
        return self._step('look', lambda: self._remains(image_id))

    def _remains(self, image_id: images.ImageId) -> storage.Remains:
        found = self._images.get(image_id)
        published = None
        if found is not None:
            snapshot = found.snapshots.get(storage.SNAPSHOT)
            published = storage.Published(
                size_bytes=found.size_bytes,
                has_snapshot=snapshot is not None,
                is_protected=snapshot is not None and snapshot.is_protected,
                has_watchers=bool(found.watchers),
            )
        return storage.Remains(
            published=published,
            has_draft=draft_name(image_id) in self._images,
            is_claimed=image_id in self._ceph.claims,
        )

    def leftovers(self) -> Sequence[images.ImageId]:
        """See storage.Cluster."""
        return self._step('look', self._leftovers)

    def _leftovers(self) -> Sequence[images.ImageId]:
        suffix = storage.DRAFT_SUFFIX
        drafts = {
            images.ImageId(name.removesuffix(suffix))
            for name in self._images
            if name.endswith(suffix)
        }
        return sorted(drafts | set(self._ceph.claims))

    def open_snapshot(self, image_id: images.ImageId) -> copies.FakeReadable:
        """See storage.Cluster."""
        image, snapshot = self._step('open', lambda: self._find(image_id))
        return copies.FakeReadable(
            copies.Pieces(self._process, image, snapshot)
        )

    def _find(
        self, image_id: images.ImageId
    ) -> tuple[rbd_pool.RbdImage, rbd_pool.Snapshot]:
        found = self._images.get(image_id)
        if found is None or storage.SNAPSHOT not in found.snapshots:
            raise exceptions.CopyNotFound(
                f'{self.pool}/{image_id}@{storage.SNAPSHOT} does not exist'
            )
        return found, found.snapshots[storage.SNAPSHOT]

    def open_copy(
        self, image_id: images.ImageId, size_bytes: int, object_bytes: int
    ) -> copies.FakeCopy:
        """See storage.Cluster."""
        claim = self._step('claim', lambda: self._claim(image_id))
        try:
            lengths = (size_bytes, object_bytes)
            name = self._name_of_ours(image_id, claim)
            if name == image_id:
                self._require_usable(image_id, lengths)
            elif name is not None and lengths != self._lengths(name):
                copies.remove_ours(self._process, name)
                name = None
            if name is None:
                name = draft_name(image_id)
                self._process.step(
                    'create_image',
                    lambda: self._ceph.pool.create(name, *lengths),
                )
        except exceptions.OrphanInTheWay:
            self._retreat(image_id, claim)
            raise
        except exceptions.DistributorError:
            claim.is_left = True
            raise
        image = self._images[name]
        claim.made_id = image.id
        return copies.FakeCopy(self._process, image_id, image, claim)

    def _name_of_ours(
        self, image_id: images.ImageId, claim: fake_ceph.Claim
    ) -> str | None:
        """Return the name of what is to be filled, if there is any."""
        published = self._images.get(image_id)
        if published is not None:
            if published.id != claim.made_id:
                raise exceptions.OrphanInTheWay(
                    f'{self.pool}/{image_id} exists and is not ours'
                )
            return image_id
        draft = draft_name(image_id)
        return draft if draft in self._images else None

    def _lengths(self, name: str) -> tuple[int, int]:
        image = self._images[name]
        return image.size_bytes, image.object_bytes

    def _claim(self, image_id: images.ImageId) -> fake_ceph.Claim:
        standing = self._ceph.claims.get(image_id)
        if standing is not None and standing.is_held:
            raise exceptions.CopyInProgress(
                f'{self.pool}/{image_id} is claimed by another process'
            )
        made_id = standing.made_id if standing is not None else None
        claim = fake_ceph.Claim(self._process, made_id)
        self._ceph.claims[image_id] = claim
        return claim

    def _retreat(
        self, image_id: images.ImageId, claim: fake_ceph.Claim
    ) -> None:
        """Leave no claim where there is nothing of ours."""
        claim.is_left = True
        published = self._images.get(image_id)
        is_ours = published is not None and published.id == claim.made_id
        if not is_ours and draft_name(image_id) not in self._images:
            copies.drop_claim(self._process, image_id)

    def _require_usable(
        self, image_id: images.ImageId, lengths: tuple[int, int]
    ) -> None:
        """Check a copy of ours that was renamed: it may be registered."""
        found = self._images[image_id]
        if any(one.clones for one in found.snapshots.values()):
            raise exceptions.NotAnOrphan(f'{image_id} has clones')
        if lengths != self._lengths(image_id):
            raise exceptions.OrphanInTheWay(
                f'{image_id}: a copy of ours has other lengths'
            )

    def open_published(self, image_id: images.ImageId) -> copies.FakeCopy:
        """See storage.Cluster."""
        image, _ = self._step('open', lambda: self._find(image_id))
        if image.parent is not None:
            raise exceptions.NotCopyable(
                f'{self.pool}/{image_id} is a clone: not to be repaired'
            )
        claim = self._process.step('claim', lambda: self._claim(image_id))
        return copies.FakeCopy(
            self._process, image_id, image, claim, is_repair=True
        )

    def clear(
        self, image_id: images.ImageId, *, is_registered: Callable[[], bool]
    ) -> bool:
        """See storage.Cluster."""
        remains = self.remains(image_id)
        if not (remains.has_draft or remains.is_claimed):
            return False
        claim = self._process.step('claim', lambda: self._claim(image_id))
        try:
            if draft_name(image_id) in self._images:
                copies.remove_ours(self._process, draft_name(image_id))
            published = self._images.get(image_id)
            is_ours = published is not None and published.id == claim.made_id
            if is_ours and not is_registered():
                copies.remove_ours(self._process, image_id)
            copies.drop_claim(self._process, image_id)
        finally:
            claim.is_left = True
        return True

    def remove_orphan(self, image_id: images.ImageId) -> None:
        """See storage.Cluster."""
        self._step('look', lambda: self._require_orphan(image_id))
        copies.remove_snapshots(self._process, image_id)
        try:
            self._process.step(
                'remove_image', lambda: self._ceph.pool.remove(image_id)
            )
        except rbd_pool.PoolError as exc:
            raise exceptions.NotAnOrphan(f'{image_id}: {exc}') from exc

    def _require_orphan(self, image_id: images.ImageId) -> None:
        """Raise whatever speaks against the removal of an image."""
        found = self._images.get(image_id)
        if found is None:
            raise exceptions.CopyNotFound(f'{self.pool}/{image_id}: no image')
        claim = self._ceph.claims.get(image_id)
        if claim is not None and claim.is_held:
            raise exceptions.CopyInProgress(f'{image_id} is claimed')
        snapshot = found.snapshots.get(storage.SNAPSHOT)
        objections = {
            'is one of our copies': claim and claim.made_id == found.id,
            'is open elsewhere': found.watchers,
            'has other snapshots': found.snapshots.keys() - {storage.SNAPSHOT},
            'has clones': any(s.clones for s in found.snapshots.values()),
            'is whole': snapshot is not None and snapshot.is_protected,
        }
        for objection, holds in objections.items():
            if holds:
                raise exceptions.NotAnOrphan(
                    f'{self.pool}/{image_id} {objection}'
                )

    def close(self) -> None:
        """See storage.Cluster."""
        self._is_connected = False

    @property
    def _images(self) -> dict[str, rbd_pool.RbdImage]:
        return self._ceph.pool.images

    def _connect(self) -> None:
        self._process.live()
        if not self._is_connected:
            self._process.step('connect', lambda: None)
            self._is_connected = True

    def _step(
        self, kind: str, effect: Callable[[], fake_ceph.Result]
    ) -> fake_ceph.Result:
        self._connect()
        return self._process.step(kind, effect)


def draft_name(image_id: images.ImageId) -> str:
    """Return the name of the image while it is filled."""
    return f'{image_id}{storage.DRAFT_SUFFIX}'
