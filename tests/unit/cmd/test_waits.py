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
"""What copies wait for, and who would make them, as status and explain say."""

import datetime
import json

import pytest

from dcn_distributor.cmd import explain
from dcn_distributor.cmd import status
from dcn_distributor.core import links
from dcn_distributor.core import sites
from dcn_distributor.core import windows
from tests.unit.cmd import desk as desks

# 08:00 UTC by the desk's clock.
NIGHTLY = windows.Window(
    days=frozenset(range(7)),
    begin=datetime.time(1),
    end=datetime.time(5, 30),
    zone=datetime.timezone.utc,
)


@pytest.fixture
def desk(capsys):
    return desks.Desk(status.Status, capsys.readouterr)


@pytest.fixture
def explaining(capsys):
    return desks.Desk(explain.Explain, capsys.readouterr)


def use(desk, link=None, taints=()):
    link = link or links.Link('wan')
    desk.use(
        sites.Sites(
            'central',
            tuple(
                sites.Site(name, name, {}, link=link, taints=taints)
                for name in ('dcn0', 'dcn1')
            ),
        )
    )


def pause(desk, kind, name):
    desk.agent.rest(kind, name, True, 'alice', 'ticket 7')


def reasons(desk, *argv):
    _, out, _ = desk.run(*argv, '-f', 'json')
    return {one['site']: one['reason'] for one in json.loads(out)}


def test_a_closed_window_says_when_it_opens(desk):
    use(desk, links.Link('wan', windows=(NIGHTLY,)))
    desk.glance.add('cirros')

    told = reasons(desk)

    assert told == dict.fromkeys(('dcn0', 'dcn1'), 'window opens 01:00 UTC')


def test_a_taint_says_until_when(desk):
    until_s = desks.NOW_S + 3600
    taint = links.Taint('maintenance', links.Effect.NO_NEW, until_s)
    use(desk, taints=(taint,))
    desk.glance.add('cirros')

    assert reasons(desk)['dcn0'] == (
        'tainted maintenance until 2027-01-15 09:00 UTC'
    )


def test_what_no_copy_gets_past_on_a_link_is_told(desk):
    use(desk)
    desk.glance.add('cirros')
    full = 'link wan: 2 of 2 transfers'
    desk.agent.links = {'wan': {'waits': {'copy-image': full}}}

    assert reasons(desk)['dcn0'] == full


def test_what_only_others_wait_for_is_not(desk):
    use(desk)
    desk.glance.add('cirros')
    desk.agent.links = {'wan': {'waits': {'rbd-stream': '4 of 4 copies'}}}

    assert reasons(desk)['dcn0'] == 'no import yet'


@pytest.mark.parametrize(
    ('kind', 'name', 'others'),
    [
        ('site', 'dcn0', 'no import yet'),
        ('link', 'wan', None),
        ('policy', 'all-public', None),
    ],
)
def test_what_is_paused_says_by_whom(desk, kind, name, others):
    use(desk)
    desk.glance.add('cirros')
    desk.glance.add('fedora')
    pause(desk, kind, name)

    told = reasons(desk)

    paused = (
        f"{kind} {name} paused by alice since 2027-01-15 08:00 UTC: 'ticket 7'"
    )
    assert told['dcn0'] == paused
    assert told['dcn1'] == (others or paused)


def test_only_the_image_that_is_held_says_so(desk):
    held = desk.glance.add('cirros')
    desk.glance.add('fedora')
    pause(desk, 'image', held.id)

    assert 'held by alice' in reasons(desk, 'cirros')['dcn0']
    assert reasons(desk, 'fedora')['dcn0'] == 'no import yet'


def test_what_failed_says_so_and_what_it_waits_for(desk):
    use(desk, links.Link('wan', windows=(NIGHTLY,)))
    image = desk.glance.add('cirros')
    desk.agent.setbacks = {
        image.id: {
            'dcn0': {'failures': 1, 'reason': 'no space', 'next_try_s': None}
        }
    }

    assert reasons(desk)['dcn0'] == 'no space; window opens 01:00 UTC'


def test_an_order_does_not_wait_for_a_window(desk):
    use(desk, links.Link('wan', windows=(NIGHTLY,)))
    image = desk.glance.add('cirros')
    desk.agent.orders = {image.id: {'dcn0': {'engine': None, 'failed': None}}}

    assert reasons(desk) == {
        'dcn0': 'no import yet',
        'dcn1': 'window opens 01:00 UTC',
    }


def test_what_is_there_is_not_told_to_wait(desk):
    use(desk, links.Link('wan', windows=(NIGHTLY,)))
    stores = frozenset(desk.glance.stores())
    desk.glance.add('cirros', stores=stores)

    code, out, _ = desk.run()

    assert code == 0
    assert 'window' not in out


def several(desk):
    use(desk)
    desk.agent.roster = {
        'members': ['ctl-0', 'ctl-1'],
        'problem': None,
        'sites': {
            'dcn0': {'link': 'wan', 'owner': 'ctl-0'},
            'dcn1': {'link': 'wan', 'owner': 'ctl-0'},
        },
    }


def test_several_agents_are_named_with_their_links(desk):
    several(desk)

    _, out, err = desk.run()

    assert 'agents: ctl-0 (wan), ctl-1 (no link)\n' in out
    assert err == ''


def test_a_single_agent_is_not(desk):
    assert 'agents:' not in desk.run()[1]


def test_an_agent_that_is_silent_is_named_and_so_is_what_it_has(desk):
    several(desk)
    desk.glance.add('cirros')
    desk.agent.silent = ['ctl-0']

    _, out, err = desk.run()

    assert 'agents: ctl-0 (wan; silent), ctl-1 (no link)\n' in out
    assert 'agent ctl-0, which has link wan, does not answer' in out
    assert err == (
        'warning: agent ctl-0, which has link wan, does not answer: what it '
        'does and knows is missing here\n'
    )


def test_agents_that_are_cut_off_say_why(desk):
    several(desk)
    desk.agent.roster['problem'] = 'etcd does not answer'

    assert desk.run()[2] == 'warning: etcd does not answer\n'


def test_explain_tells_it_too_and_only_once(explaining):
    use(explaining, links.Link('wan', windows=(NIGHTLY,)))
    explaining.glance.add('cirros')
    explaining.agent.told_routes = {
        'dcn0': {
            'engine': 'copy-image',
            'reason': 'it is the default',
            'waits': 'window opens 01:00 UTC',
        }
    }

    _, out, _ = explaining.run('cirros')

    assert ' '.join(out.split()).count('window opens 01:00 UTC') == 2
    assert 'waits' not in out
