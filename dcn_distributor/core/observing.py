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
"""What can be seen of an agent from outside, as numbers.

What happens is told to an Observer; how things stand is read as a Standing.
Images never appear in either: there is no end to them.
"""

from collections.abc import Mapping
import dataclasses
import enum
from typing import Protocol

from dcn_distributor.core import placements
from dcn_distributor.core import sites

_GIB = 2**30

# By size, since a copy's time says nothing without it; up to that, each.
_SIZE_CLASSES = (
    (_GIB, '1GiB'),
    (10 * _GIB, '10GiB'),
    (100 * _GIB, '100GiB'),
)
_LARGEST = '+Inf'

SIZE_CLASSES = (*(name for _, name in _SIZE_CLASSES), _LARGEST)


class Attempt(enum.Enum):
    """What became of one copy to one site.

    ARRIVED: Glance lists it. FAILED: the store or its cluster is to blame,
    and other images may meet the same. PUT_OFF: it failed for reasons of its
    own. DOUBTED: it was refused, and is asked for once more. REFUSED: trying
    again changes nothing. HELD_UP: somebody else is at work with it.
    """

    ARRIVED = 'arrived'
    FAILED = 'failed'
    PUT_OFF = 'put_off'
    DOUBTED = 'doubted'
    REFUSED = 'refused'
    HELD_UP = 'held_up'


class Flaw(enum.Enum):
    """What a verification found.

    COPY: what arrived is not the image; it was not announced. SOURCE: what
    was read is not the image. REPAIRED: chunks that were wrong at rest were
    sent once more, and are right now.
    """

    COPY = 'copy'
    SOURCE = 'source'
    REPAIRED = 'repaired'


def size_class(size_bytes: int) -> str:
    """Tell which of SIZE_CLASSES an image belongs to."""
    for limit, name in _SIZE_CLASSES:
        if size_bytes <= limit:
            return name
    return _LARGEST


class Observer(Protocol):
    """Is told what happens. Every method MUST return at once, never raise.

    Any thread may call it.
    """

    def looked(self, seconds: float) -> None:
        """Note that an image was looked at, and how long that took."""
        ...

    def reacted(self, lag_s: float) -> None:
        """Note that the change an event told of was looked at.

        `lag_s` passed since, by the clocks of two hosts.
        """
        ...

    def attempted(self, site: str, attempt: Attempt) -> None:
        """Note what became of a copy to a site."""
        ...

    def arrived(self, method: str, size_bytes: int, seconds: float) -> None:
        """Note a copy that arrived, and how long an engine took for it."""
        ...

    def flawed(self, site: str, flaw: Flaw) -> None:
        """Note what a verification found wrong."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Census:
    """All copies as the last whole look at all images found them.

    :ivar ended_s: when that look ended, in seconds since the epoch
    :ivar replicas: how many are in each state, by site; those that are
        neither wanted nor there are left out
    :ivar desired: how many are wanted, by site
    :ivar converged_s: by site, a time in seconds since the epoch: all copies
        that were wanted then are there
    :ivar objective: by site, the longest that a copy has been missing, as a
        part of its deadline: more than 1 is late, 0 is nothing to wait for
    """

    ended_s: float
    replicas: Mapping[sites.SiteName, Mapping[placements.State, int]]
    desired: Mapping[sites.SiteName, int]
    converged_s: Mapping[sites.SiteName, float]
    objective: Mapping[sites.SiteName, float]


@dataclasses.dataclass(frozen=True, slots=True)
class LinkUse:
    """What a link of this agent carries, and may.

    :ivar crossing: how many copies are under way over it
    :ivar rate_bytes_s: what streams may take together, None for no limit
    """

    crossing: int
    rate_bytes_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How an agent stands at one moment.

    :ivar census: None before the first whole look at all images
    :ivar active: how many copies are under way to each site
    :ivar reachable: whether copies can reach each site, as far as is known
    :ivar queue_depth: how many images wait for a worker
    :ivar sent_bytes: what went to each site by each engine so far
    :ivar generation: which of the rules are in force, counted from 0
    :ivar load_errors: how often a changed file was refused
    :ivar is_refused: whether the files as they were last read are refused
    :ivar members: how many agents share the links, 0 while cut off from them
    :ivar links: the links that are this agent's, by name
    """

    census: Census | None
    active: Mapping[sites.SiteName, int]
    reachable: Mapping[sites.SiteName, bool]
    queue_depth: int
    sent_bytes: Mapping[tuple[str, str], int]
    generation: int
    load_errors: int
    is_refused: bool
    members: int
    links: Mapping[str, LinkUse]


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be right, whether it is, and why."""

    name: str
    is_good: bool
    reason: str
