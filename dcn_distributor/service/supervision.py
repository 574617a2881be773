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
"""What supervises the agent is told: ready, at work, stopping.

The supervisor starts the agent anew if it is not told for a while that work
goes on. It is not told so while any work does not get on: a thread that hangs
would otherwise take its image, and its share of the agent, with it for ever.
"""

from collections.abc import Callable
import threading
from typing import Protocol

from oslo_log import log

from dcn_distributor.service import progress as progresses

LOG = log.getLogger(__name__)

# How often to look whether there is something to tell.
_TICK_S = 1.0


class Supervisor(Protocol):
    """Who watches this process."""

    @property
    def patience_s(self) -> float | None:
        """How long it waits for alive(); None if it does not watch."""
        ...

    def ready(self) -> None:
        """Say that the agent does its work from now on."""
        ...

    def alive(self) -> None:
        """Say that work goes on."""
        ...

    def stopping(self) -> None:
        """Say that the agent ends."""
        ...


class Supervision:
    """See the module.

    :param has_looked: whether Glance was looked at in whole once
    """

    def __init__(
        self,
        supervisor: Supervisor,
        progress: progresses.Progress,
        has_looked: Callable[[], bool],
    ) -> None:
        self._supervisor = supervisor
        self._progress = progress
        self._has_looked = has_looked
        self._stopping = threading.Event()
        self._is_ready = False
        self._stuck: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin to tell."""
        threading.Thread(
            target=self._run, name='supervision', daemon=True
        ).start()

    def stop(self) -> None:
        """Say that the agent ends, and no more."""
        self._stopping.set()
        self._supervisor.stopping()

    def tell(self) -> None:
        """Tell what there is to be told now."""
        if not self._is_ready and self._has_looked():
            self._is_ready = True
            self._supervisor.ready()
        patience_s = self._supervisor.patience_s
        if patience_s is None:
            return
        # The other half is for what is slow, but not yet stuck.
        stuck = self._progress.stuck(patience_s / 2)
        if not stuck:
            self._supervisor.alive()
        elif stuck != self._stuck:
            LOG.error(
                'No progress for %.0f s: %s; the supervisor ends the agent '
                'unless it gets on',
                patience_s / 2,
                ', '.join(stuck),
            )
        self._stuck = stuck

    def _run(self) -> None:
        patience_s = self._supervisor.patience_s
        pause_s = min(_TICK_S, patience_s / 4) if patience_s else _TICK_S
        while not self._stopping.wait(pause_s):
            self.tell()
