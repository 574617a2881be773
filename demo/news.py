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
"""What changed between two looks at an image, in words. Pure."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from dcn_distributor.cmd import rendering
from dcn_distributor.core import matrix
from dcn_distributor.core import placements
from dcn_distributor.core import text
from demo import sights

_TOLD = {
    placements.State.COPYING: 'copying',
    placements.State.PRESENT: 'present',
    placements.State.VERIFIED: 'verified',
    placements.State.FAILED: 'FAILED',
}
# A stream is told of at each of so many parts of it.
_PARTS = 5
_UNKNOWN = 'not wanted: '


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """One line to tell; `word` says of what kind."""

    word: str
    text: str


def of_sight(
    before: sights.Sight | None, after: sights.Sight
) -> Iterator[News]:
    """Tell all that changed, image by image."""
    for row in after.rows:
        known = before.row(row.image.id) if before is not None else None
        yield from of_row(known, row)
    for row in before.rows if before is not None else ():
        if after.row(row.image.id) is None:
            yield News('gone', rendering.name(row.image))


def of_row(before: matrix.Row | None, after: matrix.Row) -> Iterator[News]:
    """Tell what was decided anew, and which copies have another state."""
    if not after.image.is_active:
        return
    is_new = before is None or not before.image.is_active
    if before is None or is_new or _reasons(before) != _reasons(after):
        yield from _decided(after)
    old = {} if before is None else {_site(c): c.state for c in before.cells}
    for state, word in _TOLD.items():
        cells = [
            cell
            for cell in after.cells
            if cell.state is state and old.get(_site(cell)) is not state
        ]
        if cells:
            yield News(word, f'{_where(after, cells)}{_why(cells)}')
    parts = {} if before is None else _parts(before)
    for cell in after.cells:
        if _parts(after)[_site(cell)] > parts.get(_site(cell), 0):
            how_far = rendering.progress(after.image, cell)
            yield News('stream', f'{_where(after, [cell])}: {how_far}')


def _parts(row: matrix.Row) -> dict[str, int]:
    """How many parts of its stream have arrived, by site."""
    size_bytes = row.image.size_bytes or 1
    return {
        _site(cell): _PARTS * cell.lane.settled_bytes // size_bytes
        if cell.lane is not None
        else 0
        for cell in row.cells
    }


def _decided(row: matrix.Row) -> Iterator[News]:
    for reason, cells in _by_reason(row.cells).items():
        wanted = cells[0].decision.wanted
        told = reason.removeprefix(_UNKNOWN).removeprefix('wanted ')
        yield News(
            'wanted' if wanted else 'stays out',
            f'{_where(row, cells)}: {rendering.printable(told)}',
        )


def _why(cells: Sequence[placements.Placement]) -> str:
    """Say what went wrong; success needs no reason here."""
    if cells[0].state is not placements.State.FAILED:
        return ''
    return f': {rendering.printable(cells[0].reason)}'


def _where(row: matrix.Row, cells: Sequence[placements.Placement]) -> str:
    there = text.join(sights.names(cells), 'and')
    return f'{rendering.name(row.image)} at {there}'


def _by_reason(
    cells: Sequence[placements.Placement],
) -> dict[str, list[placements.Placement]]:
    groups: dict[str, list[placements.Placement]] = {}
    for cell in cells:
        groups.setdefault(cell.decision.reason, []).append(cell)
    return groups


def _reasons(row: matrix.Row) -> list[str]:
    return [cell.decision.reason for cell in row.cells]


def _site(cell: placements.Placement) -> str:
    return cell.decision.site.name
