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
"""All agents are asked as if they were one, and gaps are named."""

import threading

import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients.bus import everyone
from dcn_distributor.core import transitions
from tests.fakes import clock as clocks

IMAGE = '3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11'


class Agent:
    """One agent; it may be dead, or of an old release."""

    def __init__(self, cloud, name):
        self._cloud = cloud
        self.name = name
        self.is_dead = False
        self.is_old = False
        self.problem = None
        self.ordered = []
        self.calls = []

    def who(self):
        """See control.Agent."""
        self._answer('who')
        if self.is_old:
            raise exceptions.AgentTooOld('too old')
        members = [] if self.problem else sorted(self._cloud.agents)
        return {
            'host': self.name,
            'members': members,
            'problem': self.problem,
            'sites': {
                site: {'link': site, 'owner': owner}
                for site, owner in self._cloud.owners.items()
            },
        }

    def remembered(self):
        """See control.Agent."""
        self._answer('remembered')
        return {
            'host': self.name,
            'troubles': {s: {'failures': 1} for s in self._own()},
        }

    def transfers(self):
        """See control.Agent."""
        self._answer('transfers')
        return {'host': self.name, 'transfers': [{'image_id': self.name}]}

    def timeline(self, image_id):
        """See control.Agent."""
        self._answer('timeline')
        entries = {
            store: (
                transitions.Entry(
                    self.name, 1.0, 'copying', 'x', 0.0, '', 1, None, '', None
                ),
            )
            for store in self._own()
        }
        timeline = transitions.Timeline(entries, {self.name: 1.0})
        return {'host': self.name, **transitions.plain(timeline)}

    def routes(self, image_id):
        """See control.Agent."""
        self._answer('routes')
        return {
            'host': self.name,
            'routes': {site: {'engine': None} for site in self._own()},
        }

    def resync(self, image_ids):
        """See control.Agent."""
        self._answer('resync')
        return {'host': self.name, 'looking_at': len(image_ids) or None}

    def copy(self, image_id, site_names, engine):
        """See control.Agent."""
        self._answer('copy')
        own = [site for site in site_names if site in self._own()]
        self.ordered += own
        strange = set(site_names) - set(own)
        refused = {site: f'there is no site {site}' for site in strange}
        return {'host': self.name, 'accepted': own, 'refused': refused}

    def rest(self, kind, name, rests, by, why):
        """See control.Agent."""
        self._answer('rest')
        return {'host': self.name, 'refused': None}

    def _own(self):
        owners = self._cloud.owners.items()
        return [site for site, owner in owners if owner == self.name]

    def _answer(self, question):
        self.calls.append(question)
        if self.is_dead:
            raise exceptions.BusUnavailable(f'{self.name} does not answer')


class Cloud:
    """Agents of which any may answer: the first that lives."""

    def __init__(self, owners):
        self.owners = owners
        names = sorted({o for o in owners.values() if o})
        self.agents = {name: Agent(self, name) for name in names}
        self.clock = clocks.Clock()
        self.all = everyone.Everyone(self, self.agents.__getitem__, self.clock)

    def __getattr__(self, question):
        return lambda *args: getattr(self._living(), question)(*args)

    def _living(self):
        for agent in self.agents.values():
            if not agent.is_dead:
                return agent
        raise exceptions.BusUnavailable('no agent answered')


@pytest.fixture
def cloud():
    return Cloud({'dcn0': 'a', 'dcn1': 'b', 'dcn2': 'c'})


def test_all_tell_of_their_own_sites(cloud):
    told = cloud.all.remembered()

    assert set(told['troubles']) == {'dcn0', 'dcn1', 'dcn2'}
    assert told['hosts'] == ['a', 'b', 'c']
    assert told['silent'] == []
    assert set(cloud.all.routes(IMAGE)['routes']) == set(cloud.owners)
    assert len(cloud.all.transfers()['transfers']) == 3


def test_a_timeline_is_that_of_all_and_says_who_saw_it(cloud):
    cloud.agents['c'].is_dead = True

    timeline = transitions.from_plain(cloud.all.timeline(IMAGE))

    assert {s: [e.host for e in t] for s, t in timeline.entries.items()} == {
        'dcn0': ['a'],
        'dcn1': ['b'],
    }
    assert set(timeline.since_s) == {'a', 'b'}
    assert cloud.all.timeline(IMAGE)['silent'] == ['c']


