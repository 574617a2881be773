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
"""A pool of RBD images in memory, with the ways of RADOS and librbd.

It is the state of the world: tests fill it and look at it here, the fake
client of tests.fakes.clusters works on it. What it takes from the real one:

- Objects know snapshots as the OSDs do (PrimaryLogPG: make_writeable,
  find_object_context): a write keeps the old bytes for a snapshot only if
  it comes with a snapshot context; a raw one changes what snapshots show.
- The object map is what librbd believes (librbd: object_map/): raw writes
  do not change it, a snapshot gets the one its image has at that moment,
  and what it says is missing reads as zeros, or as the parent, without a
  look. Removing an image leaves behind what its map denies.
"""

from collections.abc import Iterator
import dataclasses
import itertools


class PoolError(Exception):
    """What librbd would refuse."""


class NameTaken(PoolError):
    """rbd.ImageExists."""


class NoSuchImage(PoolError):
    """rbd.ImageNotFound."""


class InUse(PoolError):
    """rbd.ImageBusy: watchers, clones, or a protected snapshot."""


class HasSnapshots(PoolError):
    """rbd.ImageHasSnapshots."""


@dataclasses.dataclass(slots=True)
class _Kept:
    """The bytes of an object as snapshots up to `newest` see them."""

    newest: int
    snapshots: set[int]
    data: bytes


class RadosObject:
    """One object: its head, and what it was for snapshots."""

    __slots__ = ('head', 'kept', 'sequence')

    def __init__(self) -> None:
        self.head: bytearray | None = None
        self.sequence = 0
        self.kept: list[_Kept] = []

    def at(self, snapshot: int | None) -> bytes | bytearray | None:
        """Return the bytes that a snapshot sees, or None if there are none."""
        if snapshot is None or snapshot > self.sequence:
            return self.head
        for one in self.kept:
            if one.newest >= snapshot:
                return one.data if snapshot in one.snapshots else None
        return None

    def write(
        self, offset: int, data: bytes, context: tuple[int, ...] = ()
    ) -> None:
        """Write; `context` has the snapshots to be kept, oldest first."""
        if context and context[-1] > self.sequence:
            if self.head is not None:
                seen = {one for one in context if one > self.sequence}
                self.kept.append(_Kept(context[-1], seen, bytes(self.head)))
            self.sequence = context[-1]
        if self.head is None:
            self.head = bytearray()
        missing = offset - len(self.head)
        if missing > 0:
            self.head += bytes(missing)
        self.head[offset : offset + len(data)] = data

    def forget(self, snapshot: int) -> None:
        """Drop what only this snapshot saw."""
        for one in self.kept:
            one.snapshots.discard(snapshot)
        self.kept = [one for one in self.kept if one.snapshots]

    def flip(self, offset: int) -> None:
        """Flip a bit at rest, in all that is stored of this byte."""
        if self.head is not None and offset < len(self.head):
            self.head[offset] ^= 1
        for one in self.kept:
            if offset < len(one.data):
                data = bytearray(one.data)
                data[offset] ^= 1
                one.data = bytes(data)


@dataclasses.dataclass(slots=True)
class Snapshot:
    """A snapshot of an image. `object_map` is None where it is invalid."""

    id: int
    object_map: set[int] | None
    is_protected: bool = False
    clones: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(slots=True)
class RbdImage:
    """An image's header. `parent` is the image and snapshot it came from.

    `object_map` is None where it is invalid. `watchers` are the names of
    those who have it open.
    """

    id: str
    size_bytes: int
    object_bytes: int
    objects: dict[int, RadosObject]
    object_map: set[int] | None = dataclasses.field(default_factory=set)
    parent: 'tuple[RbdImage, Snapshot] | None' = None
    snapshots: dict[str, Snapshot] = dataclasses.field(default_factory=dict)
    watchers: set[str] = dataclasses.field(default_factory=set)

    def pieces(
        self, offset: int, length: int
    ) -> Iterator[tuple[int, int, int]]:
        """Cut a range at objects: number, offset within, length."""
        end = offset + length
        while offset < end:
            number, within = divmod(offset, self.object_bytes)
            piece = min(self.object_bytes - within, end - offset)
            yield number, within, piece
            offset += piece

    def stored(
        self, number: int, snapshot: Snapshot | None = None
    ) -> bytes | bytearray | None:
        """Return an object's bytes as the OSD has them; None if it has not."""
        one = self.objects.get(number)
        if one is None:
            return None
        return one.at(None if snapshot is None else snapshot.id)

    def believes_in(self, number: int, snapshot: Snapshot | None) -> bool:
        """Tell whether librbd would look for the object at all."""
        known = snapshot.object_map if snapshot else self.object_map
        return known is None or number in known

    def read(
        self, offset: int, length: int, snapshot: Snapshot | None = None
    ) -> bytes:
        """Read as librbd does; past the end it gives less."""
        length = max(0, min(length, self.size_bytes - offset))
        return b''.join(
            self._read_piece(number, within, piece, snapshot)
            for number, within, piece in self.pieces(offset, length)
        )

    def _read_piece(
        self, number: int, within: int, length: int, snapshot: Snapshot | None
    ) -> bytes:
        if self.believes_in(number, snapshot):
            data = self.stored(number, snapshot)
            if data is not None:
                return bytes(data[within : within + length]).ljust(
                    length, b'\0'
                )
        if self.parent is None:
            return bytes(length)
        parent, origin = self.parent
        offset = number * self.object_bytes + within
        return parent.read(offset, length, origin).ljust(length, b'\0')

    def write(self, offset: int, data: bytes) -> None:
        """Write as librbd does: snapshots are kept, the map is right."""
        assert offset + len(data) <= self.size_bytes
        context = tuple(sorted(one.id for one in self.snapshots.values()))
        begin = 0
        for number, within, piece in self.pieces(offset, len(data)):
            one = self.objects.setdefault(number, RadosObject())
            if one.head is None and self.parent is not None:
                whole = self.read(
                    number * self.object_bytes, self.object_bytes
                )
                one.write(0, whole, context)
            one.write(within, data[begin : begin + piece], context)
            if self.object_map is not None:
                self.object_map.add(number)
            begin += piece

    def allocated(self, snapshot: Snapshot | None = None) -> set[int]:
        """Return the objects that may hold data, a parent's included."""
        known = snapshot.object_map if snapshot else self.object_map
        numbers = set(
            known
            if known is not None
            else (
                number
                for number in self.objects
                if self.stored(number, snapshot) is not None
            )
        )
        if self.parent is not None:
            parent, origin = self.parent
            for number in parent.allocated(origin):
                begin = number * parent.object_bytes
                length = min(parent.object_bytes, self.size_bytes - begin)
                numbers.update(n for n, _, _ in self.pieces(begin, length))
        return numbers


