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
"""Which agents there are, and who has which link, as the commands see it.

Read from what one of them told over the bus: see clients.bus.control.Agent.
What is not as expected is left out.
"""

from collections.abc import Mapping
import dataclasses
from types import MappingProxyType

from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import text


@dataclasses.dataclass(frozen=True, slots=True)
class Roster:
    """See the module.

    :ivar names: none if only one that knows of no others was found, or one
        that is cut off from them
    :ivar problem: what keeps an agent from acting for its links
    :ivar owners: the agent that has a link, None if nobody that is known
    :ivar silent: those that did not answer
    """

    names: tuple[str, ...] = ()
    problem: str | None = None
    owners: Mapping[str, str | None] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    silent: tuple[str, ...] = ()
    pauses: all_pauses.Pauses = all_pauses.NONE

    def links_of(self, name: str) -> tuple[str, ...]:
        """The links that an agent has."""
        owners = self.owners.items()
        return tuple(sorted(link for link, owner in owners if owner == name))

    def elsewhere(self) -> Mapping[str, str]:
        """Why nobody acts for a link, by its name, where that is so."""
        reasons = {}
        for link, owner in self.owners.items():
            shown = text.show(link)
            if owner is None:
                why = f': {self.problem}' if self.problem else ''
                reasons[link] = f'no agent has link {shown}{why}'
            elif owner in self.silent:
                reasons[link] = (
                    f'agent {text.show(owner)}, which has link {shown}, does '
                    'not answer'
                )
        return reasons


NOBODY = Roster()


def read(answer: Mapping[str, object]) -> Roster:
    """Read what Agent.who() gave."""
    problem = answer.get('problem')
    told = answer.get('sites')
    owners: dict[str, str | None] = {}
    for site in told.values() if isinstance(told, Mapping) else ():
        if isinstance(site, Mapping) and isinstance(site.get('link'), str):
            owner = site.get('owner')
            owners[site['link']] = owner if isinstance(owner, str) else None
    return Roster(
        _texts(answer.get('members')),
        problem if isinstance(problem, str) else None,
        MappingProxyType(owners),
        _texts(answer.get('silent')),
        pauses(answer),
    )


def pauses(answer: Mapping[str, object]) -> all_pauses.Pauses:
    """Read what of an answer are words of operators."""
    words = answer.get('pauses')
    told = words if isinstance(words, list | tuple) else ()
    heard = map(all_pauses.from_plain, told)
    return all_pauses.NONE.merged(word for word in heard if word is not None)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text for text in value if isinstance(text, str))
