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
"""What keeps copies from a site for now, though it should have them.

Operators say so: by the windows of its link, by taints in sites.yaml, and by
word (see pauses.py). And with several agents each link is one agent's own.

An order of an operator goes outside windows, and in spite of a taint that
keeps new copies away; nothing else stops being in its way.
"""

from collections.abc import Mapping
import dataclasses
import functools
import math
from types import MappingProxyType

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import sites
from dcn_distributor.core import windows


@dataclasses.dataclass(frozen=True, slots=True)
class Closure:
    """Why no copy to a site begins now.

    :ivar breaks_off: streams under way are broken off, to go on later
    :ivar is_elsewhere: another agent has the copy in hand
    """

    reason: str
    breaks_off: bool = False
    is_elsewhere: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What holds at a moment beside sites.yaml and the policies.

    :ivar elsewhere: why a link is not this agent's, by its name
    """

    pauses: all_pauses.Pauses = all_pauses.NONE
    elsewhere: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )


ALONE = Standing()


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """One copy that should be made.

    :ivar resting: the word on its policies, if all of them rest
    :ivar is_order: whether an operator ordered it
    """

    decision: decisions.Decision
    image_id: images.ImageId
    size_bytes: int
    resting: all_pauses.Word | None = None
    is_order: bool = False


def closure(copy: Copy, standing: Standing, now: float) -> Closure | None:
    """Tell what keeps a copy by any engine from its site, if anything."""
    site = copy.decision.site
    away = standing.elsewhere.get(site.link.name)
    if away is not None:
        return Closure(away, breaks_off=True, is_elsewhere=True)
    word = _word(copy, standing.pauses)
    if word is not None:
        return Closure(word.reason(), breaks_off=True)
    return _taint(copy, now) or _window(copy, site.link, now)


def opens_s(copy: Copy, standing: Standing, now: float) -> float:
    """Return when nothing but windows will be in a copy's way.

    In seconds since the epoch; infinite if that takes somebody's word.
    """
    if (
        copy.decision.site.link.name in standing.elsewhere
        or _word(copy, standing.pauses) is not None
    ):
        return math.inf
    ends = [
        math.inf if taint.until_s is None else taint.until_s
        for taint in _taints(copy, now)
    ]
    return max([now, *ends])


def of_site(
    site: sites.Site, standing: Standing, now: float
) -> Closure | None:
    """Tell what keeps all copies from a site, whatever their policies."""
    can_be_closed = (
        site.link.windows
        or site.taints
        or standing.elsewhere
        or standing.pauses.words
    )
    if not can_be_closed:
        return None
    decision = decisions.Decision(site, True, None, '')
    return closure(Copy(decision, images.ImageId(''), 0), standing, now)


def too_long(copy: Copy, engine: str, now: float) -> Closure | None:
    """Tell why an import has to wait for a longer window, if it has to.

    An import cannot be slowed, nor broken off. So it begins only if it can
    be over, at the rate of its link, when the window closes; unless it fits
    into no window at all.
    """
    link = copy.decision.site.link
    if (
        engine != histories.COPY_IMAGE
        or link.rate_bytes_s is None
        or copy.is_order
    ):
        return None
    closes_s = windows.closes_at(link.windows, now)
    needs_s = copy.size_bytes / link.rate_bytes_s
    if closes_s is None or now + needs_s <= closes_s:
        return None
    if needs_s > windows.longest_s(link.windows, now):
        return None
    opening = windows.describe_opening(link.windows, closes_s)
    return Closure(
        f'an import of {needs_s / 60:.0f} min, at the rate of link '
        f'{link.name}, does not end before the window closes; {opening}'
    )


def _word(copy: Copy, pauses: all_pauses.Pauses) -> all_pauses.Word | None:
    site = copy.decision.site
    return (
        pauses.of(all_pauses.Kind.IMAGE, copy.image_id)
        or pauses.of(all_pauses.Kind.SITE, site.name)
        or pauses.of(all_pauses.Kind.LINK, site.link.name)
        or copy.resting
    )


def _taint(copy: Copy, now: float) -> Closure | None:
    """Judge by the taints, those that drain the site first."""
    taints = _taints(copy, now)
    for taint in taints:
        if taint.effect is links.Effect.DRAIN:
            return Closure(str(taint), breaks_off=True)
    return Closure(str(taints[0])) if taints else None


def _taints(copy: Copy, now: float) -> list[links.Taint]:
    """List the taints that keep a copy away."""
    return [
        taint
        for taint in copy.decision.site.taints
        if taint.is_active(now)
        and taint.key not in copy.decision.tolerates
        and not (copy.is_order and taint.effect is links.Effect.NO_NEW)
    ]


def _window(copy: Copy, link: links.Link, now: float) -> Closure | None:
    if copy.is_order or not link.windows:
        return None
    return _closed_window(link.windows, math.floor(now / 60))


@functools.lru_cache(1024)
def _closed_window(
    link_windows: tuple[windows.Window, ...], minute: int
) -> Closure | None:
    """Judge by windows, which open and close with a minute.

    It is the same for all images, and takes as long as all the rest.
    """
    now = minute * 60.0
    if windows.is_open(link_windows, now):
        return None
    opening = windows.describe_opening(link_windows, now)
    return Closure(opening, breaks_off=True)
