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
"""What the demo prints: headings, lines with their time, tables.

On a terminal the matrix stays at the bottom and moves; elsewhere there are
only lines, of what changes. Nothing here asks anybody anything.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import textwrap
import time

from rich import box
from rich import console
from rich import live
from rich import table
from rich import text

from dcn_distributor.cmd import rendering
from dcn_distributor.core import matrix
from dcn_distributor.core import placements
from demo import news
from demo import proof
from demo import sights

_MOST_COLUMNS = 96
_INDENT = 21
_MOST_ROWS = 20
_COLOURS = {
    placements.State.ABSENT: 'cyan',
    placements.State.COPYING: 'yellow',
    placements.State.PRESENT: 'green',
    placements.State.VERIFIED: 'green',
    placements.State.FAILED: 'bold red',
    placements.State.UNWANTED: 'dim',
}
_WORD_COLOURS = {
    'wanted': 'cyan',
    'copying': 'yellow',
    'stream': 'yellow',
    'present': 'green',
    'verified': 'green',
    'proved': 'green',
    'FAILED': 'bold red',
    'failed': 'bold red',
    'stays out': 'dim',
}


class Screen:
    """Where all that the demo says goes; any thread may say something."""

    def __init__(self, out: console.Console | None = None) -> None:
        self._out = out or console.Console(highlight=False)
        self._out.width = min(self._out.width, _MOST_COLUMNS)
        self._began_s = time.monotonic()
        self._phases: list[tuple[str, float]] = []
        self._live: live.Live | None = None

    @contextlib.contextmanager
    def phase(self, name: str, about: str) -> Iterator[None]:
        """Put a heading above what is done inside, and take its time."""
        began_s = time.monotonic()
        self._print('')
        self._print(text.Text.assemble((name, 'bold'), f': {about}'))
        try:
            yield
        finally:
            self._phases.append((name, time.monotonic() - began_s))

    def line(self, word: str, said: str) -> None:
        """Say one thing, with the time since the beginning."""
        seconds = time.monotonic() - self._began_s
        lines = textwrap.wrap(
            said,
            self._out.width - _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        parts: list[str | tuple[str, str]] = [
            (f'{seconds:6.1f} s  ', 'dim'),
            (f'{word:9}  ', _WORD_COLOURS.get(word, 'none')),
            ('\n' + _INDENT * ' ').join(lines),
        ]
        self._print(text.Text.assemble(*parts))

    def tell(self, told: news.News) -> None:
        """Say what changed."""
        self.line(told.word, told.text)

    def paragraph(self, said: str) -> None:
        """Say something as it stands, without a time."""
        self._print(text.Text(said))

    def blank(self) -> None:
        """Begin a new line, below a ^C."""
        self._print('')

    def complain(self, said: str) -> None:
        """Say that something is wrong."""
        whole = f'tools/demo: {said}'
        lines = whole.split('\n')
        if len(lines) == 1:
            # A traceback and the end of a log stay as they are.
            lines = textwrap.wrap(whole, self._out.width)
        self._print('')
        self._print(text.Text('\n'.join(lines), style='bold red'))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Show the matrix below all that is said inside."""
        if not self._out.is_terminal:
            yield
            return
        picture = live.Live(
            console=self._out, refresh_per_second=8, transient=True
        )
        with picture:
            self._live = picture
            try:
                yield
            finally:
                self._live = None

    def show(self, sight: sights.Sight, note: str = '') -> None:
        """Show the matrix as it is now, with a line on what hinders."""
        if self._live is None:
            return
        parts: list[console.RenderableType] = ['', matrix_table(sight)]
        if note:
            parts.append(text.Text(f'  {note}', style='yellow'))
        self._live.update(console.Group(*parts))

    def conclude(self, sight: sights.Sight) -> None:
        """Leave the matrix standing."""
        self._print(matrix_table(sight))

    def prove(self, evidence: Sequence[proof.Evidence]) -> None:
        """Show the table of the proof."""
        self._print(proof_table(evidence))

    def sum_up(self, outcome: str) -> None:
        """Say how long everything took, phase by phase."""
        if not self._phases:
            return
        total_s = time.monotonic() - self._began_s
        parts = [f'{name.lower()} {s:.0f}' for name, s in self._phases]
        self._print('')
        self._print(
            text.Text.assemble(
                (outcome, 'bold green' if outcome == 'done' else 'bold red'),
                f' in {total_s:.0f} s: {", ".join(parts)}',
            )
        )

    def _print(self, what: console.RenderableType) -> None:
        # Whoever closed the terminal or the pipe does not keep us from
        # taking everything down.
        with contextlib.suppress(OSError):
            self._out.print(what, soft_wrap=isinstance(what, text.Text))


def matrix_table(sight: sights.Sight) -> table.Table:
    """Lay the matrix out, in the words of dcn-distributor status."""
    shown = table.Table(
        box=box.SIMPLE_HEAD,
        caption=rendering.totals(sight.totals, len(sight.sites)),
        caption_justify='left',
        padding=0,
    )
    shown.add_column('Image', no_wrap=True)
    shown.add_column('Size', justify='right', no_wrap=True)
    shown.add_column('Seen by', no_wrap=True)
    for site in sight.sites:
        shown.add_column(site.name, min_width=12, no_wrap=True)
    shown.add_column('Policy', no_wrap=True)
    for row in sight.rows[-_MOST_ROWS:]:
        shown.add_row(*_cells(row))
    return shown


def _cells(row: matrix.Row) -> list[text.Text]:
    image = row.image
    named = dict.fromkeys(
        c.decision.policy for c in row.cells if c.decision.policy
    )
    is_there = image.is_active
    return [
        text.Text(rendering.name(image)),
        text.Text(rendering.size(image.size_bytes) if is_there else '...'),
        text.Text(image.visibility),
        *(
            text.Text(rendering.cell(image, c), style=_COLOURS[c.state])
            if is_there
            else text.Text('')
            for c in row.cells
        ),
        text.Text(', '.join(named) or '-', style='dim'),
    ]


def proof_table(evidence: Sequence[proof.Evidence]) -> table.Table:
    """Lay out what the clusters hold."""
    shown = table.Table(box=box.SIMPLE_HEAD, padding=0)
    shown.add_column('Image', no_wrap=True)
    shown.add_column('Site', no_wrap=True)
    shown.add_column('Bytes', justify='right', no_wrap=True)
    for name in ('SHA-256', 'Original', 'Snapshot', 'Clone'):
        shown.add_column(name, no_wrap=True)
    for one in evidence:
        shown.add_row(*_evidence_cells(one))
    return shown


def _evidence_cells(one: proof.Evidence) -> list[text.Text]:
    cells = [text.Text(one.name), text.Text(one.site)]
    copy = one.copy
    if copy is None:
        is_wrong = one.is_wanted
        words = ['-', 'no copy', *('-' * 3)]
        style = 'bold red' if is_wrong else 'dim'
        return [*cells, *(text.Text(word, style=style) for word in words)]
    opened = 'boot sector' if one.boots else 'opens'
    return [
        *cells,
        text.Text(f'{copy.size_bytes:,}'),
        text.Text(copy.sha256[:12]),
        _verdict(one.is_same, 'equal', 'DIFFERS'),
        _verdict(copy.is_protected, 'protected', 'UNPROTECTED'),
        _verdict(one.clone_opens, opened, 'DIFFERS'),
    ]


def _verdict(is_good: bool, good: str, bad: str) -> text.Text:
    return text.Text(
        good if is_good else bad, style='green' if is_good else 'bold red'
    )
