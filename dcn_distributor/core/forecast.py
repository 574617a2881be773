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
"""The forecast: which copies will be made, over which link, and when.

It begins with the matrix of images and sites as it stands: whatever is wanted
and missing, or under way, is a copy to come. Each link is then played on its
own (see crossings.py). So what links have in common is left out: the slots of
the engines, and how fast the source can be read. And nothing is foreseen but
what is known now: no new image, no failure, no word of an operator.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import math
import operator
from typing import NamedTuple

from dcn_distributor.core import choosing
from dcn_distributor.core import crossings
from dcn_distributor.core import decisions
from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import placements
from dcn_distributor.core import policies
from dcn_distributor.core import prospects
from dcn_distributor.core import sites
from dcn_distributor.core import text


# Made by the million, and tuples in half the time.
class Copy(NamedTuple):
    """One copy to come.

    :ivar left_bytes: what it has to carry at most; a stream leaves out what
        is empty
    :ivar engine: None if none can serve
    :ivar starts_s: in seconds since the epoch; None if that is unknown, or
        never by itself; now, if it is under way
    :ivar ends_s: the same of its end
    :ivar waits: for what, empty if for nothing
    :ivar is_stuck: whether it never begins by itself
    :ivar is_late: whether it misses its deadline, as far as is known
    """

    image: images.Image
    decision: decisions.Decision
    left_bytes: int
    engine: str | None
    starts_s: float | None
    ends_s: float | None
    waits: str
    is_stuck: bool = False
    is_under_way: bool = False
    is_late: bool = False

    @property
    def due_s(self) -> float | None:
        """When it should be there, None if nobody says."""
        return prospects.due_s(self.image, self.decision)


@dataclasses.dataclass(slots=True)
class Sum:
    """What copies come to together.

    :ivar first_s: when the first begins, of those that is known of
    :ivar last_s: the same of the last end
    :ivar unknown: how many end nobody knows when
    :ivar stuck: how many never begin by themselves
    """

    copies: int = 0
    left_bytes: int = 0
    first_s: float | None = None
    last_s: float | None = None
    unknown: int = 0
    stuck: int = 0
    late: int = 0

    def add(self, copy: Copy) -> None:
        """Count one more."""
        self.copies += 1
        self.left_bytes += copy.left_bytes
        self.stuck += copy.is_stuck
        self.late += copy.is_late
        self.unknown += copy.ends_s is None and not copy.is_stuck
        starts_s, ends_s = copy.starts_s, copy.ends_s
        if starts_s and (self.first_s is None or starts_s < self.first_s):
            self.first_s = starts_s
        if ends_s and (self.last_s is None or ends_s > self.last_s):
            self.last_s = ends_s


def sums(
    copies: Iterable[Copy],
) -> dict[str, dict[sites.SiteName, Sum]]:
    """Sum copies up, by the name of the link and that of the site."""
    found: dict[str, dict[sites.SiteName, Sum]] = {}
    for copy in copies:
        site = copy.decision.site
        by_site = found.setdefault(site.link.name, {})
        total = by_site.get(site.name)
        if total is None:
            total = by_site[site.name] = Sum()
        total.add(copy)
    return found


def total(parts: Collection[Sum]) -> Sum:
    """Sum sums up."""
    firsts = [one.first_s for one in parts if one.first_s is not None]
    lasts = [one.last_s for one in parts if one.last_s is not None]
    return Sum(
        sum(one.copies for one in parts),
        sum(one.left_bytes for one in parts),
        min(firsts, default=None),
        max(lasts, default=None),
        sum(one.unknown for one in parts),
        sum(one.stuck for one in parts),
        sum(one.late for one in parts),
    )


_BY_RANK = operator.attrgetter('rank.urgency', 'rank.due_s', 'rank.size_bytes')


def forecast(
    rows: Iterable[matrix.Row],
    policy_set: policies.PolicySet,
    assumptions: prospects.Assumptions,
    now: float,
) -> list[Copy]:
    """Foresee all copies of some rows, those that begin first at first."""
    judge = prospects.Prospects(policy_set, assumptions, now)
    by_link: dict[str, list[prospects.Missing]] = {}
    for row in rows:
        for missing in judge.of(row):
            link = missing.placement.decision.site.link
            by_link.setdefault(link.name, []).append(missing)
    copies: list[Copy] = []
    for name in [*by_link]:
        copies += _cross(by_link.pop(name), assumptions, now)
    copies.sort(key=_start)
    return copies


def _start(copy: Copy) -> float:
    return math.inf if copy.starts_s is None else copy.starts_s


def _cross(
    waiting: Sequence[prospects.Missing],
    assumptions: prospects.Assumptions,
    now: float,
) -> Iterator[Copy]:
    """Foresee the copies over one link, in the order of their ranks."""
    link = waiting[0].placement.decision.site.link
    waiting = sorted(waiting, key=_BY_RANK)
    engines = [_engine(missing) for missing in waiting]
    jobs = [
        _job(missing, engine, now)
        for missing, engine in zip(waiting, engines, strict=True)
    ]
    trips = crossings.trips(jobs, assumptions.road(link), now)
    turn = f'its turn on link {text.show(link.name)}'
    for missing, engine, job, trip in zip(
        waiting, engines, jobs, trips, strict=True
    ):
        decision = missing.placement.decision
        due_s = prospects.due_s(missing.image, decision)
        has_begun = job.is_under_way or trip.starts_s == now
        yield Copy(
            missing.image,
            decision,
            int(job.left_bytes),
            engine,
            trip.starts_s,
            trip.ends_s,
            '' if has_begun else _obstacle(missing, job, now) or turn,
            job.not_before_s == math.inf and not job.is_under_way,
            job.is_under_way,
            due_s is not None and due_s < (trip.ends_s or now),
        )


def _engine(missing: prospects.Missing) -> str | None:
    """Name the engine, that of a copy under way if it is known."""
    placement = missing.placement
    if placement.state is not placements.State.COPYING:
        return missing.prospect.engine
    is_import = placement.lane is None
    return choosing.COPY_IMAGE if is_import else choosing.RBD_STREAM


def _obstacle(
    missing: prospects.Missing, job: crossings.Job, now: float
) -> str:
    """Say what is in the way beside other copies, if anything."""
    if missing.prospect.reason:
        return missing.prospect.reason
    return missing.placement.reason if job.not_before_s > now else ''


def _job(
    missing: prospects.Missing, engine: str | None, now: float
) -> crossings.Job:
    placement, prospect = missing.placement, missing.prospect
    is_import = engine == choosing.COPY_IMAGE
    is_copying = placement.state is placements.State.COPYING
    setback = placement.setback
    tries_s = now if setback is None else setback.next_try_s
    if setback is not None and setback.is_permanent:
        tries_s = math.inf
    # Whatever keeps new copies away, an import that has begun goes on.
    is_broken_off = (
        not is_import and prospect.breaks_off and prospect.opens_s > now
    )
    size_bytes = missing.image.size_bytes or 0
    return crossings.Job(
        max(0, size_bytes - (placement.copied_bytes or 0)),
        max(prospect.opens_s, tries_s),
        is_import,
        is_copying and not is_broken_off,
        prospect.cap_bytes_s,
    )
