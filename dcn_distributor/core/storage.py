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
"""What a copy needs of the Ceph clusters, as protocols and their values.

Every implementation, the in-memory cluster of the tests included, passes the
contract suite in tests/contract.

An image is cut into *chunks* of equal length, a power of two that divides
the length of an object on both sides, so that no chunk spans two objects;
the last one ends with the image. Where nothing was written it reads as
zeros, and nothing need be stored.

Errors: all methods MAY raise ClusterUnavailable (no answer in time, a lost
connection), AccessDenied (caps) and StoreFull; no method hangs for ever.
Where a method takes `done`, the call returns at once and `done` is called
exactly once, from any thread, with the result or the error as a value.
`done` MUST be quick and MUST NOT raise. A method that takes `done` MAY also
call it before it returns.

What was closed is of no use: its calls end with ClusterUnavailable.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
from typing import Protocol

from dcn_distributor import exceptions
from dcn_distributor.core import images

# What Glance calls the snapshot of an image (glance_store: _drivers/rbd.py,
# DEFAULT_SNAPNAME).
SNAPSHOT = 'snap'

# Ends the name of an image we fill, before it is renamed to the image's id.
DRAFT_SUFFIX = '.dcn-distributor'


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """A range of an image, in bytes."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


def locate(offset: int, length: int, object_bytes: int) -> tuple[int, Extent]:
    """Find the object that holds a range of an image, and where in it.

    Returns its number and the range within. Raises VerificationFailed if one
    object does not hold it all: what is asked of it tells of a part only.
    """
    number, within = divmod(offset, object_bytes)
    if within + length > object_bytes:
        raise exceptions.VerificationFailed(
            f'{length} bytes at offset {offset} are not within one object of '
            f'{object_bytes} bytes'
        )
    return number, Extent(within, length)


@dataclasses.dataclass(frozen=True, slots=True)
class Checksum:
    """What an OSD computed over one chunk, at rest.

    `covered` bytes from the chunk's begin are stored, 0 if none are (or the
    object does not exist); the rest of the chunk reads as zeros. `value` is
    the xxhash64, seed 0, of these bytes.
    """

    covered: int
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Remains:
    """What a cluster holds under the two names of one image.

    :ivar published: what has the image's id for its name, if anything
    :ivar has_draft: whether there is an image of ours to be filled
    :ivar is_claimed: whether a claim of ours stands, held or left behind
    """

    published: 'Published | None'
    has_draft: bool
    is_claimed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """An RBD image that has an image's id for its name, whoever made it."""

    size_bytes: int
    has_snapshot: bool
    is_protected: bool
    has_watchers: bool

    def is_whole(self, size_bytes: int) -> bool:
        """Tell whether it looks like what Glance leaves when it is done."""
        return (
            self.has_snapshot
            and self.is_protected
            and self.size_bytes == size_bytes
        )


ReadDone = Callable[[bytes | exceptions.DistributorError], None]
WriteDone = Callable[[int | exceptions.DistributorError], None]
ChecksumDone = Callable[[Checksum | exceptions.DistributorError], None]


class Readable(Protocol):
    """An image's snapshot, opened to be read. Any thread may use it."""

    @property
    def size_bytes(self) -> int:
        """Length of the image."""
        ...

    @property
    def object_bytes(self) -> int:
        """Length of its objects."""
        ...

    @property
    def checksum_obstacle(self) -> str | None:
        """Why checksum() cannot serve here, None if it can.

        A clone has no objects of its own for what its parent holds; the
        cluster may be too old, the caps too narrow.
        """
        ...

    def object_name(self, offset: int) -> str:
        """Name the RADOS object that holds a byte, for people to look at."""
        ...

    def extents(self) -> Iterable[Extent]:
        """Where data may lie, ascending, without overlap, within the image.

        MAY name more than there is, MUST leave out only what reads as
        zeros: whole objects, where the cluster knows them to be missing. A
        clone's includes what its parent holds.
        """
        ...

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Read a range within the image; `done` gets exactly `length` bytes.

        Whatever is read short is an error, never padded; so is a range
        that goes beyond the end.
        """
        ...

    def checksum(self, offset: int, length: int, done: ChecksumDone) -> None:
        """Have the OSD compute over a range within one object.

        For any other, which it would tell a part of only, `done` gets
        VerificationFailed.
        """
        ...

    def close(self) -> None:
        """Let go of it; MAY be called again."""
        ...


class Copy(Protocol):
    """A copy in the making, or one to be repaired: opened to be written.

    Its claim is held until close(). Any thread may use it. Calls in flight
    when close() is called still end, with or without effect.
    """

    @property
    def size_bytes(self) -> int:
        """Length of the image."""
        ...

    @property
    def object_bytes(self) -> int:
        """Length of its objects."""
        ...

    @property
    def is_fresh(self) -> bool:
        """True if nothing had been written to it when it was opened.

        It read as zeros then. MAY be False all the same if it was not made
        by this call of open_copy().
        """
        ...

    @property
    def checksum_obstacle(self) -> str | None:
        """Why checksum() cannot serve here, None if it can."""
        ...

    def object_name(self, offset: int) -> str:
        """Name the RADOS object that holds a byte, for people to look at."""
        ...

    def write(self, offset: int, data: bytes, done: WriteDone) -> None:
        """Write one chunk; durable when `done` is called.

        Blocks of zeros within need not be sent, but what was there before
        reads as zeros then; `done` gets the number of bytes that were sent.
        Afterwards the chunk's checksum covers its whole length. A chunk of
        nothing but zeros MAY be written, too: that is how one is repaired.
        """
        ...

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Read a range back, where checksum() cannot serve."""
        ...

    def checksum(self, offset: int, length: int, done: ChecksumDone) -> None:
        """Have the OSD compute over a range within one object, at rest.

        For any other, which it would tell a part of only, `done` gets
        VerificationFailed.
        """
        ...

    def record_objects(self, numbers: Collection[int]) -> None:
        """Say which objects exist, in the image's object map.

        `numbers` are all that exist, be it that nothing but zeros was
        written to them: librbd leaves behind what the map denies when Glance
        removes the image (librbd: operation/TrimRequest.cc). MUST come after
        the last write and before take_snapshot(), so that the snapshot's map
        is valid; MAY be called again, the last call counts. For a copy from
        open_published() the snapshot's own map is changed, too.
        """
        ...

    def take_snapshot(self) -> None:
        """Make the protected snapshot; nothing may be written after it.

        MAY be called again: what is done is left as it is.
        """
        ...

    def rename(self) -> None:
        """Give it the image's id for its name, if it has it not yet.

        MAY run beside take_snapshot(). Raises OrphanInTheWay if that name is
        taken by another.
        """
        ...

    def discard(self) -> None:
        """Remove it, snapshot and all, and give up the claim.

        Only what is ours: a draft, or a copy that we have renamed. MUST NOT
        be called once a location is registered. Raises NotAnOrphan if it has
        clones.
        """
        ...

    def release(self) -> None:
        """Give up the claim for good: the copy is registered, or given up.

        After this nothing in the cluster tells the copy from Glance's own.
        """
        ...

    def close(self) -> None:
        """Let go of it, and leave it and its claim for another pass.

        Does not wait: the claim is free as soon as the calls in flight have
        ended. MAY be called again.
        """
        ...