def test_a_dead_one_is_named_and_the_others_tell(cloud):
    cloud.agents['b'].is_dead = True

    told = cloud.all.remembered()

    assert set(told['troubles']) == {'dcn0', 'dcn2'}
    assert told['silent'] == ['b']
    assert cloud.all.who()['silent'] == ['b']


def test_a_dead_one_costs_its_time_out_once_and_is_asked_again_later(cloud):
    dead = cloud.agents['b']
    dead.is_dead = True
    cloud.all.remembered()

    cloud.all.transfers()
    told = cloud.all.routes(IMAGE)

    assert dead.calls == ['remembered']
    assert told['silent'] == ['b']
    dead.is_dead = False
    cloud.clock.advance(11)
    assert cloud.all.transfers()['silent'] == []


def test_who_is_asked_what_takes_long_is_known_to_answer(cloud):
    cloud.agents['b'].is_dead = True

    cloud.all.routes(IMAGE)

    assert cloud.agents['b'].calls == ['who']


def test_all_are_asked_at_once():
    cloud = Cloud({'dcn0': 'a', 'dcn1': 'b', 'dcn2': 'c'})
    together = threading.Barrier(3, timeout=10)

    def transfers():
        together.wait()
        return {'host': 'x'}

    for agent in cloud.agents.values():
        agent.transfers = transfers

    assert cloud.all.transfers()['silent'] == []


def test_if_nobody_answers_the_bus_is_unavailable(cloud):
    for agent in cloud.agents.values():
        agent.is_dead = True

    with pytest.raises(exceptions.BusUnavailable):
        cloud.all.remembered()


def test_members_that_are_all_silent_are_an_error_and_no_empty_answer(cloud):
    cloud.all.who()
    for agent in cloud.agents.values():
        agent.is_dead = True

    with pytest.raises(exceptions.BusUnavailable, match='a does not answer'):
        cloud.all.remembered()


def test_each_order_goes_to_the_agent_that_has_the_link(cloud):
    told = cloud.all.copy(IMAGE, ['dcn2', 'dcn0'], None)

    assert told['accepted'] == ['dcn0', 'dcn2']
    assert told['hosts'] == ['a', 'c']
    assert [a.ordered for a in cloud.agents.values()] == [
        ['dcn0'],
        [],
        ['dcn2'],
    ]


def test_a_site_that_nobody_has_is_refused():
    cloud = Cloud({'dcn0': 'a', 'dcn1': 'b', 'dcn2': None})

    told = cloud.all.copy(IMAGE, ['dcn0', 'dcn2', 'dcn9'], None)

    assert told['accepted'] == ['dcn0']
    assert told['refused'] == {
        'dcn2': 'no agent has link dcn2',
        'dcn9': 'there is no site dcn9',
    }


def test_an_order_for_a_dead_agents_site_is_no_success(cloud):
    cloud.agents['b'].is_dead = True

    told = cloud.all.copy(IMAGE, ['dcn0', 'dcn1'], None)

    assert told['accepted'] == ['dcn0']
    assert set(told['unheard']) == {'dcn1'}
    assert 'may have taken' in told['refused']['dcn1']
    assert told['silent'] == ['b']


def test_an_order_that_only_dead_agents_could_take_fails(cloud):
    cloud.agents['b'].is_dead = True

    with pytest.raises(exceptions.BusUnavailable, match='b does not'):
        cloud.all.copy(IMAGE, ['dcn1'], None)


def test_a_resync_goes_to_all(cloud):
    cloud.agents['c'].is_dead = True

    told = cloud.all.resync([IMAGE])

    assert (told['looking_at'], told['silent']) == (1, ['c'])
    assert 'resync' in cloud.agents['b'].calls


def test_an_old_agent_is_asked_alone():
    cloud = Cloud({'dcn0': 'old'})
    cloud.agents['old'].is_old = True

    assert cloud.all.who() == {'silent': []}
    assert cloud.all.remembered()['host'] == 'old'
    assert cloud.all.copy(IMAGE, ['dcn0'], None)['accepted'] == ['dcn0']


def test_of_agents_that_are_cut_off_another_is_asked(cloud):
    asked = iter(['a', 'c'])
    cloud.agents['a'].problem = 'etcd does not answer'
    cloud._living = lambda: cloud.agents[next(asked)]

    assert cloud.all.who()['host'] == 'c'


def test_one_that_is_cut_off_tells_why(cloud):
    for agent in cloud.agents.values():
        agent.problem = 'etcd does not answer'

    assert cloud.all.who()['problem'] == 'etcd does not answer'
    assert cloud.all.remembered()['host'] == 'a'
