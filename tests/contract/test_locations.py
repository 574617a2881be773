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
"""What every `core.ports.Images` does with locations and stores.

A copy that a test puts into a store itself is whole by all that Glance
looks at, which is that it is there, has its snapshot, and is not empty.
"""

import hashlib
import os
import uuid

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images as core_images
from tests import waiting
from tests.contract import worlds

NOWHERE = core_images.Location(
    f'rbd://{uuid.uuid4()}/images/{uuid.uuid4()}/snap',
    core_images.StoreId('nowhere'),
)


def _task_fails(world: worlds.World, image_id: core_images.ImageId) -> bool:
    """Wait for the task's end: the lock is dropped a moment before."""

    def has_failed() -> bool:
        task = world.images.last_import_task(image_id)
        return task is not None and task.has_failed

    return waiting.until('the task has failed', has_failed, deadline_s=10)


# -- reading ----------------------------------------------------------------


def test_hash_is_that_of_the_content(world: worlds.World) -> None:
    content = os.urandom(worlds.MIB + 1)

    image = world.images.get(world.create(content=content))

    assert image.hash_algo == 'sha512'
    assert image.hash_value == hashlib.sha512(content).hexdigest()


def test_location_of_an_upload_is_at_central(world: worlds.World) -> None:
    image_id = world.create()

    image = world.images.get(image_id)

    assert image.locations == (world.location(image_id, world.stores[0]),)


def test_every_copy_has_a_location(world: worlds.World) -> None:
    image_id = world.create()
    world.images.copy_to_stores(image_id, world.stores[1:])
    for _ in world.watch(image_id):
        pass

    image = world.images.get(image_id)

    assert set(image.locations or ()) == {
        world.location(image_id, store) for store in world.stores
    }


def test_image_without_data_has_neither_hash_nor_location(
    world: worlds.World,
) -> None:
    image = world.images.get(world.create(data=False))

    assert image.hash_algo is None
    assert image.hash_value is None
    assert image.locations == ()


def test_locations_that_are_not_shown_are_unknown(world: worlds.World) -> None:
    image_id = world.create()

    image = world.host(worlds.BLIND).get(image_id)

    assert image.locations is None
    assert image.stores == set(world.stores[:1])
    assert image.hash_value is not None


def test_stores_are_told_with_pool_and_chunk_size(world: worlds.World) -> None:
    details = world.images.store_details()

    assert set(details) == set(world.stores)
    for store, told in details.items():
        assert told.pool == 'images'
        assert told.chunk_bytes == 8 * worlds.MIB
        # Glance before 30 does not tell the cluster.
        if told.fsid is not None:
            url = world.location(core_images.ImageId('x'), store).url
            assert url.startswith(f'rbd://{told.fsid}/images/')


def test_user_without_the_role_is_told_no_details(world: worlds.World) -> None:
    assert world.without_role().store_details() == {}


def test_api_host_knows_the_stores_it_is_set_up_with(
    world: worlds.World,
) -> None:
    host = world.host(worlds.SMALL)

    assert host.stores() == set(world.stores[:2])
    assert set(host.store_details()) == set(world.stores[:2])


# -- adding a location ------------------------------------------------------


def test_added_copy_is_listed_with_its_store(world: worlds.World) -> None:
    image_id = world.create()
    before = world.images.get(image_id)
    location = world.put_copy(image_id, world.stores[1])

    world.images.add_location(image_id, location)

    image = world.images.get(image_id)
    assert image.stores == set(world.stores[:2])
    assert image.locations == (*(before.locations or ()), location)
    assert image.fingerprint == before.fingerprint
    assert image.hash_value == before.hash_value


def test_copy_of_a_private_image_may_be_added(world: worlds.World) -> None:
    image_id = world.create(visibility='private', hidden=True)
    location = world.put_copy(image_id, world.stores[1])

    world.images.add_location(image_id, location)

    assert world.images.get(image_id).stores == set(world.stores[:2])


