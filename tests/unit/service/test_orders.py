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
"""What operators order arrives, whatever the policies say."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.service import orders
from tests.unit.service import world as worlds

AUTO = choosing.Options()
STREAM = transfers.EngineChoice.RBD_STREAM
COPY_IMAGE = transfers.EngineChoice.COPY_IMAGE


def world_of(**attributes):
    attributes = {'rules': [], 'options': AUTO, **attributes}
    return worlds.World(**attributes)


def order(world, image_id, store, engine=None):
    world.order_book.place(image_id, store, engine)
    world.hint(image_id)


@pytest.mark.parametrize('engine', [None, STREAM, COPY_IMAGE])
def test_an_order_is_carried_out_by_the_engine_it_names(engine):
    world = world_of()
    image_id = world.add()

    order(world, image_id, 'dcn0', engine)
    world.run()

    assert world.stores(image_id) == {'dcn0'}
    assert bool(world.streamed(image_id)) == (engine is STREAM)
    assert not world.order_book.pending()
    assert not world.order_book.failed()


def test_an_order_is_tried_at_once_whatever_happened_before():
    world = world_of(rules=[worlds.policy()])
    world.glance.fail('dcn0')
    world.streams.fail('dcn0')
    image_id = world.add()
    world.run(3600)
    before = world.clock.now
    setback = world.ledger.history(image_id).setbacks['dcn0']
    assert setback.next_try_s > before + 60

    world.glance.heal()
    world.streams.heal()
    order(world, image_id, 'dcn0')
    world.run(20)

    assert world.stores(image_id) == {'dcn0', 'dcn1'}


def test_an_order_goes_before_all_that_wait():
    world = world_of(rules=[worlds.policy(priority=100)])
    many = [world.add(f'image {number}') for number in range(30)]
    world.run(20)

    last = many[-1]
    order(world, last, 'dcn0')
    world.run(40)

    assert 'dcn0' in world.stores(last)
    assert not all(world.stores(image_id) for image_id in many)


def test_an_order_that_fails_for_a_while_is_kept():
    world = world_of()
    world.glance.fail('dcn0')
    image_id = world.add()
    order(world, image_id, 'dcn0', COPY_IMAGE)
    world.run(600)
    assert world.order_book.pending()

    world.glance.heal()
    world.run(700)

    assert world.stores(image_id) == {'dcn0'}
    assert not world.order_book.pending()


def test_an_order_that_failed_for_good_is_told_with_its_reason():
    world = world_of()
    denied = exceptions.AccessDenied('403: not for you')
    world.glance.refuse_imports(calls=9, error=denied)
    image_id = world.add()

    order(world, image_id, 'dcn0', COPY_IMAGE)
    world.run()

    assert not world.order_book.pending()
    assert 'not for you' in world.order_book.failed()[image_id, 'dcn0']

    world.glance.refuse_imports(calls=0, error=denied)
    order(world, image_id, 'dcn0', COPY_IMAGE)
    world.run()
    assert world.stores(image_id) == {'dcn0'}
    assert not world.order_book.failed()


@pytest.mark.parametrize('fate', ['delete', 'deactivate'])
def test_an_order_ends_with_its_image(fate):
    world = world_of()
    image_id = world.add()
    order(world, image_id, 'dcn0', STREAM)
    world.run(3)

    if fate == 'delete':
        world.glance.delete(image_id)
    else:
        world.glance.change(image_id, status='deactivated')
    world.hint(image_id)
    world.run(10)

    assert not world.order_book.pending()
    assert world.order_book.failed()
    assert not world.streams.running


def test_an_order_for_a_site_that_is_no_more_ends():
    world = world_of()
    image_id = world.add()
    order(world, image_id, 'dcn7')

    world.run(5)

    assert 'no such site' in world.order_book.failed()[image_id, 'dcn7']


def test_of_failed_orders_the_last_are_kept():
    book = orders.OrderBook()
    ids = [images.ImageId(str(number)) for number in range(1000)]

    for image_id in ids:
        book.place(image_id, images.StoreId('dcn0'), None)
        book.forget(image_id)

    kept = [image_id for image_id, _ in book.failed()]
    assert kept == ids[-len(kept) :]
    assert 10 < len(kept) < 500
    assert not book.pending()


@pytest.mark.parametrize(
    'options', [AUTO, choosing.Options(engines=(choosing.RBD_STREAM,))]
)
@pytest.mark.parametrize('engine', [None, STREAM])
def test_an_order_outlives_what_passes_by_itself(options, engine):
    disabled = exceptions.ImportDisabled('400: Unknown import method')
    world = world_of(options=options)
    world.glance.refuse_imports(calls=99, error=disabled)
    away = choosing.Passing('its cluster has not answered yet')
    world.streams.obstructed = {'dcn0': (away,)}
    image_id = world.add()
    order(world, image_id, 'dcn0', engine)
    world.run(600)
    assert world.order_book.pending()
    assert not world.order_book.failed()

    world.streams.heal()
    world.resync()
    world.run(60)

    assert world.stores(image_id) == {'dcn0'}
    assert not world.order_book.pending()


def test_an_order_ends_if_but_one_obstacle_stays():
    world = world_of()
    world.streams.obstructed = {
        'dcn0': (choosing.Passing('no answer'), 'Glance shows no locations')
    }
    image_id = world.add()

    order(world, image_id, 'dcn0', STREAM)
    world.run(5)

    assert 'no answer' in world.order_book.failed()[image_id, 'dcn0']
    assert 'no locations' in world.order_book.failed()[image_id, 'dcn0']


def test_an_order_outlives_a_cluster_that_goes_away_under_it():
    world = world_of()
    away = choosing.Passing('dcn0 is away')
    world.streams.fail('dcn0')
    image_id = world.add()
    order(world, image_id, 'dcn0', STREAM)
    world.run(5)
    world.streams.obstructed = {'dcn0': (away,)}
    world.run(600)
    assert world.order_book.pending()

    world.streams.heal()
    world.resync()
    world.run(30)

    assert world.stores(image_id) == {'dcn0'}
