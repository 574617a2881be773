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
"""Who waits for a slot or for a store gets it, and nobody else is woken."""

import dataclasses

import pytest

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import queueing
from dcn_distributor.service import ledger as ledgers
from tests.fakes import clock as fake_clock
from tests.unit.core import test_planner
from tests.unit.service import world as worlds


class Bench:
    """A ledger, and images that look at it one after another."""

    def __init__(self):
        self.clock = fake_clock.Clock()
        self.ledger = ledgers.Ledger(worlds.LIMITS, self.clock)
        self.links = {}
        self.engine = 'copy-image'

    def look(self, number, *wanted, request=None):
        """Have an image plan; return what it may ask for."""
        image = dataclasses.replace(
            test_planner.an_image(), id=images.ImageId(f'{number}')
        )
        return self.ledger.plan(
            image,
            test_planner.routed(wanted or {'dcn0'}, self.engine),
            queueing.Rank(),
            histories.History(request=request),
        ).stores

    def link(self, name, stores, **limits):
        """Have stores hang on a link."""
        self.links |= dict.fromkeys(stores, links.Link(name, **limits))
        self.ledger.set_links(self.links)

    def end(self, number):
        """Have an image's import end."""
        self.ledger.forget(images.ImageId(f'{number}'))


@pytest.fixture
def bench():
    return Bench()


def test_as_many_are_woken_as_there_are_slots(bench):
    for number in range(6):
        bench.look(number)

    bench.end(0)

    assert bench.ledger.take_due() == ('2',)
    assert bench.ledger.take_due() == ()


def test_a_slot_goes_to_who_waited_not_to_who_comes_by(bench):
    for number in range(4):
        bench.look(number)
    bench.end(0)
    bench.ledger.take_due()

    assert bench.look(9) == ()
    assert bench.look(2) == ('dcn0',)


def test_a_slot_not_used_goes_to_the_next(bench):
    for number in range(5):
        bench.look(number)
    bench.end(0)
    bench.ledger.take_due()

    bench.ledger.hand_back(images.ImageId('2'))

    assert bench.ledger.take_due() == ('3',)


def test_while_no_slot_is_free_nobody_is_woken_for_a_store(bench):
    bench.ledger.note_failure(('dcn0', 'copy-image'), 'it failed')
    for number in range(5):
        bench.look(number)
    bench.look(8, 'dcn1')
    bench.look(9, 'dcn1')

    bench.clock.advance(3600)

    assert bench.ledger.take_due() == ()


def test_a_store_in_trouble_is_tried_before_others_get_a_slot(bench):
    bench.ledger.note_failure(('dcn0', 'copy-image'), 'it failed')
    bench.look(1)
    for number in range(2, 9):
        bench.look(number, 'dcn1')
    bench.clock.advance(3600)

    bench.end(2)

    assert bench.ledger.take_due() == ('1',)
    assert bench.look(1) == ('dcn0',)


def test_a_store_whose_turn_comes_while_no_slot_is_free_gets_its_turn(bench):
    bench.ledger.note_failure(('dcn0', 'copy-image'), 'it failed')
    for number in range(2, 9):
        bench.look(number, 'dcn1')
    bench.clock.advance(3600)
    bench.look(1)

    bench.end(2)

    assert bench.ledger.take_due() == ('1',)


def test_stores_in_trouble_never_take_all_slots(bench):
    for store in ('dcn0', 'dcn1', 'dcn2'):
        bench.ledger.note_failure((store, 'copy-image'), 'it failed')
    for number, store in enumerate(('dcn0', 'dcn1', 'dcn2')):
        bench.look(number, store)
    bench.clock.advance(3600)

    assert len(bench.ledger.take_due()) == 1
    assert bench.look(9, 'dcn3') == ('dcn3',)


def test_a_store_that_waited_longest_is_tried_first(bench):
    for store in ('dcn0', 'dcn1'):
        bench.ledger.note_failure((store, 'copy-image'), 'it failed')
        bench.look(store, store)
    bench.clock.advance(3600)
    assert bench.ledger.take_due() == ('dcn0',)
    bench.ledger.note_failure(('dcn0', 'copy-image'), 'it failed')
    bench.ledger.hand_back(images.ImageId('dcn0'))
    bench.look('dcn0', 'dcn0')

    bench.clock.advance(3600)

    assert bench.ledger.take_due() == ('dcn1',)


def test_an_image_does_not_wait_for_itself(bench):
    for number in range(2):
        bench.look(number)
    stale = histories.Request(
        ('dcn0',), bench.clock.now - 500, bench.clock.now - 500
    )
    bench.ledger.keep('1', histories.History(request=stale))

    assert bench.look(1, 'dcn0', request=stale) == ('dcn0',)


def test_room_on_a_link_goes_to_who_waited_not_to_who_comes_by(bench):
    bench.link('north', ['dcn0', 'dcn1'], transfers=1)
    assert bench.look(0, 'dcn0') == ('dcn0',)
    assert bench.look(1, 'dcn1') == ()
    assert bench.ledger.take_due() == ()

    bench.end(0)

    assert bench.ledger.take_due() == ('1',)
    assert bench.look(2, 'dcn0') == ()
    assert bench.look(1, 'dcn1') == ('dcn1',)


def test_a_full_link_delays_no_other(bench):
    bench.link('north', ['dcn0'], transfers=1)
    bench.link('south', ['dcn1'])
    bench.look(0, 'dcn0')

    assert bench.look(1, 'dcn0', 'dcn1') == ('dcn1',)


def test_slow_links_delay_no_stream_over_a_link_with_nothing_under_way(bench):
    bench.link('slow', ['dcn0'])
    bench.link('quick', ['dcn1'])
    bench.link('other', ['dcn2'])
    bench.engine = 'rbd-stream'
    assert [bench.look(n, 'dcn0') for n in range(2)] == [('dcn0',)] * 2

    assert bench.look(2, 'dcn1') == ('dcn1',)
    assert bench.look(3, 'dcn1') == ()
    assert bench.look(4, 'dcn2') == ('dcn2',)
    bench.end(2)

    assert bench.ledger.take_due() == ('3',)
    assert bench.look(3, 'dcn1') == ('dcn1',)


def test_imports_keep_to_their_slots_whatever_the_links(bench):
    bench.link('slow', ['dcn0'])
    bench.link('quick', ['dcn1'])
    for number in range(2):
        bench.look(number, 'dcn0')

    assert bench.look(2, 'dcn1') == ()


def test_who_waits_for_a_link_that_is_gone_is_looked_at(bench):
    bench.link('north', ['dcn0'], transfers=1)
    bench.look(0, 'dcn0')
    bench.look(1, 'dcn0')

    bench.link('renamed', ['dcn0'])

    assert bench.ledger.take_due() == ('1',)


def test_a_link_pays_for_an_import_before_the_next(bench):
    bench.link('thin', ['dcn0'], rate_bytes_s=1e6)
    bench.ledger.note_import('dcn0', 60_000_000, bench.clock.now)

    assert bench.look(0, 'dcn0') == ()
    bench.clock.advance(60)
    assert bench.look(0, 'dcn0') == ('dcn0',)
