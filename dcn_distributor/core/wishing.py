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
"""The terms of several policies for the copies of an image, put together.

Sites are bits of a number here, by their place in sites.yaml: a set of
hundreds of them is cut in less time than it takes to look at one.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from dcn_distributor.core import rates
from dcn_distributor.core import transfers


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What policies say of the copies they want.

    :ivar wishes: how an image is to travel
    :ivar tolerates: keys of the taints that keep no copy away
    :ivar deadline_s: how long a copy may take from the image's creation on
    """

    wishes: transfers.Wishes = transfers.NO_WISHES
    tolerates: frozenset[str] = frozenset()
    deadline_s: float | None = None

    def filled_from(self, others: 'Terms') -> 'Terms':
        """Return these, and those of `others` where these say nothing.

        What is tolerated adds up.
        """
        return Terms(
            self.wishes.filled_from(others.wishes),
            self.tolerates | others.tolerates,
            self.deadline_s or others.deadline_s,
        )


NO_TERMS = Terms()


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """The sites that a policy wants, and its terms for all of them."""

    sites: int
    terms: Terms


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Sites that one policy decides, on the same terms.

    `decider` is the place of its claim.
    """

    decider: int
    terms: Terms
    sites: int


_Parts = Mapping[tuple[int, Terms], int]


def spread(claims: Sequence[Claim], denied: int) -> Iterator[Part]:
    """Part the sites that are wanted and not `denied`, without overlap.

    `claims` are from the highest precedence to the lowest: the first that
    wants a site decides it, and for each term the first that has it counts;
    what is tolerated adds up.
    """
    left = ~denied
    parts: _Parts = {}
    for place, claim in enumerate(claims):
        parts = {**parts, (place, NO_TERMS): claim.sites & left}
        left &= ~claim.sites
    for claim in claims:
        if claim.terms != NO_TERMS:
            parts = _fill(parts, claim)
    for (decider, terms), here in parts.items():
        if here:
            yield Part(decider, terms, here)


def words(wishes: transfers.Wishes) -> Mapping[str, str]:
    """Write the wishes as placement.yaml has them, key by key."""
    choices = {
        'engine': wishes.engine,
        'source': wishes.source,
        'verify': wishes.verify,
    }
    told = {key: choice.value for key, choice in choices.items() if choice}
    if wishes.rate_bytes_s is not None:
        told['rate'] = rates.show(wishes.rate_bytes_s)
    return told


def places(sites: int) -> Iterator[int]:
    """Name the bits that are set, ascending."""
    while sites:
        lowest = sites & -sites
        yield lowest.bit_length() - 1
        sites ^= lowest


def _fill(parts: _Parts, claim: Claim) -> _Parts:
    """Let a claim say what those before it left open, where it reaches."""
    filled: dict[tuple[int, Terms], int] = {}
    for (decider, known), here in parts.items():
        reached = here & claim.sites
        for terms, sites in (
            (known.filled_from(claim.terms), reached),
            (known, here ^ reached),
        ):
            if sites:
                key = decider, terms
                filled[key] = filled.get(key, 0) | sites
    return filled