@pytest.mark.parametrize('store', [None, 'dcn1', 'nowhere'])
def test_store_of_a_copy_is_the_one_its_url_leads_to(
    world: worlds.World, store: core_images.StoreId | None
) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])

    world.images.add_location(
        image_id, core_images.Location(location.url, store)
    )

    assert location in (world.images.get(image_id).locations or ())


def test_copy_is_added_once(world: worlds.World) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])
    world.images.add_location(image_id, location)

    with pytest.raises(exceptions.AlreadyPresent):
        world.images.add_location(image_id, location)

    assert len(world.images.get(image_id).locations or ()) == 2


def test_copy_that_is_not_there_is_not_added(world: worlds.World) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.StoreUnknown):
        world.images.add_location(
            image_id, world.location(image_id, world.stores[1])
        )

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_copy_without_snapshot_is_not_added(world: worlds.World) -> None:
    image_id = world.create()
    world.leave_orphan(image_id, world.stores[1])

    with pytest.raises(exceptions.StoreUnknown):
        world.images.add_location(
            image_id, world.location(image_id, world.stores[1])
        )

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_copy_nowhere_is_not_added(world: worlds.World) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.StoreUnknown):
        world.images.add_location(image_id, NOWHERE)

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_copy_in_a_store_the_api_host_does_not_know_is_not_added(
    world: worlds.World,
) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[2])

    with pytest.raises(exceptions.StoreUnknown):
        world.host(worlds.SMALL).add_location(image_id, location)

    assert world.images.get(image_id).stores == set(world.stores[:1])


@pytest.mark.parametrize('image_id', ['', '..', 'x', str(uuid.uuid4())])
def test_copy_of_no_image_is_not_added(
    world: worlds.World, image_id: str
) -> None:
    with pytest.raises(exceptions.ImageNotFound):
        world.images.add_location(core_images.ImageId(image_id), NOWHERE)


def test_copy_of_a_deleted_image_is_not_added(world: worlds.World) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])
    world.delete(image_id)

    with pytest.raises(exceptions.ImageNotFound):
        world.images.add_location(image_id, location)

    assert world.holds(image_id, world.stores[1])


def test_copy_of_a_deactivated_image_is_not_added(world: worlds.World) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])
    world.deactivate(image_id)

    with pytest.raises(exceptions.NotCopyable):
        world.images.add_location(image_id, location)

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_image_without_data_becomes_active_by_a_location(
    world: worlds.World,
) -> None:
    """That is why the caller must have seen it active."""
    image_id = world.create(data=False)
    location = world.put_copy(image_id, world.stores[1])

    world.images.add_location(image_id, location)

    image = world.images.get(image_id)
    assert image.is_active
    assert image.size_bytes == worlds.MIB
    assert image.hash_value is None


def test_copy_is_not_added_where_locations_are_not_shown(
    world: worlds.World,
) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])

    with pytest.raises(
        exceptions.AccessDenied, match='show_multiple_locations'
    ):
        world.host(worlds.BLIND).add_location(image_id, location)

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_user_without_the_role_adds_no_copy(world: worlds.World) -> None:
    image_id = world.create()
    location = world.put_copy(image_id, world.stores[1])

    with pytest.raises(exceptions.AccessDenied, match='set_image_location'):
        world.without_role().add_location(image_id, location)

    assert world.images.get(image_id).stores == set(world.stores[:1])


def test_no_more_copies_are_added_than_the_quota_allows(
    world: worlds.World,
) -> None:
    image_id = world.create()
    host = world.host(worlds.SMALL)
    host.add_location(image_id, world.put_copy(image_id, world.stores[1]))
    third = world.put_copy(image_id, world.stores[2])

    with pytest.raises(
        exceptions.LocationQuotaExceeded, match=r'quota|locations'
    ):
        host.add_location(image_id, third)

    assert world.images.get(image_id).stores == set(world.stores[:2])


# -- what becomes of an added copy ------------------------------------------


