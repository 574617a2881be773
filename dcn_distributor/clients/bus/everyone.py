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
"""All agents of a deployment, asked as if they were one.

One of them, whichever answers, tells who they are; then all are asked at
once, and what they tell is merged. Those that do not answer in time are
named in the answer: `silent`. For a while they are not asked again, so that
an agent that died, and counts as one until its lease has lapsed, costs a
command its time-out once.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import dataclasses
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.clients.bus import control
from dcn_distributor.core import images
from dcn_distributor.core import merging
from dcn_distributor.core import rosters

_Answer = dict[str, Any]
_Ask = Callable[[control.Agent], _Answer]
_Merge = Callable[[Sequence[Mapping[str, Any]]], _Answer]

# How long it is believed who the agents are, and that one is silent, or not.
_FRESH_S = 5.0
_QUIET_S = 10.0

# An agent that is cut off from the others does not know who they are.
_TRIES = 3


@dataclasses.dataclass(frozen=True, slots=True)
class _Company:
    """Who there is, as one agent told at a moment."""

    told: _Answer
    at_s: float

    @property
    def names(self) -> tuple[str, ...]:
        """All agents."""
        return rosters.read(self.told).names

    def owner(self, site: str) -> str | None:
        """Tell which agent has a site's link; None if nobody does."""
        owner = self._site(site).get('owner')
        return owner if isinstance(owner, str) else None

    def knows(self, site: str) -> bool:
        """Tell whether the agents have this site in their sites.yaml."""
        return bool(self._site(site))

    def gap(self, site: str) -> str:
        """Say why a site is nobody's."""
        link = str(self._site(site).get('link'))
        reasons = rosters.read(self.told).elsewhere()
        return reasons.get(link, f'no agent has link {link}')

    def _site(self, name: str) -> Mapping[str, Any]:
        sites = self.told.get('sites')
        site = sites.get(name) if isinstance(sites, Mapping) else None
        return site if isinstance(site, Mapping) else {}


