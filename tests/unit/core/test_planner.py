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
"""Laws of the plan, whatever image, past and load it is made for."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner
from dcn_distributor.core import retry
from dcn_distributor.core import rooms
from dcn_distributor.core import routes
from dcn_distributor.core import transfers
from tests.fakes import images as fake_images

NOW = 1_700_000_000.0
NAMES = [f'dcn{number}' for number in range(6)]
NORTH = links.Link('north', transfers=2)
THIN = links.Link('thin', rate_bytes_s=1e6)
LINKS = {'dcn0': NORTH, 'dcn1': NORTH, 'dcn2': THIN, 'dcn3': links.Link('d3')}
LIMITS = planner.Limits(
    imports=2,
    stores_per_import=3,
    poll_s=10.0,
    stall_s=900.0,
    backoff=retry.Backoff(base_s=5.0, cap_s=600.0),
    transfers=3,
    stores_per_transfer=2,
    links={images.StoreId(store): link for store, link in LINKS.items()},
)
some_stores = st.frozensets(st.sampled_from(NAMES)).map(
    lambda names: frozenset(images.StoreId(name) for name in names)
)
times = st.floats(NOW - 4000, NOW + 4000)


def an_image(stores=frozenset(), status='active', **attributes):
    return fake_images.image(
        status=status,
        stores=frozenset({images.StoreId('central')}) | stores,
        **attributes,
    )


def routed(missing, engine='copy-image'):
    return {
        images.StoreId(name): routes.Route(engine, 'because')
        for name in NAMES
        if name in missing
    }


COPY_IMAGE, RBD_STREAM = 'copy-image', 'rbd-stream'
ENGINES = (COPY_IMAGE, RBD_STREAM)
SLOW = transfers.Wishes(rate_bytes_s=1e6)
all_routes = st.builds(
    routes.Route,
    engine=st.sampled_from([*ENGINES, None]),
    reason=st.just('because'),
    wishes=st.sampled_from([transfers.NO_WISHES, SLOW]),
    closure=st.sampled_from([None, None, gates.Closure('closed for now')]),
)


@st.composite
def pasts(draw):
    setbacks = {}
    for store in draw(some_stores):
        reason = 'it failed'
        next_try_s = draw(times | st.just(float('inf')))
        setbacks[store] = histories.Setback(1, reason, next_try_s)
    request = None
    if draw(st.booleans()):
        request = histories.Request(
            stores=tuple(sorted(draw(some_stores))),
            started_s=NOW - 5000,
            progress_s=min(draw(times), NOW),
            progress=draw(st.none() | st.just('something')),
            is_stuck=draw(st.booleans()),
            engine=draw(st.sampled_from(ENGINES)),
        )
        if request.engine == RBD_STREAM:
            request = dataclasses.replace(request, is_stuck=False)
    return histories.History(request=request, setbacks=setbacks)


@st.composite
def all_loads(draw):
    load = loads.IDLE
    for number in range(draw(st.integers(0, 5))):
        other = images.ImageId(f'00000000-0000-0000-0000-00000000010{number}')
        load = load.with_running(
            other,
            draw(some_stores),
            is_idle=draw(st.booleans()),
            engine=draw(st.sampled_from(ENGINES)),
            slots=draw(st.integers(1, 2)),
        )
    troubles = {
        (store, draw(st.sampled_from(ENGINES))): loads.Trouble(
            2, 'it failed', draw(times)
        )
        for store in draw(some_stores)
    }
    paid_s = draw(st.dictionaries(st.sampled_from(['thin']), times))
    return dataclasses.replace(load, troubles=troubles, paid_s=paid_s)


cases = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), all_routes), pasts(), all_loads()
)


def is_open(route):
    return route.engine is not None and route.closure is None


def plan_of(case):
    ways, history, load = case
    return planner.plan(an_image(), ways, history, load, LIMITS, NOW)


@given(cases)
def test_a_plan_is_the_same_each_time(case):
    assert plan_of(case) == plan_of(case)


@given(cases)
def test_what_is_asked_for_goes_the_way_it_was_routed(case):
    ways = case[0]
    plan = plan_of(case)

    for store in plan.stores:
        assert ways[store].engine == plan.engine
        assert ways[store].wishes == plan.wishes


@given(cases)
def test_no_plan_asks_for_more_than_the_limits_allow(case):
    load = case[2]
    plan = plan_of(case)

    assert len(plan.stores) <= LIMITS.stores(plan.engine)
    busy = load.busy(plan.engine)
    if busy >= LIMITS.slots(plan.engine):
        # But over links with nothing under way.
        assert all(
            plan.engine == RBD_STREAM
            and store in LINKS
            and load.crossing(LIMITS.on_link(LINKS[store].name)) == 0
            for store in plan.stores
        )
    assert not plan.stores or busy < 2 * LIMITS.slots(plan.engine)


@given(cases)
def test_every_missing_store_is_asked_for_or_waits_with_a_reason(case):
    ways, history, _ = case
    if history.request is not None:
        return
    plan = plan_of(case)

    waiting = {wait.store for wait in plan.waits}
    asked = set(plan.stores)
    left = set(ways) - asked - waiting
    # The rest goes with the next request, which a look in a moment begins.
    assert not left or asked
    assert not waiting & asked
    assert all(wait.reason for wait in plan.waits)


@given(cases)
def test_nothing_is_forgotten(case):
    """Whatever is missing, something will bring the image back."""
    plan = plan_of(case)

    if any(is_open(route) for route in case[0].values()):
        assert (
            plan.look_again_s
            or plan.needs_slot
            or plan.needs_probe
            or plan.needs_link
        )


@given(cases)
def test_a_store_in_trouble_is_asked_for_alone(case):
    _, history, load = case
    plan = plan_of(case)

    troubled = {s for s, engine in load.troubles if engine == plan.engine}
    if set(plan.stores) & (troubled | set(history.setbacks)):
        assert len(plan.stores) == 1


@given(cases)
def test_an_engine_in_trouble_with_a_store_leaves_it_to_the_other(case):
    ways, _, load = case
    others = dataclasses.replace(
        load,
        running={},
        paid_s={},
        troubles={
            turn: trouble
            for turn, trouble in load.troubles.items()
            if turn[0] in ways and turn[1] != ways[turn[0]].engine
        },
    )

    plan = plan_of((ways, histories.EMPTY, others))

    open_ways = {s for s, r in ways.items() if is_open(r)}
    assert bool(plan.stores) == bool(open_ways)


@given(cases)
def test_nothing_is_begun_where_a_copy_is_under_way(case):
    _, history, _ = case
    request = history.request
    plan = plan_of(case)
    if request is None or not plan.stores:
        return

    # But for an import: when Glance would break its lock anyway. Or a stream
    # to other stores, beside a stream or an import that gives no sign of life.
    if not planner.is_lock_stale(request, an_image(), LIMITS, NOW):
        assert request.is_stuck or request.engine == RBD_STREAM
        assert plan.engine == RBD_STREAM
        assert not set(plan.stores) & set(request.stores)


@given(cases)
def test_a_site_that_is_closed_waits_and_says_why(case):
    ways, history, _ = case
    plan = plan_of(case)

    closed = {s for s, r in ways.items() if r.closure is not None}
    assert not closed & set(plan.stores)
    if history.request is None:
        told = {w.store: w.reason for w in plan.waits}
        assert {told.get(s) for s in closed} <= {'closed for now'}


@given(cases)
def test_no_link_takes_more_than_it_is_let(case):
    load = case[2]
    plan = plan_of(case)

    beside = load.with_one_more(fake_images.ID, plan.stores, plan.engine)
    if plan.stores:
        stores = LIMITS.on_link('north')
        if stores & set(plan.stores):
            assert beside.crossing(stores) <= NORTH.transfers


@given(cases)
def test_an_import_waits_for_what_the_last_took_of_its_links_rate(case):
    load = case[2]
    plan = plan_of(case)

    if load.paid_s.get('thin', 0) > NOW and plan.engine == COPY_IMAGE:
        assert 'dcn2' not in plan.stores


@given(cases)
def test_nothing_goes_past_what_a_link_is_said_to_wait_for(case):
    load = case[2]
    plan = plan_of(case)

    for name in {LINKS[store].name for store in plan.stores if store in LINKS}:
        assert plan.engine not in rooms.Rooms(load, LIMITS).waits(name, NOW)


@pytest.mark.parametrize(
    ('link', 'load', 'waits'),
    [
        pytest.param('north', loads.IDLE, {}, id='idle'),
        pytest.param(
            'north',
            loads.IDLE.with_running('a', ['dcn0', 'dcn1'], engine=RBD_STREAM),
            dict.fromkeys(ENGINES, 'link north: 2 of 2 transfers'),
            id='full',
        ),
        pytest.param(
            'thin',
            loads.IDLE.with_paid('thin', NOW + 60),
            {
                COPY_IMAGE: 'link thin: at its rate the last import would '
                'take until 2023-11-14 22:14 UTC'
            },
            id='its rate is used',
        ),
        pytest.param(
            'd3',
            loads.IDLE.with_running('a', ['dcn4']).with_running('b', ['dcn5']),
            {COPY_IMAGE: '2 of 2 copies by copy-image are under way'},
            id='no slot',
        ),
    ],
)
def test_what_no_copy_gets_past_on_a_link_is_told(link, load, waits):
    assert rooms.Rooms(load, LIMITS).waits(link, NOW) == waits


def test_a_slow_site_delays_no_other_of_the_same_image():
    slow = histories.Request(('dcn2',), NOW, NOW, engine=RBD_STREAM)
    load = loads.IDLE.with_running(fake_images.ID, ['dcn2'], engine=RBD_STREAM)

    plan = planner.plan(
        an_image(),
        routed({'dcn2', 'dcn4'}, RBD_STREAM),
        histories.History(request=slow),
        load,
        LIMITS,
        NOW,
    )

    assert plan.stores == ('dcn4',)


@given(cases)
def test_success_leaves_nothing_to_do(case):
    plan = plan_of(({}, histories.EMPTY, case[2]))

    assert plan == planner.Plan()


@given(st.floats(0, 10**6))
def test_looks_at_a_running_import_begin_often_and_grow_rare(age_s):
    request = histories.Request(('dcn0',), NOW - age_s, NOW)

    assert 1.0 <= planner.poll_s(request, LIMITS, NOW) <= LIMITS.poll_s


def test_a_large_image_has_longer_to_stage():
    request = histories.Request(('dcn0',), NOW, NOW)
    small = an_image()
    large = dataclasses.replace(small, size_bytes=2**40)

    later = NOW + 3600

    assert planner.is_stuck(request, small, LIMITS, later)
    assert not planner.is_stuck(request, large, LIMITS, later)


def test_a_stale_lock_is_no_obstacle_but_to_an_image_that_may_yet_stage():
    """Glance gives no sign of life while it stages."""
    request = histories.Request(('dcn0',), NOW, NOW, progress='staging')
    history = histories.History(request=request)
    small = an_image()
    large = dataclasses.replace(small, size_bytes=2**40)

    def asked(image):
        return planner.plan(
            image, routed({'dcn0'}), history, loads.IDLE, LIMITS, later
        ).stores

    later = NOW + 3700
    assert asked(small) == ('dcn0',)
    assert asked(large) == ()
    later = NOW + 2**40 / LIMITS.staging_bytes_s + 1000
    assert asked(large) == ('dcn0',)


def test_an_import_that_is_remembered_is_always_looked_at_again():
    """Its slot would stay taken otherwise."""
    request = histories.Request(('dcn0',), NOW, NOW)
    history = histories.History(request=request)
    image = an_image({images.StoreId('dcn0')})

    plan = planner.plan(
        image, routed({'dcn0'}), history, loads.IDLE, LIMITS, NOW + 500
    )

    assert plan.look_again_s is not None
