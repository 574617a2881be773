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
"""Run the deployment tool's own command lines."""

from collections.abc import Sequence
import os
from pathlib import Path
import re
import shlex
import subprocess

from dcn_distributor import exceptions
from dcn_distributor.core import cephx
from dcn_distributor.core import procedures

_LAST_LINES = 15
_BASE64 = re.compile(r'[A-Za-z0-9+/]{36,}={0,2}')


def run(step: procedures.Step, directory: str, logs: str) -> Path:
    """Run it in a directory, its output kept in a file; give that file.

    Raises DistributorError, with the end of its output, if it fails.
    """
    path = Path(logs) / f'{step.name.replace(" ", "-")}.log'
    argv = [os.path.expanduser(word) for word in step.argv]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What a deployment tool prints may be secret.
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(number, 'wb') as log:
            before = os.fstat(log.fileno()).st_size
            ended = subprocess.run(
                argv,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
    except OSError as exc:
        raise exceptions.ConfigError(
            f'{step.name}: {argv[0]} cannot be run: {exc.strerror}'
        ) from exc
    if ended.returncode:
        raise Failed(step, ended.returncode, path, before)
    return path


def read(argv: Sequence[str]) -> str:
    """Run a command that only looks; give what it printed.

    Raises ConfigError if it cannot be run, or fails.
    """
    line = shlex.join(argv)
    try:
        ended = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as exc:
        raise exceptions.ConfigError(
            f'{argv[0]} cannot be run: {exc.strerror}; install it, or do this '
            f'where it is: {line}'
        ) from exc
    if ended.returncode:
        said = ended.stderr.decode(errors='replace').strip()
        raise exceptions.ConfigError(
            f"'{line}' ended with exit code {ended.returncode}: {said}"
        )
    return ended.stdout.decode(errors='replace')


def _without_secrets(text: str) -> str:
    """Take cephx secrets out of what is going to be shown."""

    def mask(found: re.Match[str]) -> str:
        try:
            cephx.parse_secret(found[0])
        except ValueError:
            return found[0]
        return '(a secret)'

    return _BASE64.sub(mask, text)


class Failed(exceptions.PermanentError):
    """A step has failed: the procedure stops there."""

    def __init__(
        self, step: procedures.Step, code: int, log: Path, before: int
    ) -> None:
        with log.open('rb') as file:
            file.seek(before)
            text = file.read().decode(errors='replace')
        lines = _without_secrets(text).splitlines()[-_LAST_LINES:]
        shown = ''.join(f'\n  {line}' for line in lines)
        super().__init__(
            f"step '{step.name}' ended with exit code {code}; its output is "
            f'in {log}, and ends so:{shown}\nMend what it tells of and run '
            'the same again: it goes on with this step'
        )
