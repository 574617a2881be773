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
"""What a draft of sites.yaml or placement.yaml changes.

A copy that is no longer wanted is kept where it is: nothing is ever deleted
because no policy wants it. One that is missing is simply not made.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from dcn_distributor.core import decisions
from dcn_distributor.core import images
from dcn_distributor.core import policies

_Stores = frozenset[images.StoreId]


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """Names of what the draft adds, takes away and describes otherwise."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Gone:
    """A copy that is wanted by what is in force, and not by the draft.

    :ivar decision: the one in force
    :ivar reason: why the draft does not want it
    :ivar is_there: whether it is at its site, and so is kept
    """

    image: images.Image
    decision: decisions.Decision
    reason: str
    is_there: bool


class Comparison:
    """Compares what is wanted, image by image.

    :ivar gone: what was found of the images noted
    """

    def __init__(
        self, in_force: policies.PolicySet, draft: policies.PolicySet
    ) -> None:
        self._in_force = in_force
        self._draft = draft
        self.gone: list[Gone] = []
        self._wanted_before: dict[images.ImageId, _Stores] = {}
        # With the decisions, so that their ids stay their own.
        self._stores: dict[int, tuple[decisions.Decisions, _Stores]] = {}

    def sites(self) -> Changes:
        """Compare the sites, central included."""
        return _changes(
            *(
                {site.name: site for site in rules.sites.everywhere}
                for rules in (self._in_force, self._draft)
            )
        )

    def policies(self) -> Changes:
        """Compare the policies; where they stand in the file is the same."""
        return _changes(
            *(
                {
                    policy.name: dataclasses.replace(policy, origin='')
                    for policy in rules.policies
                }
                for rules in (self._in_force, self._draft)
            )
        )

    def note(self, image: images.Image) -> None:
        """Compare what is wanted of one active image."""
        before = self._in_force.decide(image)
        after = self._draft.decide(image)
        wanted_before = self._wanted(before)
        self._wanted_before[image.id] = wanted_before
        gone = wanted_before - self._wanted(after)
        if not gone or not image.is_active:
            return
        reasons = {d.site.store: d.reason for d in after.by_site}
        for decision in before.by_site:
            store = decision.site.store
            if store in gone:
                reason = reasons.get(store, 'no site of the draft has it')
                self.gone.append(
                    Gone(image, decision, reason, store in image.stores)
                )

    def is_new(
        self, image: images.Image, decision: decisions.Decision
    ) -> bool:
        """Tell whether only the draft wants a copy of an image noted."""
        wanted_before = self._wanted_before[image.id]
        return decision.wanted and decision.site.store not in wanted_before

    def _wanted(self, decided: decisions.Decisions) -> _Stores:
        known = self._stores.get(id(decided))
        if known is None:
            stores = frozenset(d.site.store for d in decided.wanted)
            known = self._stores[id(decided)] = decided, stores
        return known[1]


def _changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Changes:
    return Changes(
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(
            name
            for name, value in after.items()
            if name in before and before[name] != value
        ),
    )
