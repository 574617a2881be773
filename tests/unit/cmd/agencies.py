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
"""The command copy before an agent in memory, in virtual time.

The agent is the real one of the service but for the bus; the engine and
Glance are fakes (see tests.unit.service.world). Time passes while the
command pauses; each call of the agent that gets no answer takes as long as
on a bus.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import logging
import types
from typing import Any

from dcn_distributor import app
from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import copy
from dcn_distributor.core import choosing
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import transfers
from dcn_distributor.service import answers
from tests.unit.service import world as worlds

NO_ANSWER_S = 3.0
HOST = 'ctl-0'

_NO_IMAGE = matching.Block((matching.OneOf('visibility', ('shared',)),))


class Agency:
    """An agent's answers, the command, and what happens while it waits.

    :param read: returns what was written to stdout and stderr since
    :ivar world: where the agent works
    :ivar plan: what happens after so many seconds of waiting, in order
    :ivar is_away: whether the agent works on, but does not answer
    """

    def __init__(self, read: Callable[[], Any], **settings: Any) -> None:
        self._read = read
        self.world = worlds.World(
            **{
                'rules': [worlds.policy(match=_NO_IMAGE)],
                'options': choosing.Options(prefer_rbd_stream=True),
                **settings,
            }
        )
        self.plan: list[tuple[float, Callable[[], None]]] = []
        self.is_away = False
        self.copies = 0
        self._begun_s = self.world.clock()
        self.command = type(
            'Copy',
            (copy.Copy,),
            {
                'open_world': staticmethod(self._open_world),
                'clock': staticmethod(self.world.clock),
                'pause': staticmethod(self.pause),
            },
        )

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Run the command; return the exit code, stdout and stderr."""
        self._begun_s = self.world.clock()
        application = cli.Cli()
        application.command_manager.add_command('run', self.command)
        with _logging_elsewhere():
            code = application.run(['run', *argv])
        told = self._read()
        return code, told.out, told.err

    def records(self, *argv: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run it for the records, by site."""
        code, out, _ = self.run(*argv, '-f', 'json')
        return code, {one['site']: one for one in json.loads(out)}

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen after so many seconds of waiting."""
        self.plan.append((seconds, act))

    def restart(self) -> None:
        """Kill the agent, and start one that remembers nothing."""
        self.world.start_agent()

    def pause(self, seconds: float) -> None:
        """Let time pass, and happen what is due."""
        self.world.run(max(1.0, seconds))
        passed_s = self.world.clock() - self._begun_s
        assert passed_s < 3600, 'the command waits for ever'
        while self.plan and self.plan[0][0] <= passed_s:
            self.plan.pop(0)[1]()

    # -- clients.bus.control.Agent

    def remembered(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers().remembered()

    def transfers(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers().transfers()

    def who(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers().who()

    def copy(
        self, image_id: Any, site_names: Sequence[str], engine: str | None
    ) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        answer = self._answers().copy(image_id, site_names, engine)
        self.copies += 1
        return answer

    def _answers(self) -> answers.Answers:
        if self.is_away:
            self.world.run(NO_ANSWER_S)
            raise exceptions.BusUnavailable('no agent answered within 3 s')
        world = self.world
        has_streams = world.options is not None
        made = world.parts(
            types.SimpleNamespace(
                pauses=world.pauses,
                words=tuple(world.pauses.words.values()),
            ),
            world.streams if has_streams else None,
        )
        return answers.Answers(made, HOST, dict, lambda: None)

    def _open_world(self, application: cli.Cli) -> app.World:
        world = self.world
        return app.World(
            world.glance,
            policies.PolicySet(world.rules, world.sites),
            self,
            world.clock,
            transfers.Tuning(),
            self._connect,
        )

    def _connect(self, settings: object) -> Any:
        raise AssertionError('copy asks the agent, never a cluster')


@contextlib.contextmanager
def _logging_elsewhere() -> Iterator[None]:
    """Keep what the agent logs, a process of its own, out of the command's."""
    root = logging.getLogger()
    before = [*root.handlers]
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        root.handlers[:] = before
