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
"""How copies that are missing stand before any link is looked at.

By which engine they would go, from when on, and in what order.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import math
from types import MappingProxyType
from typing import NamedTuple

from dcn_distributor.core import choosing
from dcn_distributor.core import crossings
from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import matrix
from dcn_distributor.core import pauses
from dcn_distributor.core import placements
from dcn_distributor.core import policies
from dcn_distributor.core import queueing
from dcn_distributor.core import resting

_Obstacles = Mapping[images.StoreId, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for granted of the agents.

    :ivar slots: copies at once over a link that does not say
    :ivar rate_bytes_s: of a link that does not say; None for unknown
    :ivar stream_rate_bytes_s: of one stream, where no policy says
    :ivar obstacles: what keeps rbd-stream from a store
    """

    known_stores: frozenset[images.StoreId]
    options: choosing.Options
    standing: gates.Standing = gates.ALONE
    slots: int = 1
    rate_bytes_s: float | None = None
    stream_rate_bytes_s: float | None = None
    obstacles: _Obstacles = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    def road(self, link: links.Link) -> crossings.Road:
        """What a link is like, by its own words or these."""
        return crossings.Road(
            self.slots if link.transfers is None else link.transfers,
            link.rate_bytes_s or self.rate_bytes_s,
            link.windows,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Prospect:
    """What all images have in common that share a decision on a site.

    :ivar opens_s: when only the windows will be in the way, infinite if
        never by itself
    """

    engine: str | None
    opens_s: float
    reason: str
    breaks_off: bool
    cap_bytes_s: float


# Made by the million, and tuples in half the time.
class Missing(NamedTuple):
    """One copy to come, and how it stands; under way, maybe."""

    image: images.Image
    placement: placements.Placement
    prospect: Prospect
    rank: queueing.Rank


class Prospects:
    """Judges what is missing. What decisions share is worked out once."""

    def __init__(
        self,
        policy_set: policies.PolicySet,
        assumptions: Assumptions,
        now: float,
    ) -> None:
        self._policies = policy_set
        self._assumptions = assumptions
        self._now = now
        # With the decision, so that its id stays its own.
        self._known: dict[int, tuple[decisions.Decision, Prospect]] = {}

    def of(self, row: matrix.Row) -> Iterator[Missing]:
        """Yield what one image lacks, and what is under way."""
        image = row.image
        cells = row.telling
        if not image.is_active or not cells:
            return
        decided = self._policies.decide(image)
        pauses_now = self._assumptions.standing.pauses
        words = resting.words(image, decided, pauses_now, self._policies)
        is_held = pauses_now.of(pauses.Kind.IMAGE, image.id) is not None
        ranks: dict[float | None, queueing.Rank] = {}
        for cell in cells:
            decision = cell.decision
            word = words.get(decision.site.store)
            if is_held or word is not None:
                prospect = self._judge(image, decision, word)
            else:
                prospect = self._shared(image, decision)
            deadline_s = decision.deadline_s
            if deadline_s not in ranks:
                ranks[deadline_s] = queueing.Rank.of(
                    decided.priority,
                    image.size_bytes,
                    due_s(image, decision),
                )
            yield Missing(image, cell, prospect, ranks[deadline_s])

    def _shared(
        self, image: images.Image, decision: decisions.Decision
    ) -> Prospect:
        known = self._known.get(id(decision))
        if known is None:
            known = decision, self._judge(image, decision, None)
            self._known[id(decision)] = known
        return known[1]

    def _judge(
        self,
        image: images.Image,
        decision: decisions.Decision,
        word: pauses.Word | None,
    ) -> Prospect:
        """Judge one copy; but for `word`, and one on the image, for all."""
        assumptions, now = self._assumptions, self._now
        store = decision.site.store
        choice = self._choose(decision)
        copy = gates.Copy(decision, image.id, image.size_bytes or 0, word)
        closure = gates.closure(copy, assumptions.standing, now)
        opens_s = gates.opens_s(copy, assumptions.standing, now)
        reason = '' if closure is None else closure.reason
        if choice.engine is None:
            opens_s, reason = math.inf, choice.reason
        if store not in assumptions.known_stores:
            opens_s, reason = math.inf, f'Glance has no store {store}'
        cap = math.inf
        if choice.engine == choosing.RBD_STREAM:
            cap = (
                decision.wishes.rate_bytes_s
                or assumptions.stream_rate_bytes_s
                or math.inf
            )
        breaks_off = closure is not None and closure.breaks_off
        return Prospect(choice.engine, opens_s, reason, breaks_off, cap)

    def _choose(self, decision: decisions.Decision) -> choosing.Choice:
        site = decision.site
        obstacles = self._assumptions.obstacles.get(site.store, ())
        if site.cluster is None:
            obstacles = (f'sites.yaml has no cluster for {site.name}',)
        return choosing.choose(
            decision.wishes.engine,
            self._assumptions.options,
            choosing.Circumstances(stream_obstacles=obstacles),
        )


def due_s(image: images.Image, decision: decisions.Decision) -> float | None:
    """Return when a copy should be there, None if nobody says."""
    if decision.deadline_s is None:
        return None
    return image.created_at_s + decision.deadline_s
