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
"""Commands, timed as a whole, with their processor time and memory."""

from collections.abc import Sequence
import dataclasses
import os
import subprocess
import tempfile
import time
from typing import IO

Command = Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What some commands took, from the first to the end of the last."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0

    def then(self, other: 'Usage') -> 'Usage':
        """Add what came after it."""
        return Usage(
            self.seconds + other.seconds,
            self.cpu_s + other.cpu_s,
            max(self.peak_mib, other.peak_mib),
        )


def run(*commands: Command) -> Usage:
    """Run commands one after another; end the program if one fails."""
    used = Usage()
    for command in commands:
        used = used.then(pipe(command))
    return used


def pipe(*commands: Command) -> Usage:
    """Run commands at once, each reading what the one before it writes."""
    begin_s = time.monotonic()
    with tempfile.TemporaryFile() as complaints:
        running: list[subprocess.Popen[bytes]] = []
        source: IO[bytes] | int = subprocess.DEVNULL
        for number, command in enumerate(commands):
            is_last = number == len(commands) - 1
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=complaints if is_last else subprocess.PIPE,
                stderr=complaints,
            )
            if not isinstance(source, int):
                # Else who writes there would not see its reader die.
                source.close()
            if process.stdout is not None:
                source = process.stdout
            running.append(process)
        cpu_s = peak_mib = 0.0
        for process in running:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu_s += used.ru_utime + used.ru_stime
            peak_mib += used.ru_maxrss / 1024
        seconds = time.monotonic() - begin_s
        if any(process.returncode for process in running):
            complaints.seek(0)
            words = ' | '.join(' '.join(command) for command in commands)
            text = complaints.read().decode(errors='replace').strip()
            raise SystemExit(f'{words} failed:\n{text}')
    return Usage(seconds, cpu_s, peak_mib)
