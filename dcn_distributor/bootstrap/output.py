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
"""Write rendered files below a directory, or say how they differ from it."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import difflib
import enum
import os
from pathlib import Path
import stat

from dcn_distributor import exceptions
from dcn_distributor.conf import whole_files
from dcn_distributor.core import renderings


class State(enum.Enum):
    """How what is there compares with what was rendered."""

    SAME = 'same'
    NEW = 'new'
    CHANGED = 'changed'
    MODE = 'other permissions'


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """One file, and what stands in its place."""

    file: renderings.File
    state: State
    present: str = dataclasses.field(default='', repr=False)

    def diff(self) -> Iterator[str]:
        """Give the lines of a unified diff; of secrets, that they differ."""
        path = self.file.path
        if self.state is State.SAME:
            return
        if self.state is State.MODE:
            yield f'{path}: permissions become {self.file.mode:o}\n'
        elif self.file.is_secret:
            yield f'{path}: {self.state.value}; it holds secrets\n'
        else:
            yield from difflib.unified_diff(
                self.present.splitlines(keepends=True),
                self.file.text.splitlines(keepends=True),
                'there' if self.present else os.devnull,
                path,
            )


def compare(
    files: Sequence[renderings.File], directory: str
) -> tuple[Comparison, ...]:
    """Look what is there. Raises ConfigError if it cannot be read."""
    return tuple(_compare(file, Path(directory)) for file in files)


def _compare(file: renderings.File, directory: Path) -> Comparison:
    path = directory / file.path
    try:
        present = path.read_text(encoding='utf-8')
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return Comparison(file, State.NEW)
    except (OSError, UnicodeError) as exc:
        raise exceptions.ConfigError(f'{path}: cannot be read: {exc}') from exc
    if present != file.text:
        return Comparison(file, State.CHANGED, present)
    is_as_wide = mode == file.mode
    return Comparison(file, State.SAME if is_as_wide else State.MODE, present)


def write(
    comparisons: Sequence[Comparison], directory: str
) -> tuple[renderings.File, ...]:
    """Write those that differ, each as a whole or not at all.

    Gives those that were written. Raises ConfigError.
    """
    written = []
    for comparison in comparisons:
        if comparison.state is not State.SAME:
            file = comparison.file
            whole_files.write(
                Path(directory) / file.path,
                file.text,
                file.mode,
                directory_mode=0o755,
            )
            written.append(file)
    return tuple(written)
