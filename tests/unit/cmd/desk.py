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
"""A desk: the operators' commands before a cloud in memory."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from dcn_distributor import app
from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import sites
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers
from dcn_distributor.core import transitions
from tests.fakes import clusters
from tests.fakes import glance
from tests.unit.engines.rbd_stream import clouds

NOW_S = 1_800_000_000.0
MIB = 2**20


class Agent:
    """An agent that answers with what it is given here, or is away.

    One that is `old` knows nothing of streams.
    """

    def __init__(self) -> None:
        self.setbacks: dict[str, Any] = {}
        self.troubles: dict[str, Any] = {}
        self.verified: dict[str, list[str]] = {}
        self.obstacles: dict[str, list[str]] = {}
        self.reports: list[transfers.Report] = []
        self.orders: dict[str, Any] = {}
        self.links: dict[str, Any] = {}
        self.roster: dict[str, Any] = {'members': ['ctl-0'], 'problem': None}
        self.silent: list[str] = []
        self.words: dict[tuple[str, str], dict[str, Any]] = {}
        self.refusal: str | None = None
        self.told_routes: dict[str, dict[str, Any]] = {}
        self.told_timeline = transitions.Timeline(since_s={'ctl-0': NOW_S})
        self.is_old = False
        self.is_away = False
        self.asked: list[tuple[str, ...]] = []

    def resync(self, image_ids: Sequence[images.ImageId]) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer()
        self.asked.append(tuple(image_ids))
        looking_at = len(image_ids) or None
        return {
            'host': 'ctl-0',
            'looking_at': looking_at,
            'silent': self.silent,
        }

    def remembered(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer()
        return {
            'host': 'ctl-0',
            'setbacks': self.setbacks,
            'troubles': self.troubles,
            'verified': self.verified,
            'obstacles': self.obstacles,
            'orders': self.orders,
            'links': self.links,
            'pauses': self._resting(),
        }

    def transfers(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer(is_new=True)
        return {
            'host': 'ctl-0',
            'transfers': [transfer_messages.plain(r) for r in self.reports],
        }

    def routes(self, image_id: images.ImageId) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer(is_new=True)
        return {'host': 'ctl-0', 'routes': self.told_routes}

    def timeline(self, image_id: images.ImageId) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer(is_new=True)
        return {'host': 'ctl-0', **transitions.plain(self.told_timeline)}

    def who(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer(is_new=True)
        return {
            'host': 'ctl-0',
            'sites': {},
            **self.roster,
            'pauses': self._resting(),
            'silent': self.silent,
        }

    def rest(
        self, kind: str, name: str, rests: bool, by: str, why: str
    ) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        self._answer(is_new=True)
        if self.refusal is not None:
            return {'refused': self.refusal, 'is_new': False, 'word': None}
        known = self.words.get((kind, name))
        is_new = rests != (known is not None and known['rests'])
        if is_new:
            known = {
                'kind': kind,
                'name': name,
                'rests': rests,
                'by': by,
                'at_s': NOW_S,
                'why': why,
            }
            self.words[kind, name] = known
        return {'refused': None, 'is_new': is_new, 'word': known}

    def _resting(self) -> list[dict[str, Any]]:
        return [word for word in self.words.values() if word['rests']]

    def _answer(self, *, is_new: bool = False) -> None:
        if self.is_away:
            raise exceptions.BusUnavailable('no agent answered within 3 s')
        if is_new and self.is_old:
            raise exceptions.AgentTooOld('the agent is too old for that')


class Desk:
    """Runs one command again and again; public images go everywhere.

    :param command: the class of the command.
    :param read: returns what was written to stdout and stderr since.
    :ivar command: the class, which opens the world of the desk.
    :param cloud: one whose sites have clusters, in place of `site_count`
        without.
    """

    def __init__(
        self,
        command: type,
        read: Callable[[], Any],
        site_count: int = 2,
        cloud: clouds.Cloud | None = None,
    ) -> None:
        self._read = read
        self._cloud = cloud
        self.agent = Agent()
        self.now_s = NOW_S
        names = [f'dcn{n}' for n in range(site_count)]
        self.glance = (
            glance.FakeGlance(['central', *names], lambda: NOW_S)
            if cloud is None
            else cloud.glance
        )
        all_sites = (
            sites.Sites('central', tuple(sites.Site(n, n, {}) for n in names))
            if cloud is None
            else cloud.all_sites()
        )
        self.command = type(
            command.__name__,
            (command,),
            {'open_world': staticmethod(self._open_world)},
        )
        self.use(all_sites)

    def use(self, all_sites: sites.Sites) -> None:
        """Have sites.yaml name these sites."""
        self.rules = policies.PolicySet(
            [
                policies.Policy(
                    'all-public',
                    matching.Block(
                        (matching.OneOf('visibility', ('public',)),)
                    ),
                    policies.AllSites(),
                    origin='placement.yaml:3',
                )
            ],
            all_sites,
        )

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Run it; return the exit code, stdout and stderr."""
        application = cli.Cli()
        application.command_manager.add_command('run', self.command)
        code = application.run(['run', *argv])
        told = self._read()
        return code, told.out, told.err

    def _open_world(self, application: cli.Cli) -> app.World:
        return app.World(
            self.glance,
            self.rules,
            self.agent,
            lambda: self.now_s,
            transfers.Tuning(
                chunk_bytes=clouds.CHUNK, window_bytes=4 * clouds.CHUNK
            ),
            self._connect,
        )

    def _connect(self, settings: sites.Cluster) -> clusters.FakeCluster:
        assert self._cloud is not None
        return clusters.FakeCluster(self._cloud.cephs[settings.conf])
