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

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import planner
from dcn_distributor.core import retry
from dcn_distributor.core import sites
from tests.fakes import images as fake_images

NOW = 1_700_000_000.0
NAMES = [f'dcn{number}' for number in range(6)]
LIMITS = planner.Limits(
    imports=2,
    stores_per_import=3,
    poll_s=10.0,
    stall_s=900.0,
    backoff=retry.Backoff(base_s=5.0, cap_s=600.0),
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


def decided_for(wanted):
    by_site = tuple(
        decisions.Decision(
            sites.Site(sites.SiteName(name), images.StoreId(name), {}),
            name in wanted,
            'policy' if name in wanted else None,
            'because',
        )
        for name in NAMES
    )
    return decisions.Decisions(0, by_site)


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
        )
    return histories.History(request=request, setbacks=setbacks)


@st.composite
def all_loads(draw):
    load = loads.IDLE
    for number in range(draw(st.integers(0, 3))):
        other = images.ImageId(f'00000000-0000-0000-0000-00000000010{number}')
        load = load.with_running(
            other, draw(some_stores), is_stuck=draw(st.booleans())
        )
    troubles = {
        store: loads.Trouble(2, 'it failed', draw(times))
        for store in draw(some_stores)
    }
    return dataclasses.replace(load, troubles=troubles)


cases = st.tuples(some_stores, some_stores, pasts(), all_loads())


def plan_of(case):
    present, wanted, history, load = case
    image = an_image(present)
    decided = decided_for(wanted)
    return planner.plan(image, decided, history, load, LIMITS, NOW)


@given(cases)
def test_a_plan_is_the_same_each_time(case):
    assert plan_of(case) == plan_of(case)


@given(cases)
def test_only_what_is_wanted_and_missing_is_asked_for(case):
    present, wanted, _, _ = case

    assert set(plan_of(case).stores) <= wanted - present


@given(cases)
def test_no_plan_asks_for_more_than_the_limits_allow(case):
    load = case[3]
    plan = plan_of(case)

    assert len(plan.stores) <= LIMITS.stores_per_import
    if load.busy >= LIMITS.imports:
        assert not plan.stores


@given(cases)
def test_every_missing_store_is_asked_for_or_waits_with_a_reason(case):
    present, wanted, history, _ = case
    if history.request is not None:
        return
    plan = plan_of(case)

    missing = wanted - present
    waiting = {wait.store for wait in plan.waits}
    asked = set(plan.stores)
    left = missing - asked - waiting
    # The rest of a full import goes with the next one, which a look in a
    # moment begins.
    assert not left or asked
    assert not waiting & asked
    assert all(wait.reason for wait in plan.waits)


@given(cases)
def test_nothing_is_forgotten(case):
    """Whatever is missing, something will bring the image back."""
    present, wanted, history, _ = case
    plan = plan_of(case)

    permanent = {s for s, b in history.setbacks.items() if b.is_permanent}
    if wanted - present - permanent:
        assert plan.look_again_s or plan.needs_slot or plan.needs_probe


@given(cases)
def test_a_store_in_trouble_is_asked_for_alone(case):
    _, _, history, load = case
    plan = plan_of(case)

    suspects = set(load.troubles) | set(history.setbacks)
    if set(plan.stores) & suspects:
        assert len(plan.stores) == 1


@given(cases)
def test_success_leaves_nothing_to_do(case):
    _, wanted, _, load = case

    plan = plan_of((wanted, wanted, histories.EMPTY, load))

    assert plan == planner.Plan()


@given(cases, st.sampled_from(['queued', 'saving', 'deactivated', 'killed']))
def test_only_an_active_image_is_copied(case, status):
    _, wanted, _, load = case
    image = an_image(status=status)

    plan = planner.plan(
        image, decided_for(wanted), histories.EMPTY, load, LIMITS, NOW
    )

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
            image, decided_for({'dcn0'}), history, loads.IDLE, LIMITS, later
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
        image, decided_for({'dcn0'}), history, loads.IDLE, LIMITS, NOW + 500
    )

    assert plan.look_again_s is not None
