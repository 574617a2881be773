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
"""What a draft changes: new copies and copies gone, never both."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import drafts
from dcn_distributor.core import policies
from dcn_distributor.core import sites
from tests.fakes import images as fake_images
from tests.unit.core import examples


@given(
    examples.IMAGES,
    st.frozensets(st.sampled_from(['central', 'dcn0', 'dcn1'])),
    examples.POLICIES,
    examples.POLICIES,
)
def test_what_is_new_and_what_is_gone_make_the_difference(
    image, stores, before, after
):
    image = dataclasses.replace(image, stores=stores)
    rules = [
        policies.PolicySet(one, examples.SITES) for one in (before, after)
    ]
    wanted = [
        {d.site.store for d in one.decide(image).wanted} for one in rules
    ]
    comparison = drafts.Comparison(*rules)

    comparison.note(image)

    gone = {one.decision.site.store: one for one in comparison.gone}
    new = {
        decision.site.store
        for decision in rules[1].decide(image).by_site
        if comparison.is_new(image, decision)
    }
    assert new == wanted[1] - wanted[0]
    assert gone.keys() == wanted[0] - wanted[1]
    assert {s for s, one in gone.items() if one.is_there} == (
        gone.keys() & stores
    )
    assert all(one.reason for one in gone.values())


@given(examples.POLICIES)
def test_a_draft_of_the_same_rules_changes_nothing(rules):
    moved = [dataclasses.replace(p, origin='elsewhere:7') for p in rules]
    comparison = drafts.Comparison(
        policies.PolicySet(rules, examples.SITES),
        policies.PolicySet(moved, examples.SITES),
    )

    assert comparison.policies() == drafts.Changes((), (), ())
    assert comparison.sites() == drafts.Changes((), (), ())


def test_sites_and_policies_are_told_by_name():
    before = policies.PolicySet(
        [examples.policy('p'), examples.policy('q')], examples.SITES
    )
    after = policies.PolicySet(
        [examples.policy('q', priority=1), examples.policy('r')],
        sites.Sites(
            'elsewhere',
            (
                examples.SITES.edges[0],
                examples.site('dcn1'),
                examples.site('x'),
            ),
        ),
    )

    comparison = drafts.Comparison(before, after)

    assert comparison.policies() == drafts.Changes(('r',), ('p',), ('q',))
    assert comparison.sites() == drafts.Changes(
        ('x',), ('dcn2',), ('central', 'dcn1')
    )


def test_the_copies_of_a_site_that_is_removed_are_gone():
    all_sites = sites.Sites('central', examples.SITES.edges[1:])
    comparison = drafts.Comparison(
        policies.PolicySet([examples.policy('p')], examples.SITES),
        policies.PolicySet([examples.policy('p')], all_sites),
    )

    comparison.note(fake_images.image())

    (gone,) = comparison.gone
    assert gone.decision.site.name == 'dcn0'
    assert gone.reason == 'no site of the draft has it'


def test_an_image_without_data_has_no_copies_to_lose():
    comparison = drafts.Comparison(
        policies.PolicySet([examples.policy('p')], examples.SITES),
        policies.PolicySet([], examples.SITES),
    )

    comparison.note(fake_images.image(status='queued'))

    assert comparison.gone == []
