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
"""What only real clusters can prove of clients.ceph.

That what it writes past librbd is what librbd would have written, by Ceph's
own programs; and that it gets along with crashes, hangs and other
configurations. The contract is checked in test_clusters.py.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import itertools
import json
from pathlib import Path
import struct
import subprocess
import threading
import time
import uuid

import psutil
import pytest
import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients import ceph
from dcn_distributor.clients.ceph import connections
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import round_trips
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from tests import waiting
from tests.contract import filling
from tests.contract import one_cluster
from tests.contract import real_clusters
from tests.contract.filling import CHUNK
from tests.contract.filling import noise
from tests.contract.filling import OBJECT
from tests.contract.filling import SIZE

pytestmark = pytest.mark.lab

World = real_clusters.RealWorld
DRAFT = storage.DRAFT_SUFFIX
Here = one_cluster.OneCluster
HEAD = struct.pack('<Q', 2**64 - 2)
GIB = 2**30


def _sparse() -> bytes:
    """Return data with holes, the length of which is a multiple of nothing."""
    data = bytearray(noise(6 * OBJECT + 12345))
    data[OBJECT : 3 * OBJECT] = bytes(2 * OBJECT)
    data[4 * OBJECT + CHUNK : 4 * OBJECT + 2 * CHUNK] = bytes(CHUNK)
    return bytes(data)


def _string(text: str) -> bytes:
    return struct.pack('<I', len(text)) + text.encode()


# -- by Ceph's own programs ---------------------------------------------------


@pytest.fixture
def copied(here: Here) -> tuple[images.ImageId, bytes]:
    """Return a copy that was published, and its data."""
    image_id = filling.new_id()
    data = _sparse()
    filling.publish(here.world, here.connect(), image_id, data)
    return image_id, data


def test_object_maps_pass_the_check_of_ceph(
    here: Here, copied: tuple[images.ImageId, bytes]
) -> None:
    image_id, _ = copied

    for name in (image_id, f'{image_id}@snap'):
        here.rbd('object-map', 'check', name)

        info = json.loads(here.rbd('info', '--format', 'json', name))
        assert info['flags'] == []


def test_usage_is_that_of_the_objects(
    here: Here, copied: tuple[images.ImageId, bytes]
) -> None:
    image_id, data = copied

    usage = json.loads(here.rbd('du', '--format', 'json', image_id))

    by_snapshot = {
        each.get('snapshot'): each['used_size'] for each in usage['images']
    }
    assert by_snapshot['snap'] == len(data) - 2 * OBJECT
    assert by_snapshot[None] == 0


@pytest.mark.parametrize('options', [(), ('--whole-object',)])
def test_differences_are_right(
    here: Here,
    copied: tuple[images.ImageId, bytes],
    options: tuple[str, ...],
) -> None:
    image_id, data = copied

    extents = json.loads(
        here.rbd('diff', '--format', 'json', *options, f'{image_id}@snap')
    )
    since = json.loads(
        here.rbd(
            *('diff', '--format', 'json', *options),
            *('--from-snap', 'snap', image_id),
        )
    )

    covered = bytearray(len(data))
    for extent in extents:
        offset, length = int(extent['offset']), int(extent['length'])
        covered[offset : offset + length] = data[offset : offset + length]
    assert covered == data
    assert sum(int(extent['length']) for extent in extents) < len(data)
    assert since == []


def test_exported_difference_makes_the_image_again(
    here: Here, copied: tuple[images.ImageId, bytes]
) -> None:
    image_id, data = copied
    again = filling.new_id()
    here.rbd('create', again, '--size', '1', '--object-size', str(OBJECT))

    exported = here.rbd('export-diff', '--no-progress', image_id, '-')
    here.rbd('import-diff', '--no-progress', '-', again, given=exported)

    assert here.site.read(again, None) == data


def test_flattened_clone_has_the_data(
    here: Here, copied: tuple[images.ImageId, bytes]
) -> None:
    """A flattening clone reads what the object map of its parent names."""
    image_id, data = copied
    clone = filling.new_id()
    here.site.clone(image_id, clone)

    here.rbd('flatten', '--no-progress', clone)

    assert here.site.read(clone, None) == data


def test_invalid_object_maps_are_built_again(here: Here) -> None:
    """Ceph believes no map that was flagged, whatever is in it."""
    image_id, reference = filling.new_id(), filling.new_id()
    here.site.put(reference, _sparse(), OBJECT)
    copy = here.connect().open_copy(image_id, len(_sparse()), OBJECT)
    numbers = filling.fill(here.world, copy, _sparse())
    copy.take_snapshot()
    header = f'rbd_header.{here.rbd_id(image_id + DRAFT)}'
    _, context = here.pool.execute(header, 'rbd', 'get_snapcontext', b'')
    both = struct.pack('<QQ', 3, 3)
    here.pool.execute(header, 'rbd', 'set_flags', both)
    here.pool.execute(header, 'rbd', 'set_flags', both + context[12:20])

    copy.record_objects(numbers)
    copy.rename()
    copy.release()

    seen, expected = here.site.look(image_id), here.site.look(reference)
    assert seen.recorded == expected.recorded
    assert seen.stored == expected.stored
    for name in (image_id, f'{image_id}@snap'):
        here.rbd('object-map', 'check', name)
        info = json.loads(here.rbd('info', '--format', 'json', name))
        assert info['flags'] == []


# -- as clusters are configured -----------------------------------------------


@pytest.mark.parametrize(
    'option',
    [
        'rbd_default_features = 1',
        'rbd_default_features = 125',
        'rbd_default_features = layering,exclusive-lock,object-map',
        'rbd_default_features = layering,exclusive-lock,journaling',
        'rbd_default_data_pool = volumes',
        'rbd_default_stripe_unit = 65536\nrbd_default_stripe_count = 4',
    ],
)
def test_copy_has_what_the_configuration_gives(
    here: Here, tmp_path: Path, option: str
) -> None:
    conf = tmp_path / 'ceph.conf'
    conf.write_text(f'{Path(here.admin_conf).read_text()}\n{option}\n')
    image_id, reference = filling.new_id(), filling.new_id()
    own = ['rbd', '--conf', str(conf), '--pool', 'images', 'create', reference]
    subprocess.run([*own, '--size', '1'], check=True)
    with rbd.Image(here.pool, reference) as image:
        features = image.features() & ~rbd.RBD_FEATURE_STRIPINGV2
        data_pool = image.data_pool_id()
    cluster = here.connect(conf, user='admin')

    first = cluster.open_copy(image_id, len(_sparse()), OBJECT)
    filling.write(here.world, first, 0, noise(CHUNK))
    first.close()
    copy = cluster.open_copy(image_id, len(_sparse()), OBJECT)
    copy.record_objects(filling.fill(here.world, copy, _sparse()))
    copy.take_snapshot()
    copy.rename()
    copy.release()

    with rbd.Image(here.pool, image_id, read_only=True) as image:
        assert image.features() == features
        assert image.data_pool_id() == data_pool
        assert (image.stripe_unit(), image.stripe_count()) == (OBJECT, 1)
        assert image.flags() == 0
    assert here.site.read(image_id) == _sparse()
    assert here.site.read(image_id, None) == _sparse()
    here.rbd('snap', 'unprotect', f'{image_id}@snap')
    here.rbd('snap', 'purge', '--no-progress', image_id)
    here.rbd('rm', '--no-progress', image_id)
    assert here.site.strays() == frozenset()


@pytest.mark.parametrize('features', ['61', '125'])
def test_copy_that_may_be_registered_is_looked_at_only(
    here: Here, tmp_path: Path, features: str
) -> None:
    """Its object maps and its journal stay as they are, for who uses it."""
    conf = tmp_path / 'ceph.conf'
    conf.write_text(
        f'{Path(here.admin_conf).read_text()}\n'
        f'rbd_default_features = {features}\n'
    )
    image_id = filling.new_id()
    cluster = here.connect(conf, user='admin')
    filling.finish(here.world, cluster, image_id, _sparse()).close()
    before = here.site.look(image_id)

    copy = cluster.open_copy(image_id, len(_sparse()), OBJECT)
    assert filling.read_all(here.world, copy) == _sparse()
    copy.close()
    cluster.close()

    assert here.site.look(image_id) == before
    assert cluster.clear(image_id, is_registered=lambda: True)
    assert here.site.look(image_id) == before


# -- what a crash leaves ------------------------------------------------------


def _entry_only(here: Here, name: str) -> str:
    rbd_id = uuid.uuid4().hex[:12]
    entry = _string(name) + _string(rbd_id)
    here.pool.execute('rbd_directory', 'rbd', 'dir_add_image', entry)
    return rbd_id


def _no_header(here: Here, name: str) -> None:
    rbd_id = _entry_only(here, name)
    here.pool.write_full(f'rbd_id.{name}', _string(rbd_id))


def _empty_id(here: Here, name: str) -> None:
    _entry_only(here, name)
    here.pool.write_full(f'rbd_id.{name}', b'')


def _no_map(here: Here, name: str) -> None:
    rbd.RBD().create(here.pool, name, SIZE, 22)
    here.pool.remove_object(f'rbd_object_map.{here.rbd_id(name)}')


BEGUN = pytest.mark.parametrize(
    'begin', [_entry_only, _no_header, _empty_id, _no_map]
)


@BEGUN
def test_creation_that_was_cut_off_is_begun_anew(
    here: Here, begin: Callable[[Here, str], object]
) -> None:
    image_id, reference = filling.new_id(), filling.new_id()
    here.site.put(reference, noise(), OBJECT)
    begin(here, image_id + DRAFT)

    filling.publish(here.world, here.connect(), image_id, noise())

    assert here.site.names() == {image_id, reference}
    assert here.site.look(image_id) == here.site.look(reference)
    assert not here.site.strays() | here.site.marks()


@BEGUN
def test_creation_that_was_cut_off_is_cleared(
    here: Here, begin: Callable[[Here, str], object]
) -> None:
    image_id = filling.new_id()
    begin(here, image_id + DRAFT)
    cluster = here.connect()
    assert image_id in cluster.leftovers()

    cluster.clear(image_id, is_registered=lambda: False)

    assert here.site.names() == frozenset()
    assert not here.site.strays() | here.site.marks()
    assert image_id not in cluster.leftovers()


@pytest.mark.parametrize(
    'begin', [_entry_only, _no_header, _empty_id, _no_map]
)
def test_orphan_that_was_hardly_begun_is_removed(
    here: Here, begin: Callable[[Here, str], object]
) -> None:
    image_id = filling.new_id()
    begin(here, image_id)
    cluster = here.connect()

    cluster.remove_orphan(image_id)

    assert here.site.names() == frozenset()
    assert not here.site.strays() | here.site.marks()


def _first_step(here: Here, image_id: images.ImageId, rbd_id: str) -> None:
    here.pool.write_full(f'rbd_id.{image_id}', _string(rbd_id))


def _second_step(here: Here, image_id: images.ImageId, rbd_id: str) -> None:
    _first_step(here, image_id, rbd_id)
    here.pool.execute(
        'rbd_directory',
        'rbd',
        'dir_rename_image',
        _string(image_id + DRAFT) + _string(image_id) + _string(rbd_id),
    )


STEPS = pytest.mark.parametrize('step', [_first_step, _second_step])


def _cut_off_rename(
    here: Here, step: Callable[[Here, images.ImageId, str], None]
) -> tuple[ceph.Cluster, images.ImageId]:
    """Leave a copy in the midst of its renaming."""
    image_id = filling.new_id()
    cluster = here.connect()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(here.world, copy, noise()))
    copy.close()
    step(here, image_id, here.rbd_id(image_id + DRAFT))
    return cluster, image_id


@STEPS
def test_renaming_that_was_cut_off_is_finished(
    here: Here, step: Callable[[Here, images.ImageId, str], None]
) -> None:
    cluster, image_id = _cut_off_rename(here, step)
    reference = filling.new_id()
    here.site.put(reference, noise(), OBJECT)

    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    copy.record_objects([0, 1, 2])
    copy.rename()
    copy.release()

    assert here.site.names() == {image_id, reference}
    assert here.site.look(image_id) == here.site.look(reference)
    assert not here.site.strays() | here.site.marks()


@STEPS
@pytest.mark.parametrize('by', ['clear', 'discard'])
def test_renaming_that_was_cut_off_is_cleared(
    here: Here, step: Callable[[Here, images.ImageId, str], None], by: str
) -> None:
    cluster, image_id = _cut_off_rename(here, step)

    if by == 'clear':
        cluster.clear(image_id, is_registered=lambda: False)
    else:
        cluster.open_copy(image_id, SIZE, OBJECT).discard()

    assert here.site.names() == frozenset()
    assert not here.site.strays() | here.site.marks()


def test_name_that_a_dead_glance_left_in_the_directory_is_taken(
    here: Here,
) -> None:
    """Librbd enters a new image first, and takes an old one out last."""
    image_id, reference = filling.new_id(), filling.new_id()
    here.site.put(reference, noise(), OBJECT)
    _entry_only(here, image_id)

    filling.publish(here.world, here.connect(), image_id, noise())

    assert here.site.names() == {image_id, reference}
    assert here.site.look(image_id) == here.site.look(reference)
    assert here.site.read(image_id) == noise()
    assert not here.site.strays() | here.site.marks()


def test_renaming_to_a_name_in_the_directory_is_cleared(here: Here) -> None:
    cluster, image_id = _cut_off_rename(here, _first_step)
    _entry_only(here, image_id)

    cluster.clear(image_id, is_registered=lambda: False)

    assert here.site.names() == frozenset()
    assert not here.site.strays() | here.site.marks()


def test_image_that_lost_its_name_is_left_alone(here: Here) -> None:
    """Somebody may want to mend it."""
    image_id = filling.new_id()
    here.site.put(image_id, noise(), OBJECT)
    rbd_id = here.rbd_id(image_id)
    here.pool.remove_object(f'rbd_id.{image_id}')
    cluster = here.connect()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    copy.record_objects(filling.fill(here.world, copy, noise()))

    for call in (copy.rename, copy.rename):
        with pytest.raises(exceptions.OrphanInTheWay):
            call()

    copy.discard()
    with pytest.raises(exceptions.NotAnOrphan):
        cluster.remove_orphan(image_id)
    here.pool.write_full(f'rbd_id.{image_id}', _string(rbd_id))
    assert here.site.names() == {image_id}
    assert here.site.read(image_id) == noise()
    assert not here.site.marks()


@STEPS
def test_removal_that_was_cut_off_is_begun_anew(
    here: Here, step: Callable[[Here, images.ImageId, str], None]
) -> None:
    """The header goes first, and the names last."""
    image_id, reference = filling.new_id(), filling.new_id()
    here.site.put(reference, noise(), OBJECT)
    cluster = here.connect()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    copy.take_snapshot()
    if step is _second_step:
        copy.rename()
    copy.close()
    name = image_id if step is _second_step else image_id + DRAFT
    rbd_id = here.rbd_id(name)
    if step is _first_step:
        step(here, image_id, rbd_id)
    for found in here.site.objects_of(rbd_id):
        here.pool.remove_object(found)

    filling.publish(here.world, cluster, image_id, noise())

    assert here.site.names() == {image_id, reference}
    assert here.site.look(image_id) == here.site.look(reference)
    assert here.site.read(image_id) == noise()
    assert not here.site.strays() | here.site.marks()


def test_copy_stays_claimed_while_it_is_discarded(here: Here) -> None:
    """Though it is closed meanwhile; a successor would write into nothing."""
    cluster, other = here.connect(), here.connect()
    for _ in range(5):
        image_id = filling.new_id()
        copy = cluster.open_copy(image_id, SIZE, OBJECT)
        filling.fill(here.world, copy, noise())
        copy.take_snapshot()
        discarding = tasks.start('discard', copy.discard)
        # It has begun.
        waiting.passes(0.02)
        copy.close()

        def reopen(
            image_id: images.ImageId = image_id,
        ) -> storage.Copy | None:
            with contextlib.suppress(exceptions.CopyInProgress):
                return other.open_copy(image_id, SIZE, OBJECT)
            return None

        again = waiting.until('it is free', reopen, pause_s=0.001)
        assert discarding.done()
        again.record_objects(filling.fill(here.world, again, noise()))
        again.take_snapshot()
        again.rename()
        again.release()
        assert here.site.read(image_id) == noise()


def test_killed_process_of_this_host_is_in_nobodys_way(here: Here) -> None:
    """Neither its claim, nor a watcher or lock on the image."""
    for _ in range(3):
        image_id = filling.new_id()
        here.site.abandon(image_id, SIZE, OBJECT, ((0, noise(CHUNK)),))
        cluster = here.connect()

        began_s = time.monotonic()
        copy = cluster.open_copy(image_id, SIZE, OBJECT)
        assert not copy.is_fresh
        copy.record_objects(filling.fill(here.world, copy, noise()))
        copy.discard()

        assert time.monotonic() - began_s < 10
        assert here.site.names() == frozenset()


# -- repair -------------------------------------------------------------------


@STEPS
def test_image_is_not_removed_by_the_other_name_that_it_has(
    here: Here, step: Callable[[Here, images.ImageId, str], None]
) -> None:
    """Of a renaming that was cut off, if the claim is lost."""
    cluster, image_id = _cut_off_rename(here, step)
    here.pool.set_namespace(connections.NAMESPACE)
    here.pool.remove_object(image_id)
    here.pool.set_namespace('')

    cluster.clear(image_id, is_registered=lambda: True)

    assert here.site.names() == {image_id}
    assert here.site.read(image_id) == noise()
    assert not here.site.strays() | here.site.marks()


def test_object_written_after_the_snapshot_is_left_alone(here: Here) -> None:
    """Its snapshot has data of its own that a repair would not reach."""
    image_id = filling.new_id()
    here.site.put(image_id, noise(), OBJECT)
    here.site.overwrite(image_id, 0, b'of the owner')
    copy = here.connect().open_published(image_id)

    end = filling.answer(
        here.world, functools.partial(copy.write, 0, noise(CHUNK, seed=1))
    )

    assert isinstance(end, exceptions.VerificationFailed)
    assert filling.write(here.world, copy, OBJECT, noise(CHUNK, 2)) == CHUNK
    copy.release()
    assert here.site.read(image_id)[:OBJECT] == noise()[:OBJECT]
    assert here.site.read(image_id, None).startswith(b'of the owner')
    assert here.site.read(image_id)[OBJECT:][:CHUNK] == noise(CHUNK, seed=2)


# -- large and sparse ---------------------------------------------------------


def test_image_of_a_tebibyte_costs_what_it_holds(here: Here) -> None:
    size_bytes, object_bytes = 1024 * GIB, 8 << 20
    offsets = (0, 500 * GIB + CHUNK, size_bytes - CHUNK)
    image_id = filling.new_id()
    cluster = here.connect()
    began_s = time.monotonic()

    copy = cluster.open_copy(image_id, size_bytes, object_bytes)
    for offset in offsets:
        filling.write(here.world, copy, offset, noise(CHUNK))
    copy.record_objects({offset // object_bytes for offset in offsets})
    copy.rename()
    image = cluster.open_snapshot(image_id)
    extents = list(image.extents())
    image.close()
    spent_s = time.monotonic() - began_s
    copy.discard()

    assert sum(extent.length for extent in extents) <= 3 * object_bytes
    for extent, offset in zip(extents, offsets, strict=True):
        assert extent.offset <= offset < extent.end
    assert spent_s < 10
    assert time.monotonic() - began_s < 30
    assert here.site.names() == frozenset()
    assert here.site.strays() == frozenset()


# -- hangs, lost connections, full clusters -----------------------------------


@contextlib.contextmanager
def _frozen(here: Here) -> Iterator[None]:
    service = here.lab.service(f'ceph-{here.name}')
    service.freeze()
    try:
        yield
    finally:
        service.thaw()


def _ended_within(seconds: float, call: Callable[[], object]) -> object:
    """Return what a call raises, or gives; fail if it takes too long."""
    began_s = time.monotonic()
    try:
        end = call()
    except exceptions.DistributorError as exc:
        end = exc
    assert time.monotonic() - began_s < seconds
    return end


def test_hung_cluster_ends_every_call_and_stops_no_other(here: Here) -> None:
    timeout_s = 3.0
    # librados looks at its time-outs now and then only.
    patience_s = 3 * timeout_s + 10
    image_id, published, other_id = (filling.new_id() for _ in range(3))
    here.site.put(published, noise(), OBJECT)
    hung = here.connect(timeout_s=timeout_s)
    other = here.world.sites[1].connect()
    copy = hung.open_copy(image_id, SIZE, OBJECT)
    copy.take_snapshot()
    image = hung.open_snapshot(published)
    ends: list[object] = []

    with _frozen(here):
        for call in (
            functools.partial(copy.write, 0, noise(CHUNK)),
            functools.partial(copy.read, 0, CHUNK),
            functools.partial(copy.checksum, 0, CHUNK),
            functools.partial(image.read, 0, CHUNK),
            functools.partial(image.checksum, 0, CHUNK),
        ):
            # They return at once.
            assert _ended_within(1, lambda c=call: c(ends.append)) is None
        began_s = time.monotonic()
        filling.publish(here.world, other, other_id, noise())
        assert time.monotonic() - began_s < timeout_s
        waiting.until('all have ended', lambda: len(ends) == 5, patience_s)
        for call in (
            lambda: copy.record_objects([0]),
            copy.rename,
            lambda: hung.remains(image_id),
            lambda: hung.open_snapshot(published),
            lambda: hung.open_copy(filling.new_id(), SIZE, OBJECT),
        ):
            ends.append(_ended_within(patience_s, call))
        _ended_within(5, copy.close)
        _ended_within(5, image.close)
        _ended_within(10, hung.close)

    for end in ends:
        assert isinstance(end, exceptions.ClusterUnavailable)
    again = here.connect()
    waiting.until('it answers', lambda: again.remains(image_id).has_draft)
    filling.read_all(here.world, again.open_snapshot(published))


@contextlib.contextmanager
def _pool_without_osds(here: Here) -> Iterator[str]:
    """Make a pool that never answers, unlike the rest of its cluster."""
    name = 'inactive'
    here.command(prefix='osd pool create', pool=name, pg_num=1)
    for var in ('size', 'min_size'):
        here.command(prefix='osd pool set', pool=name, var=var, val='3')
    try:
        yield name
    finally:
        here.command(
            prefix='osd pool delete',
            pool=name,
            pool2=name,
            yes_i_really_really_mean_it=True,
        )


def test_nothing_is_shut_down_under_a_call(here: Here) -> None:
    """It would crash, or the call never return."""
    with _pool_without_osds(here) as name:
        settings = {'rados_osd_op_timeout': '5'}
        client = native.Client(here.admin_conf, 'admin', settings)
        client.connect()
        inactive = client.named_pool(name, '')
        client.named_pool('images', '')
        locking = tasks.start(
            'lock', lambda: inactive.lock('object', 'lock', 'me', 30, 0)
        )
        waiting.passes(0.5)
        assert not locking.done()

        client.close()
        waiting.passes(1)
        assert not locking.done()

        assert isinstance(locking.exception(timeout=30), rados.Error)
        client.in_flight.wait(10)
        with pytest.raises(rados.Error):
            client.named_pool('images', '')


@pytest.mark.parametrize('timeout_s', [0.5, 7.5, 20])
def test_fraction_of_a_second_is_a_time_out_too(
    here: Here, timeout_s: float
) -> None:
    image_id = filling.new_id()
    cluster = here.connect(timeout_s=timeout_s)
    cluster.check()

    filling.publish(here.world, cluster, image_id, noise(5))

    assert here.site.read(image_id) == noise(5)


def test_setting_that_is_refused_is_told(here: Here) -> None:
    """A connection without time-outs would wait for ever."""
    refused = {'rados_osd_op_timeout': 'soon'}
    unknown = {'dcn_distributor_is_not_known': 'soon'}

    with pytest.raises(rados.Error, match='rados_osd_op_timeout'):
        native.Client(here.admin_conf, 'admin', refused).connect()
    client = native.Client(here.admin_conf, 'admin', unknown)
    client.connect()
    client.close()
    client.in_flight.wait(10)


def test_copy_goes_on_after_a_short_hang(here: Here) -> None:
    image_id = filling.new_id()
    copy = here.connect(timeout_s=15).open_copy(image_id, SIZE, OBJECT)
    ends: list[object] = []

    with _frozen(here):
        copy.write(0, noise()[:CHUNK], ends.append)
        waiting.passes(3)
        assert ends == []

    waiting.until('it is written', lambda: ends)
    assert ends == [CHUNK]
    copy.record_objects(filling.fill(here.world, copy, noise()))
    copy.rename()
    copy.release()
    assert here.site.read(image_id) == noise()


def _blocklist(here: Here) -> None:
    """Refuse all that is connected now."""
    # All clients of this host, but not the servers, whose nonces differ.
    sessions = json.loads(
        subprocess.run(
            ['ceph', '--conf', here.admin_conf, 'tell', 'mon.a', 'sessions'],
            check=True,
            capture_output=True,
        ).stdout
    )
    addresses = [
        session['addrs']['addrvec'][0]
        for session in sessions
        if session['entity_name'] == f'client.{real_clusters.USER}'
    ]
    assert addresses
    for address in addresses:
        here.command(
            prefix='osd blocklist',
            blocklistop='add',
            addr=f'{address["addr"]}/{address["nonce"]}',
        )


def test_blocklisted_client_connects_again(here: Here) -> None:
    cluster = here.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.write(here.world, copy, 0, noise(CHUNK))
    _blocklist(here)

    def is_refused() -> bool:
        end = filling.answer(
            here.world, functools.partial(copy.write, 0, noise(CHUNK))
        )
        return isinstance(end, exceptions.ClusterUnavailable)

    waiting.until('the client is refused', is_refused)

    copy.close()

    def is_answered() -> bool:
        with contextlib.suppress(exceptions.TemporaryError):
            return cluster.remains(image_id).has_draft
        return False

    waiting.until('the cluster answers', is_answered)

    def is_cleared() -> bool:
        with contextlib.suppress(exceptions.TemporaryError):
            return cluster.clear(image_id, is_registered=lambda: False)
        return False

    waiting.until('the claim is free', is_cleared)
    here.command(prefix='osd blocklist clear')


def test_copy_of_a_blocklisted_client_answers_and_ends(here: Here) -> None:
    """Its connections are replaced, which it goes on using."""
    cluster = here.connect()
    image_id = filling.new_id()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)
    filling.write(here.world, copy, 0, noise(CHUNK))
    _blocklist(here)
    ended: list[object] = []

    def is_connected_anew() -> bool:
        ended.append(
            filling.answer(
                here.world, functools.partial(copy.checksum, 0, CHUNK)
            )
        )
        with contextlib.suppress(exceptions.TemporaryError):
            return cluster.remains(image_id).has_draft
        return False

    waiting.until('the cluster answers', is_connected_anew)
    ended.append(
        filling.answer(here.world, functools.partial(copy.checksum, 0, CHUNK))
    )
    copy.close()

    assert isinstance(ended[-1], exceptions.ClusterUnavailable)

    def is_cleared() -> bool:
        with contextlib.suppress(exceptions.TemporaryError):
            return cluster.clear(image_id, is_registered=lambda: False)
        return False

    waiting.until('the claim is free', is_cleared)
    here.command(prefix='osd blocklist clear')


def _set_full_ratios(here: Here, ratio: float) -> None:
    """Set all three: an OSD takes the highest."""
    for name in ('nearfull', 'backfillfull', 'full'):
        here.command(prefix=f'osd set-{name}-ratio', ratio=ratio)


def test_full_cluster_is_told_as_such(here: Here) -> None:
    cluster = here.connect(timeout_s=5)
    copy = cluster.open_copy(filling.new_id(), GIB, OBJECT)
    copy.take_snapshot()
    # What only replaces data is written all the same.
    offsets = itertools.count(0, CHUNK)

    def write() -> object:
        return filling.answer(
            here.world,
            functools.partial(copy.write, next(offsets), noise(CHUNK)),
        )

    _set_full_ratios(here, 1e-6)
    try:
        waiting.until(
            'the cluster is full',
            lambda: isinstance(write(), exceptions.StoreFull),
        )
        with pytest.raises(exceptions.StoreFull):
            cluster.open_copy(filling.new_id(), SIZE, OBJECT)
        # The claim is held for longer than it lasts.
        waiting.passes(32)
        assert isinstance(write(), exceptions.StoreFull)
    finally:
        _set_full_ratios(here, 0.95)

    waiting.until('there is space', lambda: write() == CHUNK)
    copy.discard()


def _streams() -> int:
    return len(
        [
            connection
            for connection in psutil.Process().net_connections('tcp')
            if connection.status == psutil.CONN_ESTABLISHED
        ]
    )


def test_idle_connections_are_closed_and_come_back(here: Here) -> None:
    before = _streams()
    cluster = here.connect(idle_s=1)
    image_id = filling.new_id()
    here.site.put(image_id, noise(), OBJECT)
    with contextlib.closing(cluster.open_snapshot(image_id)) as image:
        waiting.passes(7)
        assert filling.read_all(here.world, image) == noise()
        assert _streams() > before

    waiting.until('all are closed', lambda: _streams() <= before, 30)

    image = cluster.open_snapshot(image_id)
    assert filling.read_all(here.world, image) == noise()


def test_what_ends_late_opens_nothing_again(here: Here) -> None:
    """Nobody would close it."""
    image_id = filling.new_id()
    filling.finish(here.world, here.connect(), image_id, noise(5)).close()
    before = _streams()
    cluster = here.connect()

    def is_registered() -> bool:
        cluster.close()
        return True

    with pytest.raises(exceptions.ClusterUnavailable):
        cluster.clear(image_id, is_registered=is_registered)

    waiting.until('all are closed', lambda: _streams() <= before, 30)
    waiting.passes(1)
    assert _streams() <= before


def test_claim_that_is_removed_late_opens_nothing_again(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _streams()
    cluster = here.connect()
    copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)
    remove_locked = native.Pool.remove_locked

    def late(self: native.Pool, name: str, lock: str, cookie: str) -> None:
        remove_locked(self, name, lock, cookie)
        cluster.close()

    monkeypatch.setattr(native.Pool, 'remove_locked', late)
    with contextlib.suppress(exceptions.ClusterUnavailable):
        copy.discard()

    waiting.until('all are closed', lambda: _streams() <= before, 30)
    waiting.passes(1)
    assert _streams() <= before


# -- what check() says --------------------------------------------------------


@pytest.mark.parametrize(
    'caps',
    [
        ('mon', 'profile rbd', 'osd', 'profile rbd-read-only pool=images'),
        ('mon', 'profile rbd', 'osd', 'profile rbd pool=vms'),
    ],
    ids=['read only', 'another pool'],
)
def test_lacking_caps_are_told_with_the_remedy(
    here: Here, tmp_path: Path, caps: tuple[str, ...]
) -> None:
    conf = here.user(tmp_path, 'narrow', *caps)
    try:
        with pytest.raises(
            exceptions.AccessDenied,
            match=r"ceph auth caps client.narrow mon 'profile rbd' osd "
            r"'profile rbd pool=images'",
        ):
            here.connect(conf, user='narrow').check()
    finally:
        here.command(prefix='auth rm', entity='client.narrow')


def test_caps_of_the_data_pool_are_tried_too(
    here: Here, tmp_path: Path
) -> None:
    caps = 'profile rbd pool=images'
    conf = here.user(tmp_path, 'narrow', 'mon', 'profile rbd', 'osd', caps)
    given = conf.read_text()
    try:
        here.connect(conf, user='narrow').check()
        conf.write_text(f'{given}\nrbd_default_data_pool = volumes\n')
        with pytest.raises(
            exceptions.AccessDenied,
            match=r"osd 'profile rbd pool=images, profile rbd pool=volumes'. "
            'That replaces all',
        ):
            here.connect(conf, user='narrow').check()
    finally:
        here.command(prefix='auth rm', entity='client.narrow')


@pytest.mark.parametrize('data_pool', ['volumes', 'nowhere'])
def test_data_pool_is_looked_for(
    here: Here, tmp_path: Path, data_pool: str
) -> None:
    conf = tmp_path / 'ceph.conf'
    conf.write_text(
        f'{Path(here.admin_conf).read_text()}\n'
        f'rbd_default_data_pool = {data_pool}\n'
    )
    cluster = here.connect(conf, user='admin')

    if data_pool == 'volumes':
        cluster.check()
    else:
        with pytest.raises(exceptions.ConfigError, match='no pool nowhere'):
            cluster.check()


@pytest.mark.parametrize(
    'call',
    [
        lambda cluster: cluster.remains(filling.new_id()),
        lambda cluster: cluster.leftovers(),
        lambda cluster: cluster.open_snapshot(filling.new_id()),
        lambda cluster: cluster.open_copy(filling.new_id(), SIZE, OBJECT),
        lambda cluster: cluster.open_published(filling.new_id()),
        lambda cluster: cluster.remove_orphan(filling.new_id()),
    ],
)
def test_missing_pool_is_an_error_of_ours(
    here: Here, call: Callable[[ceph.Cluster], object]
) -> None:
    with pytest.raises(exceptions.DistributorError):
        call(here.connect(pool='nowhere'))


@pytest.mark.parametrize(
    ('round_trip_s', 'count'), [(0.04, 2), (0.12, 5), (1.0, 6)]
)
def test_long_round_trip_has_more_connections_made(
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    round_trip_s: float,
    count: int,
) -> None:
    """One for each 25 ms; at most three times as many as asked for."""
    timed = threading.Event()

    def shortest_s(_: rados.Ioctx) -> float:
        timed.set()
        return round_trip_s

    monkeypatch.setattr(round_trips, 'shortest_s', shortest_s)
    settings = sites.Cluster(here.conf, real_clusters.USER, 'images')
    made = connections.Connections(
        settings, ceph.Options(connections=2, timeout_s=10.0)
    )
    try:
        made.first()
        assert timed.wait(10.0)
        waiting.until('all stand', lambda: len(made.standing()) >= count)
        assert all(each().handle.get_fsid() for each in made.all())
        assert len(made.standing()) == count
    finally:
        made.close()


def test_wrong_key_is_told(here: Here, tmp_path: Path) -> None:
    key = 'AQBmXmBnAAAAABAAAAAAAAAAAAAAAAAAAAAAAA=='
    conf = here.conf_for(
        tmp_path,
        f'[client.{real_clusters.USER}]\n\tkey = {key}\n'.encode(),
    )

    with pytest.raises(exceptions.AccessDenied, match='ceph auth get client'):
        here.connect(conf).check()


def test_missing_files_are_told(here: Here, tmp_path: Path) -> None:
    missing = tmp_path / 'none.conf'
    keyless = here.conf_for(tmp_path, b'')

    with pytest.raises(exceptions.ConfigError, match=str(missing)):
        here.connect(missing).check()
    with pytest.raises(exceptions.AccessDenied, match=str(keyless)):
        here.connect(keyless).check()


def test_missing_pool_is_told(here: Here) -> None:
    with pytest.raises(exceptions.ConfigError, match='no pool nowhere'):
        here.connect(pool='nowhere').check()


# -- one process, many clusters -----------------------------------------------


def test_clusters_are_closed_in_the_midst_of_all(here: Here) -> None:
    """Librados and librbd crash if a handle is closed that is in use."""
    published = filling.new_id()
    here.site.put(published, noise(), OBJECT)
    for number in range(12):
        cluster = here.connect()
        if number % 3 == 0:
            assert cluster.fsid
        elif number % 3 == 1:
            image = cluster.open_snapshot(published)
            for offset in range(0, 2 * OBJECT, CHUNK):
                image.read(offset, CHUNK, lambda _: None)
                image.checksum(offset, CHUNK, lambda _: None)
        else:
            copy = cluster.open_copy(filling.new_id(), SIZE, OBJECT)
            for offset in range(0, 2 * OBJECT, CHUNK):
                copy.write(offset, noise(CHUNK), lambda _: None)
                copy.checksum(offset, CHUNK, lambda _: None)
                copy.read(offset, CHUNK, lambda _: None)
        cluster.close()

    assert filling.read_all(
        here.world, here.connect().open_snapshot(published)
    )


def test_no_thread_is_left(here: Here) -> None:
    before = {thread.name for thread in threading.enumerate()}
    image_id = filling.new_id()
    cluster = here.connect()
    filling.publish(here.world, cluster, image_id, noise())

    cluster.close()

    waiting.until(
        'its threads have ended',
        lambda: {t.name for t in threading.enumerate()} <= before,
    )
