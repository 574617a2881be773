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
"""What becomes of a copy that Glance does not list at once."""

import typing

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import registration as registrations
from tests import waiting
from tests.fakes import glance as fake_glance
from tests.unit.engines.rbd_stream import clouds

DCN0 = images.StoreId('dcn0')
DCN1 = images.StoreId('dcn1')
CONTENT = bytes(range(1, 251)) * 20
MIB = 2**20


def test_a_location_that_is_forbidden_leaves_its_name_to_copy_image(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    cloud.glance.settings.forbidden = frozenset({'set_image_location'})

    engine.start(image, [DCN0], transfers.NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert isinstance(report.lanes[0].error, exceptions.AccessDenied)
    assert not cloud.strays()
    cloud.glance.copy_to_stores(image.id, [DCN0])
    cloud.glance.finish_all()
    assert cloud.glance.get(image.id).stores == {'central', 'dcn0'}


class LossyGlance(fake_glance.FakeGlance):
    """A Glance whose answer to a new location is lost."""

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """See core.ports.Images."""
        super().add_location(image_id, location)
        self.break_image(image_id, exceptions.ImageNotFound('no role'))
        raise exceptions.GlanceUnavailable('the answer was lost')


def test_a_copy_that_may_be_listed_is_not_removed(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    cloud.glance.__class__ = LossyGlance
    engine = cloud.engine()

    engine.start(image, [DCN0], transfers.NO_WISHES)
    report = cloud.wait_for(engine, image.id)

    assert report.lanes[0].phase is transfers.Phase.FAILED
    assert cloud.cephs['dcn0'].pool.read(image.id) == CONTENT


@pytest.mark.parametrize(
    ('size_mib', 'is_broken'), [(512, True), (10 << 10, False)]
)
def test_an_import_that_may_be_staging_keeps_its_lock(
    cloud: clouds.Cloud, size_mib: int, is_broken: bool
) -> None:
    image = cloud.add(CONTENT)
    cloud.glance.copy_to_stores(image.id, [DCN1])
    cloud.glance.step(image.id)
    cloud.glance.crash()
    # For Glance; for us it is 3700 s.
    cloud.passed_s += 3700
    registration = clouds.registration(cloud, image.id, DCN0)
    cloud.glance.change(image.id, size_bytes=size_mib * MIB)

    if is_broken:
        assert registration.wait_until_free().import_task is None
    else:
        with pytest.raises(exceptions.ImportInProgress, match='holds'):
            registration.wait_until_free()


def test_an_engine_that_stops_does_not_wait_for_glance(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    engine.set_rate(500.0)
    engine.start(image, [DCN0], transfers.NO_WISHES)
    cloud.wait_for_data(engine, image.id)
    cloud.glance.break_image(image.id, exceptions.ImageNotFound('asked'))

    engine.stop(5.0)

    # Who asked Glance was told that there is no such image, and removed it.
    assert [
        name for name in cloud.cephs['dcn0'].pool.images if image.id in name
    ]


class ForgetfulGlance(fake_glance.FakeGlance):
    """A Glance that undoes a location while another one is added."""

    adding: typing.ClassVar[list[images.Location]] = []

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """See core.ports.Images."""
        self.adding.append(location)
        waiting.passes(0.1)
        if self.adding == [location]:
            super().add_location(image_id, location)
        self.adding.remove(location)


def test_two_transfers_of_an_image_do_not_undo_each_others_location(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    cloud.glance.__class__ = ForgetfulGlance
    engine = cloud.engine()
    cloud.cephs['dcn0'].faults.delay(0.01, 'write')

    engine.start(image, [DCN0], transfers.NO_WISHES)
    engine.start(image, [DCN1], transfers.NO_WISHES)
    waiting.until(
        'both have ended',
        lambda: all(r.ended_s for r in engine.reports_of(image.id)),
    )

    assert cloud.glance.get(image.id).stores == {'central', 'dcn0', 'dcn1'}
    assert [
        lane.error for r in engine.reports_of(image.id) for lane in r.lanes
    ] == [None, None]


def test_who_waits_for_another_s_turn_can_be_called_off(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    turns = registrations.Turns()
    registration = clouds.registration(cloud, image.id, DCN0, turns)
    registration.call_off(exceptions.Stopped('the window closes'))

    with (
        turns.turn(lambda: None),
        pytest.raises(exceptions.Stopped, match='the window closes'),
    ):
        registration.register(cloud.glance.location(image.id, DCN0))

    assert not registration.was_added
    assert cloud.glance.get(image.id).stores == {'central'}


def test_each_import_is_waited_for_anew() -> None:
    turns = registrations.Turns()

    assert turns.waited_s('first', 100.0) == 0.0
    assert turns.waited_s('first', 700.0) == 600.0
    assert turns.waited_s('second', 800.0) == 0.0
    assert turns.waited_s(None, 900.0) == 0.0
    assert turns.waited_s('second', 1000.0) == 0.0
