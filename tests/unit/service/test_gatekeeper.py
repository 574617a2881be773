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
"""What holds copies back, over days of virtual time."""

import datetime

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import choosing
from dcn_distributor.core import links
from dcn_distributor.core import pauses
from dcn_distributor.core import windows
from tests.unit.service import world as worlds

NIGHTLY = windows.Window(
    days=frozenset(range(7)),
    begin=datetime.time(1),
    end=datetime.time(2),
    zone=datetime.timezone.utc,
)
NIGHT = links.Link('night', windows=(NIGHTLY,))
STREAMING = choosing.Options(prefer_rbd_stream=True)
DAY_S = 86400.0


def until(world, clock_time):
    """Let time pass until the clock shows this, in UTC."""
    now = datetime.datetime.fromtimestamp(
        world.clock.now, datetime.timezone.utc
    )
    then = datetime.datetime.combine(now, clock_time, now.tzinfo)
    if then <= now:
        then += datetime.timedelta(days=1)
    world.run((then - now).total_seconds())


@pytest.fixture(params=[None, STREAMING], ids=['imports', 'streams'])
def night(request):
    """A world of two sites, of which dcn0 has a window; it is noon."""
    world = worlds.World(options=request.param, site_links={'dcn0': NIGHT})
    until(world, datetime.time(12))
    return world


def test_a_copy_waits_for_its_window_and_no_other_copy_does(night):
    image_id = night.add()

    night.run(3600)
    assert night.stores(image_id) == {'dcn1'}

    until(night, datetime.time(1, 5))
    assert night.stores(image_id) == {'dcn0', 'dcn1'}


def test_no_image_is_looked_at_while_it_waits_for_a_window(night):
    image_id = night.add()
    night.run(600)
    looks = []
    read = night.glance.get
    night.glance.get = lambda i: looks.append(i) or read(i)

    night.run(6 * 3600)

    assert image_id not in looks


def test_a_stream_is_broken_off_when_the_window_closes_and_goes_on_next():
    world = worlds.World(options=STREAMING, site_links={'dcn0': NIGHT})
    until(world, datetime.time(1, 50))
    world.streams.hang('dcn0')
    image_id = world.add()
    world.run(300)
    assert image_id in world.streams.running

    until(world, datetime.time(2, 1))
    assert image_id not in world.streams.running
    assert not world.ledger.history(image_id).setbacks

    world.streams.heal()
    until(world, datetime.time(0, 59))
    assert world.stores(image_id) == {'dcn1'}
    until(world, datetime.time(1, 5))
    assert world.stores(image_id) == {'dcn0', 'dcn1'}


@pytest.mark.parametrize('options', [None, STREAMING])
@pytest.mark.parametrize(
    ('kind', 'name', 'left'),
    [
        (pauses.Kind.SITE, 'dcn0', {'dcn1'}),
        (pauses.Kind.LINK, 'dcn1', {'dcn0'}),
        (pauses.Kind.POLICY, 'all', set()),
    ],
)
def test_what_is_paused_gets_no_copies_until_it_goes_on(
    kind, name, left, options
):
    world = worlds.World(options=options)
    world.say(kind, name)
    image_id = world.add()

    world.run(3600)
    assert world.stores(image_id) == left

    world.say(kind, name, rests=False)
    world.run(600)
    assert world.stores(image_id) == {'dcn0', 'dcn1'}


def test_an_image_on_hold_is_not_copied():
    world = worlds.World(options=STREAMING)
    held, other = world.add(), world.add()
    world.say(pauses.Kind.IMAGE, held)

    world.run(3600)

    assert world.stores(held) == set()
    assert world.stores(other) == {'dcn0', 'dcn1'}


def test_a_site_that_another_policy_wants_too_is_not_held_by_one():
    world = worlds.World(rules=[worlds.policy('all'), worlds.policy('more')])
    world.say(pauses.Kind.POLICY, 'all')

    image_id = world.add()
    world.run(600)

    assert world.stores(image_id) == {'dcn0', 'dcn1'}


def test_a_slow_site_delays_no_other():
    world = worlds.World(names=['slow', 'quick'], options=STREAMING)
    world.streams.hang('slow')
    first = [world.add(f'image {number}') for number in range(3)]

    world.run(600)

    assert all('quick' in world.stores(image_id) for image_id in first)


stores = ['dcn0', 'dcn1', 'dcn2']
a_window = st.builds(
    windows.Window,
    days=st.just(frozenset(range(7))),
    begin=st.sampled_from([datetime.time(hour) for hour in (0, 7, 20)]),
    end=st.sampled_from([datetime.time(hour) for hour in (1, 8, 23)]),
    zone=st.just(datetime.timezone.utc),
)
some_links = st.fixed_dictionaries(
    {
        store: st.builds(
            links.Link,
            name=st.sampled_from(['shared', store]),
            transfers=st.just(1),
            rate_bytes_s=st.sampled_from([None, 1e7]),
            windows=st.just((NIGHTLY,)) | st.just(()),
        )
        for store in stores
    }
).map(
    # A link is one, whoever hangs on it.
    lambda found: {
        store: next(one for one in found.values() if one.name == link.name)
        for store, link in found.items()
    }
)
words = st.tuples(
    st.sampled_from(
        [(pauses.Kind.SITE, name) for name in stores]
        + [(pauses.Kind.LINK, 'shared'), (pauses.Kind.POLICY, 'all')]
    ),
    st.booleans(),
    st.integers(1, 4000),
)


@settings(max_examples=8)
@given(
    st.sampled_from([None, STREAMING]),
    some_links,
    st.lists(words, max_size=5),
    st.integers(1, 6),
)
def test_all_arrives_in_the_end_whatever_held_it_back(
    options, site_links, story, count
):
    world = worlds.World(names=stores, options=options, site_links=site_links)
    ids = [world.add(f'image {number}') for number in range(count)]
    for (kind, name), rests, pause_s in story:
        world.say(kind, name, rests)
        world.run(pause_s)
    for word in [*world.pauses]:
        world.say(word.kind, word.name, rests=False)

    for _ in range(2):
        until(world, datetime.time(0, 59))
        until(world, datetime.time(2))

    for image_id in ids:
        assert world.stores(image_id) == {*stores}
    assert not world.ledger.load.running
