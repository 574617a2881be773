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
"""The commands pause, resume, hold, release and pauses."""

import json

import pytest

from dcn_distributor.cmd import pauses
from dcn_distributor.core import links
from dcn_distributor.core import sites
from tests.unit.cmd import desk as desks

SINCE = '2027-01-15 08:00 UTC'


class Desk:
    """One desk for each command, before the same agent."""

    def __init__(self, read):
        self._desks = {}
        for word in ('Pause', 'Resume', 'Hold', 'Release', 'Pauses'):
            made = desks.Desk(getattr(pauses, word), read)
            self._desks[word.lower()] = made
        first = self._desks['pause']
        self.agent, self.glance = first.agent, first.glance
        for made in self._desks.values():
            made.agent, made.glance = self.agent, self.glance

    def use(self, *all_sites):
        """Have sites.yaml name these sites."""
        for made in self._desks.values():
            made.use(sites.Sites('central', all_sites))

    def run(self, command, *argv):
        """Run a command; return the exit code, stdout and stderr."""
        return self._desks[command].run(*argv)

    def resting(self):
        """What the agent has rest."""
        words = self.agent.words.values()
        return {(w['kind'], w['name']) for w in words if w['rests']}


@pytest.fixture
def desk(capsys, monkeypatch):
    monkeypatch.delenv('SUDO_USER', raising=False)
    return Desk(capsys.readouterr)


def site(name, link=None):
    if link is None:
        return sites.Site(name, name, {})
    return sites.Site(name, name, {}, link=links.Link(link))


def test_a_site_is_paused_and_resumed(desk):
    assert desk.run('pause', 'dcn0') == (0, 'Site dcn0 is paused.\n', '')
    assert desk.resting() == {('site', 'dcn0')}

    assert desk.run('resume', 'dcn0') == (0, 'Site dcn0 goes on.\n', '')
    assert desk.resting() == set()


def test_who_pauses_and_why_is_told(desk):
    desk.run('pause', 'dcn0', '--why', 'a new switch')

    (word,) = desk.agent.words.values()
    assert word['why'] == 'a new switch'
    assert word['by'] == pauses.operator()


def test_behind_sudo_the_caller_says_it(desk, monkeypatch):
    monkeypatch.setenv('SUDO_USER', 'alice')

    assert pauses.operator() == 'alice'


def test_to_say_it_twice_is_safe_and_says_who_said_it_first(desk, monkeypatch):
    monkeypatch.setenv('SUDO_USER', 'alice')
    desk.run('pause', 'dcn0')

    code, out, _ = desk.run('pause', 'dcn0')

    assert code == 0
    assert out == f'Nothing to do: site dcn0 paused by alice since {SINCE}.\n'


def test_to_resume_what_is_not_paused_says_so(desk):
    assert desk.run('resume', 'dcn0') == (
        0,
        'Nothing to do: Site dcn0 is not paused.\n',
        '',
    )


def test_several_things_at_once(desk):
    desk.use(site('dcn0', 'wan-north'), site('dcn1', 'wan-north'))

    code, out, _ = desk.run('pause', 'dcn1', 'wan-north', 'all-public')

    assert (code, len(out.splitlines())) == (0, 3)
    assert desk.resting() == {
        ('site', 'dcn1'),
        ('link', 'wan-north'),
        ('policy', 'all-public'),
    }


def test_what_is_not_known_is_2_and_nothing_is_said(desk):
    code, _, err = desk.run('pause', 'dcn0', 'dcn9')

    assert code == 2
    assert 'there is no site, link or policy dcn9; did you mean dcn' in err
    assert desk.resting() == set()


def test_a_name_of_two_things_needs_its_kind(desk):
    desk.use(site('all-public'))

    code, _, err = desk.run('pause', 'all-public')

    assert code == 2
    assert 'all-public is a site, link and policy: say which by --kind' in err
    assert desk.run('pause', 'all-public', '--kind', 'policy')[0] == 0
    assert desk.resting() == {('policy', 'all-public')}
    assert desk.run('resume', 'all-public')[0] == 0
    assert desk.resting() == set()


def test_a_shared_link_called_as_a_site_needs_its_kind(desk):
    desk.use(site('dcn0', 'dcn1'), site('dcn1', 'wan'))

    assert desk.run('pause', 'dcn1')[0] == 2


def test_what_is_paused_can_be_resumed_though_the_files_forgot_it(desk):
    desk.run('pause', 'dcn1')
    desk.use(site('dcn0'))

    assert desk.run('resume', 'dcn1')[0] == 0
    assert desk.resting() == set()


def test_images_are_held_and_released_by_name_and_id(desk):
    image = desk.glance.add('cirros')

    code, out, _ = desk.run('hold', 'cirros')

    assert (code, out) == (0, f'Image cirros ({image.id}) is held.\n')
    assert desk.resting() == {('image', image.id)}
    assert desk.run('release', image.id) == (
        0,
        f'Image {image.id} is released.\n',
        '',
    )
    assert desk.resting() == set()


def test_what_no_image_is_called_is_not_held(desk):
    assert desk.run('hold', 'nope')[0] == 1


def test_of_two_images_with_one_name_neither_is_held(desk):
    desk.glance.add('cirros')
    desk.glance.add('cirros')

    assert desk.run('hold', 'cirros')[0] == 2
    assert desk.resting() == set()


def test_a_refusal_is_told_and_is_1(desk):
    desk.agent.refusal = '/var/lib/x: cannot be written: disk full'

    assert desk.run('pause', 'dcn0') == (
        1,
        '',
        'Site dcn0: refused: /var/lib/x: cannot be written: disk full\n',
    )


def test_no_agent_is_1(desk):
    desk.agent.is_away = True

    code, out, err = desk.run('pause', 'dcn0')

    assert (code, out) == (1, '')
    assert 'no agent answered' in err


def test_an_old_agent_is_1(desk):
    desk.agent.is_old = True

    for argv in (['pause', 'dcn0'], ['resume', 'dcn0'], ['pauses']):
        code, _, err = desk.run(*argv)
        assert (code, 'too old' in err) == (1, True)


def test_all_that_rests_is_listed(desk, monkeypatch):
    monkeypatch.setenv('SUDO_USER', 'alice')
    desk.run('pause', 'dcn0', '--why', 'ticket\x1b 7')

    code, out, _ = desk.run('pauses', '-f', 'json')

    assert code == 0
    assert json.loads(out) == [
        {
            'kind': 'site',
            'name': 'dcn0',
            'by': 'alice',
            'since': '2027-01-15T08:00:00Z',
            'why': 'ticket\x1b 7',
        }
    ]
    table = desk.run('pauses')[1]
    assert SINCE in table
    assert '\x1b' not in table


def test_nothing_rests_is_0(desk):
    assert desk.run('pauses')[0] == 0
