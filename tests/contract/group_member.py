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
"""A member of a group in a process of its own, and what asks it.

The process answers questions from its standard input, a line each, with a
line of JSON; it dies, or is frozen, as a real agent may be.
"""

import json
import signal
import subprocess
import sys
from typing import Any

from dcn_distributor.clients import coordination
from dcn_distributor.conf import coordination as settings


class Process:
    """Such a process, and the group as it sees it.

    It is itself the group, as asked over its pipes.
    """

    def __init__(self, url: str, lease_s: float, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, '-m', __name__, url, str(lease_s), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def group(self) -> 'Process':
        """What it has of the group."""
        return self

    def members(self) -> tuple[str, ...]:
        """See ports.Group."""
        return tuple(self._ask('members'))

    def owner(self, link: str) -> str | None:
        """See ports.Group."""
        owner: str | None = self._ask('owner', link)
        return owner

    def is_ours(self, link: str) -> bool:
        """See ports.Group."""
        return bool(self._ask('is_ours', link))

    def problem(self) -> str | None:
        """See ports.Group."""
        problem: str | None = self._ask('problem')
        return problem

    def start(self) -> None:
        """See ports.Group; it has begun to when it was made."""

    def stop(self) -> None:
        """See ports.Group."""
        self._ask('stop')

    def kill(self) -> None:
        """End it without leaving."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> tuple[str, ...]:
        """Continue it; return which links it first says are its own."""
        from tests.contract import group_worlds

        for link in group_worlds.LINKS:
            self._send('is_ours', link)
        self._process.send_signal(signal.SIGCONT)
        answers = [self._receive() for _ in group_worlds.LINKS]
        return tuple(
            link
            for link, is_ours in zip(group_worlds.LINKS, answers, strict=True)
            if is_ours
        )

    def close(self) -> None:
        """End it, whatever it does."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _ask(self, method: str, *arguments: str) -> Any:
        self._send(method, *arguments)
        return self._receive()

    def _send(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + '\n')
        self._process.stdin.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def main(url: str, lease_s: str, name: str) -> None:
    """Join, and answer until the input ends."""
    group = coordination.open_group(
        settings.Coordination(url, float(lease_s)),
        name,
        lambda: None,
        lambda: True,
    )
    group.start()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        answer = getattr(group, method)(*arguments)
        sys.stdout.write(json.dumps(answer) + '\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main(*sys.argv[1:])
