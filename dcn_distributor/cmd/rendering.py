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
"""How operators' commands write things: sizes, times, states, reasons.

Everything that comes from outside passes through here or through core.text
before it is printed: names of images are their owners' to choose.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import datetime

from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import rosters
from dcn_distributor.core import sites
from dcn_distributor.core import text

_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')
# As wide as the id that may stand below it.
_NAME_LENGTH = 36
_FEW = 4


def printable(value: str) -> str:
    """Escape all that a terminal could take for more than a letter."""
    if value.isprintable():
        return value
    return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in value)


def name(image: images.Image) -> str:
    """Write an image's name, quoted if it is not a plain word, and short."""
    shown = text.show(image.name) if image.name else '(no name)'
    if len(shown) > _NAME_LENGTH:
        return f'{shown[: _NAME_LENGTH - 3]}...'
    return shown


def size(size_bytes: int | None) -> str:
    """Write a size: ``118 MiB``, ``1.5 GiB``; a question mark for None."""
    if size_bytes is None:
        return '?'
    value = float(size_bytes)
    unit = 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    digits = 1 if unit and value < 10 else 0
    return f'{value:.{digits}f} {_UNITS[unit]}'.replace('.0 ', ' ')


def count(number: int, singular: str) -> str:
    """Write a number of things."""
    return f'{number} {singular}' if number == 1 else f'{number} {singular}s'


def duration(seconds: float) -> str:
    """Write how long something takes: ``4.2 s``, ``3 min 20 s``, ``2 h``."""
    if seconds < 60:
        return f'{seconds:.1f} s' if seconds < 10 else f'{seconds:.0f} s'
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f'{minutes} min {rest_s} s'
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min'


def share(done_bytes: int, size_bytes: int) -> str:
    """Write how much of something is done: ``43 %, 118 MiB of 274 MiB``."""
    percent = done_bytes * 100 // size_bytes if size_bytes else 100
    return f'{percent} %, {size(done_bytes)} of {size(size_bytes)}'


def clock(when_s: float, now_s: float, zone: datetime.tzinfo | None) -> str:
    """Write a time of day, with the date if it is not today's."""
    when = datetime.datetime.fromtimestamp(when_s, zone)
    today = datetime.datetime.fromtimestamp(now_s, zone).date()
    return f'{when:%H:%M}' if when.date() == today else f'{when:%m-%d %H:%M}'


def moment(when_s: float, now_s: float, zone: datetime.tzinfo | None) -> str:
    """Write a time of day to the second, with the date if not today's."""
    when = datetime.datetime.fromtimestamp(when_s, zone)
    return f'{clock(when_s, now_s, zone)}:{when:%S}'


def utc(when_s: float | None) -> str | None:
    """Write a time for programs, as ISO 8601 in UTC."""
    if when_s is None:
        return None
    when = datetime.datetime.fromtimestamp(when_s, datetime.timezone.utc)
    return f'{when:%Y-%m-%dT%H:%M:%SZ}'


def state(placement: placements.Placement) -> str:
    """Write a state so that what is wrong stands out without colour."""
    if placement.state is placements.State.FAILED:
        return 'FAILED'
    if placement.state is placements.State.UNWANTED:
        return '-'
    if placement.is_extra:
        return f'{placement.state.value}*'
    return str(placement.state.value)


