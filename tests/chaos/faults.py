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
"""Does to services and agents what the plan says, and heals it again."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import os
import signal
import threading

from lab import deployment
from lab import errors
from tests import waiting
from tests.chaos import journal
from tests.chaos import plans
from tests.integration import agents

_HEALING_S = 240.0


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A way to fail, and what ends it."""

    strike: Callable[[], None]
    heal: Callable[[], None]


class Quiet:
    """Lets Glance start only while all clusters are well.

    It looks at them once, when it starts, and does without those that were
    away until it is started again: that is not what is tested here.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ill: set[str] = set()
        self._starting = 0

    @contextlib.contextmanager
    def broken(self, cluster: str) -> Iterator[None]:
        """Break a cluster, and heal it; not while Glance starts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._starting)
            self._ill.add(cluster)
        try:
            yield
        finally:
            with self._changed:
                self._ill.discard(cluster)
                self._changed.notify_all()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Start Glance; clusters are healed first, and not broken yet."""
        with self._changed:
            self._starting += 1
            self._changed.wait_for(lambda: not self._ill)
        try:
            yield
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()


class Saboteur:
    """See the module.

    Each target has a thread of its own, so that what takes long to heal
    delays its own next fault only.

    :ivar glance_ended: before when Glance was last not running, in UTC
    """

    def __init__(
        self,
        lab: deployment.Lab,
        fleet: Mapping[str, agents.Agent],
        paper: journal.Journal,
        is_over: threading.Event,
    ) -> None:
        self._lab = lab
        self._fleet = fleet
        self._journal = paper
        self._is_over = is_over
        self._quiet = Quiet()
        # What Glance had begun before is dead.
        self.glance_ended = datetime.datetime.min
        self._failures: list[str] = []
        self._threads: list[threading.Thread] = []

    def start(self, planned: Mapping[str, Sequence[plans.Fault]]) -> None:
        """Begin to carry out a plan."""
        self._threads = [
            threading.Thread(
                target=self._follow, args=[own], name=name, daemon=True
            )
            for name, own in planned.items()
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> list[str]:
        """Wait until all is healed; tell what could not be."""
        for thread in self._threads:
            thread.join()
        return self._failures

    def _follow(self, planned: Sequence[plans.Fault]) -> None:
        for fault in planned:
            wait_s = fault.at_s - self._journal.now_s
            if self._is_over.wait(max(0.0, wait_s)):
                return
            is_cluster = fault.member.startswith('ceph-')
            try:
                with (
                    self._quiet.broken(fault.member)
                    if is_cluster
                    else contextlib.nullcontext()
                ):
                    self._carry_out(fault)
            except Exception as exc:
                what = f'{fault.member} ({fault.kind}): {exc}'
                self._failures.append(what)
                self._journal.say(f'cannot be healed: {what}')
                return

    def _carry_out(self, fault: plans.Fault) -> None:
        kind = self._kinds(fault.member)[fault.kind]
        self._journal.say(
            f'{fault.member}: {fault.kind}, for {fault.lasts_s:.0f} s'
        )
        self._journal.count('faults')
        kind.strike()
        self._is_over.wait(fault.lasts_s)

        def is_healed() -> bool:
            try:
                kind.heal()
            # A start that took too long on this machine, most likely.
            except (errors.LabError, AssertionError) as exc:
                self._journal.say(f'{fault.member}: {exc}, once more')
                return False
            return True

        waiting.until(f'{fault.member} is healed', is_healed, _HEALING_S)
        self._journal.say(f'{fault.member}: healed')

    def _kinds(self, member: str) -> dict[str, Kind]:
        if member in self._fleet:
            agent = self._fleet[member]
            return {
                'kill': Kind(agent.kill, lambda: _start(agent)),
                'freeze': Kind(agent.freeze, agent.thaw),
                'restart': Kind(lambda: _stop(agent), lambda: _start(agent)),
            }
        service = self._lab.service(member)

        def start() -> None:
            is_glance = member == 'glance'
            if not is_glance:
                service.start()
                return
            with self._quiet.kept():
                self.glance_ended = datetime.datetime.now(datetime.UTC)
                service.start()

        return {
            'kill': Kind(service.kill, start),
            'freeze': Kind(service.freeze, service.thaw),
            'restart': Kind(service.stop, start),
            'kill osd': Kind(
                lambda: self._kill_daemon(member, 'osd'), service.start
            ),
            'kill mon': Kind(
                lambda: self._kill_daemon(member, 'mon'), service.start
            ),
        }

    def _kill_daemon(self, member: str, daemon: str) -> None:
        pids = dict(self._lab.service(member).status().pids)
        os.kill(pids[daemon], signal.SIGKILL)


def _start(agent: agents.Agent) -> None:
    """Start an agent, unless an earlier try took too long to be seen."""
    if not agent.is_running:
        agent.start()


def _stop(agent: agents.Agent) -> None:
    """Stop an agent in good order."""
    code = agent.stop()
    assert code == 0, f'the agent ended with {code}'
