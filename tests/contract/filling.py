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
"""What the tests of the clusters' contract have in common.

Data to copy, calls that are answered later, and a copy from begin to end.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import functools
import random
from typing import TypeVar
import uuid

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.contract import cluster_worlds

MIB = 2**20
CHUNK = MIB
OBJECT = 4 * MIB
# Three objects, of which the last one is short, and its last chunk too.
SIZE = 2 * OBJECT + CHUNK + 5

Result = TypeVar('Result')
Answer = TypeVar('Answer')


@functools.lru_cache(maxsize=16)
def noise(length: int = SIZE, seed: int = 0) -> bytes:
    """Return random bytes, no block of which is zero; always the same."""
    return random.Random(seed).randbytes(length)


def new_id() -> images.ImageId:
    """Return the id of an image that nobody has."""
    return images.ImageId(str(uuid.uuid4()))


def cut(size_bytes: int) -> Iterator[tuple[int, int]]:
    """Return the offset and length of each chunk of an image."""
    for offset in range(0, size_bytes, CHUNK):
        yield offset, min(CHUNK, size_bytes - offset)


def checksum_of(data: bytes) -> storage.Checksum:
    """Return the checksum of a chunk that is stored whole."""
    return storage.Checksum(len(data), xxhash.xxh64_intdigest(data))


def answers(
    world: cluster_worlds.World,
    calls: Iterable[
        Callable[
            [Callable[[Answer | exceptions.DistributorError], None]], None
        ]
    ],
) -> list[Answer | exceptions.DistributorError]:
    """Make all calls without waiting; then wait for their answers."""
    given: dict[int, Answer | exceptions.DistributorError] = {}
    count = 0
    for count, call in enumerate(calls, 1):
        call(functools.partial(_note, given, count))
    world.settle(lambda: len(given) == count)
    return [given[number] for number in range(1, count + 1)]


def _note(given: dict[int, Result], number: int, answer: Result) -> None:
    assert number not in given, 'answered twice'
    given[number] = answer


def answer(
    world: cluster_worlds.World,
    call: Callable[
        [Callable[[Answer | exceptions.DistributorError], None]], None
    ],
) -> Answer | exceptions.DistributorError:
    """Make a call and wait for its answer, which may be an error."""
    return answers(world, [call])[0]


def read(
    world: cluster_worlds.World,
    image: storage.Readable | storage.Copy,
    offset: int,
    length: int,
) -> bytes:
    """Read a range of an image."""
    data = answer(world, functools.partial(image.read, offset, length))
    assert isinstance(data, bytes), data
    return data


def read_all(
    world: cluster_worlds.World, image: storage.Readable | storage.Copy
) -> bytes:
    """Read an image chunk by chunk, many at a time."""
    parts = answers(
        world,
        (
            functools.partial(image.read, offset, length)
            for offset, length in cut(image.size_bytes)
        ),
    )
    for part in parts:
        assert isinstance(part, bytes), part
    return b''.join(part for part in parts if isinstance(part, bytes))


def checksum(
    world: cluster_worlds.World,
    image: storage.Readable | storage.Copy,
    offset: int,
    length: int = CHUNK,
) -> storage.Checksum:
    """Have the checksum of a chunk computed."""
    found = answer(world, functools.partial(image.checksum, offset, length))
    assert isinstance(found, storage.Checksum), found
    return found


def checksums(
    world: cluster_worlds.World, image: storage.Readable | storage.Copy
) -> list[storage.Checksum | exceptions.DistributorError]:
    """Have the checksums of all chunks computed."""
    return answers(
        world,
        (
            functools.partial(image.checksum, offset, length)
            for offset, length in cut(image.size_bytes)
        ),
    )


def write(
    world: cluster_worlds.World, copy: storage.Copy, offset: int, data: bytes
) -> int:
    """Write one chunk; return how much was sent."""
    sent = answer(world, functools.partial(copy.write, offset, data))
    assert isinstance(sent, int), sent
    return sent


def fill(
    world: cluster_worlds.World, copy: storage.Copy, data: bytes
) -> frozenset[int]:
    """Write all chunks that are not zero; return the objects they lie in."""
    chunks = [
        (offset, data[offset : offset + length])
        for offset, length in cut(len(data))
    ]
    full = [
        (offset, chunk)
        for offset, chunk in chunks
        if chunk.count(0) != len(chunk)
    ]
    ends = answers(
        world,
        (
            functools.partial(copy.write, offset, chunk)
            for offset, chunk in full
        ),
    )
    for end in ends:
        assert isinstance(end, int), end
    return frozenset(offset // copy.object_bytes for offset, _ in full)


def publish(
    world: cluster_worlds.World,
    cluster: storage.Cluster,
    image_id: images.ImageId,
    data: bytes,
    object_bytes: int = OBJECT,
) -> None:
    """Make a copy from begin to end, up to the release of its claim."""
    copy = finish(world, cluster, image_id, data, object_bytes)
    copy.release()
    copy.close()


def finish(
    world: cluster_worlds.World,
    cluster: storage.Cluster,
    image_id: images.ImageId,
    data: bytes,
    object_bytes: int = OBJECT,
) -> storage.Copy:
    """Make a copy up to its name and snapshot; it is not released."""
    copy = cluster.open_copy(image_id, len(data), object_bytes)
    copy.record_objects(fill(world, copy, data))
    copy.take_snapshot()
    copy.rename()
    return copy
