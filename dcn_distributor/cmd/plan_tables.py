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
"""The tables of the command plan, for people and for programs."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from dcn_distributor.cmd import rendering
from dcn_distributor.core import decisions
from dcn_distributor.core import drafts
from dcn_distributor.core import forecast
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import prospects
from dcn_distributor.core import rates
from dcn_distributor.core import sites
from dcn_distributor.core import text
from dcn_distributor.core import windows


class _Record(NamedTuple):
    """All that programs are told of a copy, or of one that is not wanted."""

    image_id: str
    image_name: str
    site: str
    store: str
    link: str
    engine: str | None
    bytes: int
    policy: str | None
    reason: str
    starts: str | None = None
    ends: str | None = None
    under_way: bool = False
    stuck: bool = False
    waits: str = ''
    deadline: str | None = None
    late: bool = False
    change: str | None = None


RECORD = _Record._fields

_Cells = Sequence[object]
_Told = Callable[[str], str]
Table = tuple[Sequence[str], Sequence[_Cells]]
Sums = Mapping[str, Mapping[sites.SiteName, forecast.Sum]]


def records(
    copies: Iterable[forecast.Copy],
    gone: Iterable[drafts.Gone],
    comparison: drafts.Comparison | None,
    is_json: bool,
) -> tuple[Sequence[str], Iterator[_Cells]]:
    """Lay out everything, for programs.

    With `is_json` texts are left as they are, since the format escapes what
    is not printable.
    """
    told: _Told = str if is_json else rendering.printable

    def cells() -> Iterator[_Cells]:
        for copy in copies:
            yield _record(copy, comparison, told)
        for one in gone:
            yield _record_gone(one, told)

    return RECORD, cells()


def _record(
    copy: forecast.Copy, comparison: drafts.Comparison | None, told: _Told
) -> _Record:
    return _Record(
        *_whereabouts(copy.image, copy.decision, told),
        engine=copy.engine,
        bytes=copy.left_bytes,
        policy=copy.decision.policy,
        reason=told(copy.decision.reason),
        starts=rendering.utc(copy.starts_s),
        ends=rendering.utc(copy.ends_s),
        under_way=copy.is_under_way,
        stuck=copy.is_stuck,
        waits=told(copy.waits),
        deadline=rendering.utc(copy.due_s),
        late=copy.is_late,
        change=_change(copy, comparison),
    )


def _record_gone(one: drafts.Gone, told: _Told) -> _Record:
    return _Record(
        *_whereabouts(one.image, one.decision, told),
        engine=None,
        bytes=0,
        policy=one.decision.policy,
        reason=told(one.reason),
        change=_fate(one),
    )


def _whereabouts(
    image: images.Image, decision: decisions.Decision, told: _Told
) -> tuple[str, str, str, str, str]:
    """Give the first cells: of which image, and to where."""
    site = decision.site
    name = told(image.name)
    return image.id, name, site.name, site.store, site.link.name


def by_link(
    sums: Sums,
    all_links: Mapping[str, links.Link],
    assumptions: prospects.Assumptions,
    now_s: float,
) -> Table:
    """Lay out a line for each link that is crossed."""
    head = ('Link', 'Window', 'Rate', 'At once', 'Sites', *_TOTALS)
    return head, [
        (
            text.show(name),
            _window(all_links[name], now_s),
            _rate(all_links[name], assumptions),
            assumptions.road(all_links[name]).slots,
            len(by_site),
            *_totals(forecast.total(by_site.values())),
        )
        for name, by_site in sums.items()
    ]


def by_site(sums: Sums) -> Table:
    """Lay out a line for each site whose link others share, too."""
    return ('Site', 'Link', *_TOTALS), [
        (site, text.show(name), *_totals(total))
        for name, by_site in sums.items()
        if len(by_site) > 1
        for site, total in by_site.items()
    ]


def long(
    copies: Iterable[forecast.Copy], comparison: drafts.Comparison | None
) -> Table:
    """Lay out a line for each copy."""
    head = ('Image', 'ID', 'Site', 'Link', 'Bytes', 'Engine', 'Policy')
    change = ('Change',) if comparison is not None else ()
    return (*head, *change, 'Starts', 'Ends', 'Waits for'), [
        (
            rendering.name(copy.image),
            copy.image.id,
            copy.decision.site.name,
            text.show(copy.decision.site.link.name),
            rendering.size(copy.left_bytes),
            copy.engine or 'none',
            copy.decision.policy or 'ordered',
            *([_change(copy, comparison)] if change else []),
            _starts(copy),
            _ends(copy),
            rendering.printable(copy.waits),
        )
        for copy in copies
    ]


def gone(found: Iterable[drafts.Gone]) -> Table:
    """Lay out a line for each copy that the draft does not want."""
    return ('Image', 'ID', 'Site', 'Copy', 'Why'), [
        (
            rendering.name(one.image),
            one.image.id,
            one.decision.site.name,
            _fate(one),
            rendering.printable(one.reason),
        )
        for one in found
    ]


def summary(sums: Sums) -> str:
    """Write the line that sums everything up."""
    total = forecast.total(
        [one for by_site in sums.values() for one in by_site.values()]
    )
    if not total.copies:
        return 'Nothing is to be copied.'
    parts = [
        f'{_copies(total.copies)}, {rendering.size(total.left_bytes)}',
        *([f'last end {text.moment(total.last_s)}'] if total.last_s else []),
        *([f'{total.late} late'] if total.late else []),
        *([f'{total.unknown} end at a time unknown'] if total.unknown else []),
        *(
            [f'{total.stuck} cannot begin as things are']
            if total.stuck
            else []
        ),
    ]
    return '; '.join(parts)


def difference(
    comparison: drafts.Comparison,
    copies: Iterable[forecast.Copy],
    found: Collection[drafts.Gone],
) -> Iterator[str]:
    """Say what the draft changes, a line for each kind of change."""
    for what, changes in (
        ('sites', comparison.sites()),
        ('policies', comparison.policies()),
    ):
        for names, verb in (
            (changes.added, 'added'),
            (changes.removed, 'removed'),
            (changes.changed, 'changed'),
        ):
            if names:
                shown = text.join(map(text.show, names), 'and')
                yield f'{what} {verb}: {shown}'
    new = forecast.Sum()
    for copy in copies:
        if comparison.is_new(copy.image, copy.decision):
            new.add(copy)
    size = rendering.size(new.left_bytes)
    yield f'to be made beside those in force: {_copies(new.copies)}, {size}'
    kept = sum(one.is_there for one in found)
    dropped = len(found) - kept
    yield f'missing, and not to be made any more: {_copies(dropped)}'
    yield (
        f'there, and not wanted any more: {_copies(kept)}; nothing is '
        'deleted, they are kept'
    )


_TOTALS = ('Copies', 'Bytes', 'First start', 'Last end', 'Stuck', 'Late')


def _totals(total: forecast.Sum) -> _Cells:
    return (
        total.copies,
        rendering.size(total.left_bytes),
        '-' if total.first_s is None else text.moment(total.first_s),
        _last(total),
        total.stuck or '-',
        total.late or '-',
    )


def _last(total: forecast.Sum) -> str:
    if total.unknown:
        return 'unknown'
    return '-' if total.last_s is None else text.moment(total.last_s)


def _window(link: links.Link, now_s: float) -> str:
    if not link.windows:
        return 'always'
    if not windows.is_open(link.windows, now_s):
        return windows.describe_opening(link.windows, now_s)
    closes_s = windows.closes_at(link.windows, now_s)
    if closes_s is None:
        return 'always'
    return f'open until {text.moment(closes_s)}'


def _rate(link: links.Link, assumptions: prospects.Assumptions) -> str:
    if link.rate_bytes_s is not None:
        return rates.show(link.rate_bytes_s)
    if assumptions.rate_bytes_s is not None:
        return f'{rates.show(assumptions.rate_bytes_s)} assumed'
    return 'unknown'


def _starts(copy: forecast.Copy) -> str:
    if copy.is_under_way:
        return 'under way'
    if copy.is_stuck:
        return 'not by itself'
    return 'unknown' if copy.starts_s is None else text.moment(copy.starts_s)


def _ends(copy: forecast.Copy) -> str:
    if copy.is_stuck:
        ends = '-'
    elif copy.ends_s is None:
        ends = 'unknown'
    else:
        ends = text.moment(copy.ends_s)
    return f'{ends}, LATE' if copy.is_late else ends


def _change(
    copy: forecast.Copy, comparison: drafts.Comparison | None
) -> str | None:
    if comparison is None:
        return None
    return 'new' if comparison.is_new(copy.image, copy.decision) else 'same'


def _fate(one: drafts.Gone) -> str:
    return 'kept' if one.is_there else 'dropped'


def _copies(number: int) -> str:
    return f'{number} copy' if number == 1 else f'{number} copies'
