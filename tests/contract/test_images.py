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
"""What every `core.ports.Images` does: the fake as the real one.

Each test makes images of its own; others may come and go meanwhile.
"""

import itertools
import uuid

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images as core_images
from dcn_distributor.core import ports
from tests.contract import real_worlds
from tests.contract import worlds

VISIBILITIES = ('public', 'private', 'shared', 'community')


def _end(
    world: worlds.World, image_id: core_images.ImageId
) -> core_images.Image:
    """Wait for the end of an import; return the image after it."""
    *_, last = world.watch(image_id)
    return last


def _no_image() -> core_images.ImageId:
    return core_images.ImageId(str(uuid.uuid4()))


# -- reading ----------------------------------------------------------------


def test_stores_are_read(world: worlds.World) -> None:
    assert world.images.stores() == set(world.stores)


def test_image_is_read_whole(world: worlds.World) -> None:
    image_id = world.create(size_mib=2)

    image = world.images.get(image_id)

    assert image.id == image_id
    assert image.is_active
    assert image.visibility == 'public'
    assert image.size_bytes == 2 * worlds.MIB
    assert (image.disk_format, image.container_format) == ('raw', 'bare')
    assert image.stores == {world.stores[0]}
    assert image.import_task is None
    assert not image.importing_to
    assert not image.failed_import
    assert not image.is_hidden


def test_image_without_data_is_read(world: worlds.World) -> None:
    image = world.images.get(world.create(data=False))

    assert image.status == 'queued'
    assert image.size_bytes is None
    assert image.stores == frozenset()


@pytest.mark.parametrize('hidden', [False, True], ids=['shown', 'hidden'])
@pytest.mark.parametrize('visibility', VISIBILITIES)
def test_images_of_other_projects_are_read(
    world: worlds.World, visibility: str, hidden: bool
) -> None:
    image_id = world.create(visibility=visibility, hidden=hidden, data=False)

    image = world.images.get(image_id)

    assert image.visibility == visibility
    assert image.is_hidden is hidden


def test_image_that_never_was_is_not_found(world: worlds.World) -> None:
    with pytest.raises(exceptions.ImageNotFound):
        world.images.get(_no_image())


@pytest.mark.parametrize(
    'image_id', ['', '..', 'x', '../stores', 'a' * 1000, '\n'], ids=repr
)
def test_what_cannot_be_an_image_is_not_found(
    world: worlds.World, image_id: str
) -> None:
    with pytest.raises(exceptions.ImageNotFound):
        world.images.get(core_images.ImageId(image_id))


def test_deleted_image_is_not_found(world: worlds.World) -> None:
    image_id = world.create()
    world.delete(image_id)

    with pytest.raises(exceptions.ImageNotFound):
        world.images.get(image_id)


# -- listing ----------------------------------------------------------------


def test_list_has_all_images_over_several_pages(world: worlds.World) -> None:
    made = {
        world.create(visibility=visibility, hidden=hidden, data=False)
        for visibility in VISIBILITIES
        for hidden in (False, True)
    }

    listed = [image.id for image in world.images.list()]

    assert made <= set(listed)
    assert len(made) > 2 * worlds.PAGE_SIZE
    assert len(listed) == len(set(listed))


def test_listed_image_equals_the_image_read(world: worlds.World) -> None:
    image_id = world.create()

    listed = {image.id: image for image in world.images.list()}

    assert listed[image_id] == world.images.get(image_id)


def test_images_deleted_while_listing_hide_no_others(
    world: worlds.World,
) -> None:
    made = [world.create(data=False) for _ in range(3 * worlds.PAGE_SIZE)]
    # Each is gone by the time the list goes on, be it from a page read
    # already, its last image included, or from one still to come.
    doomed = made[::2]
    listed = set()

    for image in world.images.list():
        listed.add(image.id)
        if image.id in made and doomed:
            world.delete(doomed.pop(0))

    assert set(made[1::2]) <= listed


def test_image_deleted_behind_the_list_hides_no_other(
    world: worlds.World,
) -> None:
    made = [world.create(data=False) for _ in range(3 * worlds.PAGE_SIZE)]
    listed = set()

    for image in world.images.list():
        listed.add(image.id)
        if image.id in made:
            world.delete(image.id)

    assert set(made) <= listed


