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
"""The tables of the command status: for people, by width, and for programs.

1. The matrix: a column for each site.
2. Sums, where that is too wide: a column for each state.
3. The long form: a line for each image and site.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import timelines
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import transitions

RECORD = (
    'image_id',
    'image_name',
    'site',
    'store',
    'state',
    'wanted',
    'policy',
    'reason',
    'copied_bytes',
    'size_bytes',
    'next_try',
    'phase',
    'rate_bytes_s',
    'eta_s',
    'obstacles',
    'timeline',
)

# As many columns as still read well where nobody knows the width.
_MOST_COLUMNS = 12

_Cells = Sequence[object]
Table = tuple[Sequence[str], Iterable[_Cells]]


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One image of the table, counted."""

    row: matrix.Row
    tally: matrix.Tally


def records(
    lines: Iterable[Line],
    states: Collection[str],
    memory: memories.Memory,
    timeline: transitions.Timeline | None,
    is_json: bool,
) -> Table:
    """Lay out everything, for programs.

    With `is_json` texts are left as they are, since the format escapes what
    is not printable. Obstacles are those of rbd-stream with the site. The
    timeline is that of the only image.
    """

    def text(value: str) -> str:
        return value if is_json else rendering.printable(value)

    tell = timelines.plain if is_json else timelines.short

    def cells() -> Iterator[_Cells]:
        for line, placement in _placements(lines, states):
            image, decision = line.row.image, placement.decision
            lane = placement.lane
            found = memory.obstacles.get(decision.site.store, ())
            obstacles = [text(obstacle) for obstacle in found]
            yield (
                image.id,
                text(image.name),
                decision.site.name,
                decision.site.store,
                placement.state.value,
                decision.wanted,
                decision.policy,
                text(placement.reason),
                placement.copied_bytes,
                image.size_bytes,
                rendering.utc(placement.next_try_s),
                lane and lane.phase.value,
                lane and round(lane.rate_bytes_s),
                lane and lane.eta_s and round(lane.eta_s, 1),
                obstacles if is_json else '; '.join(obstacles),
                timeline and tell(timeline, decision.site),
            )

    return RECORD, cells()


def long(
    lines: Iterable[Line], states: Collection[str], now_s: float
) -> Table:
    """Lay out one line for each image and site, for people."""
    cells = (
        (
            rendering.name(line.row.image),
            line.row.image.id,
            placement.decision.site.name,
            rendering.state(placement),
            rendering.progress(line.row.image, placement),
            rendering.printable(placement.reason),
            rendering.tries(placement, now_s, None),
        )
        for line, placement in _placements(lines, states)
    )
    head = ('Image', 'ID', 'Site', 'State', 'Progress', 'Reason', 'Next try')
    return head, cells


def overview(
    lines: Sequence[Line],
    site_names: Sequence[sites.SiteName],
    width: int | None,
) -> Table:
    """Lay out the widest table that fits: the matrix, or else sums."""
    if width is None:
        is_narrow = len(site_names) <= _MOST_COLUMNS
        body = _matrix(lines, site_names) if is_narrow else _sums(lines)
        return _with_ids(lines, body)
    # A matrix that cannot fit takes longest to make.
    if _width_of((list(site_names), [])) <= width:
        matrix_body = _matrix(lines, site_names)
        for lay_out in (_with_ids, _with_ids_below):
            layout = lay_out(lines, matrix_body)
            if _width_of(layout) <= width:
                return layout
    sums = _sums(lines)
    for lay_out in (_with_ids, _with_ids_below):
        layout = lay_out(lines, sums)
        if _width_of(layout) <= width:
            return layout
    return _with_names(lines, sums)


_Body = tuple[list[str], list[list[str]]]


def _matrix(
    lines: Iterable[Line], site_names: Sequence[sites.SiteName]
) -> _Body:
    body = []
    for line in lines:
        by_site = {p.decision.site.name: p for p in line.row.cells}
        body.append(
            [
                rendering.cell(line.row.image, by_site[name])
                if name in by_site
                else ''
                for name in site_names
            ]
        )
    return list(site_names), body


def _sums(lines: Iterable[Line]) -> _Body:
    head = ['Wanted', 'Present', 'Copying', 'FAILED', 'Absent', 'Left']
    return head, [_sum(line.tally) for line in lines]


def _sum(tally: matrix.Tally) -> list[str]:
    present = str(tally.present)
    if tally.extra:
        present += f' + {tally.extra}*'
    return [
        str(tally.wanted),
        present,
        *(str(n or '-') for n in (tally.copying, tally.failed, tally.absent)),
        rendering.size(tally.bytes_left) if tally.bytes_left else '-',
    ]


def _with_ids(lines: Iterable[Line], body: _Body) -> _Body:
    return ['Image', 'ID', 'Size', *body[0]], [
        [
            rendering.name(line.row.image),
            line.row.image.id,
            rendering.size(line.row.image.size_bytes),
            *cells,
        ]
        for line, cells in zip(lines, body[1], strict=True)
    ]


def _with_ids_below(lines: Iterable[Line], body: _Body) -> _Body:
    return ['Image', 'Size', *body[0]], [
        [
            f'{rendering.name(line.row.image)}\n{line.row.image.id}',
            rendering.size(line.row.image.size_bytes),
            *cells,
        ]
        for line, cells in zip(lines, body[1], strict=True)
    ]


def _with_names(lines: Iterable[Line], body: _Body) -> _Body:
    return ['Image', *body[0]], [
        [rendering.name(line.row.image), *cells]
        for line, cells in zip(lines, body[1], strict=True)
    ]


def _width_of(table: _Body) -> int:
    head, body = table
    widths = [len(word) for word in head]
    for cells in body:
        widths = [
            max(width, *map(len, cell.split('\n')))
            for width, cell in zip(widths, cells, strict=True)
        ]
    return sum(widths) + 3 * len(widths) + 1


def _placements(
    lines: Iterable[Line], states: Collection[str]
) -> Iterator[tuple[Line, placements.Placement]]:
    for line in lines:
        for placement in line.row.cells:
            if placement.state.value in states:
                yield line, placement
