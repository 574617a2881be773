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
"""systemd, as a service of type notify talks to it (sd_notify(3)).

The agent's worker is a child of the process that systemd knows, so the unit
has ``NotifyAccess=all``, and WATCHDOG_PID, which names the other, is not
heeded (sd_watchdog_enabled(3) would).
"""

from collections.abc import Mapping
from collections.abc import MutableMapping
import contextlib
import socket

_MICRO = 1e-6


def take(environment: MutableMapping[str, str]) -> 'Systemd':
    """Take systemd's address out of the environment, so that nobody else can.

    cotyledon would say at once that all is ready (cotyledon:
    ServiceManager._systemd_notify_once, version 2.2).
    """
    taken = Systemd(environment)
    environment.pop('NOTIFY_SOCKET', None)
    return taken


class Systemd:
    """Tells systemd, if it started this process; nobody otherwise.

    :param environment: of the process
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get('NOTIFY_SOCKET', '')
        self._watchdog = environment.get('WATCHDOG_USEC', '')

    @property
    def patience_s(self) -> float | None:
        """WatchdogSec of the unit, in seconds; None if it has none."""
        if not self._watchdog.isdigit() or not int(self._watchdog):
            return None
        return int(self._watchdog) * _MICRO

    def ready(self) -> None:
        """Have `systemctl start` return."""
        self._tell('READY=1', 'STATUS=Distributing images')

    def alive(self) -> None:
        """Put the watchdog off."""
        self._tell('WATCHDOG=1')

    def stopping(self) -> None:
        """Let systemd wait for the end."""
        self._tell('STOPPING=1', 'STATUS=Stopping')

    def _tell(self, *assignments: str) -> None:
        if not self._address:
            return
        # One that begins with @ is no file.
        address = self._address
        if address.startswith('@'):
            address = '\0' + address[1:]
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one,
            # The service manager may be starting anew.
            contextlib.suppress(OSError),
        ):
            one.sendto('\n'.join(assignments).encode(), address)