# -- copying ----------------------------------------------------------------


def test_copy_ends_in_all_stores(world: worlds.World) -> None:
    image_id = world.create()

    world.images.copy_to_stores(image_id, world.stores[1:])
    image = _end(world, image_id)

    assert image.stores == set(world.stores)
    assert image.import_task is None
    assert not image.importing_to
    assert not image.failed_import


def test_accepted_copy_holds_the_lock_at_once(world: worlds.World) -> None:
    image_id = world.create(size_mib=16)

    world.images.copy_to_stores(image_id, world.stores[1:])

    assert world.images.get(image_id).import_task is not None
    _end(world, image_id)


def test_stores_appear_one_by_one_in_the_order_asked_for(
    world: worlds.World,
) -> None:
    image_id = world.create(size_mib=16)
    first, second = reversed(world.stores[1:])

    world.images.copy_to_stores(image_id, (first, second))
    seen = list(world.watch(image_id))

    states = [
        stores for stores, _ in itertools.groupby(seen, lambda i: i.stores)
    ]
    central = world.stores[0]
    assert states == [{central}, {central, first}, {central, first, second}]


def test_stores_to_come_are_told_in_order_of_name(
    world: worlds.World,
) -> None:
    image_id = world.create(size_mib=16)

    world.images.copy_to_stores(image_id, reversed(world.stores[1:]))
    seen = [image.importing_to for image in world.watch(image_id)]

    told = [stores for stores, _ in itertools.groupby(seen) if stores]
    assert told == [world.stores[1:], world.stores[1:2]]


def test_copy_of_an_image_nobody_shared_with_us(world: worlds.World) -> None:
    image_id = world.create(visibility='private', hidden=True)

    world.images.copy_to_stores(image_id, world.stores[1:2])
    image = _end(world, image_id)

    assert image.stores == set(world.stores[:2])
    assert image.is_hidden


def test_copy_changes_no_fingerprint(world: worlds.World) -> None:
    image_id = world.create()
    before = world.images.get(image_id).fingerprint

    world.images.copy_to_stores(image_id, world.stores[1:])
    seen = list(world.watch(image_id))

    assert {image.fingerprint for image in seen} == {before}


def test_second_copy_waits_for_the_first(world: worlds.World) -> None:
    image_id = world.create(size_mib=16)
    world.images.copy_to_stores(image_id, world.stores[1:2])

    with pytest.raises(exceptions.ImportInProgress):
        world.images.copy_to_stores(image_id, world.stores[2:])

    assert _end(world, image_id).stores == set(world.stores[:2])
    world.images.copy_to_stores(image_id, world.stores[2:])
    assert _end(world, image_id).stores == set(world.stores)


def test_one_store_that_has_the_image_refuses_all(world: worlds.World) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.AlreadyPresent):
        world.images.copy_to_stores(image_id, world.stores)

    image = world.images.get(image_id)
    assert image.import_task is None
    assert image.stores == set(world.stores[:1])


def test_one_unknown_store_refuses_all(world: worlds.World) -> None:
    image_id = world.create()
    nowhere = core_images.StoreId('nowhere')

    with pytest.raises(exceptions.StoreUnknown):
        world.images.copy_to_stores(image_id, (world.stores[1], nowhere))

    assert world.images.get(image_id).import_task is None


@pytest.mark.parametrize(
    'store', ['os_glance_staging_store', 'os_glance_tasks_store']
)
def test_stores_of_glance_itself_are_unknown(
    world: worlds.World, store: str
) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.StoreUnknown):
        world.images.copy_to_stores(image_id, [core_images.StoreId(store)])

    assert world.images.get(image_id).import_task is None


def test_image_without_data_is_not_copied(world: worlds.World) -> None:
    image_id = world.create(data=False)

    with pytest.raises(exceptions.NotCopyable):
        world.images.copy_to_stores(image_id, world.stores[1:])


def test_image_that_never_was_is_not_copied(world: worlds.World) -> None:
    with pytest.raises(exceptions.ImageNotFound):
        world.images.copy_to_stores(_no_image(), world.stores[1:])


