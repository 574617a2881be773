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
"""What the policies decide, and the sentences they say it in."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import globs
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import transfers
from tests.fakes import images as fake_images
from tests.unit.core import examples
from tests.unit.core.examples import policy

PUBLIC = matching.OneOf('visibility', ('public',))
SECRET = matching.Property('export_control', ('yes',))
RHEL = matching.Name((globs.parse('rhel-{8,9}-*'),))


STREAM = transfers.Wishes(engine=transfers.EngineChoice.RBD_STREAM)
IMPORT = transfers.Wishes(engine=transfers.EngineChoice.COPY_IMAGE)
SLOW = transfers.Wishes(rate_bytes_s=1e6)
SLOW_IMPORT = transfers.Wishes(
    engine=transfers.EngineChoice.COPY_IMAGE, rate_bytes_s=1e6
)


def decide(*all_policies, **attributes):
    policy_set = policies.PolicySet(all_policies, examples.SITES)
    return policy_set.decide(fake_images.image(**attributes))


def wanted(decisions):
    return [d.site.name for d in decisions.wanted]


def test_every_site_is_wanted_by_a_policy_for_all():
    decisions = decide(policy('golden', PUBLIC, RHEL))

    assert wanted(decisions) == ['dcn0', 'dcn1', 'dcn2']
    assert decisions.by_site[0].policy == 'golden'
    assert decisions.by_site[0].reason == (
        "wanted by policy golden (visibility public, name 'rhel-{8,9}-*')"
    )


def test_without_a_match_nothing_is_wanted():
    decisions = decide(policy('golden', PUBLIC), visibility='private')

    assert wanted(decisions) == []
    assert decisions.by_site[0].policy is None
    assert decisions.by_site[0].reason == 'not wanted: no policy matches'


def test_without_policies_nothing_is_wanted():
    assert wanted(decide()) == []


def test_sites_of_matching_policies_add_up():
    decisions = decide(
        policy('near', where=('dcn0',)), policy('far', where='tier=far-edge')
    )

    assert wanted(decisions) == ['dcn0', 'dcn1', 'dcn2']


def test_priority_hides_no_site_of_another_policy():
    decisions = decide(
        policy('first', where=('dcn0',), priority=9),
        policy('second', where='all'),
    )

    assert [d.policy for d in decisions.by_site] == [
        'first',
        'second',
        'second',
    ]


def test_of_equal_priorities_the_name_decides():
    decisions = decide(policy('b'), policy('a'))

    assert {d.policy for d in decisions.by_site} == {'a'}


def test_deny_takes_its_sites_from_every_policy():
    decisions = decide(
        policy('golden', priority=9),
        policy('export-ban', SECRET, where=('dcn1',), deny=True),
        properties={'export_control': 'yes'},
    )

    assert wanted(decisions) == ['dcn0', 'dcn2']
    assert decisions.by_site[1].policy == 'export-ban'
    assert decisions.by_site[1].reason == (
        'denied by policy export-ban (property export_control yes)'
    )


def test_exclude_takes_a_site_from_its_own_policy_only():
    decisions = decide(
        policy('golden', exclude=('dcn0', 'dcn1'), priority=9),
        policy('other', where=('dcn1',)),
    )

    assert wanted(decisions) == ['dcn1', 'dcn2']
    assert decisions.by_site[0].policy == 'golden'
    assert decisions.by_site[0].reason == (
        'not wanted: policy golden matches but excludes this site'
    )


def test_exclude_of_a_deny_policy_spares_the_site():
    decisions = decide(
        policy('golden'), policy('ban', deny=True, exclude=('dcn2',))
    )

    assert wanted(decisions) == ['dcn2']


def test_a_site_no_matching_policy_selects_is_told_so():
    decisions = decide(policy('golden', where=('dcn0',)))

    assert decisions.by_site[1].policy is None
    assert decisions.by_site[1].reason == (
        'not wanted: policy golden matches but its sites do not include '
        'this one'
    )


def test_priority_is_the_highest_of_the_matching_policies():
    decisions = decide(
        policy('a', priority=3), policy('b', priority=5), policy('c', SECRET)
    )

    assert decisions.priority == 5


def test_a_deny_policy_lends_no_priority():
    decisions = decide(policy('a', priority=-1), policy('b', deny=True))

    assert decisions.priority == -1


def test_a_long_condition_is_cut_in_the_reason():
    names = matching.Name(tuple(globs.parse('x' * 70) for _ in range(9)))

    [reason] = {
        d.reason for d in decide(policy('p', names), name='x' * 70).by_site
    }

    assert reason.endswith('...)')
    assert len(reason) < 200


def test_wishes_of_policies_add_up():
    decisions = decide(
        policy('first', priority=9, wishes=STREAM),
        policy('second', where=('dcn1',), wishes=SLOW_IMPORT),
    )

    assert [d.wishes for d in decisions.by_site] == [
        STREAM,
        transfers.Wishes(
            engine=transfers.EngineChoice.RBD_STREAM, rate_bytes_s=1e6
        ),
        STREAM,
    ]


def test_of_equal_priorities_the_name_decides_whose_wish_counts():
    decisions = decide(policy('b', wishes=IMPORT), policy('a', wishes=STREAM))

    assert {d.wishes for d in decisions.by_site} == {STREAM}


def test_wishes_come_from_policies_that_want_the_site_only():
    decisions = decide(
        policy('plain', where=('dcn0', 'dcn1')),
        policy('no match', SECRET, wishes=SLOW),
        policy('elsewhere', where=('dcn2',), wishes=SLOW),
        policy('not there', exclude=('dcn0',), priority=9, wishes=STREAM),
    )

    assert [d.wishes for d in decisions.by_site] == [
        transfers.NO_WISHES,
        STREAM,
        transfers.Wishes(
            engine=transfers.EngineChoice.RBD_STREAM, rate_bytes_s=1e6
        ),
    ]


def test_deadlines_and_tolerated_taints_of_policies_add_up():
    decisions = decide(
        policy('first', priority=9, tolerates=frozenset('a'), deadline_s=60),
        policy('second', where=('dcn1',), tolerates=frozenset('b')),
        policy('third', deadline_s=5),
        policy('ban', deny=True, where=('dcn2',)),
    )

    assert [(d.tolerates, d.deadline_s) for d in decisions.by_site] == [
        ({'a'}, 60),
        ({'a', 'b'}, 60),
        (set(), None),
    ]


def test_a_site_that_is_denied_has_no_wishes():
    decisions = decide(
        policy('golden', wishes=STREAM),
        policy('ban', deny=True, where=('dcn1',)),
    )

    assert [d.wishes for d in decisions.by_site] == [
        STREAM,
        transfers.NO_WISHES,
        STREAM,
    ]


def test_explain_says_whose_each_wish_is():
    policy_set = policies.PolicySet(
        [
            policy('a', wishes=SLOW_IMPORT),
            policy('b', where=('dcn1',), priority=1, wishes=STREAM),
            policy('ban', deny=True, where=('dcn2',)),
        ],
        examples.SITES,
    )

    explained = policy_set.explain(fake_images.image()).sites

    assert [list(map(str, site.wishes)) for site in explained] == [
        ['engine copy-image by a', 'rate 8Mbit/s by a'],
        ['engine rbd-stream by b', 'rate 8Mbit/s by a'],
        [],
    ]


def test_explain_says_of_each_policy_what_failed():
    policy_set = policies.PolicySet(
        [policy('golden', PUBLIC, RHEL, SECRET, origin='placement.yaml:4')],
        examples.SITES,
    )

    explanation = policy_set.explain(fake_images.image(name='win\u202e'))

    [golden] = explanation.policies
    assert not golden.matches
    assert golden.origin == 'placement.yaml:4'
    assert [str(check) for check in golden.failed] == [
        "name: expected 'rhel-{8,9}-*', found 'win\\u202e'",
        'property export_control: expected yes, found no such property',
    ]


def test_explain_names_every_policy_with_a_say_in_a_site():
    policy_set = policies.PolicySet(
        [
            policy('a', where=('dcn1',)),
            policy('b', priority=1),
            policy('c', exclude=('dcn1',)),
            policy('ban', deny=True, where=('dcn1',)),
        ],
        examples.SITES,
    )

    site = policy_set.explain(fake_images.image()).sites[1]

    assert site.wanted_by == ('b', 'a')
    assert site.denied_by == ('ban',)
    assert site.excluded_by == ('c',)
    assert not site.decision.wanted


@pytest.mark.parametrize(
    ('all_policies', 'expected'),
    [
        pytest.param(
            [policy('p', where='tier=core')],
            "policy p: its sites (labels 'tier=core') match no site of "
            'sites.yaml',
            id='a selector that matches nothing',
        ),
        pytest.param(
            [policy('p', where=('dcn0',), exclude=('dcn0',))],
            'policy p: its exclude leaves it no site',
            id='nothing left by exclude',
        ),
        pytest.param(
            [policy('p', where=('dcn0',), exclude=('dcn1',))],
            'policy p: its exclude of dcn1 has no effect: its sites (dcn0) '
            'do not include it',
            id='exclude of a site not selected',
        ),
        pytest.param(
            [policy('p', where=('dcn0', 'dcn2'), wishes=STREAM)],
            'policy p: it asks for rbd-stream, but sites.yaml has no cluster '
            'for dcn0 and dcn2',
            id='rbd-stream without a cluster',
        ),
        pytest.param(
            [policy('p', exclude=('dcn7',))],
            'policy p: its exclude of dcn7 has no effect: its sites (all) do '
            'not include it',
            id='exclude of a site that is none',
        ),
        pytest.param(
            [
                policy('p', where=('dcn0',)),
                policy('ban', deny=True, where=('dcn1',)),
            ],
            'policy ban: it denies sites to which no policy sends an image',
            id='deny where nothing is wanted',
        ),
        pytest.param(
            [
                policy('p', PUBLIC, where=('dcn1',)),
                policy('q'),
                policy('ban', deny=True, where='tier=far-edge'),
            ],
            'policy p: it can never add a site: ban denies all of its sites',
            id='all sites denied for every image',
        ),
    ],
)
def test_what_can_have_no_effect_is_warned_of(all_policies, expected):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    assert policy_set.warnings() == (f': warning: {expected}',)


def test_sensible_policies_give_no_warning():
    policy_set = policies.PolicySet(
        [policy('p', PUBLIC), policy('ban', SECRET, deny=True)],
        examples.SITES,
    )

    assert policy_set.warnings() == ()


@given(examples.POLICIES, examples.IMAGES)
def test_every_site_has_one_decision_and_a_reason(all_policies, image):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    decisions = policy_set.decide(image)

    assert [d.site for d in decisions.by_site] == list(examples.SITES)
    assert all(d.reason.isprintable() and d.reason for d in decisions.by_site)


@given(examples.POLICIES, examples.IMAGES, examples.IMAGES)
def test_decisions_depend_on_the_image_alone(all_policies, image, other):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    first = policy_set.decide(image)
    policy_set.decide(other)

    assert policy_set.decide(image) == first
    assert (
        policies.PolicySet(all_policies, examples.SITES).decide(image) == first
    )


@given(st.data(), examples.POLICIES, examples.IMAGES)
def test_the_order_of_policies_means_nothing(data, all_policies, image):
    shuffled = data.draw(st.permutations(all_policies))

    assert policies.PolicySet(shuffled, examples.SITES).decide(
        image
    ) == policies.PolicySet(all_policies, examples.SITES).decide(image)


def wanting_policies(policy_set, decision, image):
    """List the policies that want a site, if it is wanted, in their order."""
    return [
        p
        for p in policy_set.policies
        if decision.wanted
        and not p.deny
        and p.match.holds(image)
        and p.reaches(decision.site)
    ]


@given(examples.POLICIES, examples.IMAGES)
def test_each_wish_is_of_the_first_that_wants_the_site(all_policies, image):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    for decision in policy_set.decide(image).by_site:
        wanting = [
            p.wishes for p in wanting_policies(policy_set, decision, image)
        ]
        for key in ('engine', 'source', 'verify', 'rate_bytes_s'):
            wished = [getattr(wishes, key) for wishes in wanting]
            assert getattr(decision.wishes, key) == next(
                (wish for wish in wished if wish is not None), None
            )


@given(examples.POLICIES, examples.IMAGES)
def test_tolerated_is_what_any_tolerates_that_wants_the_site(
    all_policies, image
):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    for decision in policy_set.decide(image).by_site:
        wanting = wanting_policies(policy_set, decision, image)
        assert decision.tolerates == {
            key for policy in wanting for key in policy.tolerates
        }


@given(examples.POLICIES, examples.IMAGES)
def test_the_deadline_is_of_the_first_that_wants_the_site(all_policies, image):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    for decision in policy_set.decide(image).by_site:
        deadlines = [
            policy.deadline_s
            for policy in wanting_policies(policy_set, decision, image)
            if policy.deadline_s is not None
        ]
        assert decision.deadline_s == next(iter(deadlines), None)


@given(examples.POLICIES, examples.IMAGES)
def test_explain_agrees_with_decide(all_policies, image):
    policy_set = policies.PolicySet(all_policies, examples.SITES)

    decisions = policy_set.decide(image)
    explanation = policy_set.explain(image)

    assert tuple(s.decision for s in explanation.sites) == decisions.by_site
    assert explanation.priority == decisions.priority
    for explained, judged in zip(
        explanation.policies, policy_set.policies, strict=True
    ):
        assert explained.matches == judged.match.holds(image)


@given(
    examples.POLICIES,
    examples.policies_named(['new'], deny=False),
    examples.IMAGES,
)
def test_a_further_place_policy_takes_no_site_away(before, added, image):
    old = policies.PolicySet(before, examples.SITES).decide(image)
    new = policies.PolicySet([*before, added], examples.SITES).decide(image)

    assert set(wanted(old)) <= set(wanted(new))


@given(
    examples.POLICIES,
    examples.policies_named(['new'], deny=True),
    examples.IMAGES,
)
def test_a_further_deny_policy_adds_no_site(before, added, image):
    old = policies.PolicySet(before, examples.SITES).decide(image)
    new = policies.PolicySet([*before, added], examples.SITES).decide(image)

    assert set(wanted(new)) <= set(wanted(old))


@given(examples.BLOCKS, examples.IMAGES)
def test_not_twice_is_nothing(block, image):
    twice = matching.Not(matching.Block((matching.Not(block),)))

    assert twice.holds(image) == block.holds(image)


@given(examples.BLOCKS, examples.IMAGES)
def test_what_conditions_say_is_safe_to_print(block, image):
    for check in block.check(image):
        assert str(check).isprintable()
        assert check.found
