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
"""The forecast: all that is missing, once, and what it waits for."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import choosing
from dcn_distributor.core import forecast
from dcn_distributor.core import gates
from dcn_distributor.core import history
from dcn_distributor.core import links
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import pauses
from dcn_distributor.core import policies
from dcn_distributor.core import prospects
from dcn_distributor.core import routes
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from tests.fakes import images as fake_images
from tests.unit.core import examples

NOW_S = 1_800_000_000.0
MB = 10**6
STORES = frozenset({'central', 'dcn0', 'dcn1', 'dcn2'})
NORTH = links.Link('north', rate_bytes_s=1e6, transfers=1)
CLUSTER = sites.Cluster('/etc/ceph/dcn0.conf', 'dcn', 'images')


def assume(**more):
    return prospects.Assumptions(
        **{'known_stores': STORES, 'options': choosing.Options(), **more}
    )


def where(*names, **more):
    """Sites of these names on one link."""
    return sites.Sites(
        'central',
        tuple(
            sites.Site(name, name, {}, **{'link': NORTH, **more})
            for name in names
        ),
    )


def foresee(
    all_images,
    all_sites,
    *,
    rules=None,
    memory=memories.NOTHING,
    task=None,
    **more,
):
    policy_set = policies.PolicySet(
        [examples.policy('p')] if rules is None else rules, all_sites
    )
    assumptions = assume(**more)
    survey = matrix.Survey(
        policy_set,
        assumptions.known_stores,
        memory,
        NOW_S,
        matrix.EVERYTHING,
    )
    rows = [survey.row(image, task) for image in all_images]
    return forecast.forecast(rows, policy_set, assumptions, NOW_S)


def image(name='a', size_bytes=100 * MB, **more):
    return fake_images.image(id=name, name=name, size_bytes=size_bytes, **more)


def paused(kind, name):
    word = pauses.Word(kind, name, True, 'alice', NOW_S - 60)
    return gates.Standing(pauses.NONE.merged([word]))


def setback(next_try_s):
    return memories.Memory(
        setbacks={'a': {'dcn0': history.Setback(2, 'no space', next_try_s)}}
    )


@given(
    st.lists(examples.IMAGES, max_size=4),
    st.data(),
    examples.POLICIES,
    st.none() | st.just(1e6),
)
def test_all_that_is_wanted_and_missing_is_there_once(
    drawn, data, rules, rate
):
    stores = st.frozensets(st.sampled_from(sorted(STORES)))
    all_images = [
        dataclasses.replace(one, id=f'{n}', stores=data.draw(stores))
        for n, one in enumerate(drawn)
    ]
    policy_set = policies.PolicySet(rules, examples.SITES)
    expected = [
        (one.id, store)
        for one in all_images
        for store in routes.missing_stores(one, policy_set.decide(one))
    ]

    copies = foresee(
        all_images, examples.SITES, rules=rules, rate_bytes_s=rate
    )

    found = [(one.image.id, one.decision.site.store) for one in copies]
    assert sorted(found) == sorted(expected)
    assert bool(copies) == bool(expected)
    sizes = {one.id: one.size_bytes or 0 for one in all_images}
    assert all(one.left_bytes == sizes[one.image.id] for one in copies)
    if rate is not None:
        assert all(
            (one.ends_s is None) == (one.engine is None) for one in copies
        )


def test_copies_go_by_priority_then_deadline_then_size():
    all_images = [
        image('late', 30 * MB, tags=frozenset('a'), created_at_s=NOW_S),
        image('large', 20 * MB),
        image('small', 10 * MB),
        image('urgent', 40 * MB, tags=frozenset('b')),
    ]
    matching = examples.matching
    rules = [
        examples.policy('p'),
        examples.policy('d', matching.Tags(frozenset('a')), deadline_s=60.0),
        examples.policy('u', matching.Tags(frozenset('b')), priority=1),
    ]

    copies = foresee(all_images, where('dcn0'), rules=rules)

    assert [one.image.name for one in copies] == [
        'urgent',
        'late',
        'small',
        'large',
    ]
    assert [one.starts_s - NOW_S for one in copies] == pytest.approx(
        [0, 40, 70, 80]
    )
    assert [one.is_late for one in copies] == [False, True, False, False]
    assert copies[1].due_s == NOW_S + 60
    assert [one.waits for one in copies] == [
        '',
        *['its turn on link north'] * 3,
    ]


def test_links_do_not_wait_for_each_other():
    all_sites = sites.Sites(
        'central',
        (*where('dcn0'), *where('dcn1', link=links.Link('s', 1, 2e6, 1))),
    )

    copies = foresee([image()], all_sites)

    assert {one.decision.site.name: one.ends_s for one in copies} == {
        'dcn0': NOW_S + 100,
        'dcn1': NOW_S + 50,
    }


def test_without_a_rate_the_end_is_unknown_unless_one_is_assumed():
    all_sites = where('dcn0', link=links.Link('slow'))

    (unknown,) = foresee([image()], all_sites)
    (assumed,) = foresee([image()], all_sites, rate_bytes_s=1e6)

    assert (unknown.starts_s, unknown.ends_s) == (NOW_S, None)
    assert assumed.ends_s == NOW_S + 100


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        (pauses.Kind.SITE, 'dcn0'),
        (pauses.Kind.LINK, 'north'),
        (pauses.Kind.POLICY, 'p'),
        (pauses.Kind.IMAGE, 'a'),
    ],
)
def test_what_is_paused_never_starts_by_itself(kind, name):
    standing = paused(kind, name)

    (copy,) = foresee([image()], where('dcn0'), standing=standing)

    assert (copy.starts_s, copy.ends_s, copy.is_stuck) == (None, None, True)
    assert 'by alice since' in copy.waits


def test_a_pause_of_one_image_stops_no_other():
    standing = paused(pauses.Kind.IMAGE, 'a')

    copies = foresee(
        [image('a'), image('b')], where('dcn0'), standing=standing
    )

    assert [one.image.id for one in copies if one.is_stuck] == ['a']


def test_a_taint_without_end_is_never_over_by_itself():
    taint = links.Taint('works', links.Effect.NO_NEW)

    (copy,) = foresee([image()], where('dcn0', taints=(taint,)))

    assert (copy.starts_s, copy.is_stuck) == (None, True)
    assert copy.waits == 'tainted works'


def test_a_taint_that_ends_is_waited_for():
    taint = links.Taint('works', links.Effect.NO_NEW, NOW_S + 60)

    (copy,) = foresee([image()], where('dcn0', taints=(taint,)))

    assert copy.starts_s == NOW_S + 60
    assert copy.waits.startswith('tainted works until ')


def test_a_store_that_glance_lacks_gets_nothing():
    (copy,) = foresee([image()], where('dcn9'))

    assert (copy.is_stuck, copy.waits) == (True, 'Glance has no store dcn9')


def test_a_failed_copy_waits_for_its_next_try():
    (copy,) = foresee([image()], where('dcn0'), memory=setback(NOW_S + 60))

    assert (copy.starts_s, copy.waits) == (NOW_S + 60, 'no space')


def test_a_copy_that_failed_for_good_never_starts_by_itself():
    (copy,) = foresee([image()], where('dcn0'), memory=setback(math.inf))

    assert (copy.is_stuck, copy.waits) == (True, 'no space')


@pytest.mark.parametrize(
    ('engines', 'cluster', 'obstacles', 'expected'),
    [
        (choosing.ENGINES, CLUSTER, {}, choosing.RBD_STREAM),
        (choosing.ENGINES, None, {}, choosing.COPY_IMAGE),
        (
            choosing.ENGINES,
            CLUSTER,
            {'dcn0': ('no caps',)},
            choosing.COPY_IMAGE,
        ),
        ((choosing.RBD_STREAM,), None, {}, None),
    ],
)
def test_the_engine_is_the_one_that_can_serve(
    engines, cluster, obstacles, expected
):
    (copy,) = foresee(
        [image()],
        where('dcn0', cluster=cluster),
        options=choosing.Options(engines, prefer_rbd_stream=True),
        obstacles=obstacles,
    )

    assert copy.engine == expected
    assert copy.is_stuck == (expected is None)


@pytest.mark.parametrize(
    ('wish', 'engine', 'expected_s'),
    [
        (None, choosing.RBD_STREAM, 200),
        (4e5, choosing.RBD_STREAM, 250),
        (4e5, choosing.COPY_IMAGE, 100),
    ],
)
def test_a_stream_may_be_slower_than_its_link(wish, engine, expected_s):
    wishes = transfers.Wishes(
        engine=transfers.EngineChoice(engine), rate_bytes_s=wish
    )
    rules = [examples.policy('p', wishes=wishes)]

    (copy,) = foresee(
        [image()],
        where('dcn0', cluster=CLUSTER),
        rules=rules,
        stream_rate_bytes_s=5e5,
    )

    assert copy.ends_s == pytest.approx(NOW_S + expected_s)


def streaming(settled_bytes):
    lane = transfers.Lane(
        'dcn0', 'dcn0', transfers.Phase.COPYING, settled_bytes
    )
    return memories.Memory(
        streams={'a': {'dcn0': memories.Streaming('central', lane)}}
    )


def test_a_stream_under_way_has_the_rest_to_carry_and_goes_first():
    all_images = [image('b', 10 * MB), image('a')]

    first, second = foresee(
        all_images, where('dcn0'), memory=streaming(60 * MB)
    )

    assert (first.image.id, first.is_under_way) == ('a', True)
    assert (first.left_bytes, first.ends_s) == (40 * MB, NOW_S + 40)
    assert first.engine == choosing.RBD_STREAM
    assert second.starts_s == NOW_S + 40


def test_a_stream_to_a_site_that_is_drained_goes_on_after_that():
    taint = links.Taint('works', links.Effect.DRAIN, NOW_S + 60)

    (copy,) = foresee(
        [image()],
        where('dcn0', taints=(taint,)),
        memory=streaming(60 * MB),
    )

    assert not copy.is_under_way
    assert (copy.starts_s, copy.ends_s) == (NOW_S + 60, NOW_S + 100)


def test_what_is_on_its_way_by_order_is_told_though_no_policy_wants_it():
    (copy,) = foresee([image()], where('dcn0'), rules=[], memory=streaming(0))

    assert (copy.is_under_way, copy.decision.wanted) == (True, False)


def test_a_link_that_does_not_say_takes_as_many_as_assumed():
    all_sites = where('dcn0', link=links.Link('n', rate_bytes_s=1e6))
    all_images = [image('a'), image('b'), image('c')]
    wishes = transfers.Wishes(engine=transfers.EngineChoice.RBD_STREAM)

    copies = foresee(
        all_images,
        where('dcn0', link=all_sites.edges[0].link, cluster=CLUSTER),
        rules=[examples.policy('p', wishes=wishes)],
        slots=2,
    )

    assert [one.starts_s - NOW_S for one in copies] == pytest.approx(
        [0, 0, 200]
    )