def test_deleted_image_is_not_copied(world: worlds.World) -> None:
    image_id = world.create()
    world.delete(image_id)

    with pytest.raises(exceptions.ImageNotFound):
        world.images.copy_to_stores(image_id, world.stores[1:])


def test_image_deleted_while_it_is_copied_is_gone(world: worlds.World) -> None:
    image_id = world.create(size_mib=16)
    world.images.copy_to_stores(image_id, world.stores[1:])

    world.delete(image_id)

    with pytest.raises(exceptions.ImageNotFound):
        world.images.get(image_id)
    assert world.images.last_import_task(image_id) is None


def test_failure_of_one_store_leaves_the_copy_in_another(
    world: worlds.World,
) -> None:
    image_id = world.create()
    failing, good = world.stores[1:]
    world.leave_orphan(image_id, failing)

    world.images.copy_to_stores(image_id, (good, failing))
    image = _end(world, image_id)

    assert image.stores == {world.stores[0], good}
    assert image.failed_import == {failing}
    assert not image.importing_to
    task = world.images.last_import_task(image_id)
    assert task is not None
    assert task.status == 'success'


def test_store_that_failed_may_be_asked_for_again(world: worlds.World) -> None:
    image_id = world.create()
    failing = world.stores[1]
    world.leave_orphan(image_id, failing)
    world.images.copy_to_stores(image_id, [failing])
    assert _end(world, image_id).failed_import == {failing}

    world.remove_orphan(image_id, failing)
    world.images.copy_to_stores(image_id, [failing])
    image = _end(world, image_id)

    assert image.stores == set(world.stores[:2])
    assert not image.failed_import


# -- the lock of an import that died -----------------------------------------

LOCKS = {
    'an import silent for 59 minutes': ('processing', 59, False),
    'an import silent for 61 minutes': ('processing', 61, True),
    'an import pending for 119 minutes': ('pending', 119, False),
    'an import pending for 121 minutes': ('pending', 121, True),
    'an import that failed just now': ('failure', 0, False),
    'an import that failed 61 minutes ago': ('failure', 61, True),
}


@pytest.mark.parametrize(
    ('status', 'idle_min', 'is_stale'), LOCKS.values(), ids=LOCKS.keys()
)
def test_lock_is_held_by(
    world: worlds.World, status: str, idle_min: int, is_stale: bool
) -> None:
    image_id = world.create()
    world.images.copy_to_stores(image_id, world.stores[1:2])
    _end(world, image_id)
    world.lock(image_id, status, idle_min * 60)
    locked = world.images.get(image_id)
    task = world.images.import_task(locked)
    assert task is not None
    assert task.status == status
    assert abs(world.now() - idle_min * 60 - task.updated_at_s) < 60

    if not is_stale:
        with pytest.raises(exceptions.ImportInProgress):
            world.images.copy_to_stores(image_id, world.stores[2:])
        assert world.images.get(image_id).import_task == locked.import_task
        return

    world.images.copy_to_stores(image_id, world.stores[2:])
    assert world.images.get(image_id).import_task != locked.import_task
    assert _end(world, image_id).stores == set(world.stores)


def test_stale_lock_is_broken_by_a_request_that_begins_nothing(
    world: worlds.World,
) -> None:
    image_id = world.create()
    world.images.copy_to_stores(image_id, world.stores[1:2])
    _end(world, image_id)
    world.lock(image_id, 'processing', 61 * 60)
    before = world.images.last_import_task(image_id)

    with pytest.raises(exceptions.AlreadyPresent):
        world.images.copy_to_stores(image_id, world.stores[:1])

    assert world.images.get(image_id).import_task is None
    assert before is not None
    after = world.images.last_import_task(image_id)
    assert after is not None
    assert after.id == before.id


def test_lock_without_task_is_no_lock(world: worlds.World) -> None:
    image_id = world.create()
    world.lock_without_task(image_id)
    locked = world.images.get(image_id)
    assert locked.import_task is not None
    assert world.images.import_task(locked) is None

    world.images.copy_to_stores(image_id, world.stores[1:2])

    assert _end(world, image_id).stores == set(world.stores[:2])


# -- tasks ------------------------------------------------------------------