def progress(image: images.Image, placement: placements.Placement) -> str:
    """Write how far a copy is; empty if Glance has not said."""
    copied = placement.copied_bytes
    if copied is None:
        return ''
    if not image.size_bytes:
        return size(copied)
    # Not before Glance lists the store is a copy whole.
    percent = min(99, copied * 100 // image.size_bytes)
    told = f'{percent} %, {size(copied)} of {size(image.size_bytes)}'
    lane = placement.lane
    if lane is not None and lane.rate_bytes_s:
        told += f', {size(int(lane.rate_bytes_s))}/s'
    if lane is not None and lane.eta_s is not None:
        told += f', {duration(lane.eta_s)} left'
    return told


def cell(image: images.Image, placement: placements.Placement) -> str:
    """Write a cell of the matrix: the state, and the percentage."""
    percent = progress(image, placement).partition(',')[0]
    return f'{state(placement)} {percent}'.rstrip()


def tries(
    placement: placements.Placement,
    now_s: float,
    zone: datetime.tzinfo | None,
) -> str:
    """Write which try comes when; empty if nobody knows."""
    setback = placement.setback
    if setback is None or placement.state is placements.State.COPYING:
        return ''
    if setback.is_permanent and setback.is_refused:
        return (
            'no further try until image, policies or sites change, or the '
            'command resync or copy asks for one'
        )
    if setback.is_permanent:
        return 'tried as soon as this is put right'
    when = _when(setback.next_try_s, now_s, zone)
    return f'try {setback.failures + 1} {when}'


def finding(
    found: matrix.Finding, now_s: float, zone: datetime.tzinfo | None
) -> str:
    """Write one line on placements that are not in order."""
    is_one = len(found.image_ids) == len(found.site_names) == 1
    about = []
    if is_one:
        about.append(progress(found.row.image, found.one))
        about.append(tries(found.one, now_s, zone))
    elif found.next_try_s is not None:
        about.append(f'next try {_when(found.next_try_s, now_s, zone)}')
    about.append(printable(found.reason))
    told = ': '.join(part for part in about if part)
    return (
        f'{state(found.one):8} {_of_images(found)} '
        f'{_at_sites(list(found.site_names))}: {told}'
    )


def obstacles(
    memory: memories.Memory, all_sites: Iterable[sites.Site]
) -> list[str]:
    """Write what keeps rbd-stream from sites, a line for each obstacle."""
    found: dict[str, list[str]] = {}
    for site in all_sites:
        for obstacle in memory.obstacles.get(site.store, ()):
            found.setdefault(obstacle, []).append(site.name)
    return [
        f'{_at_sites(names).removeprefix("at ")}: rbd-stream cannot serve: '
        f'{printable(obstacle)}'
        for obstacle, names in found.items()
    ]


def on_hosts(hosts: Sequence[str]) -> str:
    """Write which agents: ``agent on a``, or ``agents on a and b``."""
    shown = printable(text.join(hosts, 'and'))
    return f'agent on {shown}' if len(hosts) == 1 else f'agents on {shown}'


def gaps(roster: rosters.Roster) -> list[str]:
    """Write what is missing since agents do not answer, or are cut off."""
    lines = []
    for name in roster.silent:
        has = roster.links_of(name)
        of = f', which has {_links(has)},' if has else ''
        lines.append(
            f'warning: agent {text.show(name)}{of} does not answer: what it '
            'does and knows is missing here'
        )
    if roster.problem is not None:
        lines.append(f'warning: {printable(roster.problem)}')
    return lines


def agents(roster: rosters.Roster) -> str:
    """Write who has which link; empty if there is but one agent."""
    if len(roster.names) < 2:
        return ''
    told = []
    for name in roster.names:
        has = roster.links_of(name)
        links = ', '.join(map(text.show, has[:_FEW]))
        if len(has) > _FEW:
            links += f', {len(has) - _FEW} more'
        silent = '; silent' if name in roster.silent else ''
        told.append(f'{text.show(name)} ({links or "no link"}{silent})')
    return f'agents: {", ".join(told)}'


def totals(summed: matrix.Totals, site_count: int) -> str:
    """Write the line that sums everything up."""
    tally = summed.tally
    counts = [
        f'{number} {word}'
        for number, word in (
            (tally.failed, 'FAILED'),
            (tally.copying, 'copying'),
            (tally.absent, 'absent'),
        )
        if number
    ]
    left = f'; {size(tally.bytes_left)} left' if tally.bytes_left else ''
    extra = f'; {tally.extra} present* and not wanted' if tally.extra else ''
    return (
        f'{count(summed.images, "image")}, {count(site_count, "site")}: '
        f'{tally.present} of {tally.wanted} wanted copies present'
        f'{"".join(f", {c}" for c in counts)}{left}{extra}'
    )


def _when(when_s: float, now_s: float, zone: datetime.tzinfo | None) -> str:
    return 'due' if when_s <= now_s else f'at {clock(when_s, now_s, zone)}'


def _links(names: Sequence[str]) -> str:
    shown = text.join(map(text.show, names), 'and')
    return f'link {shown}' if len(names) == 1 else f'links {shown}'


def _of_images(found: matrix.Finding) -> str:
    if len(found.image_ids) == 1:
        return f'{name(found.row.image)} ({found.row.image.id})'
    return count(len(found.image_ids), 'image')


def _at_sites(names: list[str]) -> str:
    if len(names) > _FEW:
        return f'at {len(names)} sites'
    return f'at {text.join(names, "and")}'
