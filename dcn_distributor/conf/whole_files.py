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
"""Write a file as a whole, or not at all."""

import os
from pathlib import Path
import tempfile

from dcn_distributor import exceptions


def write(
    path: Path, text: str, mode: int, *, directory_mode: int = 0o700
) -> None:
    """Put a text in a file's place; make its directory if it lacks.

    Nobody but its owner can read it before it has its mode. Raises
    ConfigError, and what was there stays.
    """
    try:
        path.parent.mkdir(mode=directory_mode, parents=True, exist_ok=True)
        # mkstemp: for its owner only, from the first moment.
        number, name = tempfile.mkstemp(
            dir=path.parent, prefix=f'.{path.name}.'
        )
        try:
            with os.fdopen(number, 'w', encoding='utf-8') as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(name).replace(path)
            _sync(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise exceptions.ConfigError(
            f'{path}: cannot be written: {exc.strerror}'
        ) from exc


def _sync(directory: Path) -> None:
    """Have the new name outlast a crash of the machine, too."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
