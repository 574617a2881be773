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
"""What every `core.storage.Cluster` does: to resume, repair, and clear up.

The fakes as the real one; see test_clusters.py.
"""

from collections.abc import Callable
import functools

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.contract import cluster_worlds
from tests.contract import filling
from tests.contract.filling import CHUNK
from tests.contract.filling import noise
from tests.contract.filling import OBJECT
from tests.contract.filling import SIZE

World = cluster_worlds.World
Site = cluster_worlds.Site
NOTHING = storage.Remains(None, has_draft=False, is_claimed=False)
OTHER = noise(SIZE, seed=1)


def _is_clean(site: Site) -> bool:
    """Tell whether nothing of ours is left, an image apart."""
    return not site.marks() and not site.strays()


def _soon(world: World, call: Callable[[], filling.Result]) -> filling.Result:
    """Call until nothing is in the way that a dead process has left.

    That is its claim, and that the cluster thinks it has the image open.
    """
    results: list[filling.Result] = []

    def succeeds() -> bool:
        try:
            results.append(call())
        except (exceptions.CopyInProgress, exceptions.ClusterUnavailable):
            return False
        return True

    world.settle(succeeds)
    return results[0]


def _end_of(call: Callable[[], object]) -> object:
    """Give what a call gives, or its error."""
    try:
        return call()
    except exceptions.DistributorError as exc:
        return exc


def _reopen(
    world: World,
    cluster: storage.Cluster,
    image_id: images.ImageId,
    size_bytes: int = SIZE,
    object_bytes: int = OBJECT,
) -> storage.Copy:
    """Open a copy that was left; its claim is free when all calls ended."""
    return _soon(
        world, lambda: cluster.open_copy(image_id, size_bytes, object_bytes)
    )


def _clear_up(
    world: World,
    cluster: storage.Cluster,
    image_id: images.ImageId,
    is_registered: bool = False,
) -> bool:
    """Clear what was left."""
    return _soon(
        world,
        lambda: cluster.clear(image_id, is_registered=lambda: is_registered),
    )


# -- to discard, to leave ---------------------------------------------------


def _nothing(_copy: storage.Copy) -> None:
    pass


def _record(copy: storage.Copy) -> None:
    copy.record_objects([0, 1, 2])


def _record_and_snapshot(copy: storage.Copy) -> None:
    _record(copy)
    copy.take_snapshot()


def _rename(copy: storage.Copy) -> None:
    copy.rename()


def _publish(copy: storage.Copy) -> None:
    _record_and_snapshot(copy)
    copy.rename()


STAGES = pytest.mark.parametrize(
    'go_to_stage',
    [_nothing, _record, _record_and_snapshot, _rename, _publish],
    ids=['filled', 'recorded', 'snapshot', 'renamed', 'published'],
)


