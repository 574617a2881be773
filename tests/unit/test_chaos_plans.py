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
"""What a campaign of kills is drawn from."""

import itertools

from tests.chaos import plans

EDGES = ('dcn0', 'dcn1', 'dcn2')
AGENTS = ('agent-1', 'agent-2', 'agent-3')


def test_a_seed_gives_one_plan():
    targets = plans.targets(AGENTS, EDGES)

    assert plans.lives(7, 50, EDGES, 600.0) == plans.lives(7, 50, EDGES, 600.0)
    assert plans.faults(7, targets, 600.0) == plans.faults(7, targets, 600.0)
    assert plans.faults(7, targets, 600.0) != plans.faults(8, targets, 600.0)


def test_an_image_is_the_same_whenever_it_is_made():
    first, again = (plans.lives(7, 5, EDGES, 60.0)[4] for _ in range(2))

    assert first.content() == again.content()
    assert len(first.content()) == first.size_mib * plans.MIB
    assert bytes(plans.MIB // 4) in first.content()


def test_no_target_fails_again_before_it_is_well():
    targets = plans.targets(AGENTS, EDGES)

    for name, faults in plans.faults(7, targets, 3600.0).items():
        assert len(faults) > 10
        for before, after in itertools.pairwise(faults):
            begins_s = before.at_s + before.lasts_s
            assert after.at_s >= begins_s + targets[name].well.least_s


def test_all_that_may_happen_to_an_image_does():
    lives = plans.lives(7, 200, EDGES, 600.0)
    steps = [step for life in lives for step in life.steps]

    assert any(step.wish is None for step in steps)
    wishes = [step.wish for step in steps if step.wish is not None]
    assert {wish.is_active for wish in wishes} == {True, False}
    assert {wish.is_public for wish in wishes} == {True, False}
    assert {life.first.way for life in lives} == {plans.STREAM, plans.IMPORT}
    assert {len(wish.sites(EDGES)) for wish in wishes} == {0, 1, 2, 3}
