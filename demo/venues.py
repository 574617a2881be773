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
"""The lab that the demo plays in, and whose it is.

A lab that is up belongs to whoever started it and stays up; one that the
demo started is taken down with all its files, even if that demo crashed and
it is a later one that ends: a mark in the lab's directory says so.
"""

from collections.abc import Callable
import fcntl
import os
from pathlib import Path
import shutil

from demo import errors
from lab import deployment
from lab import files
from lab import processes
from lab import state as lab_state


class Venue:
    """See the module.

    :param report: takes a line for each server that is up
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.lab = deployment.Lab(report=report)
        self.directory = self.lab.directory / 'demo'
        self.pictures = self.directory / 'images'
        self.was_up = False
        self._is_ours = False
        self._is_entered = False
        self._lock = -1

    @property
    def stays_up(self) -> bool:
        """True if it is somebody else's and was running."""
        return self.was_up and not self._is_ours

    def enter(self) -> None:
        """Find out whose it is, and keep other demos away from it."""
        directory = self.lab.directory
        mark = self.directory / 'started-by-demo'
        with lab_state.exclusive(directory):
            known = lab_state.load(directory)
            files.private_directory(self.pictures)
            self._lock_out_others()
            if known is None:
                mark.touch()
            self._is_ours = mark.exists()
            self.was_up = known is not None and bool(
                processes.marked(f'{known.identity}/')
            )
        self._is_entered = True

    def leave(self) -> str:
        """Take down what is ours; say what was done."""
        if not self._is_entered:
            return ''
        try:
            if self.stays_up:
                shutil.rmtree(self.directory)
                return (
                    f'the lab in {self.lab.directory} was up before and '
                    'stays up'
                )
            self.lab.down(purge=self._is_ours)
        finally:
            os.close(self._lock)
            self._is_entered = False
        return 'all servers are down' + (
            ', all files are removed' if self._is_ours else ''
        )

    def log(self, name: str) -> Path:
        """Give the log of a program of the lab."""
        return self.lab.state.log(name)

    def _lock_out_others(self) -> None:
        path = self.directory / 'lock'
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(self._lock)
            raise errors.DemoError(
                f'another demo plays in {self.lab.directory}: end it, or '
                'name another directory with DCN_LAB_DIR'
            ) from exc
