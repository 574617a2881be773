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
"""How far something is, site by site: live bars, or plain lines.

Bars are for a terminal; they go once all is over. Where nobody looks at one,
each change of phase is a line, and every few seconds one tells of what
moves. Both are for stderr: stdout is for the result.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import os
from typing import Any
from typing import Protocol
from typing import TextIO

from dcn_distributor.cmd import rendering

# How often a plain line tells of one site while its phase lasts.
_PAUSE_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """How far one site is.

    `done_bytes` is None where nobody knows; `eta_s` are the seconds left.
    """

    site: str
    phase: str
    done_bytes: int | None
    size_bytes: int
    rate_bytes_s: float = 0.0
    eta_s: float | None = None

    @property
    def pace(self) -> str:
        """How fast it is, and for how long still; empty if not known."""
        told = []
        if self.rate_bytes_s:
            told.append(f'{rendering.size(int(self.rate_bytes_s))}/s')
        if self.eta_s is not None:
            told.append(f'{rendering.duration(self.eta_s)} left')
        return ', '.join(told)

    @property
    def share(self) -> str:
        """How much of it is done; empty if not known."""
        if self.done_bytes is None:
            return ''
        return rendering.share(self.done_bytes, self.size_bytes)


class Display(Protocol):
    """Where progress is shown."""

    def show(self, bars: Sequence[Bar]) -> None:
        """Show how far all are by now."""
        ...

    def say(self, line: str) -> None:
        """Say something that stays to be read."""
        ...


@contextlib.contextmanager
def displayed(stream: TextIO, clock: Callable[[], float]) -> Iterator[Display]:
    """Open the display that fits a stream; `clock` tells seconds."""
    if not stream.isatty() or os.environ.get('TERM') == 'dumb':
        yield Lines(stream, clock)
        return
    # rich takes a while to load, and --help needs none of it.
    from rich import console
    from rich import progress

    progress_bars = progress.Progress(
        progress.TextColumn('{task.description}', markup=False),
        progress.TextColumn('{task.fields[phase]}', markup=False),
        progress.BarColumn(),
        progress.TextColumn('{task.fields[share]}', markup=False),
        progress.TextColumn('{task.fields[pace]}', markup=False),
        console=console.Console(file=stream),
        auto_refresh=False,
        transient=True,
    )
    with progress_bars:
        yield Bars(progress_bars)


class Bars:
    """Bars on a terminal; see Display.

    :param progress: a rich.progress.Progress with the fields of a bar
    """

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def show(self, bars: Sequence[Bar]) -> None:
        """See Display."""
        for bar in bars:
            shown = {
                'total': bar.size_bytes or None,
                'completed': bar.done_bytes or 0,
                'phase': bar.phase,
                'share': bar.share,
                'pace': bar.pace,
            }
            if bar.site in self._tasks:
                self._progress.update(self._tasks[bar.site], **shown)
            else:
                self._tasks[bar.site] = self._progress.add_task(
                    bar.site, **shown
                )
        self._progress.refresh()

    def say(self, line: str) -> None:
        """See Display."""
        self._progress.console.print(
            line, markup=False, highlight=False, soft_wrap=True
        )


class Lines:
    """Plain lines; see Display."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._told: dict[str, tuple[float, Bar]] = {}

    def show(self, bars: Sequence[Bar]) -> None:
        """See Display."""
        now = self._clock()
        for bar in bars:
            told_s, before = self._told.get(bar.site, (now, None))
            is_new = before is None or before.phase != bar.phase
            has_moved = before is not None and before != bar
            if is_new or (has_moved and now - told_s >= _PAUSE_S):
                self._told[bar.site] = (now, bar)
                parts = (bar.phase, bar.share, bar.pace)
                self.say(f'{bar.site}: {", ".join(filter(None, parts))}')

    def say(self, line: str) -> None:
        """See Display."""
        self._stream.write(f'{line}\n')
        self._stream.flush()