class Cluster(Protocol):
    """One site's cluster and the pool of images in it.

    Connects when first used, again after it was lost, and keeps connections
    warm. Opened after the fork: a handle does not survive it.
    """

    @property
    def fsid(self) -> str:
        """The cluster's id, as it says itself."""
        ...

    @property
    def pool(self) -> str:
        """The name of the pool."""
        ...

    def check(self) -> None:
        """Try all that a copy needs: connection, fsid, caps on the pool.

        Raises what is wrong, in words for an operator; ConfigError if it is
        not the cluster that sites.yaml says.
        """
        ...

    def remains(self, image_id: images.ImageId) -> Remains:
        """Look at what lies under the names of an image."""
        ...

    def leftovers(self) -> Sequence[images.ImageId]:
        """List the images that a draft or a claim of ours stands for."""
        ...

    def open_snapshot(self, image_id: images.ImageId) -> Readable:
        """Open the snapshot of a copy. Raises CopyNotFound."""
        ...

    def open_copy(
        self, image_id: images.ImageId, size_bytes: int, object_bytes: int
    ) -> Copy:
        """Claim the image in this pool, and open what is there to be filled.

        That is a draft left by another pass; or a copy that was renamed by
        us and not released, which may be registered: the caller finds that
        out while it holds the claim. In either a snapshot that was taken
        stays, shows what is written, and has its object map recorded, too.
        Or else a new draft, of these lengths, with the features that this
        cluster's configuration gives to new images. A draft of other lengths
        is removed first; a renamed copy of other lengths is in the way.

        A claim names the RBD image that was made for it: what merely has its
        name is not ours. It is held until the copy is closed or released, be
        it by the same process; a dead process's is free within a minute.

        Raises CopyInProgress while another holds the claim; OrphanInTheWay
        if the image's name is taken by what is not ours, which is never
        touched, and no claim is left then unless there is a draft; and
        NotAnOrphan if what is ours has clones, so that it must have been
        registered.
        """
        ...

    def open_published(self, image_id: images.ImageId) -> Copy:
        """Claim a published copy to repair it in place, whoever made it.

        Its writes go to what both image and snapshot show, and thereby to
        what clones have not overwritten. record_objects() is needed only if
        an object was written that the snapshot's map may deny. rename(),
        take_snapshot() and discard() MUST NOT be called. Such a claim never
        makes the image ours. Raises CopyNotFound if there is no image or no
        snapshot, CopyInProgress, and NotCopyable if it is itself a clone.
        """
        ...

    def clear(
        self, image_id: images.ImageId, *, is_registered: Callable[[], bool]
    ) -> bool:
        """Remove draft and claim of an image; say if there was any.

        A copy of ours that was renamed and not released goes with them,
        unless a location leads to it. That is what `is_registered` is asked,
        of such a copy only: once, directly before it would go, and while the
        claim is held, so that nobody of ours registers it meanwhile. What it
        raises is raised here, and copy and claim are left.

        Raises CopyInProgress while another holds the claim, and NotAnOrphan
        if the copy to go has clones.
        """
        ...

    def remove_orphan(self, image_id: images.ImageId) -> None:
        """Remove what a crashed glance-api left under the image's name.

        The caller has made sure that no location in Glance leads to it.
        Raises NotAnOrphan if it has watchers, clones or other snapshots, is
        whole (its snapshot is protected), or is ours, which is for clear();
        CopyInProgress if somebody holds the claim; and CopyNotFound.
        """
        ...

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        ...
