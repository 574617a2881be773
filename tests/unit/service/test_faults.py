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
"""Whatever goes wrong, in whatever order: the end is what was asked for."""

import contextlib
import dataclasses

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import transfers
from tests.unit.service import world as worlds

STORES = ['dcn0', 'dcn1', 'dcn2']

stores = st.sampled_from(STORES)
numbers = st.integers(0, 9)
happenings = st.one_of(
    st.tuples(st.just('add'), numbers),
    st.tuples(st.just('delete'), numbers),
    st.tuples(st.just('deactivate'), numbers),
    st.tuples(st.just('hint'), numbers),
    st.tuples(st.just('run'), st.integers(1, 40)),
    st.tuples(st.just('long run'), st.integers(1000, 5000)),
    st.tuples(st.just('fail'), stores),
    st.tuples(st.just('lose'), stores),
    st.tuples(st.just('hang'), stores),
    st.tuples(st.just('heal'), st.none()),
    st.tuples(st.just('fail_staging'), st.none()),
    st.tuples(st.just('crash'), st.none()),
    st.tuples(st.just('go_down'), st.integers(1, 30)),
    st.tuples(st.just('another'), st.tuples(numbers, stores)),
    st.tuples(st.just('restart'), st.none()),
    st.tuples(st.just('resync'), st.none()),
)
stream_faults = st.one_of(
    st.tuples(st.sampled_from(['fail', 'hang', 'lose', 'damage']), stores).map(
        lambda fault: ('break streams', fault)
    ),
    st.tuples(st.just('obstruct'), stores),
    st.tuples(st.just('make unfit for now'), stores),
    st.tuples(st.just('fail source'), st.none()),
    st.tuples(st.just('forbid imports'), st.integers(1, 9)),
    st.tuples(st.just('disable imports'), st.integers(1, 9)),
    st.tuples(st.just('order'), st.tuples(numbers, stores)),
)
# Which engine goes where: by itself, or by the word of a policy.
WISHES = [
    transfers.Wishes(engine=engine)
    for engine in [None, *transfers.EngineChoice]
]
ways = st.tuples(st.booleans(), st.sampled_from(WISHES))


class Story:
    """Makes things happen to a world, and remembers what is left of it."""

    def __init__(self, options=None, wishes=transfers.NO_WISHES):
        limits = dataclasses.replace(worlds.LIMITS, stores_per_import=2)
        self.world = worlds.World(
            names=STORES,
            limits=limits,
            options=options,
            rules=[worlds.policy(wishes=wishes)],
        )
        self.ids = []

    def happen(self, what, argument):
        """Let one thing happen, by its name."""
        name = what.replace(' ', '_')
        act = getattr(self, f'_{name}', None)
        if act is not None:
            act(argument)
        elif argument is None:
            getattr(self.world.glance, name)()
        else:
            getattr(self.world.glance, name)(argument)

    def _one(self, number):
        return self.ids[number % len(self.ids)] if self.ids else None

    def _add(self, number):
        self.ids.append(self.world.add(f'image {number}'))

    def _delete(self, number):
        if (image_id := self._one(number)) is not None:
            self.ids.remove(image_id)
            self.world.glance.delete(image_id)

    def _deactivate(self, number):
        if (image_id := self._one(number)) is not None:
            self.world.glance.change(image_id, status='deactivated')
            self.world.hint(image_id)

    def _hint(self, number):
        if (image_id := self._one(number)) is not None:
            self.world.hint(image_id)

    def _run(self, seconds):
        self.world.run(seconds)

    _long_run = _run

    def _go_down(self, calls):
        self.world.glance.go_down(calls=calls)

    def _another(self, argument):
        number, store = argument
        image_id = self._one(number)
        if image_id is None:
            return
        with contextlib.suppress(exceptions.DistributorError):
            self.world.glance.import_by_another(image_id, [store])

    def _break_streams(self, fault):
        what, store = fault
        getattr(self.world.streams, what)(store)

    def _fail_source(self, _):
        self.world.streams.fail_source()

    def _make_unfit_for_now(self, store):
        away = choosing.Passing('its cluster does not answer')
        self.world.streams.obstructed[store] = (away,)

    def _obstruct(self, store):
        self.world.streams.obstructed[store] = ('its caps are too narrow',)

    def _forbid_imports(self, calls):
        self._refuse_imports(calls, exceptions.AccessDenied('403'))

    def _disable_imports(self, calls):
        self._refuse_imports(calls, exceptions.ImportDisabled('no such'))

    def _refuse_imports(self, calls, error):
        self.world.glance.refuse_imports(calls=calls, error=error)

    def _order(self, argument):
        number, store = argument
        if (image_id := self._one(number)) is not None:
            self.world.order_book.place(image_id, store, None)
            self.world.hint(image_id)

    def _restart(self, _):
        self.world.glance.come_up()
        self.world.start_agent()

    def _resync(self, _):
        self.world.glance.come_up()
        self.world.resync()

    def end_well(self):
        """Repair everything, and give it three hours."""
        self.world.glance.come_up()
        self.world.glance.heal()
        self.world.glance.remove_orphans()
        self.world.streams.heal()
        self._refuse_imports(0, exceptions.AccessDenied('403'))
        if self.world.options is not None:
            # What a stream refused for good waits for a word.
            self.world.rule_book.start_anew()
        for _ in range(3):
            self.world.resync()
            self.world.run(3600)
        # A dead lock on an image that nobody needs is let be, after a while.
        self.world.run(1800)


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings, max_size=25))
def test_all_that_is_wanted_arrives_in_the_end(story):
    told = Story()
    for what, argument in story:
        told.happen(what, argument)
    told.end_well()

    check_all_is_there(told)


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings | stream_faults, max_size=25), ways)
@example(
    [
        ('another', (0, 'dcn0')),
        ('break streams', ('lose', 'dcn0')),
        ('crash', None),
        ('long run', 1000),
    ],
    (True, transfers.NO_WISHES),
)
def test_so_it_does_with_two_engines(story, way):
    is_preferred, wishes = way
    told = Story(choosing.Options(prefer_rbd_stream=is_preferred), wishes)
    for number in range(3):
        told.happen('add', number)
    for what, argument in story:
        told.happen(what, argument)
    told.end_well()

    check_all_is_there(told)
    world = told.world
    # Who waits for the lock of a dead import gives its slot to others.
    assert world.most_unlocked_streams <= 2 * world.limits.transfers
    assert not world.streams.running
    assert not world.order_book.pending()


def check_all_is_there(told):
    """Compare the world's end with what was asked for."""
    world = told.world
    for image_id in told.ids:
        is_active = world.glance.get(image_id).is_active
        if is_active:
            assert world.stores(image_id) == set(STORES)
        assert world.ledger.history(image_id).is_quiet
    assert not world.ledger.load.running
