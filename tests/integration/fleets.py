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
"""Several agents that share the links of a lab."""

from collections.abc import Collection
from collections.abc import Mapping
from concurrent import futures
import dataclasses
import datetime
import re

from dcn_distributor.clients import coordination
from tests import waiting
from tests.integration import agents
from tests.integration import clouds

Options = Mapping[tuple[str, str], str]

LEASE_S = 6.0
HASTY: Options = {
    ('coordination', 'lease_timeout'): f'{LEASE_S:g}',
}
_PLACEMENT = re.compile(
    r'^(\S+ \S+) .* placement image=(\S+) store=(\S+) state=(\S+) ', re.M
)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A line that an agent logged on one image at one store."""

    agent: str
    at_s: float
    image_id: str
    store: str
    state: str


class Fleet:
    """See the module. The agents have the names of the lab's own.

    :param each: more options of single agents, by their names
    """

    def __init__(
        self,
        cloud: clouds.Cloud,
        options: Options,
        policy: str | None = None,
        each: Mapping[str, Options] | None = None,
    ) -> None:
        self.agents: dict[str, agents.Agent] = {}
        for conf in cloud.lab.agent_confs:
            name = conf.parent.name
            own = (each or {}).get(name, {})
            self.agents[name] = cloud.agent(
                {**HASTY, **options, **own}, policy, conf
            )

    def start(self) -> None:
        """Start all, and wait until each has the links that it should."""
        with futures.ThreadPoolExecutor() as threads:
            list(threads.map(agents.Agent.start, self.agents.values()))
        for name in self.agents:
            self.wait_until_in(name)

    def wait_until_in(self, name: str, told: int = 0) -> None:
        """Wait until an agent tells that it is one of all, and acts.

        :param told: how much of its log is from before
        """
        words = f'Agents: {", ".join(sorted(self.agents))} (in)'
        waiting.until(
            f'{name} is in',
            lambda: words in _last_standing(self.agents[name].log[told:]),
        )

    def change(self, options: Options, but: Collection[str] = ()) -> None:
        """Change the configuration of all but some."""
        for name, agent in self.agents.items():
            if name not in but:
                agent.change(dict(options))

    def owner(self, site: str, without: Collection[str] = ()) -> str:
        """Tell who has a site's own link, if some agents are not there."""
        return _owner(site, set(self.agents) - set(without))

    def lines(
        self, image_id: str | None = None, store: str | None = None
    ) -> list[Line]:
        """All that was logged of an image, a store, or everything."""
        return sorted(
            (
                line
                for name, agent in self.agents.items()
                for line in _read(name, agent.log)
                if image_id in (None, line.image_id)
                and store in (None, line.store)
            ),
            key=lambda line: line.at_s,
        )


def owner(cloud: clouds.Cloud, site: str) -> str:
    """Tell which of a lab's agents has a site's own link."""
    return _owner(site, {path.parent.name for path in cloud.lab.agent_confs})


def _owner(site: str, present: Collection[str]) -> str:
    found = coordination.Ring(present).owner(site)
    assert found is not None
    return found


def _read(name: str, log: str) -> list[Line]:
    return [
        Line(
            name,
            datetime.datetime.fromisoformat(at).timestamp(),
            image_id,
            store,
            state,
        )
        for at, image_id, store, state in _PLACEMENT.findall(log)
    ]


def _last_standing(log: str) -> str:
    """The last that an agent has told of its group."""
    told = [
        line
        for line in log.splitlines()
        if 'Agents: ' in line or 'No links are ours' in line
    ]
    return told[-1] if told else ''
