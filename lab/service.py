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
"""What every service of the lab has in common: its life and its state."""

import abc
from collections.abc import Callable
import contextlib
import dataclasses
import enum
import shutil
import signal
import threading
import time

from lab import errors
from lab import files
from lab import ports
from lab import processes
from lab import state as lab_state
from lab import waiting

# The kernel shows no environment, and so no mark, of a program that it loads.
_UNSEEN_S = 2.0


class Stage(enum.IntEnum):
    """When a service starts; those of one stage start side by side.

    Others stand on the FIRST. IMAGES look once, when they start, at the
    clusters, with what bootstrap has made.
    """

    FIRST = 0
    COMMON = 1
    IMAGES = 2
    LAST = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """One row of `tools/lab ps`."""

    name: str
    state: str
    pids: tuple[tuple[str, int], ...]
    ports: tuple[tuple[str, int], ...]
    health: str

    @property
    def is_healthy(self) -> bool:
        """All its programs run and answer."""
        return self.health == 'ok'


class Service(abc.ABC):
    """One or more server programs that are started and stopped together.

    A subclass says which programs there are, what they need before their
    first start, and how to see from outside that they work.
    """

    stage = Stage.COMMON
    start_timeout_s: float = 60
    stop_timeout_s: float = 15

    def __init__(
        self, name: str, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        self.name = name
        self.state = state
        self.cancelled = cancelled
        self.directory = state.service_directory(name)

    @abc.abstractmethod
    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the programs, in the order in which they start."""

    @abc.abstractmethod
    def ports(self) -> dict[str, int]:
        """Give the ports it listens on, by what they are for."""

    @abc.abstractmethod
    def configure(self) -> bool:
        """Write its files; tell whether a running one must start anew."""

    def initialise(self) -> None:  # noqa: B027 - many need nothing
        """Make the data that must be there before the first start."""

    @abc.abstractmethod
    def problem(self) -> str | None:
        """Look at it as a client would; None if all is well.

        MUST answer within a few seconds whatever state the service is in.
        """

    # -- its life ---------------------------------------------------------

    def start(self) -> bool:
        """Make it run; tell whether anything had to be started.

        A running service is left alone, unless its configuration changed;
        a frozen one is thawed; programs that died are started again.
        """
        self.prepare()
        self.thaw()
        was_running = not self.missing()
        (self.directory / 'wanted').touch()
        self.launch()
        return not was_running

    def prepare(self) -> None:
        """Do all that does not need the other services.

        A data directory whose making was interrupted is made again.
        """
        files.private_directory(self.directory)
        changed = self.configure()
        if changed and self.alive():
            self.stop()
        done = self.directory / 'initialised'
        if not done.exists():
            shutil.rmtree(self.directory / 'data', ignore_errors=True)
            files.private_directory(self.directory / 'data')
            self.initialise()
            done.touch()

    def launch(self) -> None:
        """Start what does not run, and wait until it all answers."""
        for daemon in self.daemons():
            self.launch_one(daemon)
        self.wait(self.problem, daemons=self.daemons())

    def launch_one(self, daemon: processes.Daemon) -> None:
        """Start one program unless it runs."""
        found = processes.marked(daemon.mark)
        if any(process.is_main for process in found):
            return
        if found:
            processes.kill(daemon.mark)
        self._check_ports(daemon.name)
        processes.start(daemon)

    def check(self) -> None:
        """Find what would keep it from starting, before anything starts.

        Looking for the programs of `daemons` says if one is not installed.
        """
        running = {process.mark for process in self.alive()}
        for daemon in self.daemons():
            if daemon.mark not in running:
                self._check_ports(daemon.name)

    def _check_ports(self, daemon: str) -> None:
        for label, port in self.ports().items():
            if label.startswith(daemon) and not ports.is_free(port):
                raise errors.LabError(
                    f'{self.name} cannot start: its port {port} on '
                    f'{ports.LOOPBACK} is in use by {ports.holder(port)}; '
                    'end that program, or take this lab away (tools/lab down '
                    '--purge) to have new ports chosen'
                )

    def wait(
        self,
        problem: Callable[[], str | None],
        *,
        daemons: tuple[processes.Daemon, ...],
    ) -> None:
        """Wait for the service, in vain only until a program has died."""
        seen_s = dict.fromkeys(
            (daemon.mark for daemon in daemons), time.monotonic()
        )

        def looked_at() -> str | None:
            seen = {process.mark for process in self.alive()}
            for daemon in daemons:
                if daemon.mark in seen:
                    seen_s[daemon.mark] = time.monotonic()
                elif time.monotonic() - seen_s[daemon.mark] < _UNSEEN_S:
                    return f'{daemon.name} is being loaded'
                else:
                    raise errors.LabError(
                        f'{self.name}: the program {daemon.name} ended by '
                        f'itself\n{errors.log_tail(daemon.log)}'
                    )
            return problem()

        try:
            waiting.until(
                looked_at,
                what=self.name,
                timeout_s=self.start_timeout_s,
                cancelled=self.cancelled,
            )
        except errors.LabError as exc:
            if 'ended by itself' in str(exc):
                raise
            log = daemons[-1].log
            raise errors.LabError(f'{exc}\n{errors.log_tail(log)}') from exc

    def stop(self) -> None:
        """End it in good order, or by force after a while."""
        with contextlib.suppress(FileNotFoundError):
            (self.directory / 'wanted').unlink()
        for daemon in reversed(self.daemons()):
            processes.end(daemon.mark, self.stop_timeout_s)
        processes.kill(self.mark)

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut would."""
        processes.kill(self.mark)

    def freeze(self) -> None:
        """Stop all its processes where they are; connections stay open."""
        if not self.alive():
            raise errors.LabError(
                f'{self.name} does not run, so it cannot be frozen: start it '
                f'first (tools/lab start {self.name})'
            )
        self._repeat_until_all(signal.SIGSTOP, frozen=True)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        if any(process.is_frozen for process in self.alive()):
            self._repeat_until_all(signal.SIGCONT, frozen=False)

    def _repeat_until_all(self, number: signal.Signals, frozen: bool) -> None:
        # A process may be born between the look and the signal.
        def others() -> str | None:
            processes.send(self.mark, number)
            wrong = [p for p in self.alive() if p.is_frozen != frozen]
            return f'pid {wrong[0].pid} is not yet so' if wrong else None

        waiting.until(
            others,
            what=f'{number.name} to {self.name}',
            timeout_s=10,
            cancelled=threading.Event(),
        )

    # -- its state --------------------------------------------------------

    @property
    def mark(self) -> str:
        """What the environment of all its processes starts with."""
        return f'{self.state.identity}/{self.name}/'

    def alive(self) -> list[processes.Process]:
        """Find its living processes."""
        return processes.marked(self.mark)

    def missing(self) -> list[str]:
        """Name its programs that do not run."""
        running = {p.mark for p in self.alive() if p.is_main}
        return [d.name for d in self.daemons() if d.mark not in running]

    def status(self) -> Status:
        """Look at it: its processes first, then as a client would."""
        alive = self.alive()
        main = {p.mark: p.pid for p in alive if p.is_main}
        pids = tuple(
            (daemon.name, main[daemon.mark])
            for daemon in self.daemons()
            if daemon.mark in main
        )
        state = self._state(alive)
        health = '-'
        if state == 'running':
            health = self.problem() or 'ok'
        elif state == 'dead':
            health = f'not running: {", ".join(self.missing())}'
        return Status(
            self.name, state, pids, tuple(self.ports().items()), health
        )

    def _state(self, alive: list[processes.Process]) -> str:
        wanted = (self.directory / 'wanted').exists()
        if not alive and not wanted:
            return 'stopped'
        if self.missing():
            return 'dead'
        if any(process.is_frozen for process in alive):
            return 'frozen'
        return 'running'

    def daemon(
        self, name: str, *argv: str, environment: dict[str, str] | None = None
    ) -> processes.Daemon:
        """Describe one of its programs."""
        log = self.name if name == 'server' else f'{self.name}-{name}'
        return processes.Daemon(
            mark=f'{self.mark}{name}',
            argv=argv,
            environment=environment or {},
            log=self.state.log(log),
            directory=self.directory,
        )
