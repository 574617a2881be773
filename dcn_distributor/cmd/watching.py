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
"""Show something again and again: in place on a terminal, or one by one."""

import argparse
from collections.abc import Iterator
import contextlib
import os
import threading
from typing import Any
from typing import Protocol
from typing import TextIO

# Agents answer from memory; more often than that no person reads.
LEAST_S = 0.5
USUAL_S = 2.0


class Screen(Protocol):
    """Where it is shown."""

    def draw(self, frame: str) -> None:
        """Show lines, in place of those before or after them."""
        ...


@contextlib.contextmanager
def opened(stream: TextIO) -> Iterator[Screen]:
    """Open what fits a stream; on a terminal the last frame stays."""
    if not stream.isatty() or os.environ.get('TERM') == 'dumb':
        yield Roll(stream)
        return
    # rich takes a while to load, and --help needs none of it.
    from rich import console
    from rich import live

    with live.Live(
        console=console.Console(file=stream, highlight=False),
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow='ellipsis',
    ) as shown:
        yield Live(shown)


class Live:
    """A terminal, of which it takes as much as there is; see Screen.

    :param shown: a rich.live.Live
    """

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def draw(self, frame: str) -> None:
        """See Screen."""
        from rich import text

        lines = text.Text(frame, no_wrap=True, overflow='ellipsis', end='')
        self._shown.update(lines, refresh=True)


class Roll:
    """A file or a pipe; see Screen."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_first = True

    def draw(self, frame: str) -> None:
        """See Screen."""
        self._stream.write(frame if self._is_first else f'\n{frame}')
        self._stream.flush()
        self._is_first = False


def pause(seconds: float) -> None:
    """Let time pass; Ctrl-C ends it."""
    threading.Event().wait(seconds)


def seconds(word: str) -> float:
    """Read how long to pause, off the command line."""
    try:
        given = float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{word!r} is no number of seconds; an IMAGE goes before --watch'
        ) from None
    if not LEAST_S <= given <= 3600:
        raise argparse.ArgumentTypeError(
            f'{word} is not from {LEAST_S:g} to 3600 seconds'
        )
    return given
