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
"""Among several agents each tells, and takes orders, of its own links only."""

import pytest

from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import matching
from dcn_distributor.core import pauses as core_pauses
from dcn_distributor.core import transitions
from dcn_distributor.service import answers
from dcn_distributor.service import pauses
from tests.unit.service import world as worlds

NORTH = links.Link('north', transfers=3, rate_bytes_s=1e6)
SOUTH = links.Link('south')

_PRIVATE = matching.Block((matching.OneOf('visibility', ('private',)),))


class Group:
    """Two agents: this one has the link to the north."""

    def __init__(self):
        self.owners = {'north': 'ctl-0', 'south': 'ctl-1'}
        self.cut_off = None

    def members(self):
        """See core.ports.Group."""
        return () if self.cut_off else ('ctl-0', 'ctl-1')

    def owner(self, link):
        """See core.ports.Group."""
        return None if self.cut_off else self.owners[link]

    def is_ours(self, link):
        """See core.ports.Group."""
        return self.owner(link) == 'ctl-0'

    def problem(self):
        """See core.ports.Group."""
        return self.cut_off


class Agent:
    """One of two agents, and what it answers."""

    def __init__(self, directory):
        self.group = Group()
        self.told = 0
        self.world = worlds.World(
            rules=[
                worlds.policy(),
                worlds.policy('never', deny=True, match=_PRIVATE),
            ],
            options=choosing.Options(),
            site_links={'dcn0': NORTH, 'dcn1': SOUTH},
            group=self.group,
        )
        world = self.world
        self.book = pauses.PauseBook(
            directory / pauses.FILE, world.clock, lambda: None
        )
        made = world.parts(self.book, world.streams)
        self.answers = answers.Answers(made, 'ctl-0', dict, self._tell)

    def _tell(self):
        self.told += 1


@pytest.fixture
def agent(tmp_path):
    return Agent(tmp_path)


def test_all_are_told_who_has_which_site(agent):
    told = agent.answers.who()

    assert told == {
        'host': 'ctl-0',
        'members': ['ctl-0', 'ctl-1'],
        'problem': None,
        'sites': {
            'dcn0': {'link': 'north', 'owner': 'ctl-0'},
            'dcn1': {'link': 'south', 'owner': 'ctl-1'},
        },
        'pauses': [],
    }


def test_one_that_is_cut_off_says_why(agent):
    agent.group.cut_off = 'etcd does not answer'

    told = agent.answers.who()

    assert (told['members'], told['problem']) == ([], 'etcd does not answer')
    assert told['sites']['dcn0']['owner'] is None


def test_only_own_links_are_told_of(agent):
    image_id = agent.world.add()
    agent.world.run(1, stepping=False)

    told = agent.answers.remembered()

    assert agent.world.asked(image_id) == [{'dcn0'}]
    assert told['links'] == {'north': {'waits': {}}}


def test_a_word_to_go_on_is_told_to_overrule_older_ones(agent):
    key = core_pauses.Kind.LINK, 'north'
    agent.book.say(key, rests=True, by='alice', why='')
    agent.book.say(key, rests=False, by='bob', why='')

    for told in (agent.answers.remembered(), agent.answers.who()):
        (word,) = told['pauses']
        assert (word['rests'], word['by']) == (False, 'bob')


def test_what_no_copy_gets_past_on_a_link_is_told(agent):
    size_bytes, now = 60_000_000, agent.world.clock()
    agent.world.ledger.note_import(images.StoreId('dcn0'), size_bytes, now)

    told = agent.answers.remembered()['links']['north']['waits']

    assert 'at its rate the last import would take' in told['copy-image']


def test_what_failed_at_another_agents_site_is_its_to_tell(agent):
    for store in ('dcn0', 'dcn1'):
        turn = images.StoreId(store), choosing.COPY_IMAGE
        agent.world.ledger.note_failure(turn, 'no space')
        agent.world.order_book.place('image', store, None)

    told = agent.answers.remembered()

    assert set(told['troubles']) == {'dcn0'}
    assert set(told['orders']['image']) == {'dcn0'}


def test_the_way_to_another_agents_site_is_its_to_tell(agent):
    image_id = agent.world.add()

    assert set(agent.answers.routes(image_id)['routes']) == {'dcn0'}


def test_an_order_for_another_agents_site_is_refused_and_says_whose(agent):
    image_id = agent.world.add()

    told = agent.answers.copy(image_id, ['dcn0', 'dcn1'], None)

    assert told['accepted'] == ['dcn0']
    assert told['refused'] == {'dcn1': 'agent ctl-1 has link south'}


def test_an_order_that_has_to_wait_says_for_what(agent):
    image_id = agent.world.add()
    agent.world.say(core_pauses.Kind.SITE, 'dcn0')

    told = agent.answers.copy(image_id, ['dcn0'], None)

    assert told['accepted'] == ['dcn0']
    assert 'paused by alice' in told['waits']['dcn0']


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('site', 'dcn1'),
        ('link', 'south'),
        ('policy', 'all'),
        ('image', '3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11'),
    ],
)
def test_a_word_is_kept_and_the_others_are_told(agent, kind, name):
    told = agent.answers.rest(kind, name, True, 'alice', 'why')

    assert (told['refused'], told['is_new']) == (None, True)
    assert [w['name'] for w in agent.answers.who()['pauses']] == [name]
    assert agent.told == 1
    again = agent.answers.rest(kind, name, True, 'bob', '')
    assert (again['is_new'], again['word']['by']) == (False, 'alice')
    assert agent.told == 1


@pytest.mark.parametrize(
    ('kind', 'name', 'reason'),
    [
        ('site', 'dcn9', 'there is no site dcn9'),
        ('link', 'dcn0', 'there is no link dcn0'),
        ('policy', 'nope', 'there is no policy nope'),
        ('policy', 'never', 'policy never denies'),
        ('image', 'cirros', 'cirros is no id of an image'),
        ('continent', 'asia', 'a continent cannot rest'),
    ],
)
def test_what_there_is_not_cannot_rest(agent, kind, name, reason):
    told = agent.answers.rest(kind, name, True, 'alice', '')

    assert reason in told['refused']
    assert agent.told == 0


def test_what_is_gone_by_now_can_go_on(agent):
    agent.answers.rest('site', 'dcn0', True, 'alice', '')
    agent.world.sites = worlds.World(names=['dcn1']).sites
    agent.world.rule_book.reload()

    assert agent.answers.rest('site', 'dcn0', False, 'bob', '')['is_new']


def test_a_word_that_cannot_be_kept_is_refused(agent, tmp_path):
    (tmp_path / pauses.FILE).mkdir()

    told = agent.answers.rest('site', 'dcn0', True, 'alice', '')

    assert 'cannot be written' in told['refused']
    assert agent.told == 0


def test_what_happened_to_an_image_is_told(agent):
    image_id = agent.world.add()
    agent.world.run()

    told = agent.answers.timeline(image_id)

    timeline = transitions.from_plain(told)
    assert told['host'] == 'ctl-0'
    assert timeline.since_s.keys() == {'ctl-0'}
    for entries in timeline.entries.values():
        assert [entry.state for entry in entries] == ['copying', 'present']
    assert timeline.entries
