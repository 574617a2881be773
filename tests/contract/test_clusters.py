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
"""What every `core.storage.Cluster` does: to read, to fill, to publish.

The fakes as the real one; test_cluster_claims.py has the rest. Each test
makes images of its own.
"""

import functools
import gc

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from tests.contract import cluster_worlds
from tests.contract import filling
from tests.contract.filling import CHUNK
from tests.contract.filling import noise
from tests.contract.filling import OBJECT
from tests.contract.filling import SIZE

World = cluster_worlds.World
SHAPES = pytest.mark.parametrize(
    ('size_bytes', 'object_bytes'),
    [
        (1, OBJECT),
        (CHUNK, 2 * OBJECT),
        (OBJECT, OBJECT),
        (OBJECT + 1, OBJECT),
        (SIZE, OBJECT),
        (SIZE, 2 * OBJECT),
    ],
    ids=[
        'a byte',
        'a chunk',
        'an object',
        'a byte more',
        'three objects',
        'larger objects',
    ],
)
ZEROS = bytes(CHUNK)


def _sparse() -> bytes:
    """Return data with a hole of an object and one of a chunk."""
    full = bytearray(noise(4 * OBJECT + 7))
    full[OBJECT : 2 * OBJECT] = bytes(OBJECT)
    full[2 * OBJECT : 2 * OBJECT + CHUNK] = ZEROS
    return bytes(full)


# -- clusters ---------------------------------------------------------------


def test_cluster_says_what_it_is(clusters: World) -> None:
    for site in clusters.sites:
        cluster = site.connect()

        assert (cluster.fsid, cluster.pool) == (site.fsid, site.pool)


def test_check_finds_nothing_wrong(clusters: World) -> None:
    for site in clusters.sites:
        site.connect_anew(site.fsid).check()


def test_check_tells_another_cluster(clusters: World) -> None:
    first, second = clusters.sites

    with pytest.raises(exceptions.ConfigError, match=second.fsid):
        first.connect_anew(second.fsid).check()


def test_check_leaves_nothing(clusters: World) -> None:
    site = clusters.sites[0]
    before = site.names(), site.marks(), site.strays()

    site.connect().check()

    assert (site.names(), site.marks(), site.strays()) == before


def test_cluster_is_used_again_after_close(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect_anew()
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    cluster.open_snapshot(image_id).close()

    cluster.close()
    cluster.close()

    image = cluster.open_snapshot(image_id)
    assert filling.read_all(clusters, image) == noise()


def test_handles_come_and_go(clusters: World) -> None:
    """Whatever is under way, and in whichever order they are forgotten."""
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)

    for number in range(12):
        cluster = site.connect_anew()
        image = cluster.open_snapshot(image_id)
        if number % 2:
            assert filling.read(clusters, image, 0, 5) == noise()[:5]
        if number % 3:
            image.close()
        cluster.close()
        gc.collect()

    image = site.connect_anew().open_snapshot(image_id)
    assert filling.read_all(clusters, image) == noise()


def test_cluster_that_does_not_answer_is_unavailable(clusters: World) -> None:
    cluster = clusters.sites[0].unreachable()
    image_id = filling.new_id()

    for call in (
        cluster.check,
        lambda: cluster.remains(image_id),
        cluster.leftovers,
        lambda: cluster.open_snapshot(image_id),
        lambda: cluster.open_copy(image_id, SIZE, OBJECT),
        lambda: cluster.open_published(image_id),
        lambda: cluster.clear(image_id, is_registered=lambda: False),
        lambda: cluster.remove_orphan(image_id),
    ):
        with pytest.raises(exceptions.ClusterUnavailable):
            call()
    cluster.close()


# -- to read ----------------------------------------------------------------


@SHAPES
def test_snapshot_is_read_as_it_is(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(size_bytes), object_bytes)

    image = site.connect().open_snapshot(image_id)

    assert image.size_bytes == size_bytes
    assert image.object_bytes == object_bytes
    assert filling.read_all(clusters, image) == noise(size_bytes)


