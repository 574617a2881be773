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
"""What may be done to one service of a lab by itself."""

import dataclasses
from pathlib import Path

from lab import service as lab_service
from lab import state as lab_state


@dataclasses.dataclass(frozen=True, slots=True)
class Handle:
    """What may be done to one service, one command at a time."""

    directory: Path
    _service: lab_service.Service

    @property
    def name(self) -> str:
        """Its name, as in `tools/lab ps`."""
        return self._service.name

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with lab_state.exclusive(self.directory):
            self._service.check()
            self._service.start()

    def stop(self) -> None:
        """End it in good order."""
        with lab_state.exclusive(self.directory):
            self._service.stop()

    def kill(self) -> None:
        """Kill all its processes."""
        with lab_state.exclusive(self.directory):
            self._service.kill()

    def freeze(self) -> None:
        """Stop all its processes where they are."""
        with lab_state.exclusive(self.directory):
            self._service.freeze()

    def thaw(self) -> None:
        """Let them go on."""
        with lab_state.exclusive(self.directory):
            self._service.thaw()

    def status(self) -> lab_service.Status:
        """Look at it."""
        return self._service.status()

    def pids(self) -> tuple[int, ...]:
        """Give all its processes."""
        return tuple(process.pid for process in self._service.alive())