def test_deleting_an_image_removes_an_added_copy(world: worlds.World) -> None:
    image_id = world.create()
    world.images.add_location(
        image_id, world.put_copy(image_id, world.stores[1])
    )

    world.delete(image_id)

    assert not world.holds(image_id, world.stores[0])
    assert not world.holds(image_id, world.stores[1])


def test_added_copy_may_be_deleted_from_its_store(world: worlds.World) -> None:
    image_id = world.create()
    world.images.add_location(
        image_id, world.put_copy(image_id, world.stores[1])
    )

    world.delete_from_store(image_id, world.stores[1])

    image = world.images.get(image_id)
    assert image.locations == (world.location(image_id, world.stores[0]),)
    assert not world.holds(image_id, world.stores[1])


def test_store_with_an_added_copy_refuses_an_import(
    world: worlds.World,
) -> None:
    image_id = world.create()
    world.images.add_location(
        image_id, world.put_copy(image_id, world.stores[1])
    )

    with pytest.raises(exceptions.AlreadyPresent):
        world.images.copy_to_stores(image_id, world.stores[1:])


def test_copy_nobody_knows_of_lets_an_import_fail(world: worlds.World) -> None:
    image_id = world.create()
    taken, free = world.stores[1:]
    world.put_copy(image_id, taken)

    world.images.copy_to_stores(image_id, (taken, free))
    *_, image = world.watch(image_id)

    assert image.stores == {world.stores[0], free}
    assert image.failed_import == {taken}
    assert world.holds(image_id, taken)


# -- imports at the same time -----------------------------------------------


def test_copy_added_while_an_import_stages_is_forgotten(
    world: worlds.World,
) -> None:
    """So nothing must be registered while the lock is held."""
    image_id = world.create(size_mib=256)
    added, imported = world.stores[1:]
    location = world.put_copy(image_id, added)
    # Glance 25 holds up all other requests of a process that stages.
    host = world.host(worlds.SMALL)
    host.get(image_id)
    world.images.copy_to_stores(image_id, [imported])
    for image in world.watch(image_id):
        if image.importing_to:
            break

    host.add_location(image_id, location)
    registered = host.get(image_id)
    *_, image = world.watch(image_id)

    assert location in (registered.locations or ())
    assert image.stores == {world.stores[0], imported}
    assert world.holds(image_id, added)


def test_image_deactivated_in_an_import_loses_its_other_copies(
    world: worlds.World,
) -> None:
    """Though one store's failure costs no other its copy otherwise."""
    image_id = world.create(size_mib=256)
    first, second = world.stores[1:]
    world.images.copy_to_stores(image_id, (first, second))
    world.await_write(image_id, second)

    world.deactivate(image_id)
    *_, image = world.watch(image_id)

    assert image.status == 'deactivated'
    assert image.stores == set(world.stores[:1])
    assert image.failed_import == {second}
    assert not world.holds(image_id, first)
    assert world.holds(image_id, second)
    assert _task_fails(world, image_id)


# -- imports that Glance does not do ------------------------------------------


def test_import_is_refused_where_copy_image_is_off(
    world: worlds.World,
) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.ImportDisabled):
        world.host(worlds.BLIND).copy_to_stores(image_id, world.stores[1:])

    assert world.images.get(image_id).import_task is None


def test_import_is_refused_into_a_store_the_api_host_does_not_know(
    world: worlds.World,
) -> None:
    image_id = world.create()

    with pytest.raises(exceptions.StoreUnknown):
        world.host(worlds.SMALL).copy_to_stores(image_id, world.stores[1:])

    assert world.images.get(image_id).import_task is None


def test_import_whose_source_is_gone_fails_before_the_stores(
    world: worlds.World,
) -> None:
    """As it does where there is no room to stage."""
    image_id = world.create()
    world.lose_data(image_id, world.stores[0])

    world.images.copy_to_stores(image_id, world.stores[1:])
    *_, image = world.watch(image_id)

    assert _task_fails(world, image_id)
    assert image.stores == set(world.stores[:1])
    assert not image.failed_import
    assert image.importing_to == world.stores[1:]
