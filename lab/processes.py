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
"""Starting servers, finding them again, and signalling no one else.

Each server is started in a session of its own with a mark in its
environment, which its children inherit: ``DCN_LAB_DAEMON=LAB/SERVICE/NAME``.
A process belongs to the lab if it carries the mark; there is no pid in a
file that could meanwhile be somebody else's. A signal goes through a pidfd
that was opened before the mark was read, so it cannot reach a later process
with the same pid either.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import os
from pathlib import Path
import shutil
import signal
import subprocess
import threading
import time
from typing import BinaryIO

from lab import errors
from lab import files
from lab import waiting

MARK = 'DCN_LAB_DAEMON'
_KERNEL_THREAD = 0x00200000
_ORPHANS_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process of the lab, as /proc shows it."""

    pid: int
    session: int
    started: int
    state: str
    mark: str

    @property
    def is_main(self) -> bool:
        """It is the one that was started, not a child of it."""
        return self.pid == self.session

    @property
    def is_frozen(self) -> bool:
        """It was stopped by a signal and waits to be continued."""
        return self.state == 'T'


@dataclasses.dataclass(frozen=True, slots=True)
class Daemon:
    """One server program: how to start it and how to know it again."""

    mark: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    directory: Path

    @property
    def name(self) -> str:
        """Its name within its service."""
        return self.mark.rpartition('/')[2]


def find_program(name: str, package: str) -> str:
    """Give the path of a program, or say which package has it."""
    path = f'{os.environ.get("PATH", os.defpath)}:/usr/sbin:/sbin'
    found = shutil.which(name, path=path)
    if found is None:
        raise errors.LabError(
            f'the program {name} is not installed: it comes with the Debian '
            f'package {package} (bindep.txt lists all; tools/lab installs '
            'them)'
        )
    return found


def marked(prefix: str) -> list[Process]:
    """Find the living processes whose mark starts with this."""
    found = []
    for entry in os.scandir('/proc'):
        if entry.name.isdigit():
            process = _read(int(entry.name), prefix)
            if process is not None:
                found.append(process)
    return found


def start(daemon: Daemon) -> None:
    """Start a server in its own session; it outlives the caller.

    ``setsid --fork`` hands it over to init, so that a test run that uses
    the lab as a library has no child to reap.
    """
    environment = {**_plain_environment(), **daemon.environment}
    environment[MARK] = daemon.mark
    daemon.directory.mkdir(parents=True, exist_ok=True)
    with _appending(daemon.log) as log:
        subprocess.run(
            [find_program('setsid', 'util-linux'), '--fork', *daemon.argv],
            check=True,
            env=environment,
            cwd=daemon.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
        )


def run(
    argv: tuple[str, ...],
    *,
    what: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> None:
    """Run a program to its end; what it says goes to a log."""
    with _appending(log) as stream:
        try:
            subprocess.run(
                argv,
                check=True,
                env={**_plain_environment(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                timeout=timeout_s,
                umask=0o077,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            reason = _reason(exc)
            raise errors.LabError(
                f'{what} failed ({reason})\n{errors.log_tail(log)}'
            ) from exc


def send(prefix: str, number: signal.Signals) -> None:
    """Signal every process that carries the mark, and no other."""
    for process in marked(prefix):
        _send_quietly(process, number)


def end(prefix: str, grace_s: float) -> None:
    """End all processes with the mark: asked first, then killed."""
    send(prefix, signal.SIGCONT)
    # Only those we started: they end their children in their own order.
    # Erlang's VM takes it for a crash when its helper goes first.
    for process in marked(prefix):
        if process.is_main:
            _send_quietly(process, signal.SIGTERM)
    with contextlib.suppress(errors.LabError):
        _wait(lambda: _survivors(prefix, main=True), prefix, grace_s)
        _wait(lambda: _survivors(prefix), prefix, _ORPHANS_S)
    kill(prefix)


def kill(prefix: str) -> None:
    """Kill all processes with the mark, also those born meanwhile."""

    def still_there() -> str | None:
        send(prefix, signal.SIGKILL)
        return _survivors(prefix)

    _wait(still_there, prefix, 20)


def _wait(
    problem: Callable[[], str | None], prefix: str, timeout_s: float
) -> None:
    waiting.until(
        problem,
        what=f'ending {prefix}',
        timeout_s=timeout_s,
        cancelled=threading.Event(),
    )


def _survivors(prefix: str, main: bool = False) -> str | None:
    found = [p for p in marked(prefix) if p.is_main or not main]
    left = [str(process.pid) for process in found]
    return f'still running: pid {", ".join(left)}' if left else None


def _send_quietly(process: Process, number: signal.Signals) -> None:
    """Signal it if it is still the same; gone is as good as signalled."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            now = _read(process.pid, process.mark)
            if now is not None and now.started == process.started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _read(pid: int, prefix: str) -> Process | None:
    """Read one process; None if it is gone, a zombie or marked otherwise.

    A lab does hardly anything more often: the many that are not asked for
    are known by one file each.
    """
    try:
        mark = _mark(_environment(pid))
        if mark is None or not mark.startswith(prefix):
            return None
        fields = _stat(pid)
    except OSError:
        return None
    if fields[0] in 'ZX':
        return None
    return Process(
        pid=pid,
        session=int(fields[3]),
        started=int(fields[19]),
        state='T' if fields[0] in 'Tt' else fields[0],
        mark=mark,
    )


def _mark(environment: bytes) -> str | None:
    start = f'{MARK}='.encode()
    if start not in environment:
        return None
    marks = [e for e in environment.split(b'\0') if e.startswith(start)]
    return marks[0].removeprefix(start).decode(errors='replace')


def _environment(pid: int) -> bytes:
    """Read the environment; while a process calls exec it looks empty."""
    for _ in range(20):
        found = _contents(f'/proc/{pid}/environ')
        if found or _has_none(_stat(pid)):
            return found
        time.sleep(0.001)
    return b''


def _has_none(stat: list[str]) -> bool:
    """Tell whether it is a zombie or a thread of the kernel."""
    return stat[0] in 'ZX' or bool(int(stat[6]) & _KERNEL_THREAD)


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat after the command's name."""
    # It may hold spaces and parentheses: count from its end.
    text = _contents(f'/proc/{pid}/stat').decode(errors='replace')
    return text.rpartition(')')[2].split()


def _contents(path: str) -> bytes:
    with open(path, 'rb', buffering=0) as file:
        return file.readall()


def _appending(log: Path) -> BinaryIO:
    files.private_directory(log.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.fdopen(os.open(log, flags, 0o600), 'ab')


def _plain_environment() -> dict[str, str]:
    """Give what every server gets; nothing else of the caller's leaks in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ('PATH', 'TMPDIR', 'TZ')
    }
    # SPT_NOENV: setproctitle, which gunicorn uses, would overwrite the
    # environment in /proc, and the mark with it.
    return {'LANG': 'C.UTF-8', 'HOME': '/nonexistent', 'SPT_NOENV': '1'} | kept


def _reason(exc: Exception) -> str:
    if isinstance(exc, subprocess.CalledProcessError):
        return f'exit code {exc.returncode}'
    if isinstance(exc, subprocess.TimeoutExpired):
        return f'not done after {exc.timeout:.0f} s'
    return str(exc)
