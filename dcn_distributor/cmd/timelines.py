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
"""How operators' commands write what last happened to an image."""

from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import itertools

from dcn_distributor.cmd import rendering
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import text
from dcn_distributor.core import transitions

# More than that are for who asks for all.
MOST = 20


def lines(
    timeline: transitions.Timeline,
    all_sites: Iterable[sites.Site],
    most: int | None,
    now_s: float,
    zone: datetime.tzinfo | None,
) -> list[str]:
    """Write what happened at some sites, the newest last.

    At most the last `most` of it, None for all.
    """
    seen = _seen(timeline, now_s, zone)
    names = {site.store: site.name for site in all_sites}
    happened = sorted(
        (
            (entry, name)
            for store, name in names.items()
            for entry in timeline.entries.get(store, ())
        ),
        key=lambda pair: pair[0].at_s,
    )
    if not happened:
        return [f'Timeline: nothing, {seen}']
    shown = happened if most is None else happened[-most:]
    told = [f'Timeline, {seen}:']
    forgotten = sum(timeline.forgotten.get(store, 0) for store in names)
    if forgotten:
        told.append(
            f'  {rendering.count(forgotten, "earlier change")} forgotten'
        )
    if len(shown) < len(happened):
        told.append(f'  {len(happened) - len(shown)} before; --long shows all')
    table = [_cells(entry, name, now_s, zone) for entry, name in shown]
    return [*told, *_aligned(table)]


def plain(
    timeline: transitions.Timeline, site: sites.Site
) -> list[dict[str, object]]:
    """Give what happened at a site, for programs."""
    return [
        {
            'time': rendering.utc(entry.at_s),
            'state': entry.state,
            'engine': entry.engine,
            'seconds': round(entry.seconds, 3),
            'sent_bytes': entry.sent_bytes,
            'attempt': entry.attempt,
            'error': entry.error,
            'reason': entry.reason,
            'trace_id': entry.trace,
            'agent': entry.host,
        }
        for entry in timeline.entries.get(site.store, ())
    ]


def short(timeline: transitions.Timeline, site: sites.Site) -> str:
    """Write what happened at a site in one line, for csv and value."""
    return '; '.join(
        f'{rendering.utc(entry.at_s)} {entry.state} {entry.engine}: '
        f'{rendering.printable(entry.reason)}'
        for entry in timeline.entries.get(site.store, ())
    )


def _seen(
    timeline: transitions.Timeline, now_s: float, zone: datetime.tzinfo | None
) -> str:
    """Say who saw it, and since when: before that nobody was looking."""
    since = [
        f'{text.show(host)} since {rendering.moment(since_s, now_s, zone)}'
        for host, since_s in timeline.since_s.items()
    ]
    if not since:
        return 'as far as known'
    return f'as seen by {text.join(since, "and")}'


def _cells(
    entry: transitions.Entry,
    site_name: str,
    now_s: float,
    zone: datetime.tzinfo | None,
) -> list[str]:
    is_failed = entry.state == placements.State.FAILED.value
    is_begin = entry.state == placements.State.COPYING.value
    took = '' if is_begin else rendering.duration(entry.seconds)
    if entry.attempt > 1:
        took = f'try {entry.attempt} {took}'.rstrip()
    return [
        rendering.moment(entry.at_s, now_s, zone),
        site_name,
        'FAILED' if is_failed else rendering.printable(entry.state),
        rendering.printable(entry.engine),
        took,
        _sent(entry),
        rendering.printable(entry.reason),
    ]


def _sent(entry: transitions.Entry) -> str:
    if not entry.sent_bytes:
        return ''
    return f'{rendering.size(entry.sent_bytes)} sent'


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Set rows in columns; one that is empty throughout takes no room."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '
        + '  '.join(
            cell.ljust(width)
            for cell, width in itertools.compress(
                zip(row, widths, strict=True), widths
            )
        ).rstrip()
        for row in rows
    ]
