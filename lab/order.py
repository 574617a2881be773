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
"""Starting and ending all services of a lab, in an order that works."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import signal
import threading
import time

from lab import service as lab_service

Report = Callable[[str], None]
_SIDE_BY_SIDE = 16


class Start:
    """Starts services, as many side by side as can.

    :param cancelled: set when one has failed, to call the others off
    """

    def __init__(
        self,
        services: Iterable[lab_service.Service],
        cancelled: threading.Event,
        report: Report,
    ) -> None:
        self._services = tuple(services)
        self._cancelled = cancelled
        self._report = report

    def run(self, bootstrap: Callable[[], None]) -> None:
        """Start all; Glance late: it looks at the clusters once.

        A store that Glance cannot reach when it starts stays read-only
        until it is started again. Its tables are made meanwhile, and its keys
        once there are clusters.
        """
        for one in self._of(lab_service.Stage.FIRST):
            self._start(one)
        first, *others = self._of(lab_service.Stage.IMAGES)
        common = self._of(lab_service.Stage.COMMON)
        self._all([*(self._starting(s) for s in common), first.prepare])
        bootstrap()
        # The first unpacks and makes what all others use.
        self._start(first)
        last = self._of(lab_service.Stage.LAST)
        self._all([self._starting(s) for s in (*others, *last)])

    def _of(self, stage: lab_service.Stage) -> list[lab_service.Service]:
        return [one for one in self._services if one.stage is stage]

    def _all(self, jobs: list[Callable[[], None]]) -> None:
        with futures.ThreadPoolExecutor(len(jobs) or 1) as pool:
            submitted = [pool.submit(job) for job in jobs]
            try:
                for job in futures.as_completed(submitted):
                    job.result()
            except BaseException:
                self._cancelled.set()
                raise

    def _starting(self, service: lab_service.Service) -> Callable[[], None]:
        return lambda: self._start(service)

    def _start(self, service: lab_service.Service) -> None:
        began = time.monotonic()
        started = service.start()
        seconds = time.monotonic() - began
        what = f'started in {seconds:.1f} s' if started else 'runs'
        self._report(f'{service.name}: {what}')


def stop(services: Iterable[lab_service.Service]) -> None:
    """End services side by side, those first that need the others to end."""
    known = tuple(services)
    with (
        _uninterrupted(),
        futures.ThreadPoolExecutor(_SIDE_BY_SIDE) as pool,
    ):
        for is_last in (True, False):
            chosen = [
                one
                for one in known
                if (one.stage is lab_service.Stage.LAST) == is_last
            ]
            for _ in pool.map(lambda one: one.stop(), chosen):
                pass


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second Ctrl-C not leave half of it running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
