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
"""Several streams of one image at once: each store is booked as it is."""

import dataclasses

import pytest

from dcn_distributor.core import choosing
from dcn_distributor.core import history as histories
from dcn_distributor.core import pauses
from dcn_distributor.core import planner
from dcn_distributor.core import policies
from dcn_distributor.core import routes as all_routes
from dcn_distributor.service import books as booking
from dcn_distributor.service import streams as all_streams
from tests.unit.service import world as worlds

PREFER = choosing.Options(prefer_rbd_stream=True)
BOTH = {'dcn0', 'dcn1'}


def world_with_slow_dcn0(**attributes):
    """Stream an image to dcn0, which hangs; dcn1 may be asked for later."""
    only = policies.NamedSites(frozenset(['dcn0']))
    world = worlds.World(
        options=PREFER, rules=[worlds.policy(selection=only)], **attributes
    )
    world.streams.hang('dcn0')
    image_id = world.add()
    world.run(20)
    assert world.streams.running == (image_id,)
    return world, image_id


def streams_of(world):
    books = booking.Books(
        world.ledger, world.limits, PREFER, world.clock, world.witness
    )
    return all_streams.Streams(world.streams, books)


def begin(world, image_id, *stores):
    """Start one more stream, as a plan would have it."""
    streams = streams_of(world)
    image = world.glance.get(image_id)
    sight = booking.Sight(image, streams.reports_of(image_id), stores)
    plan = planner.Plan(stores, histories.RBD_STREAM)
    routes = {
        store: all_routes.Route(histories.RBD_STREAM, f'why {store}')
        for store in stores
    }
    history = world.ledger.history(image_id)
    streams.begin(sight, plan, routes, history)
    world.hint(image_id)


def test_a_store_is_settled_though_another_stream_goes_on(caplog):
    caplog.set_level('INFO')
    world, image_id = world_with_slow_dcn0()

    begin(world, image_id, 'dcn1')
    request = world.ledger.history(image_id).request
    assert request.stores == ('dcn0', 'dcn1')
    assert request.reasons['dcn1'] == 'why dcn1'
    assert set(request.reasons) == BOTH
    world.run(20)

    assert world.stores(image_id) == {'dcn1'}
    assert world.ledger.history(image_id).verified == {'dcn1'}
    assert world.ledger.history(image_id).request.stores == ('dcn0',)
    [report] = world.streams.reports_of(image_id)
    assert [lane.store for lane in report.lanes] == ['dcn0']
    # By its own begin, not that of the first one.
    [line] = [
        record.getMessage()
        for record in caplog.records
        if 'store=dcn1 state=verified' in record.getMessage()
    ]
    seconds = float(line.partition('seconds=')[2].partition(' ')[0])
    assert 5 < seconds < 10

    world.streams.heal()
    world.run(20)
    assert world.stores(image_id) == BOTH
    assert world.ledger.history(image_id).is_quiet
    assert not world.streams.reports_of(image_id)
    assert not world.ledger.load.running


def test_a_failure_is_booked_though_another_stream_goes_on():
    world, image_id = world_with_slow_dcn0()
    world.streams.fail('dcn1')

    begin(world, image_id, 'dcn1')
    world.run(1)

    history = world.ledger.history(image_id)
    assert (
        'dcn1 is away'
        in world.ledger.load.troubles[('dcn1', histories.RBD_STREAM)].reason
    )
    assert history.request.stores == ('dcn0',)
    begin(world, image_id, 'dcn1')
    assert world.ledger.history(image_id).request.stores == ('dcn0', 'dcn1')


def test_what_the_engine_refuses_leaves_the_others_request(caplog):
    world, image_id = world_with_slow_dcn0()

    begin(world, image_id, 'dcn0')

    history = world.ledger.history(image_id)
    assert history.request.stores == ('dcn0',)
    assert history.request.started_s < world.clock.now
    assert len(world.streams.reports_of(image_id)) == 1


def test_streams_that_nobody_remembers_are_taken_over():
    world, image_id = world_with_slow_dcn0()
    begin(world, image_id, 'dcn1')
    world.streams.hang('dcn1')
    began = {
        store: world.ledger.history(image_id).request.began_s(store)
        for store in BOTH
    }
    world.ledger.keep(image_id, histories.EMPTY)

    world.hint(image_id)
    world.run(2)

    request = world.ledger.history(image_id).request
    assert {store: request.began_s(store) for store in BOTH} == began
    world.streams.heal()
    world.run(20)
    assert world.stores(image_id) == BOTH


@pytest.mark.parametrize('is_gone', [True, False])
def test_all_streams_end_with_their_image(is_gone):
    world, image_id = world_with_slow_dcn0()
    begin(world, image_id, 'dcn1')
    world.run(2)
    assert len(world.streams.running) == 2

    if is_gone:
        world.glance.delete(image_id)
    else:
        world.glance.change(image_id, status='deactivated')
    world.hint(image_id)
    world.run(5)

    assert not world.streams.running
    assert not world.streams.reports_of(image_id)
    assert not world.ledger.load.running
    assert world.ledger.history(image_id).is_quiet


def test_an_import_is_left_aside_by_a_stream_as_before():
    stuck = histories.Request(('dcn2',), 1.0, 1.0, task_id='t')
    world, image_id = world_with_slow_dcn0()
    history = world.ledger.history(image_id)
    world.ledger.keep(image_id, dataclasses.replace(history, request=stuck))

    begin(world, image_id, 'dcn1')

    history = world.ledger.history(image_id)
    assert history.request.stores == ('dcn1',)
    assert history.aside == stuck


def test_a_copy_that_another_finished_is_not_told_as_ours(caplog):
    caplog.set_level('INFO')
    world, image_id = world_with_slow_dcn0()
    streams_of(world).break_off(image_id, ['dcn0'], 'agent b has link dcn0')
    copy = world.glance.location(image_id, 'dcn0')
    locations = world.glance.get(image_id).locations
    world.glance.change(image_id, locations=(*locations, copy))

    world.run(2)

    assert 'dcn0' in world.stores(image_id)
    assert world.ledger.history(image_id).request is None
    assert 'state=present' not in caplog.text
    assert world.observer.arrivals == []


def test_what_is_broken_off_is_missing_again_and_no_failure(caplog):
    caplog.set_level('INFO')
    world, image_id = world_with_slow_dcn0()
    begin(world, image_id, 'dcn1')
    world.streams.hang('dcn1')
    world.run(2)

    world.say(pauses.Kind.SITE, 'dcn0')
    world.run(2)

    assert 'store=dcn0 state=absent engine=rbd-stream' in caplog.text
    assert (
        'broken off, to be resumed: site dcn0 paused by alice' in caplog.text
    )
    history = world.ledger.history(image_id)
    assert history.request.stores == ('dcn1',)
    assert not history.setbacks
    assert not world.ledger.load.troubles
    [report] = world.streams.reports_of(image_id)
    assert [lane.store for lane in report.lanes] == ['dcn1']

    world.streams.heal()
    world.say(pauses.Kind.SITE, 'dcn0', rests=False)
    world.run(30)
    assert world.stores(image_id) == BOTH
    assert world.streamed(image_id)[-1] == {'dcn0'}
