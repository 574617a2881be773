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
"""What the fake Glance can be made to do that a real one cannot, in a test.

Each is read from Glance's source, as the fake's docstrings say.
"""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images as core_images
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance
from tests.fakes import stores as fake_stores

DCN0 = core_images.StoreId('dcn0')
DCN1 = core_images.StoreId('dcn1')


@pytest.fixture
def clock() -> fake_clock.Clock:
    return fake_clock.Clock()


@pytest.fixture
def glance(clock: fake_clock.Clock) -> fake_glance.FakeGlance:
    return fake_glance.FakeGlance(('central', DCN0, DCN1), clock)


def test_failing_store_is_listed_and_does_not_stop_the_next(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.fail(DCN0)
    glance.copy_to_stores(image_id, (DCN0, DCN1))

    assert glance.finish(image_id)

    image = glance.get(image_id)
    assert image.stores == {'central', DCN1}
    assert image.failed_import == {DCN0}


def test_lost_copy_leaves_no_word(glance: fake_glance.FakeGlance) -> None:
    image_id = glance.add().id
    glance.lose(DCN0)
    glance.copy_to_stores(image_id, (DCN0, DCN1))

    assert glance.finish(image_id)

    image = glance.get(image_id)
    assert image.stores == {'central', DCN1}
    assert not image.failed_import
    assert not image.importing_to


def test_hanging_store_holds_the_lock_until_it_heals(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.hang(DCN0)
    glance.copy_to_stores(image_id, (DCN0, DCN1))

    assert not glance.finish_all()
    assert glance.get(image_id).import_task is not None

    glance.heal()
    assert glance.finish_all()
    assert glance.get(image_id).stores == {'central', DCN0, DCN1}


def test_failed_staging_leaves_a_stale_list(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.fail_staging()
    glance.copy_to_stores(image_id, [DCN0])

    assert glance.finish(image_id)

    image = glance.get(image_id)
    task = glance.last_import_task(image_id)
    assert image.import_task is None
    assert image.importing_to == (DCN0,)
    assert not image.failed_import
    assert task is not None
    assert task.status == 'failure'


def test_crash_leaves_lock_and_orphan(
    glance: fake_glance.FakeGlance, clock: fake_clock.Clock
) -> None:
    image_id = glance.add().id
    glance.copy_to_stores(image_id, (DCN0, DCN1))
    glance.step(image_id)
    glance.step(image_id)
    glance.crash()
    assert not glance.finish(image_id)

    clock.advance(3600.0)
    glance.copy_to_stores(image_id, (DCN0, DCN1))
    assert glance.finish(image_id)

    image = glance.get(image_id)
    assert image.stores == {'central', DCN1}
    assert image.failed_import == {DCN0}
    assert [one.task.status for one in glance.imports] == [
        'failure',
        'success',
    ]


def test_another_may_hold_the_lock(glance: fake_glance.FakeGlance) -> None:
    image_id = glance.add().id
    other = glance.import_by_another(image_id, [DCN1])

    with pytest.raises(exceptions.ImportInProgress):
        glance.copy_to_stores(image_id, [DCN0])

    assert glance.imports == ()
    assert glance.running == (other,)
    assert glance.import_task(glance.get(image_id)) == other.task


def test_image_deleted_in_an_import_ends_it(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.copy_to_stores(image_id, [DCN0])
    glance.delete(image_id)

    assert not glance.step(image_id)
    assert glance.running == ()


def test_copy_being_written_outlives_its_image(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.copy_to_stores(image_id, (DCN0, DCN1))
    glance.step(image_id)
    glance.step(image_id)

    glance.delete(image_id)

    held = [
        store
        for store in ('central', DCN0, DCN1)
        if glance.data.is_taken(glance.location(image_id, store).url)
    ]
    assert held == [DCN0]


def test_import_undoes_what_is_changed_while_it_writes(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add(name='before').id
    glance.copy_to_stores(image_id, [DCN0])
    glance.step(image_id)
    glance.step(image_id)
    glance.change(image_id, name='after')

    assert glance.finish(image_id)

    assert glance.get(image_id).name == 'before'


def test_location_undoes_what_is_changed_while_it_is_checked(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    location = glance.location(image_id, DCN1)

    class Slow(fake_stores.Shelves):
        """Lets an import go on while Glance opens a copy."""

        def size_bytes(self, url: str) -> int | None:
            """See Stores."""
            if url == location.url:
                glance.copy_to_stores(image_id, [DCN0])
                glance.finish(image_id)
            return super().size_bytes(url)

    shelves = Slow()
    shelves.put(glance.location(image_id, 'central').url, 1)
    shelves.put(location.url, 1)
    glance.data = shelves

    glance.add_location(image_id, location)

    assert glance.get(image_id).stores == {'central', DCN1}
    assert shelves.is_taken(glance.location(image_id, DCN0).url)


def test_image_deleted_while_a_location_is_checked_is_not_found(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    location = glance.location(image_id, DCN1)

    class Slow(fake_stores.Shelves):
        """Has the image deleted while Glance opens a copy."""

        def size_bytes(self, url: str) -> int | None:
            """See Stores."""
            glance.delete(image_id)
            return 1

    glance.data = Slow()

    with pytest.raises(exceptions.ImageNotFound):
        glance.add_location(image_id, location)


def test_image_deactivated_in_staging_fails_the_import(
    glance: fake_glance.FakeGlance,
) -> None:
    image_id = glance.add().id
    glance.copy_to_stores(image_id, [DCN0])
    glance.step(image_id)
    glance.change(image_id, status='deactivated')

    assert glance.finish(image_id)

    image = glance.get(image_id)
    assert image.status == 'deactivated'
    assert image.stores == {'central'}
    assert image.importing_to == (DCN0,)


def test_progress_shows_in_the_task(
    glance: fake_glance.FakeGlance, clock: fake_clock.Clock
) -> None:
    image_id = glance.add().id
    glance.copy_to_stores(image_id, [DCN0])
    glance.step(image_id)
    clock.advance(60.0)

    glance.copy_some(image_id, mib=12)

    task = glance.import_task(glance.get(image_id))
    assert task is not None
    assert task.copied_bytes == 12 * 2**20
    assert task.updated_at_s == clock.now


def test_outage_of_a_few_calls_ends_by_itself(
    glance: fake_glance.FakeGlance,
) -> None:
    glance.go_down(calls=2)

    for _ in range(2):
        with pytest.raises(exceptions.GlanceUnavailable):
            glance.stores()

    assert glance.stores() == {'central', DCN0, DCN1}


def test_outage_lasts_until_it_ends(glance: fake_glance.FakeGlance) -> None:
    glance.go_down()
    for _ in range(5):
        with pytest.raises(exceptions.GlanceUnavailable):
            next(glance.list())

    glance.come_up()

    assert list(glance.list()) == []
