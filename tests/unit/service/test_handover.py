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
"""Orders whose site is another agent's by now."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import transfers
from dcn_distributor.service import handover
from dcn_distributor.service import orders
from tests.fakes import images as fake_images
from tests.unit.service import world as worlds

STREAM = transfers.EngineChoice.RBD_STREAM


class Group:
    """Whose link is whose: core.ports.Group, as far as it is asked here."""

    def __init__(self):
        self.owners = {'dcn0': 'agent-2', 'dcn1': 'us'}

    def owner(self, link):
        """See core.ports.Group."""
        return self.owners[link]

    def is_ours(self, link):
        """See core.ports.Group."""
        return self.owners[link] == 'us'


class Bench:
    """An order book, and an agent that may take what is in it."""

    def __init__(self):
        self.book = orders.OrderBook()
        self.group = Group()
        self.asked = []
        self.answer = {'accepted': ['dcn0']}
        self.handover = handover.Handover(
            self.book, lambda: worlds.World().sites, self.group, self._ask
        )

    def _ask(self, *question):
        self.asked.append(question)
        if self.answer is None:
            raise exceptions.BusUnavailable('no answer')
        return self.answer

    def order(self, store, engine=None):
        """Have an operator order the image."""
        self.book.place(fake_images.ID, images.StoreId(store), engine)

    def left(self):
        """The stores that are still on order here."""
        return set(self.book.of(fake_images.ID))


@pytest.fixture
def bench():
    return Bench()


def test_an_order_goes_where_the_link_has_gone_and_no_other_does(bench):
    bench.order('dcn0', STREAM)
    bench.order('dcn1')

    bench.handover.hand_on()

    assert bench.asked == [('agent-2', fake_images.ID, ['dcn0'], 'rbd-stream')]
    assert bench.left() == {'dcn1'}
    assert not bench.book.failed()


@pytest.mark.parametrize(
    'answer', [None, {'refused': {'dcn0': 'agent-3 has its link'}}]
)
def test_what_nobody_took_stays_and_is_offered_again(bench, answer):
    bench.order('dcn0')
    bench.answer = answer

    bench.handover.hand_on()
    assert bench.left() == {'dcn0'}

    bench.answer = {'accepted': ['dcn0']}
    bench.handover.hand_on()
    assert bench.left() == set()


def test_while_nobody_has_the_link_an_order_stays(bench):
    bench.group.owners['dcn0'] = None
    bench.order('dcn0')

    bench.handover.hand_on()

    assert not bench.asked
    assert bench.left() == {'dcn0'}


def test_an_order_that_came_meanwhile_is_not_dropped(bench):
    bench.order('dcn0')
    taken = bench.book.of(fake_images.ID)['dcn0']
    bench.order('dcn0', STREAM)

    bench.book.withdraw(fake_images.ID, images.StoreId('dcn0'), taken)

    assert bench.left() == {'dcn0'}