@STAGES
def test_discard_leaves_nothing(
    clusters: World, go_to_stage: Callable[[storage.Copy], None]
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    go_to_stage(copy)

    copy.discard()
    copy.close()

    assert site.names() == frozenset()
    assert _is_clean(site)
    assert cluster.remains(image_id) == NOTHING
    assert image_id not in cluster.leftovers()


@STAGES
def test_closed_copy_waits_for_another_pass(
    clusters: World, go_to_stage: Callable[[storage.Copy], None]
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    go_to_stage(copy)

    copy.close()
    copy.close()

    is_renamed = go_to_stage in (_rename, _publish)
    remains = cluster.remains(image_id)
    assert (remains.published is not None) is is_renamed
    assert remains.has_draft is not is_renamed
    assert remains.is_claimed
    assert list(cluster.leftovers()).count(image_id) == 1


def test_closed_copy_is_unavailable(clusters: World) -> None:
    cluster = clusters.sites[0].connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)

    copy.close()

    for call in (
        functools.partial(copy.write, 0, noise(CHUNK)),
        functools.partial(copy.read, 0, CHUNK),
        functools.partial(copy.checksum, 0, CHUNK),
    ):
        end = filling.answer(clusters, call)
        assert isinstance(end, exceptions.ClusterUnavailable)
    for step in (copy.take_snapshot, copy.rename, copy.discard, copy.release):
        with pytest.raises(exceptions.ClusterUnavailable):
            step()


def test_calls_in_flight_end_though_the_copy_is_closed(
    clusters: World,
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    ends: dict[int, object] = {}

    for offset in range(0, 2 * OBJECT, CHUNK):
        chunk = noise()[offset : offset + CHUNK]
        copy.write(offset, chunk, functools.partial(ends.__setitem__, offset))
    copy.close()

    clusters.settle(lambda: len(ends) == 2 * OBJECT // CHUNK)
    again = _reopen(clusters, site.connect(), image_id)
    for offset, end in ends.items():
        assert isinstance(end, int | exceptions.DistributorError)
        if isinstance(end, int):
            data = filling.read(clusters, again, offset, CHUNK)
            assert data == noise()[offset : offset + CHUNK]
    again.discard()


@STAGES
@pytest.mark.parametrize('other', [False, True], ids=['same', 'another'])
def test_copy_is_taken_up_at_any_stage(
    clusters: World,
    go_to_stage: Callable[[storage.Copy], None],
    other: bool,
) -> None:
    """What is changed then is in the snapshot, whatever was taken before."""
    site = clusters.sites[0]
    cluster = site.connect()
    image_id, reference = filling.new_id(), filling.new_id()
    data = noise()[:CHUNK] + OTHER[CHUNK:]
    site.put(reference, data, OBJECT)
    first = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, first, noise())
    go_to_stage(first)
    first.close()

    successor = site.connect() if other else cluster
    copy = _reopen(clusters, successor, image_id)

    assert not copy.is_fresh
    assert filling.checksum(clusters, copy, 0) == filling.checksum_of(
        noise()[:CHUNK]
    )
    for offset, length in filling.cut(SIZE):
        if offset:
            chunk = OTHER[offset : offset + length]
            filling.write(clusters, copy, offset, chunk)
    copy.record_objects([0, 1, 2])
    copy.take_snapshot()
    copy.rename()
    copy.release()
    assert site.names() == {image_id, reference}
    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == data
    assert _is_clean(site)


OTHER_LENGTHS = pytest.mark.parametrize(
    ('size_bytes', 'object_bytes'),
    [(SIZE + 1, OBJECT), (OBJECT, OBJECT), (SIZE, 2 * OBJECT)],
    ids=['longer', 'shorter', 'other objects'],
)


@OTHER_LENGTHS
def test_draft_of_other_lengths_is_begun_anew(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    first = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, first, noise())
    first.close()

    copy = _reopen(clusters, cluster, image_id, size_bytes, object_bytes)

    assert copy.is_fresh
    assert (copy.size_bytes, copy.object_bytes) == (size_bytes, object_bytes)
    assert filling.read_all(clusters, copy) == bytes(size_bytes)
    assert site.strays() == frozenset()
    copy.discard()
    assert site.names() == frozenset()
    assert _is_clean(site)


@OTHER_LENGTHS
def test_renamed_copy_of_other_lengths_is_kept(
    clusters: World, size_bytes: int, object_bytes: int
) -> None:
    """It may be registered: only its holder can know."""
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    filling.finish(clusters, cluster, image_id, noise()).close()

    with pytest.raises(exceptions.OrphanInTheWay):
        _reopen(clusters, cluster, image_id, size_bytes, object_bytes)

    assert site.read(image_id) == noise()
    assert _clear_up(clusters, cluster, image_id, False)
    assert site.names() == frozenset()
    assert _is_clean(site)


def test_released_draft_has_no_claim(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.write(clusters, copy, 0, noise(CHUNK))

    copy.release()
    copy.close()

    assert cluster.remains(image_id) == storage.Remains(None, True, False)
    assert list(cluster.leftovers()).count(image_id) == 1
    again = site.connect().open_copy(image_id, SIZE, OBJECT)
    assert not again.is_fresh
    assert filling.read(clusters, again, 0, CHUNK) == noise(CHUNK)
    again.discard()


def test_all_leftovers_are_listed_once(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    whole, *unfinished = [filling.new_id() for _ in range(4)]
    filling.publish(clusters, cluster, whole, noise(5))
    for image_id, stage in zip(
        unfinished, (_nothing, _publish, _rename), strict=True
    ):
        copy = cluster.open_copy(image_id, 5, OBJECT)
        if stage is not _nothing:
            copy.rename()
        copy.close()

    listed = list(cluster.leftovers())
    assert [listed.count(image_id) for image_id in unfinished] == [1, 1, 1]
    assert whole not in listed


# -- two at a time ----------------------------------------------------------


def _open_copy(cluster: storage.Cluster, image_id: images.ImageId) -> object:
    return cluster.open_copy(image_id, SIZE, OBJECT)


def _open_published(
    cluster: storage.Cluster, image_id: images.ImageId
) -> object:
    return cluster.open_published(image_id)


def _clear(cluster: storage.Cluster, image_id: images.ImageId) -> object:
    return cluster.clear(image_id, is_registered=lambda: False)


@pytest.mark.parametrize('claim', [_open_copy, _clear])
@pytest.mark.parametrize('other', [False, True], ids=['same', 'another'])
def test_only_one_holds_a_draft(
    clusters: World,
    claim: Callable[[storage.Cluster, images.ImageId], object],
    other: bool,
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.write(clusters, copy, 0, noise(CHUNK))

    with pytest.raises(exceptions.CopyInProgress):
        claim(site.connect() if other else cluster, image_id)

    numbers = filling.fill(clusters, copy, noise())
    copy.record_objects(numbers)
    copy.take_snapshot()
    copy.rename()
    copy.release()
    assert site.read(image_id) == noise()
    assert _is_clean(site)


@pytest.mark.parametrize('claim', [_open_copy, _open_published, _clear])
def test_only_one_holds_a_copy_to_be_repaired(
    clusters: World,
    claim: Callable[[storage.Cluster, images.ImageId], object],
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    before = site.look(image_id)
    copy = site.connect().open_published(image_id)

    with pytest.raises(exceptions.CopyInProgress):
        claim(site.connect(), image_id)

    copy.release()
    assert site.look(image_id) == before
    assert _is_clean(site)


def test_copies_of_different_images_do_not_meet(clusters: World) -> None:
    site = clusters.sites[0]
    first_id, second_id = filling.new_id(), filling.new_id()
    one, two = site.connect(), site.connect()
    first = one.open_copy(first_id, SIZE, OBJECT)
    second = two.open_copy(second_id, SIZE, OBJECT)

    first.record_objects(filling.fill(clusters, first, noise()))
    second.record_objects(filling.fill(clusters, second, OTHER))
    for copy in (first, second):
        copy.take_snapshot()
        copy.rename()
        copy.release()

    assert site.read(first_id) == noise()
    assert site.read(second_id) == OTHER


def test_claim_of_a_killed_process_is_taken_over(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.abandon(image_id, SIZE, OBJECT, ((CHUNK, noise(CHUNK)),))
    cluster = site.connect()
    assert list(cluster.leftovers()).count(image_id) == 1
    assert cluster.remains(image_id) == storage.Remains(None, True, True)

    copy = _reopen(clusters, cluster, image_id)

    assert not copy.is_fresh
    found = filling.checksum(clusters, copy, CHUNK)
    assert found == filling.checksum_of(noise(CHUNK))
    copy.record_objects(filling.fill(clusters, copy, noise()))
    copy.take_snapshot()
    copy.rename()
    copy.release()
    assert site.read(image_id) == noise()
    assert _is_clean(site)


def test_draft_of_a_killed_process_is_cleared(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.abandon(image_id, SIZE, OBJECT, ((CHUNK, noise(CHUNK)),))
    cluster = site.connect()

    was_any = _clear_up(clusters, cluster, image_id)

    assert was_any
    assert site.names() == frozenset()
    assert _is_clean(site)


# -- strangers --------------------------------------------------------------


STRANGERS = pytest.mark.parametrize(
    'stage', ['', 'snapshot', 'written'], ids='stranger {}'.format
)


@STRANGERS
@pytest.mark.parametrize('size_bytes', [SIZE, OBJECT], ids=['same', 'other'])
def test_stranger_is_in_the_way(
    clusters: World, stage: str, size_bytes: int
) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    site.put(image_id, noise(size_bytes), OBJECT, stage=stage)
    before = site.look(image_id)

    with pytest.raises(exceptions.OrphanInTheWay):
        cluster.open_copy(image_id, SIZE, OBJECT)

    assert site.names() == {image_id}
    assert site.look(image_id) == before
    assert site.read(image_id, None) == noise(size_bytes)
    assert _is_clean(site)
    assert not cluster.remains(image_id).is_claimed


def test_stranger_is_in_the_way_of_a_draft(clusters: World) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    copy.close()
    site.put(image_id, OTHER, OBJECT, stage='written')
    before = site.look(image_id)

    with pytest.raises(exceptions.OrphanInTheWay):
        _reopen(clusters, cluster, image_id)

    assert site.look(image_id) == before
    assert cluster.remains(image_id).has_draft
    # Once the stranger is gone, all goes on.
    _soon(clusters, lambda: cluster.remove_orphan(image_id))
    copy = _reopen(clusters, cluster, image_id)
    assert filling.read_all(clusters, copy) == noise()
    copy.discard()
    assert site.names() == frozenset()
    assert _is_clean(site)


def test_copy_once_repaired_is_still_a_stranger(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    before = site.look(image_id)
    site.connect().open_published(image_id).close()

    with pytest.raises(exceptions.OrphanInTheWay):
        _reopen(clusters, site.connect(), image_id)

    assert site.look(image_id) == before
    assert site.read(image_id) == noise()


def test_copy_replaced_by_a_stranger_is_not_ours(clusters: World) -> None:
    """A claim names the RBD image that was made for it, not its name."""
    site = clusters.sites[0]
    cluster = site.connect()
    image_id, aside = filling.new_id(), filling.new_id()
    copy = filling.finish(clusters, cluster, image_id, noise())
    copy.close()
    site.rename(image_id, aside)
    site.put(image_id, OTHER, OBJECT)

    with pytest.raises(exceptions.OrphanInTheWay):
        _reopen(clusters, cluster, image_id)
    _clear_up(clusters, cluster, image_id)

    assert site.read(image_id) == OTHER
    assert site.marks() == frozenset()


# -- to repair --------------------------------------------------------------


def test_repair_is_seen_by_snapshot_and_clone(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, instance = filling.new_id(), filling.new_id()
    site.put(image_id, noise(), OBJECT)
    before = site.look(image_id)
    site.clone(image_id, instance)
    own = noise(CHUNK, seed=6)
    site.overwrite(instance, OBJECT, own)
    offset = 2 * CHUNK
    for where in (offset, offset + CHUNK // 2, SIZE - 1):
        site.flip(image_id, where)
    assert site.read(image_id) != noise()

    copy = site.connect().open_published(image_id)
    assert (copy.size_bytes, copy.object_bytes) == (SIZE, OBJECT)
    assert not copy.is_fresh
    filling.write(clusters, copy, offset, noise()[offset : offset + CHUNK])
    last = SIZE // CHUNK * CHUNK
    filling.write(clusters, copy, last, noise()[last:])
    found = filling.checksums(clusters, copy)
    copy.release()

    assert found == [
        filling.checksum_of(noise()[begin : begin + length])
        for begin, length in filling.cut(SIZE)
    ]
    assert site.read(image_id) == noise()
    assert site.read(image_id, None) == noise()
    assert site.read(instance, None) == (
        noise()[:OBJECT] + own + noise()[OBJECT + CHUNK :]
    )
    assert site.look(image_id) == before
    assert _is_clean(site)


def test_lost_object_is_repaired(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, instance = filling.new_id(), filling.new_id()
    site.put(image_id, noise(), OBJECT)
    before = site.look(image_id)
    site.clone(image_id, instance)
    site.lose_object(image_id, 1)
    assert site.read(image_id) != noise()

    copy = site.connect().open_published(image_id)
    for offset in range(OBJECT, 2 * OBJECT, CHUNK):
        chunk = noise()[offset : offset + CHUNK]
        filling.write(clusters, copy, offset, chunk)
    copy.release()

    assert site.read(image_id) == site.read(instance, None) == noise()
    assert site.look(image_id) == before


def test_all_chunks_of_a_lost_object_are_repaired_at_once(
    clusters: World,
) -> None:
    """The first that is written is no write of somebody else."""
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    site.lose_object(image_id, 1)
    small = 1 << 16

    copy = site.connect().open_published(image_id)
    ends = filling.answers(
        clusters,
        (
            functools.partial(copy.write, begin, noise()[begin:][:small])
            for begin in range(OBJECT, 2 * OBJECT, small)
        ),
    )
    copy.release()

    assert ends == [small] * (OBJECT // small)
    assert site.read(image_id) == noise()


def test_object_that_was_never_written_is_repaired(clusters: World) -> None:
    """The object maps deny it until it is recorded."""
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    site.put(reference, noise(), OBJECT)
    lacking = noise()[:OBJECT] + bytes(OBJECT) + noise()[2 * OBJECT :]
    site.put(image_id, lacking, OBJECT)
    assert site.read(image_id) == lacking

    copy = site.connect().open_published(image_id)
    for offset in range(OBJECT, 2 * OBJECT, CHUNK):
        chunk = noise()[offset : offset + CHUNK]
        filling.write(clusters, copy, offset, chunk)
    copy.record_objects([0, 1, 2])
    copy.release()

    assert site.read(image_id) == site.read(image_id, None) == noise()
    assert site.look(image_id) == site.look(reference)


def test_superfluous_data_are_repaired_with_zeros(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    copy = site.connect().open_published(image_id)

    filling.write(clusters, copy, CHUNK, bytes(CHUNK))
    copy.release()

    expected = noise()[:CHUNK] + bytes(CHUNK) + noise()[2 * CHUNK :]
    assert site.read(image_id) == expected


def test_clone_is_not_repaired(clusters: World) -> None:
    """A chunk written to a missing object would hide the parent's others."""
    site = clusters.sites[0]
    parent_id, image_id = filling.new_id(), filling.new_id()
    site.put(parent_id, noise(), OBJECT)
    site.clone(parent_id, image_id)
    site.take_snapshot(image_id, 'snap')

    with pytest.raises(exceptions.NotCopyable):
        site.connect().open_published(image_id)

    assert site.read(image_id) == noise()
    assert _is_clean(site)


def test_repair_left_behind_is_taken_up(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    first = site.connect().open_published(image_id)

    first.close()
    cluster = site.connect()
    assert cluster.remains(image_id).is_claimed
    assert list(cluster.leftovers()).count(image_id) == 1
    _soon(clusters, lambda: cluster.open_published(image_id)).release()

    assert not cluster.remains(image_id).is_claimed
    assert _is_clean(site)


# -- to clear ---------------------------------------------------------------


REGISTERED = pytest.mark.parametrize(
    'is_registered', [False, True], ids=['unregistered', 'registered']
)


@REGISTERED
def test_nothing_is_cleared_where_there_is_nothing(
    clusters: World, is_registered: bool
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()

    cluster = site.connect()
    was_any = _clear_up(clusters, cluster, image_id, is_registered)

    assert not was_any
    assert _is_clean(site)


@REGISTERED
@STRANGERS
def test_stranger_is_not_cleared(
    clusters: World, stage: str, is_registered: bool
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage=stage)
    before = site.look(image_id)

    cluster = site.connect()
    was_any = _clear_up(clusters, cluster, image_id, is_registered)

    assert not was_any
    assert site.look(image_id) == before


@REGISTERED
@pytest.mark.parametrize('go_to_stage', [_nothing, _record_and_snapshot])
def test_draft_is_cleared(
    clusters: World,
    go_to_stage: Callable[[storage.Copy], None],
    is_registered: bool,
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    go_to_stage(copy)
    copy.close()
    cluster = site.connect()

    was_any = _clear_up(clusters, cluster, image_id, is_registered)

    assert was_any
    assert site.names() == frozenset()
    assert _is_clean(site)
    assert image_id not in cluster.leftovers()
    assert not cluster.clear(image_id, is_registered=lambda: is_registered)


@REGISTERED
def test_draft_beside_a_stranger_is_cleared(
    clusters: World, is_registered: bool
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    copy.close()
    site.put(image_id, OTHER, OBJECT)

    cluster = site.connect()
    was_any = _clear_up(clusters, cluster, image_id, is_registered)

    assert was_any
    assert site.names() == {image_id}
    assert site.read(image_id) == OTHER
    assert _is_clean(site)


@pytest.mark.parametrize('go_to_stage', [_rename, _publish])
def test_unregistered_copy_of_ours_is_cleared(
    clusters: World, go_to_stage: Callable[[storage.Copy], None]
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    go_to_stage(copy)
    copy.close()

    was_any = _clear_up(clusters, site.connect(), image_id)

    assert was_any
    assert site.names() == frozenset()
    assert _is_clean(site)


def test_registered_copy_of_ours_is_kept(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, reference = filling.new_id(), filling.new_id()
    site.put(reference, noise(), OBJECT)
    filling.finish(clusters, site.connect(), image_id, noise()).close()
    cluster = site.connect()

    was_any = _clear_up(clusters, cluster, image_id, True)

    assert was_any
    assert site.look(image_id) == site.look(reference)
    assert site.read(image_id) == noise()
    assert _is_clean(site)
    assert image_id not in cluster.leftovers()


def test_released_copy_is_not_cleared(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    filling.publish(clusters, site.connect(), image_id, noise())

    was_any = _clear_up(clusters, site.connect(), image_id)

    assert not was_any
    assert site.read(image_id) == noise()


@REGISTERED
def test_copy_under_repair_is_not_cleared(
    clusters: World, is_registered: bool
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)
    before = site.look(image_id)
    site.connect().open_published(image_id).close()

    cluster = site.connect()
    was_any = _clear_up(clusters, cluster, image_id, is_registered)

    assert was_any
    assert site.look(image_id) == before
    assert site.read(image_id) == noise()
    assert _is_clean(site)


def test_copy_with_clones_is_never_removed(clusters: World) -> None:
    site = clusters.sites[0]
    image_id, instance = filling.new_id(), filling.new_id()
    filling.finish(clusters, site.connect(), image_id, noise()).close()
    site.clone(image_id, instance)
    cluster = site.connect()

    for call in (
        lambda: cluster.clear(image_id, is_registered=lambda: False),
        lambda: cluster.open_copy(image_id, SIZE, OBJECT),
        lambda: cluster.open_copy(image_id, OBJECT, OBJECT),
    ):
        with pytest.raises(exceptions.NotAnOrphan):
            _soon(clusters, call)

    assert site.read(instance, None) == site.read(image_id) == noise()
    assert site.look(image_id).snapshots == {'snap': True}
    assert _clear_up(clusters, cluster, image_id, True)
    assert _is_clean(site)


def test_registration_is_asked_for_when_nobody_else_can_register(
    clusters: World,
) -> None:
    """What was known before the claim was held may be wrong by then."""
    site = clusters.sites[0]
    image_id = filling.new_id()
    filling.finish(clusters, site.connect(), image_id, noise()).close()
    cluster, other = site.connect(), site.connect()
    ends: list[object] = []

    def is_registered() -> bool:
        ends.append(_end_of(lambda: other.open_copy(image_id, SIZE, OBJECT)))
        return True

    was_any = _soon(
        clusters, lambda: cluster.clear(image_id, is_registered=is_registered)
    )

    assert was_any
    assert [type(end) for end in ends] == [exceptions.CopyInProgress]
    assert site.read(image_id) == noise()
    assert _is_clean(site)


def test_copy_stays_if_nobody_can_tell_whether_it_is_registered(
    clusters: World,
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    filling.finish(clusters, site.connect(), image_id, noise()).close()
    cluster = site.connect()

    def is_registered() -> bool:
        raise exceptions.GlanceUnavailable('no answer')

    with pytest.raises(exceptions.GlanceUnavailable):
        _soon(
            clusters,
            lambda: cluster.clear(image_id, is_registered=is_registered),
        )

    assert site.read(image_id) == noise()
    assert cluster.remains(image_id).is_claimed
    assert _clear_up(clusters, cluster, image_id)
    assert site.names() == frozenset()
    assert _is_clean(site)


def test_registration_of_a_draft_matters_not(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.connect().open_copy(image_id, SIZE, OBJECT).close()
    cluster = site.connect()
    asked: list[bool] = []

    def is_registered() -> bool:
        asked.append(True)
        return True

    _soon(
        clusters, lambda: cluster.clear(image_id, is_registered=is_registered)
    )

    assert asked == []
    assert site.names() == frozenset()
    assert _is_clean(site)


# -- orphans ----------------------------------------------------------------


@pytest.mark.parametrize('stage', ['written', 'snapshot'])
@pytest.mark.parametrize('data', [noise(), bytes(SIZE)], ids=['full', 'empty'])
def test_orphan_is_removed(clusters: World, stage: str, data: bytes) -> None:
    site = clusters.sites[0]
    cluster = site.connect()
    image_id = filling.new_id()
    site.put(image_id, data, OBJECT, stage=stage)

    cluster.remove_orphan(image_id)

    assert site.names() == frozenset()
    assert _is_clean(site)
    assert cluster.remains(image_id) == NOTHING


def test_orphan_that_is_not_there_is_not_found(clusters: World) -> None:
    with pytest.raises(exceptions.CopyNotFound):
        clusters.sites[0].connect().remove_orphan(filling.new_id())


def _require_refusal(
    world: World, site: Site, image_id: images.ImageId
) -> None:
    before = site.look(image_id), site.read(image_id, None), site.names()

    cluster = site.connect()

    with pytest.raises(exceptions.NotAnOrphan):
        _soon(world, lambda: cluster.remove_orphan(image_id))

    after = site.look(image_id), site.read(image_id, None), site.names()
    assert after == before


def test_whole_image_is_no_orphan(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT)

    _require_refusal(clusters, site, image_id)


@pytest.mark.parametrize('stage', ['written', 'snapshot'])
def test_watched_image_is_no_orphan(clusters: World, stage: str) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage=stage)

    with site.watched(image_id):
        assert site.connect().remains(image_id).published == storage.Published(
            SIZE, stage == 'snapshot', False, True
        )
        _require_refusal(clusters, site, image_id)


@pytest.mark.parametrize('stage', ['written', 'snapshot'])
def test_image_with_other_snapshots_is_no_orphan(
    clusters: World, stage: str
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage=stage)
    site.take_snapshot(image_id, 'kept')

    _require_refusal(clusters, site, image_id)


@pytest.mark.parametrize('stage', ['', 'snapshot'], ids='stage {}'.format)
def test_image_with_clones_is_no_orphan(clusters: World, stage: str) -> None:
    site = clusters.sites[0]
    image_id, instance = filling.new_id(), filling.new_id()
    site.put(image_id, noise(), OBJECT, stage=stage)
    site.clone(image_id, instance)

    _require_refusal(clusters, site, image_id)


@pytest.mark.parametrize('go_to_stage', [_rename, _publish])
def test_copy_of_ours_is_no_orphan(
    clusters: World, go_to_stage: Callable[[storage.Copy], None]
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    filling.fill(clusters, copy, noise())
    go_to_stage(copy)
    copy.close()

    _require_refusal(clusters, site, image_id)


def test_copy_in_the_making_is_no_orphan(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    copy = site.connect().open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(clusters, copy, noise()))
    copy.rename()

    with pytest.raises(exceptions.CopyInProgress):
        site.connect().remove_orphan(image_id)

    copy.take_snapshot()
    copy.release()
    assert site.read(image_id) == noise()


# -- what is there ----------------------------------------------------------


@pytest.mark.parametrize(
    ('stage', 'has_snapshot', 'is_protected'),
    [('', True, True), ('snapshot', True, False), ('written', False, False)],
)
def test_remains_tell_what_is_published(
    clusters: World, stage: str, has_snapshot: bool, is_protected: bool
) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage=stage)

    remains = site.connect().remains(image_id)

    published = storage.Published(SIZE, has_snapshot, is_protected, False)
    assert remains == storage.Remains(published, False, False)
    assert published.is_whole(SIZE) is is_protected
    assert not published.is_whole(SIZE + 1)


def test_other_snapshots_are_not_ours(clusters: World) -> None:
    site = clusters.sites[0]
    image_id = filling.new_id()
    site.put(image_id, noise(), OBJECT, stage='written')
    site.take_snapshot(image_id, 'other')

    remains = site.connect().remains(image_id)

    published = storage.Published(SIZE, False, False, False)
    assert remains == storage.Remains(published, False, False)
