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
"""Which copies rest since all policies that want them are paused."""

from collections.abc import Mapping

from dcn_distributor.core import decisions
from dcn_distributor.core import images
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import policies


def words(
    image: images.Image,
    decided: decisions.Decisions,
    pauses: all_pauses.Pauses,
    all_policies: policies.PolicySet,
) -> Mapping[images.StoreId, all_pauses.Word]:
    """Name the stores that only policies want which are paused."""
    names = pauses.policies()
    if not names:
        return {}
    awake = all_policies.without(names).decide(image)
    return {
        decision.site.store: _word(decision, pauses)
        for decision, wanted in zip(
            decided.by_site, awake.by_site, strict=True
        )
        if decision.wanted and not wanted.wanted
    }


def _word(
    decision: decisions.Decision, pauses: all_pauses.Pauses
) -> all_pauses.Word:
    """The word on the policy that a decision names, or on another."""
    kind = all_pauses.Kind.POLICY
    word = pauses.of(kind, decision.policy or '')
    return word or next(one for one in pauses if one.kind is kind)