def test_ranges_need_not_keep_to_objects(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    image = site.connect().open_snapshot(image_id)

    for offset, length in (
        (0, SIZE),
        (OBJECT - 3, 5),
        (1, 2 * OBJECT),
        (SIZE - 1, 1),
    ):
        data = filling.read(clusters, image, offset, length)
        assert data == noise()[offset : offset + length]


@pytest.mark.parametrize(
    ('offset', 'length'),
    [(SIZE - 1, 2), (SIZE, 1), (SIZE + OBJECT, CHUNK), (2 * OBJECT, OBJECT)],
)
def test_reading_past_the_end_is_an_error(
    clusters: World, offset: int, length: int
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    image = site.connect().open_snapshot(image_id)

    end = filling.answer(
        clusters, functools.partial(image.read, offset, length)
    )

    assert isinstance(end, exceptions.DistributorError)


def test_empty_image_has_no_extents(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, b'', OBJECT)

    image = site.connect().open_snapshot(image_id)

    assert image.size_bytes == 0
    assert list(image.extents()) == []


def test_snapshot_shows_nothing_written_later(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    site.overwrite(image_id, 0, noise(CHUNK, seed=1))

    image = site.connect().open_snapshot(image_id)

    assert filling.read_all(clusters, image) == noise()
    assert filling.checksum(clusters, image, 0) == filling.checksum_of(
        noise()[:CHUNK]
    )


def test_image_that_is_not_there_is_not_found(clusters: World) -> None:
    cluster = clusters.sites[0].connect()

    for call in (cluster.open_snapshot, cluster.open_published):
        with pytest.raises(exceptions.CopyNotFound):
            call(filling.new_id())


def test_image_without_snapshot_is_not_found(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage='written')

    for call in (cluster.open_snapshot, cluster.open_published):
        with pytest.raises(exceptions.CopyNotFound):
            call(image_id)
    assert site.marks() == frozenset()


def test_snapshot_is_closed_twice(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    cluster = site.connect()
    image = cluster.open_snapshot(image_id)

    image.close()
    image.close()

    for call in (image.read, image.checksum):
        end = filling.answer(clusters, functools.partial(call, 0, CHUNK))
        assert isinstance(end, exceptions.ClusterUnavailable)
    again = cluster.open_snapshot(image_id)
    assert filling.read_all(clusters, again) == noise()


def test_objects_are_called_by_their_names(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    cluster = site.connect()
    image = cluster.open_snapshot(image_id)
    copy = cluster.open_published(image_id)

    for offset in (0, OBJECT - 1, OBJECT, SIZE - 1):
        name = site.object_name(image_id, offset // OBJECT)
        assert image.object_name(offset) == name
        assert copy.object_name(offset) == name
    copy.release()


# -- extents ----------------------------------------------------------------


def _check_extents(image: storage.Readable, data: bytes) -> int:
    """Check that what they leave out is zero; return what they name."""
    end = named = 0
    for extent in image.extents():
        assert extent.offset >= end
        assert extent.length > 0
        hole = data[end : extent.offset]
        assert hole.count(0) == len(hole)
        end = extent.end
        named += extent.length
    assert end <= image.size_bytes
    assert data[end:].count(0) == len(data) - end
    return named


def test_extents_name_all_data(clusters: World) -> None:
    site = clusters.sites[0]
    data = _sparse()
    image_id = filling.new_id()
    site.put(image_id, data, OBJECT)

    image = site.connect().open_snapshot(image_id)

    assert _check_extents(image, data) <= len(data) - OBJECT
    assert filling.read_all(clusters, image) == data


def test_image_never_written_has_no_extents(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, bytes(SIZE), OBJECT)

    image = site.connect().open_snapshot(image_id)

    assert list(image.extents()) == []
    assert filling.read_all(clusters, image) == bytes(SIZE)


def test_extents_of_a_clone_name_what_its_parent_holds(
    clusters: World,
) -> None:
    site = clusters.sites[0]
    data = bytearray(_sparse())
    parent_id, image_id = filling.new_id(), filling.new_id()
    site.put(parent_id, bytes(data), OBJECT)
    site.clone(parent_id, image_id)
    for offset in (OBJECT + CHUNK, 3 * OBJECT + 17):
        data[offset : offset + CHUNK] = noise(CHUNK, seed=2)
        site.overwrite(image_id, offset, noise(CHUNK, seed=2))
    site.take_snapshot(image_id, 'snap')

    image = site.connect().open_snapshot(image_id)

    _check_extents(image, bytes(data))
    assert filling.read_all(clusters, image) == data
    assert image.checksum_obstacle is not None


# -- checksums of snapshots -------------------------------------------------


@SHAPES
def test_checksums_are_those_of_the_chunks(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    site = clusters.sites[0]
    data = noise(size_bytes)
    image_id = filling.new_id()
    site.put(image_id, data, object_bytes)

    image = site.connect().open_snapshot(image_id)

    assert image.checksum_obstacle is None
    assert filling.checksums(clusters, image) == [
        filling.checksum_of(data[offset : offset + length])
        for offset, length in filling.cut(size_bytes)
    ]


def test_checksum_of_a_whole_object(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)

    image = site.connect().open_snapshot(image_id)

    found = filling.checksum(clusters, image, OBJECT, OBJECT)
    assert found == filling.checksum_of(noise()[OBJECT : 2 * OBJECT])


def test_checksum_covers_what_is_stored(clusters: World) -> None:
    """An object may be missing, or end within a chunk or before it."""
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, bytes(SIZE), OBJECT, stage='written')
    site.overwrite(image_id, OBJECT + CHUNK, noise(CHUNK // 2))
    site.take_snapshot(image_id, 'snap')

    image = site.connect().open_snapshot(image_id)

    nothing = filling.checksum_of(b'')
    for offset in (0, OBJECT - CHUNK, OBJECT + 2 * CHUNK, 2 * OBJECT):
        assert filling.checksum(clusters, image, offset) == nothing
    assert filling.checksum(clusters, image, SIZE - 5, 5) == nothing
    found = filling.checksum(clusters, image, OBJECT + CHUNK)
    assert found == filling.checksum_of(noise(CHUNK // 2))
    # A hole before data reads as zeros, and is stored as such.
    found = filling.checksum(clusters, image, OBJECT)
    assert found == filling.checksum_of(ZEROS)


def test_flipped_bit_at_rest_changes_the_checksum(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    image = site.connect().open_snapshot(image_id)
    before = filling.checksums(clusters, image)

    site.flip(image_id, SIZE - 1)
    site.flip(image_id, OBJECT + 3 * CHUNK)

    after = filling.checksums(clusters, image)
    damaged = [
        number
        for number, pair in enumerate(zip(before, after, strict=True))
        if pair[0] != pair[1]
    ]
    assert damaged == [(OBJECT + 3 * CHUNK) // CHUNK, SIZE // CHUNK]


# -- to fill ----------------------------------------------------------------


def test_new_copy_is_fresh(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    cluster = site.connect()

    copy = cluster.open_copy(image_id, SIZE, OBJECT)

    assert (copy.size_bytes, copy.object_bytes) == (SIZE, OBJECT)
    assert copy.is_fresh
    assert copy.checksum_obstacle is None
    assert filling.read_all(clusters, copy) == bytes(SIZE)
    assert cluster.remains(image_id) == storage.Remains(None, True, True)
    assert list(cluster.leftovers()).count(image_id) == 1
    copy.discard()


@SHAPES
def test_filled_copy_has_the_data(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    data = noise(size_bytes)
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), size_bytes, object_bytes)

    filling.fill(clusters, copy, data)

    assert filling.read_all(clusters, copy) == data
    assert filling.checksums(clusters, copy) == [
        filling.checksum_of(data[offset : offset + length])
        for offset, length in filling.cut(size_bytes)
    ]
    copy.discard()


def test_write_tells_what_it_sent(clusters: World) -> None:
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)
    half = noise(CHUNK // 2) + bytes(CHUNK // 2)

    assert filling.write(clusters, copy, 0, noise(CHUNK)) == CHUNK
    sent = filling.write(clusters, copy, CHUNK, half)
    assert CHUNK // 2 <= sent <= CHUNK
    copy.discard()


PARTLY_ZERO = (
    ZEROS,
    noise(CHUNK // 4) + bytes(CHUNK // 2) + noise(CHUNK // 4),
    bytes(CHUNK // 4) + noise(CHUNK // 2) + bytes(CHUNK // 4),
    noise(CHUNK // 2) + bytes(CHUNK // 2),
    bytes(CHUNK // 2) + noise(CHUNK // 2),
    bytes(CHUNK - 1) + b'x',
    b'x' + bytes(CHUNK - 1),
)


@pytest.mark.parametrize('number', [0, 2, 3], ids='chunk {}'.format)
@pytest.mark.parametrize('is_over_data', [False, True], ids=['new', 'over'])
def test_zeros_are_as_good_as_written(
    clusters: World, number: int, is_over_data: bool
) -> None:
    """Each of these chunks, in an object of its own."""
    cluster = clusters.sites[0].connect()
    size = len(PARTLY_ZERO) * OBJECT
    copy = cluster.open_copy(filling.new_id(), size, OBJECT)
    expected = bytearray(size)
    if is_over_data:
        expected[:] = noise(size)
        filling.fill(clusters, copy, bytes(expected))

    for begin, chunk in enumerate(PARTLY_ZERO):
        offset = begin * OBJECT + number * CHUNK
        filling.write(clusters, copy, offset, chunk)
        expected[offset : offset + CHUNK] = chunk
        found = filling.checksum(clusters, copy, offset)
        assert found == filling.checksum_of(chunk)

    assert filling.read_all(clusters, copy) == expected
    copy.discard()


def test_copy_reads_as_zeros_where_nothing_was_written(
    clusters: World,
) -> None:
    """In a missing object, behind the end of one, before its data."""
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)
    expected = bytearray(SIZE)
    for offset in (0, OBJECT + CHUNK):
        expected[offset : offset + CHUNK] = noise(CHUNK)
        filling.write(clusters, copy, offset, noise(CHUNK))

    assert filling.read_all(clusters, copy) == expected
    assert (
        filling.read(clusters, copy, CHUNK - 1, 2)
        == noise()[CHUNK - 1 : CHUNK] + b'\0'
    )
    copy.discard()


def test_last_chunk_of_zeros_is_as_good_as_written(clusters: World) -> None:
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)

    filling.write(clusters, copy, SIZE - 5, bytes(5))

    found = filling.checksum(clusters, copy, SIZE - 5, 5)
    assert found == filling.checksum_of(bytes(5))
    copy.discard()


def test_copy_read_past_its_end_is_an_error(clusters: World) -> None:
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)

    end = filling.answer(clusters, functools.partial(copy.read, SIZE - 1, 2))

    assert isinstance(end, exceptions.DistributorError)
    copy.discard()


# -- to publish -------------------------------------------------------------


@SHAPES
def test_published_copy_is_like_glances(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id, reference = filling.new_id(), filling.new_id()
    data = noise(size_bytes)
    site.put(reference, data, object_bytes)

    filling.publish(clusters, cluster, image_id, data, object_bytes)

    assert site.names() == {image_id, reference}
    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == data
    assert (site.strays(), site.marks()) == (frozenset(), frozenset())
    remains = cluster.remains(image_id)
    assert remains == cluster.remains(reference)
    assert remains.published is not None
    assert remains.published.is_whole(size_bytes)
    assert image_id not in cluster.leftovers()


def test_sparse_copy_is_like_glances(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    data = _sparse()
    site.put(reference, data, OBJECT)

    filling.publish(clusters, site.connect(), image_id, data)

    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == data


def test_empty_image_is_published(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    site.put(reference, b'', OBJECT)

    filling.publish(clusters, site.connect(), image_id, b'')

    assert site.look(image_id) == site.look(reference)


def test_published_copy_is_cloned(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, instance = filling.new_id(), filling.new_id()
    data = _sparse()
    filling.publish(clusters, site.connect(), image_id, data)

    site.clone(image_id, instance)
    site.overwrite(instance, CHUNK, noise(CHUNK, seed=3))

    changed = bytearray(data)
    changed[CHUNK : 2 * CHUNK] = noise(CHUNK, seed=3)
    assert site.read(instance, None) == changed
    assert site.read(image_id) == data


def test_published_copy_is_written_by_others(clusters: World) -> None:
    """The object maps that we recorded are those that librbd goes on with."""
    site = clusters.sites[0]
    image_id = filling.new_id()
    data = _sparse()
    filling.publish(clusters, site.connect(), image_id, data)

    site.overwrite(image_id, OBJECT + CHUNK, noise(CHUNK, seed=4))

    changed = bytearray(data)
    changed[OBJECT + CHUNK : OBJECT + 2 * CHUNK] = noise(CHUNK, seed=4)
    assert site.read(image_id, None) == changed
    assert site.read(image_id) == data


def test_copy_goes_from_cluster_to_cluster(clusters: World) -> None:
    near, far = clusters.sites
    image_id = filling.new_id()
    near.put(image_id, _sparse(), 2 * OBJECT)
    source = near.connect().open_snapshot(image_id)
    target = far.connect()

    copy = target.open_copy(image_id, source.size_bytes, OBJECT)
    numbers = set()
    for extent in source.extents():
        for offset in range(extent.offset, extent.end, CHUNK):
            length = min(CHUNK, extent.end - offset)
            chunk = filling.read(clusters, source, offset, length)
            filling.write(clusters, copy, offset, chunk)
            numbers.add(offset // OBJECT)
    copy.record_objects(numbers)
    copy.take_snapshot()
    copy.rename()
    copy.release()

    assert far.read(image_id) == near.read(image_id) == _sparse()


def test_steps_of_publication_are_repeated(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    data = _sparse()
    site.put(reference, data, OBJECT)
    copy = site.connect().open_copy(image_id, len(data), OBJECT)
    numbers = filling.fill(clusters, copy, data)

    copy.record_objects(frozenset())
    copy.record_objects(numbers)
    copy.take_snapshot()
    copy.take_snapshot()
    copy.rename()
    copy.rename()
    copy.take_snapshot()
    copy.release()

    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == data


def test_snapshot_is_taken_after_the_rename(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(clusters, copy, noise()))

    copy.rename()
    copy.take_snapshot()
    copy.release()

    assert site.names() == {image_id}
    assert site.look(image_id).snapshots == {'snap': True}
    assert site.read(image_id) == noise()


def test_rename_runs_beside_the_snapshot(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    site.put(reference, noise(), OBJECT)
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(clusters, copy, noise()))

    clusters.together(copy.rename, copy.take_snapshot)
    copy.release()

    assert site.names() == {image_id, reference}
    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == noise()


def test_name_taken_meanwhile_is_left_alone(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(clusters, copy, noise()))
    site.put(image_id, noise(SIZE, seed=5), OBJECT)
    before = site.look(image_id)

    with pytest.raises(exceptions.OrphanInTheWay):
        copy.rename()

    assert site.look(image_id) == before
    assert site.read(image_id) == noise(SIZE, seed=5)
    assert cluster.remains(image_id).has_draft
    copy.discard()
    assert site.names() == {image_id}
    assert site.read(image_id) == noise(SIZE, seed=5)