def test_image_never_copied_has_no_task(world: worlds.World) -> None:
    image_id = world.create()

    assert world.images.import_task(world.images.get(image_id)) is None
    assert world.images.last_import_task(image_id) is None


def test_running_copy_has_its_task(world: worlds.World) -> None:
    image_id = world.create(size_mib=16)
    wanted = tuple(reversed(world.stores[1:]))

    world.images.copy_to_stores(image_id, wanted)
    image = world.images.get(image_id)
    task = world.images.import_task(image)

    assert task is not None
    assert task.id == image.import_task
    assert task.status in ('pending', 'processing')
    assert task.stores == wanted
    assert abs(task.created_at_s - world.now()) < 60
    assert task.created_at_s <= task.updated_at_s
    last = world.images.last_import_task(image_id)
    assert last is not None
    assert last.id == task.id
    _end(world, image_id)


def test_ended_copy_leaves_its_task(world: worlds.World) -> None:
    image_id = world.create(size_mib=3)

    world.images.copy_to_stores(image_id, world.stores[1:])
    locked = world.images.get(image_id)
    ended = _end(world, image_id)
    task = world.images.last_import_task(image_id)

    assert task is not None
    assert task.id == locked.import_task
    assert task.status == 'success'
    assert task.copied_bytes == 3 * worlds.MIB
    assert world.images.import_task(ended) is None
    assert world.images.import_task(locked) == task


def test_newest_task_is_the_last_one(world: worlds.World) -> None:
    image_id = world.create()
    for store in world.stores[1:]:
        world.images.copy_to_stores(image_id, [store])
        _end(world, image_id)

    task = world.images.last_import_task(image_id)

    assert task is not None
    assert task.stores == world.stores[-1:]


def test_image_that_never_was_has_no_task(world: worlds.World) -> None:
    assert world.images.last_import_task(_no_image()) is None


# -- trouble ----------------------------------------------------------------


def _calls(
    images: ports.Images, image: core_images.Image, store: core_images.StoreId
) -> dict[str, object]:
    """Call every method; return what each has raised."""
    locked = core_images.Image(
        **{
            name: getattr(image, name)
            for name in core_images.Image.__dataclass_fields__
            if name != 'import_task'
        },
        import_task=str(uuid.uuid4()),
    )
    raised: dict[str, object] = {}
    for name, call in {
        'get': lambda: images.get(image.id),
        'list': lambda: next(iter(images.list())),
        'import_task': lambda: images.import_task(locked),
        'last_import_task': lambda: images.last_import_task(image.id),
        'copy_to_stores': lambda: images.copy_to_stores(image.id, [store]),
        'stores': images.stores,
        'store_details': images.store_details,
        'add_location': lambda: images.add_location(
            image.id, core_images.Location('rbd://a/b/c/snap', store)
        ),
    }.items():
        try:
            call()
        except exceptions.DistributorError as exc:
            raised[name] = type(exc)
        else:
            raised[name] = None
    return raised


def test_every_call_tells_of_an_outage(world: worlds.World) -> None:
    image = world.images.get(world.create())

    raised = _calls(world.unreachable(), image, world.stores[1])

    assert set(raised.values()) == {exceptions.GlanceUnavailable}


def test_every_call_tells_of_wrong_credentials(world: worlds.World) -> None:
    image = world.images.get(world.create())

    raised = _calls(world.rejected(), image, world.stores[1])

    assert set(raised.values()) == {exceptions.AccessDenied}


def test_user_without_the_role_may_look_but_not_copy(
    world: worlds.World,
) -> None:
    image_id = world.create()
    other = world.without_role()

    assert other.get(image_id).id == image_id
    with pytest.raises(exceptions.AccessDenied, match='copy_image'):
        other.copy_to_stores(image_id, world.stores[1:])
    assert world.images.get(image_id).import_task is None


@pytest.mark.lab
def test_user_without_the_role_lists_on_past_deleted_images(
    real_world: real_worlds.RealWorld,
) -> None:
    """Glance shows deleted images, as markers, to its admins only."""
    made = [real_world.create(data=False) for _ in range(7)]
    listed = set()

    for image in real_world.without_role().list():
        listed.add(image.id)
        if image.id in made:
            real_world.delete(image.id)

    assert set(made) <= listed
