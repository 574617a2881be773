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
"""What a link carries to its site, watched while a copy runs."""

from pathlib import Path
import threading
import time
from types import TracebackType

from benchmarks import contest
from benchmarks import figures
from lab import deployment

_EVERY_S = 0.01
_TOLD_EVERY_S = 0.1


class LinkMeter:
    """A context in which the device at the near end is watched.

    Its counter is of what the kernel hands over, in pieces of up to 64 KiB:
    so nearly all of it is payload, though each packet of 1500 bytes on the
    link has headers of its own, 52 bytes of them.
    """

    def __init__(self, lab: deployment.Lab, site: str) -> None:
        device = lab.link(site).network.near_device
        self._counter = Path(f'/sys/class/net/{device}/statistics/tx_bytes')
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: list[tuple[float, int]] = []

    def __enter__(self) -> 'LinkMeter':
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    @property
    def carried_bytes(self) -> int:
        """All that was carried in this time."""
        return self.samples[-1][1] - self.samples[0][1]

    @property
    def flow(self) -> figures.Flow:
        """What was carried while data flowed."""
        return figures.flow(self.samples)

    def course(self) -> list[int]:
        """How much was carried by then, every tenth of a second."""
        begin_s, begin_bytes = self.samples[0]
        course: list[int] = []
        for at_s, count in self.samples:
            while at_s - begin_s >= len(course) * _TOLD_EVERY_S:
                course.append(count - begin_bytes)
        return course

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        count = int(self._counter.read_text())
        self.samples.append((time.monotonic(), count))


class Metered:
    """A contestant whose link is watched while it runs."""

    def __init__(
        self, contestant: contest.Contestant, lab: deployment.Lab, site: str
    ) -> None:
        self.name = contestant.name
        self._contestant = contestant
        self._lab = lab
        self._site = site

    def run(self) -> contest.Sample:
        """Copy once."""
        with LinkMeter(self._lab, self._site) as meter:
            sample = self._contestant.run()
        details = {
            **sample.details,
            'carried_bytes': meter.carried_bytes,
            'flow_s': meter.flow.seconds,
            'flow_bytes_s': meter.flow.bytes_per_s,
            'course': meter.course(),
        }
        return contest.Sample(
            sample.seconds, sample.cpu_s, sample.peak_mib, details
        )

    def clean(self) -> None:
        """Remove the copy."""
        self._contestant.clean()