class Everyone:
    """See the module; itself a control.Agent.

    Every call raises BusUnavailable if nobody answers. An agent that knows
    of no others is asked alone.

    :param anyone: asks whichever answers
    :param at: makes what asks the one of a name
    :param clock: seconds that never jump
    """

    def __init__(
        self,
        anyone: control.Agent,
        at: Callable[[str], control.Agent],
        clock: Callable[[], float],
    ) -> None:
        self._anyone = anyone
        self._at = at
        self._clock = clock
        self._company: _Company | None = None
        self._heard_s: dict[str, float] = {}
        self._silent_s: dict[str, float] = {}

    def who(self) -> _Answer:
        """See control.Agent."""
        company = self._meet()
        return self._with_silent(dict(company.told), company.names)

    def resync(self, image_ids: Sequence[images.ImageId]) -> _Answer:
        """See control.Agent."""
        return self._ask_all(
            lambda agent: agent.resync(image_ids), merging.resync
        )

    def remembered(self) -> _Answer:
        """See control.Agent."""
        return self._ask_all(
            lambda agent: agent.remembered(), merging.remembered
        )

    def transfers(self) -> _Answer:
        """See control.Agent."""
        return self._ask_all(
            lambda agent: agent.transfers(), merging.transfers
        )

    def timeline(self, image_id: images.ImageId) -> _Answer:
        """See control.Agent."""
        return self._ask_all(
            lambda agent: agent.timeline(image_id), merging.timelines
        )

    def routes(self, image_id: images.ImageId) -> _Answer:
        """See control.Agent."""
        names = self._meet().names
        if len(names) > 1:
            self._ping(names)
        return self._ask_all(
            lambda agent: agent.routes(image_id), merging.routes
        )

    def rest(
        self, kind: str, name: str, rests: bool, by: str, why: str
    ) -> _Answer:
        """See control.Agent."""
        return self._anyone.rest(kind, name, rests, by, why)

    def copy(
        self,
        image_id: images.ImageId,
        site_names: Sequence[str],
        engine: str | None,
    ) -> _Answer:
        """See control.Agent; `unheard` are those whose agent is silent.

        By site, with the reason; they are among ``refused``, too.
        """
        company = self._meet()
        if len(company.names) < 2:
            return self._anyone.copy(image_id, site_names, engine)
        by_owner: dict[str, list[str]] = {}
        refused = {}
        for site in site_names:
            # One that nobody knows of is for anybody to refuse.
            known = company.knows(site)
            owner = company.owner(site) if known else company.names[0]
            if owner is None:
                refused[site] = company.gap(site)
            else:
                by_owner.setdefault(owner, []).append(site)
        self._ping(tuple(by_owner))
        answers, errors = self._ask(
            {
                owner: _order(image_id, sites, engine)
                for owner, sites in by_owner.items()
            }
        )
        unheard = {
            site: f'{errors[owner]} (it may have taken the order all the same)'
            for owner, sites in by_owner.items()
            if owner in errors
            for site in sites
        }
        if errors and not answers and not refused:
            raise errors[min(errors)]
        merged = merging.copies([*answers.values()])
        merged['refused'] |= refused | unheard
        merged['unheard'] = unheard
        return self._with_silent(merged, company.names)

    def _meet(self) -> _Company:
        """Learn who there is. Raises BusUnavailable."""
        now = self._clock()
        known = self._company
        if known is not None and now - known.at_s < _FRESH_S:
            return known
        told: _Answer = {}
        for _ in range(_TRIES):
            try:
                told = self._anyone.who()
            except exceptions.AgentTooOld:
                break
            if not told.get('problem'):
                break
        self._company = _Company(told, self._clock())
        return self._company

    def _ask_all(self, ask: _Ask, merge: _Merge) -> _Answer:
        names = self._meet().names
        if len(names) < 2:
            return ask(self._anyone)
        answers, errors = self._ask(dict.fromkeys(names, ask))
        if not answers:
            raise errors[min(errors)]
        return self._with_silent(merge([*answers.values()]), names)

    def _ping(self, names: Sequence[str]) -> None:
        """Find out who is silent before they are asked what takes long."""
        oldest_s = self._clock() - _QUIET_S
        unsure = [n for n in names if self._heard_s.get(n, -1e9) < oldest_s]
        self._ask(dict.fromkeys(unsure, lambda agent: agent.who()))

    def _ask(
        self, by_name: Mapping[str, _Ask]
    ) -> tuple[dict[str, _Answer], dict[str, exceptions.BusUnavailable]]:
        """Ask several at once; return the answers, and who gave none."""
        answers: dict[str, _Answer] = {}
        errors = {
            name: exceptions.BusUnavailable(f'agent {name} does not answer')
            for name in by_name
            if name in self._silent()
        }
        asked = [name for name in by_name if name not in errors]
        if not asked:
            return answers, errors
        with futures.ThreadPoolExecutor(len(asked)) as pool:
            under_way = {
                name: pool.submit(by_name[name], self._at(name))
                for name in asked
            }
        for name, future in under_way.items():
            try:
                answers[name] = future.result()
                self._heard_s[name] = self._clock()
            except exceptions.BusUnavailable as exc:
                errors[name] = exc
                self._silent_s[name] = self._clock()
        return answers, errors

    def _silent(self) -> set[str]:
        oldest_s = self._clock() - _QUIET_S
        return {n for n, at_s in self._silent_s.items() if at_s > oldest_s}

    def _with_silent(self, answer: _Answer, names: Sequence[str]) -> _Answer:
        return {**answer, 'silent': sorted(self._silent() & set(names))}


def _order(
    image_id: images.ImageId, sites: Sequence[str], engine: str | None
) -> _Ask:
    return lambda agent: agent.copy(image_id, sites, engine)
