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
"""The wide-area link between a site's cluster and everything else.

As a service of the lab it is the loop that passes the packets on. To stop,
kill or freeze it is to cut the link; to start it heals it. Connections live
through that as far as TCP lets them. Namespace and devices are made when it
first starts and stay until the lab is taken down.
"""

import dataclasses
import json
import signal
import socket
import sys
import threading

from lab import errors
from lab import files
from lab import link
from lab import link_devices
from lab import processes
from lab import service
from lab import state as lab_state

_ANSWER_S = 3.0
# Nobody listens there (tcpmux), so the kernel at the far end refuses.
_CLOSED_PORT = 1


class WideAreaLink(service.Service):
    """The link of one site."""

    # A cluster starts at the far end of its own.
    stage = service.Stage.FIRST
    start_timeout_s = 30

    def __init__(
        self, site: str, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__(f'link-{site}', state, cancelled)
        self.site = site
        self.network = state.network(site)
        self._shape = self.directory / 'shape.json'

    # -- for others -------------------------------------------------------

    @property
    def link(self) -> link.Link:
        """What was asked for."""
        return self.state.links[self.site]

    def change(
        self, *, rtt_ms: float | None = None, mbit_s: float | None = None
    ) -> None:
        """Make it longer, shorter, wider or narrower while in use.

        What is under way still arrives as it was sent, and in its order. A
        link that is cut has its new shape once it is healed.
        """
        with lab_state.exclusive(self.state.directory):
            known = lab_state.load(self.state.directory)
            if known is None or self.site not in known.links:
                raise errors.LabError(f'{self.name} is no longer in the lab')
            now = known.links[self.site]
            new = link.Link(
                now.rtt_ms if rtt_ms is None else rtt_ms,
                now.mbit_s if mbit_s is None else mbit_s,
            )
            new.check()
            known.links[self.site] = new
            known.save()
            self.state.links[self.site] = new
            self.configure()
            if self._state(self.alive()) == 'running':
                self.wait(self._unread, daemons=self.daemons())

    # -- as a service -----------------------------------------------------

    def ports(self) -> dict[str, int]:
        """None: it is below them."""
        return {}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """The loop."""
        return (
            self.daemon(
                'server',
                *(sys.executable, '-m', 'lab.link_loop'),
                *(self.network.near_device, self.network.namespace),
                *(self.network.far_device, str(self._shape)),
                environment=lab_state.OUR_CODE,
            ),
        )

    def check(self) -> None:
        """Look for root, the kernel's part, and a foreign device."""
        link_devices.check(self.network)
        super().check()

    def configure(self) -> bool:
        """Write the shape; a running loop takes it over."""
        text = json.dumps(dataclasses.asdict(self.link)) + '\n'
        if files.write_private(self._shape, text):
            processes.send(self.mark, signal.SIGHUP)
        return False

    def launch(self) -> None:
        """Start the loop between its devices."""
        link_devices.make(self.network)
        if self.missing():
            self._shape.with_suffix('.applied').unlink(missing_ok=True)
        super().launch()

    def problem(self) -> str | None:
        """Knock at the far end: who refuses is there."""
        unread = self._unread()
        if unread is not None:
            return unread
        with socket.socket() as probe:
            probe.settimeout(_ANSWER_S)
            try:
                probe.connect((self.network.far_address, _CLOSED_PORT))
            except ConnectionRefusedError:
                return None
            except OSError as exc:
                return f'nothing comes back from the far end: {exc}'
        return 'something unexpected listens at the far end'

    def _unread(self) -> str | None:
        """Tell whether the loop has yet to read the shape."""
        applied = self._shape.with_suffix('.applied')
        if applied.exists() and applied.read_text() == self._shape.read_text():
            return None
        return f'the loop has not yet read {self._shape}'
