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
"""Worlds in which agents form a group: in memory, by files, by etcd."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Protocol
from typing import TypeVar

from dcn_distributor.clients import coordination
from dcn_distributor.conf import coordination as settings
from dcn_distributor.core import ports
from lab import ports as loopback
from tests import waiting
from tests.contract import group_member
from tests.fakes import clock as clocks
from tests.fakes import groups as fakes

Seen = TypeVar('Seen')

LINKS = tuple(f'link-{number}' for number in range(60))

# As short as etcd lets it be.
REAL_LEASE_S = 2.0


class Apart(Protocol):
    """A member in a process of its own."""

    @property
    def group(self) -> ports.Group:
        """What it has of the group."""
        ...

    def kill(self) -> None:
        """End it without leaving."""
        ...

    def freeze(self) -> None:
        """Stop the process."""
        ...

    def thaw(self) -> tuple[str, ...]:
        """Continue it; return which links it first says are its own."""
        ...


class World(Protocol):
    """A coordinator, and members of its group.

    :ivar changes: how often each member was told of a change, by name
    """

    lease_s: float
    changes: dict[str, int]

    def join(self, name: str) -> ports.Group:
        """Start a member in this process."""
        ...

    def join_apart(self, name: str) -> Apart:
        """Start a member that can be killed."""
        ...

    def until(
        self, what: str, look: Callable[[], Seen], within_s: float = 30.0
    ) -> Seen:
        """Let time pass until what is seen is true, and return it."""
        ...

    def freeze(self) -> None:
        """Have the coordinator give no answers."""
        ...

    def thaw(self) -> None:
        """Have it go on."""
        ...

    def close(self) -> None:
        """End what runs."""
        ...


def has(group: ports.Group) -> tuple[str, ...]:
    """Tell the links of a member."""
    return tuple(link for link in LINKS if group.is_ours(link))


def shared(members: Sequence[ports.Group]) -> bool:
    """Tell whether all links are shared out over these members.

    Fails if two of them have one link. Time passes between two questions,
    so the first is asked again.
    """
    for link in LINKS:
        owners = [member for member in members if member.is_ours(link)]
        still = [member for member in owners if member.is_ours(link)]
        assert len(still) < 2, f'two members have {link}'
        if not still:
            return False
    return all(has(member) for member in members)


class FakeWorld:
    """In memory and in virtual time."""

    def __init__(self) -> None:
        self.coordinator = fakes.Coordinator(clocks.Clock())
        self.lease_s = self.coordinator.lease.timeout_s
        self.changes: dict[str, int] = {}

    def join(self, name: str) -> fakes.Group:
        """See World."""
        self.changes[name] = 0
        group = self.coordinator.group(name, lambda: self._count(name))
        group.start()
        return group

    def join_apart(self, name: str) -> Apart:
        """See World."""
        return _FakeApart(self.join(name))

    def until(
        self, what: str, look: Callable[[], Seen], within_s: float = 30.0
    ) -> Seen:
        """See World."""
        end = self.coordinator.clock.now + within_s * 10
        while not (seen := look()):
            assert self.coordinator.clock.now < end, f'{what}: {seen!r}'
            self.coordinator.advance(self.coordinator.lease.beat_s / 4)
        return seen

    def freeze(self) -> None:
        """See World."""
        self.coordinator.is_frozen = True

    def thaw(self) -> None:
        """See World."""
        self.coordinator.is_frozen = False

    def close(self) -> None:
        """See World."""

    def _count(self, name: str) -> None:
        self.changes[name] += 1


class _FakeApart:
    def __init__(self, group: fakes.Group) -> None:
        self.group = group

    def kill(self) -> None:
        self.group.die()

    def freeze(self) -> None:
        self.group.is_stopped = True

    def thaw(self) -> tuple[str, ...]:
        first = has(self.group)
        self.group.is_stopped = False
        return first


class RealWorld:
    """Members by tooz; what coordinates them is for others to start."""

    def __init__(self, url: str) -> None:
        self.lease_s = REAL_LEASE_S
        self.changes: dict[str, int] = {}
        self.url = url
        self._closing = contextlib.ExitStack()

    def join(self, name: str) -> ports.Group:
        """See World."""
        self.changes[name] = 0
        group = coordination.open_group(
            settings.Coordination(self.url, self.lease_s),
            name,
            lambda: self._count(name),
            lambda: True,
        )
        group.start()
        self._closing.callback(group.stop)
        return group

    def join_apart(self, name: str) -> Apart:
        """See World."""
        process = group_member.Process(self.url, self.lease_s, name)
        self._closing.callback(process.close)
        return process

    def until(
        self, what: str, look: Callable[[], Seen], within_s: float = 30.0
    ) -> Seen:
        """See World."""
        return waiting.until(what, look, within_s, pause_s=0.02)

    def close(self) -> None:
        """See World."""
        self._closing.close()

    def _count(self, name: str) -> None:
        self.changes[name] += 1


class FileWorld(RealWorld):
    """By files in a directory.

    It is frozen by a process that holds the lock which every call of the
    driver takes; that of a process does not keep out the process itself.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(f'file://{directory}')
        self._lock = directory / '.driver_lock'
        self._holder: subprocess.Popen[bytes] | None = None

    def freeze(self) -> None:
        """See World."""
        self._holder = subprocess.Popen(
            [sys.executable, '-c', _HOLD, self._lock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b'held\n'

    def thaw(self) -> None:
        """See World."""
        assert self._holder is not None
        self._holder.communicate()

    def close(self) -> None:
        """See World."""
        if self._holder is not None:
            self._holder.kill()
        super().close()


_HOLD = (
    'import fcntl, sys; file = open(sys.argv[1], "a"); '
    'fcntl.lockf(file, fcntl.LOCK_EX); print("held", flush=True); '
    'sys.stdin.read()'
)


class EtcdWorld(RealWorld):
    """By an etcd of our own, on free ports."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix='dcn-etcd-')
        first = loopback.choose(2, Path(self._directory))
        super().__init__(f'etcd3+http://127.0.0.1:{first}')
        self._urls = [f'http://127.0.0.1:{first + n}' for n in (0, 1)]
        self._etcd = self._run()

    def freeze(self) -> None:
        """See World."""
        self._etcd.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """See World."""
        self._etcd.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Let etcd die; what it has written stays."""
        self._etcd.kill()
        self._etcd.wait()

    def restart(self) -> None:
        """Have it die, and start it anew."""
        self.kill()
        self._etcd = self._run()

    def close(self) -> None:
        """See World."""
        super().close()
        self.kill()
        shutil.rmtree(self._directory)

    def _run(self) -> subprocess.Popen[bytes]:
        clients, peers = self._urls
        return subprocess.Popen(
            [
                'etcd',
                f'--data-dir={self._directory}/data',
                f'--listen-client-urls={clients}',
                f'--advertise-client-urls={clients}',
                f'--listen-peer-urls={peers}',
                f'--initial-advertise-peer-urls={peers}',
                f'--initial-cluster=default={peers}',
                '--heartbeat-interval=50',
                '--election-timeout=500',
                '--log-level=error',
            ],
            env={},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
