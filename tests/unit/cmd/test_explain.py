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
"""dcn-distributor explain, before a cloud in memory."""

import json

import pytest

from dcn_distributor.cmd import explain
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import transfers
from tests.unit.cmd import desk as desks


@pytest.fixture
def desk(capsys):
    return desks.Desk(explain.Explain, capsys.readouterr)


def words(out):
    return [' '.join(line.split()) for line in out.splitlines()]


def test_wanted_tells_policy_field_and_state(desk):
    image = desk.glance.add('cirros', stores=frozenset({'central', 'dcn0'}))

    code, out, err = desk.run('cirros')

    assert (code, err) == (0, '')
    told = words(out)
    reason = 'wanted by policy all-public (visibility public)'
    assert f'| dcn0 | present | {reason} | |' in told
    assert f'| dcn1 | absent | {reason} | no import yet |' in told
    assert told[0].startswith(f'cirros ({image.id}): active, public, 1 GiB')
    assert 'Policy all-public matches (placement.yaml:3)' in told
    assert '+ visibility: expected public, found public' in told


def test_unwanted_tells_why_no_policy_matches(desk):
    desk.glance.add('mine', visibility='private')

    code, out, _ = desk.run('mine')

    told = words(out)
    assert code == 0
    assert '| dcn0 | - | not wanted: no policy matches | |' in told
    assert 'Policy all-public does not match (placement.yaml:3)' in told
    assert '! visibility: expected public, found private' in told


def test_what_an_agent_remembers_is_told(desk):
    image = desk.glance.add('cirros')
    desk.agent.setbacks = {
        image.id: {
            'dcn0': {
                'failures': 3,
                'reason': 'no space',
                'next_try_s': desks.NOW_S - 1,
            }
        }
    }

    _, out, _ = desk.run('cirros')

    assert '| try 4 due: no space |' in ' '.join(out.split())


def test_without_an_agent_one_line_says_so(desk):
    desk.glance.add('cirros')
    desk.agent.is_away = True

    code, _, err = desk.run('cirros')

    assert code == 0
    assert err == 'Next tries are unknown: no agent answered within 3 s\n'


def test_json_has_all_of_it(desk):
    image = desk.glance.add('cirros\n')

    told = json.loads(desk.run(image.id, '-f', 'json')[1])

    assert told['image_name'] == 'cirros\n'
    assert told['sites'][0] == {
        'site': 'dcn0',
        'store': 'dcn0',
        'wanted': True,
        'policy': 'all-public',
        'decision': 'wanted by policy all-public (visibility public)',
        'wanted_by': ['all-public'],
        'denied_by': [],
        'excluded_by': [],
        'tolerates': [],
        'deadline_s': None,
        'transfer': {},
        'state': 'absent',
        'reason': 'no import yet',
        'copied_bytes': None,
        'failures': 0,
        'next_try': None,
        'engine': None,
        'engine_reason': None,
        'waits': None,
    }
    assert told['policies'] == [
        {
            'policy': 'all-public',
            'origin': 'placement.yaml:3',
            'priority': 0,
            'deny': False,
            'matches': True,
            'checks': [
                {
                    'field': 'visibility',
                    'expected': 'public',
                    'found': 'public',
                    'holds': True,
                }
            ],
        }
    ]


def test_wishes_are_told_with_whose_they_are(desk):
    fast = policies.Policy(
        'fast',
        matching.Block(()),
        policies.NamedSites(frozenset({'dcn1'})),
        priority=1,
        wishes=transfers.Wishes(
            engine=transfers.EngineChoice.RBD_STREAM, rate_bytes_s=25e6
        ),
    )
    desk.rules = policies.PolicySet(
        [*desk.rules.policies, fast], desk.rules.sites
    )
    desk.glance.add('cirros')

    table = desk.run('cirros')[1]
    told = json.loads(desk.run('cirros', '-f', 'json')[1])

    says = (
        'wanted by policy fast (every image); engine rbd-stream by fast; '
        'rate 200Mbit/s by fast'
    )
    assert f'| dcn1 | absent | {says} |' in ' '.join(table.split())
    assert [site['transfer'] for site in told['sites']] == [
        {},
        {
            'engine': {'value': 'rbd-stream', 'policy': 'fast'},
            'rate': {'value': '200Mbit/s', 'policy': 'fast'},
        },
    ]


def test_no_such_image_is_1(desk):
    assert desk.run('nope') == (
        1,
        '',
        'dcn-distributor: no image is called nope\n',
    )


def test_ambiguous_name_is_2_with_the_ids(desk):
    ids = sorted(desk.glance.add('cirros').id for _ in range(2))

    assert desk.run('cirros') == (
        2,
        '',
        'dcn-distributor: 2 images are called cirros; take an id:\n'
        f'  {ids[0]}\n  {ids[1]}\n',
    )


def test_evil_name_prints_safely(desk):
    image = desk.glance.add('a\n\x1b[31m\u202e', owner='o\n\x1b')

    code, out, _ = desk.run(image.id)

    assert code == 0
    assert all(c.isprintable() for c in out.replace('\n', ''))
    assert out.startswith("'a\\n\\x1b[31m\\u202e' (")


def test_the_engine_is_told_with_its_reason(desk):
    desk.glance.add('cirros', stores=frozenset({'central', 'dcn0'}))
    desk.agent.told_routes = {
        'dcn1': {
            'engine': 'rbd-stream',
            'reason': 'copy-image failed twice',
            'waits': '2 of 2 are under way',
        }
    }

    _, out, err = desk.run('cirros')
    assert err == ''
    assert (
        'no import yet: by rbd-stream, since copy-image failed twice, waits: '
        '2 of 2 are under way' in ' '.join(out.split())
    )

    _, out, _ = desk.run('cirros', '-f', 'json')
    here, there = json.loads(out)['sites']
    assert here['engine'] is None
    assert there['engine'] == 'rbd-stream'
    assert there['engine_reason'] == 'copy-image failed twice'
    assert there['waits'] == '2 of 2 are under way'


def test_an_agent_that_is_away_costs_the_engine_only(desk):
    desk.glance.add('cirros')
    desk.agent.is_away = True

    code, out, _ = desk.run('cirros')

    assert code == 0
    assert 'no import yet' in out
