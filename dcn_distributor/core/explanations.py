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
"""Why the policies decide as they do for one image, in full."""

import dataclasses

from dcn_distributor.core import decisions
from dcn_distributor.core import matching


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyExplanation:
    """What one policy found in the image, condition by condition.

    `origin` is where the policy stands, as ``FILE:LINE``.
    """

    policy: str
    origin: str
    priority: int
    deny: bool
    checks: tuple[matching.Check, ...]

    @property
    def matches(self) -> bool:
        """True if every condition holds."""
        return all(check.holds for check in self.checks)

    @property
    def failed(self) -> tuple[matching.Check, ...]:
        """Why it does not match: every condition that does not hold."""
        return tuple(check for check in self.checks if not check.holds)


@dataclasses.dataclass(frozen=True, slots=True)
class WishExplanation:
    """One wish of the way there, such as ``engine rbd-stream``, and whose."""

    key: str
    value: str
    policy: str

    def __str__(self) -> str:
        return f'{self.key} {self.value} by {self.policy}'


@dataclasses.dataclass(frozen=True, slots=True)
class SiteExplanation:
    """The decision for one site, and every matching policy's say in it.

    Policies are named highest priority first, ties by name; a policy that
    matches and is in none of the three does not select the site. `wishes`
    are those of the decision.
    """

    decision: decisions.Decision
    wanted_by: tuple[str, ...]
    denied_by: tuple[str, ...]
    excluded_by: tuple[str, ...]
    wishes: tuple[WishExplanation, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """All sites in the order of sites.yaml, all policies by precedence."""

    priority: int
    sites: tuple[SiteExplanation, ...]
    policies: tuple[PolicyExplanation, ...]
