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
"""What keeps copies from a site for now."""

import datetime
import zoneinfo

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import pauses
from dcn_distributor.core import sites
from dcn_distributor.core import windows

# 2026-12-01, a Tuesday, in Oslo.
ZONE = zoneinfo.ZoneInfo('Europe/Oslo')
NOON_S = datetime.datetime(2026, 12, 1, 12, tzinfo=ZONE).timestamp()
ONE_S = NOON_S - 11 * 3600
NIGHTLY = windows.Window(
    days=frozenset(range(7)),
    begin=datetime.time(1),
    end=datetime.time(5, 30),
    zone=ZONE,
)
NORTH = links.Link('north', rate_bytes_s=1e6, windows=(NIGHTLY,))
IMAGE = images.ImageId('3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11')


def a_copy(size_bytes=10**6, tolerates=(), taints=(), link=NORTH, **more):
    site = sites.Site(
        sites.SiteName('dcn0'),
        images.StoreId('dcn0'),
        {},
        link=link,
        taints=tuple(taints),
    )
    decision = decisions.Decision(
        site, True, 'all', 'wanted', tolerates=frozenset(tolerates)
    )
    return gates.Copy(decision, IMAGE, size_bytes, **more)


def paused(kind, name):
    word = pauses.Word(kind, name, True, 'alice', ONE_S)
    return gates.Standing(pauses.NONE.merged([word]))


def test_outside_its_window_a_link_lets_nothing_through():
    closure = gates.closure(a_copy(), gates.ALONE, NOON_S)

    assert closure == gates.Closure(
        'window opens 01:00 Europe/Oslo', breaks_off=True
    )
    assert gates.closure(a_copy(), gates.ALONE, ONE_S) is None


def test_an_order_goes_outside_the_window():
    order = a_copy(is_order=True)

    assert gates.closure(order, gates.ALONE, NOON_S) is None


@pytest.mark.parametrize(
    ('effect', 'breaks_off'),
    [(links.Effect.NO_NEW, False), (links.Effect.DRAIN, True)],
)
def test_a_taint_keeps_copies_away_until_its_end(effect, breaks_off):
    taint = links.Taint('maintenance', effect, ONE_S + 60)
    copy = a_copy(taints=[taint])

    closure = gates.closure(copy, gates.ALONE, ONE_S)

    assert closure == gates.Closure(
        'tainted maintenance until 2026-12-01 00:01 UTC', breaks_off=breaks_off
    )
    assert gates.closure(copy, gates.ALONE, ONE_S + 60) is None


def test_a_policy_may_tolerate_a_taint():
    taint = links.Taint('maintenance', links.Effect.DRAIN)
    copy = a_copy(taints=[taint], tolerates=['maintenance'])

    assert gates.closure(copy, gates.ALONE, ONE_S) is None


@pytest.mark.parametrize(
    ('effect', 'expected'),
    [(links.Effect.NO_NEW, None), (links.Effect.DRAIN, 'tainted works')],
)
def test_an_order_goes_to_a_site_that_takes_no_new_copies(effect, expected):
    order = a_copy(taints=[links.Taint('works', effect)], is_order=True)

    closure = gates.closure(order, gates.ALONE, ONE_S)

    assert (closure and closure.reason) == expected


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        (pauses.Kind.SITE, 'dcn0'),
        (pauses.Kind.LINK, 'north'),
        (pauses.Kind.IMAGE, IMAGE),
    ],
)
def test_what_an_operator_paused_rests_orders_too(kind, name):
    order = a_copy(is_order=True)

    closure = gates.closure(order, paused(kind, name), ONE_S)

    assert closure.breaks_off
    assert 'by alice since 2026-12-01 00:00 UTC' in closure.reason


def test_another_pause_is_no_obstacle():
    standing = paused(pauses.Kind.SITE, 'dcn1')

    assert gates.closure(a_copy(), standing, ONE_S) is None


def test_a_link_of_another_agent_is_left_to_it():
    reason = 'agent controller-2 has link north'
    standing = gates.Standing(elsewhere={'north': reason})

    closure = gates.closure(a_copy(), standing, NOON_S)

    assert closure == gates.Closure(reason, breaks_off=True, is_elsewhere=True)


# The window is open for four and a half hours.
@pytest.mark.parametrize(
    ('hours', 'left_s', 'expected'),
    [
        (1, 2 * 3600, None),
        (2, 3600, 'window opens 01:00'),
        (5, 60, None),
    ],
)
def test_an_import_begins_only_if_it_can_end_in_time(hours, left_s, expected):
    copy = a_copy(size_bytes=int(hours * 3600 * 1e6))
    now = ONE_S + 4.5 * 3600 - left_s

    closure = gates.too_long(copy, 'copy-image', now)

    assert (closure is None) == (expected is None)
    assert expected is None or expected in closure.reason
    assert gates.too_long(copy, 'rbd-stream', now) is None


moments = st.floats(NOON_S - 8 * 86400, NOON_S + 8 * 86400)


@given(
    st.lists(
        st.builds(
            links.Taint,
            st.sampled_from(['works', 'moving']),
            st.sampled_from(links.Effect),
            st.sampled_from([None, ONE_S - 60, ONE_S + 60, ONE_S + 120]),
        )
    ),
    st.frozensets(st.sampled_from(['works', 'moving'])),
    st.sampled_from([gates.ALONE, paused(pauses.Kind.LINK, 'north')]),
    st.booleans(),
)
def test_the_gates_open_when_they_say_so(taints, tolerates, standing, ordered):
    copy = a_copy(
        taints=taints,
        tolerates=tolerates,
        link=links.Link('north'),
        is_order=ordered,
    )

    opens_s = gates.opens_s(copy, standing, ONE_S)

    assert (opens_s == ONE_S) == (gates.closure(copy, standing, ONE_S) is None)
    if opens_s < float('inf'):
        assert gates.closure(copy, standing, opens_s) is None
        if opens_s > ONE_S:
            assert gates.closure(copy, standing, opens_s - 1) is not None
    else:
        assert gates.closure(copy, standing, ONE_S + 10**9) is not None