class Pool:
    """Images by name, and the objects of each by its internal id."""

    def __init__(self) -> None:
        self.images: dict[str, RbdImage] = {}
        self.objects: dict[str, dict[int, RadosObject]] = {}
        self._ids = itertools.count(1)
        self._snapshot_ids = itertools.count(1)

    def find(self, name: str) -> RbdImage:
        """Return an image. Raises NoSuchImage."""
        try:
            return self.images[name]
        except KeyError:
            raise NoSuchImage(name) from None

    def create(
        self, name: str, size_bytes: int, object_bytes: int
    ) -> RbdImage:
        """Make an empty image. Raises NameTaken."""
        if name in self.images:
            raise NameTaken(name)
        rbd_id = f'{next(self._ids):x}'
        objects: dict[int, RadosObject] = {}
        self.objects[rbd_id] = objects
        image = RbdImage(rbd_id, size_bytes, object_bytes, objects)
        self.images[name] = image
        return image

    def put(
        self,
        name: str,
        data: bytes,
        object_bytes: int,
        *,
        is_protected: bool = True,
    ) -> RbdImage:
        """Make an image as Glance does; objects of zeros are not written."""
        image = self.create(name, len(data), object_bytes)
        for begin in range(0, len(data), object_bytes):
            piece = data[begin : begin + object_bytes]
            if piece.count(0) != len(piece):
                image.write(begin, piece)
        self.take_snapshot(name, 'snap').is_protected = is_protected
        return image

    def rename(self, old: str, new: str) -> None:
        """Give an image another name. Raises NameTaken."""
        image = self.find(old)
        if new in self.images:
            raise NameTaken(new)
        del self.images[old]
        self.images[new] = image

    def take_snapshot(self, name: str, snapshot: str) -> Snapshot:
        """Snapshot an image, its object map with it. Raises NameTaken."""
        image = self.find(name)
        if snapshot in image.snapshots:
            raise NameTaken(snapshot)
        known = image.object_map
        made = Snapshot(
            next(self._snapshot_ids), None if known is None else set(known)
        )
        image.snapshots[snapshot] = made
        return made

    def unprotect(self, name: str, snapshot: str) -> None:
        """Unprotect a snapshot. Raises InUse."""
        found = self.find(name).snapshots[snapshot]
        if found.clones:
            raise InUse(f'{name}@{snapshot} has clones')
        found.is_protected = False

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot. Raises InUse."""
        image = self.find(name)
        found = image.snapshots[snapshot]
        if found.is_protected or found.clones:
            raise InUse(f'{name}@{snapshot}')
        del image.snapshots[snapshot]
        for one in image.objects.values():
            one.forget(found.id)

    def remove(self, name: str) -> None:
        """Remove an image and the objects its map knows of.

        Raises HasSnapshots and InUse.
        """
        image = self.find(name)
        if image.snapshots:
            raise HasSnapshots(name)
        if image.watchers:
            raise InUse(f'{name} is open elsewhere')
        if image.parent is not None:
            image.parent[1].clones.discard(name)
        for number in list(image.objects):
            if image.believes_in(number, None):
                del image.objects[number]
        if not image.objects:
            del self.objects[image.id]
        del self.images[name]

    def clone(self, parent: str, name: str) -> RbdImage:
        """Clone a snapshot `snap`; newer clusters need no protection."""
        origin = self.find(parent)
        snapshot = origin.snapshots['snap']
        image = self.create(name, origin.size_bytes, origin.object_bytes)
        image.parent = (origin, snapshot)
        snapshot.clones.add(name)
        return image

    def write_raw(self, image: RbdImage, offset: int, data: bytes) -> None:
        """Write an object as RADOS does, past librbd and its snapshots.

        Even if the image is gone by now.
        """
        number, within = divmod(offset, image.object_bytes)
        objects = self.objects.setdefault(image.id, image.objects)
        objects.setdefault(number, RadosObject()).write(within, data)

    def read(self, name: str, snapshot: str | None = 'snap') -> bytes:
        """Read an image or a snapshot whole, as librbd shows it."""
        image = self.find(name)
        seen = image.snapshots[snapshot] if snapshot else None
        return image.read(0, image.size_bytes, seen)

    def flip(self, name: str, offset: int) -> None:
        """Flip a bit at rest; nobody is told."""
        image = self.find(name)
        number, within = divmod(offset, image.object_bytes)
        image.objects[number].flip(within)

    def strays(self) -> dict[str, dict[int, RadosObject]]:
        """Return the objects that belong to no image."""
        known = {image.id for image in self.images.values()}
        return {
            rbd_id: objects
            for rbd_id, objects in self.objects.items()
            if rbd_id not in known and objects
        }
