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
"""dcn-distributor status, before a cloud in memory."""

import csv
import io
import json

import pytest
import yaml

from dcn_distributor import exceptions
from dcn_distributor.cmd import status
from dcn_distributor.core import transfers
from dcn_distributor.core import transitions
from tests.unit.cmd import desk as desks

EVIL = 'a\n\x1b[31mb\u202e$(reboot)/'


@pytest.fixture
def desk(capsys):
    return desks.Desk(status.Status, capsys.readouterr)


def everywhere(desk, name='cirros', **attributes):
    stores = frozenset(desk.glance.stores())
    return desk.glance.add(name, stores=stores, **attributes)


def records(desk, *argv):
    code, out, err = desk.run(*argv, '-f', 'json')
    assert err == ''
    return code, json.loads(out)


def test_all_present_is_a_matrix_and_0(desk):
    image = everywhere(desk)

    code, out, err = desk.run()

    assert (code, err) == (0, '')
    assert f'| cirros | {image.id} | 1 GiB | present | present |' in (
        ' '.join(out.split())
    )
    assert out.endswith('1 image, 2 sites: 2 of 2 wanted copies present\n')


def test_nothing_wanted_is_0(desk):
    assert desk.run()[0] == 0


def test_absent_is_3_with_its_reason(desk):
    image = desk.glance.add('cirros')

    code, out, _ = desk.run()

    assert code == 3
    assert f'absent   cirros ({image.id}) at dcn0 and dcn1: no import' in out
    assert '0 of 2 wanted copies present, 2 absent; 2 GiB left' in out


def test_copying_shows_progress_of_the_store_being_written(desk):
    image = desk.glance.add('cirros', size_bytes=274 * desks.MIB)
    desk.glance.copy_to_stores(image.id, ['dcn0', 'dcn1'])
    desk.glance.step(image.id)
    desk.glance.copy_some(image.id, 118)

    code, out, _ = desk.run()

    assert code == 3
    assert '| copying 43 % | copying |' in ' '.join(out.split())
    assert 'at dcn0: 43 %, 118 MiB of 274 MiB: import task-' in out
    assert ', after dcn0\n' in out
    assert '2 copying; 430 MiB left' in out


def test_all_read_is_not_yet_a_copy(desk):
    image = desk.glance.add('cirros', size_bytes=desks.MIB)
    desk.glance.copy_to_stores(image.id, ['dcn0'])
    desk.glance.step(image.id)
    desk.glance.copy_some(image.id, 1)

    assert 'copying 99 %' in desk.run()[1]


def test_failed_tells_when_it_is_tried_next(capsys):
    desk = desks.Desk(status.Status, capsys.readouterr, site_count=3)
    image = desk.glance.add('cirros')
    desk.agent.setbacks = {
        image.id: {
            'dcn0': {
                'failures': 3,
                'reason': 'no space',
                'next_try_s': desks.NOW_S + 90,
            },
            'dcn1': {
                'failures': 1,
                'reason': 'refused',
                'next_try_s': None,
                'is_refused': True,
            },
            'dcn2': {
                'failures': 0,
                'reason': 'rbd-stream cannot serve: no caps',
                'next_try_s': None,
                'is_refused': False,
            },
        }
    }

    _, out, _ = desk.run()
    _, told = records(desk)

    assert 'at dcn0: try 4 at ' in out
    assert ': no space\n' in out
    assert (
        'at dcn1: no further try until image, policies or sites change, or '
        'the command resync or copy asks for one: refused\n'
    ) in out
    assert (
        'at dcn2: tried as soon as this is put right: rbd-stream cannot '
        'serve: no caps\n'
    ) in out
    next_tries = [r['next_try'] for r in told]
    assert next_tries == ['2027-01-15T08:01:30Z', None, None]


def test_findings_of_many_tell_the_earliest_try(desk):
    told = {'failures': 1, 'reason': 'no space', 'next_try_s': desks.NOW_S}
    for name in ('a', 'b'):
        image = desk.glance.add(name, stores=frozenset({'dcn1'}))
        desk.agent.setbacks[image.id] = {'dcn0': told}

    _, out, _ = desk.run()

    assert 'FAILED   2 images at dcn0: next try due: no space\n' in out


def test_without_an_agent_one_line_says_so(desk):
    image = desk.glance.add('cirros')
    desk.glance.fail('dcn0')
    desk.glance.copy_to_stores(image.id, ['dcn0', 'dcn1'])
    desk.glance.finish(image.id)
    desk.agent.is_away = True

    code, out, err = desk.run()

    assert code == 3
    assert 'at dcn0: the last import to this store failed\n' in out
    assert err == ('Next tries are unknown: no agent answered within 3 s\n')


def test_copy_that_nobody_wants_is_marked(desk):
    everywhere(desk, visibility='private')

    code, out, _ = desk.run()

    assert code == 0
    assert 'present* | present*' in out
    assert '2 present* and not wanted' in out


def test_store_that_glance_does_not_have_is_warned_of(desk, capsys):
    other = desks.Desk(status.Status, capsys.readouterr, site_count=1)
    desk.glance = other.glance
    everywhere(desk)

    code, out, err = desk.run()

    assert code == 3
    assert 'FAILED' in out
    assert 'at dcn1: Glance has no store dcn1\n' in out
    assert err == (
        'warning: site dcn1: Glance has no store dcn1; it has central and '
        'dcn0\n'
    )


def test_only_images_that_matter_are_listed(desk):
    everywhere(desk, 'wanted')
    desk.glance.add('private', visibility='private')
    desk.glance.add('queued', status='queued', stores=frozenset())

    assert {r['image_name'] for r in records(desk)[1]} == {'wanted'}
    code, told = records(desk, '--all')
    assert {r['image_name'] for r in told} == {'wanted', 'private', 'queued'}
    assert code == 3


def test_images_are_chosen_by_id_or_name(desk):
    first, second = everywhere(desk, 'a'), desk.glance.add('b')
    everywhere(desk, 'b')

    code, told = records(desk, 'a')
    assert code == 0
    assert {r['image_id'] for r in told} == {first.id}
    assert len(records(desk, 'b', first.id)[1]) == 6
    assert records(desk, second.id.upper())[0] == 3


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('nope', 'dcn-distributor: no image is called nope\n'),
        (EVIL, "no image is called 'a\\n\\x1b[31mb\\u202e$(reboot)/'\n"),
        ('00000000-0000-0000-0000-00000000ffff', "'00000000-0000-"),
    ],
)
def test_no_such_image_is_1(desk, word, message):
    code, out, err = desk.run(word)

    assert (code, out) == (1, '')
    assert message in err


def test_glance_out_of_reach_is_1(desk):
    desk.glance.go_down()

    assert desk.run() == (1, '', 'dcn-distributor: the fake Glance is down\n')


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--site', 'dcn2'], 'there is no site dcn2; did you mean dcn1?'),
        (['--site', '\x1b'], "there is no site '\\x1b'"),
        (
            ['--policy', 'al-public'],
            'there is no policy al-public; did you mean all-public?',
        ),
    ],
)
def test_unknown_words_are_2(desk, argv, message):
    assert desk.run(*argv) == (2, '', f'dcn-distributor: {message}\n')


def test_site_narrows_cells_sums_and_exit_code(desk):
    desk.glance.add('cirros', stores=frozenset({'central', 'dcn0'}))

    assert desk.run()[0] == 3
    code, out, _ = desk.run('--site', 'dcn0')
    assert code == 0
    assert 'dcn1' not in out
    assert '1 image, 1 site: 1 of 1 wanted' in out


def test_state_narrows_the_list_only(desk):
    everywhere(desk, 'there')
    desk.glance.add('gone')

    code, out, _ = desk.run('--state', 'present')

    assert code == 3
    assert '| there' in out
    assert '| gone' not in out
    assert '2 of 4 wanted copies present, 2 absent' in out


def test_policy_narrows_to_what_it_settles(desk):
    everywhere(desk, 'there')
    everywhere(desk, 'private', visibility='private')

    _, told = records(desk, '--policy', 'all-public')

    assert {r['image_name'] for r in told} == {'there'}


def test_records_are_complete(desk):
    image = desk.glance.add('cirros', stores=frozenset({'central', 'dcn0'}))

    assert records(desk)[1] == [
        {
            'image_id': image.id,
            'image_name': 'cirros',
            'site': site,
            'store': site,
            'state': state,
            'wanted': True,
            'policy': 'all-public',
            'reason': reason,
            'copied_bytes': None,
            'size_bytes': 2**30,
            'next_try': None,
            'phase': None,
            'rate_bytes_s': None,
            'eta_s': None,
            'obstacles': [],
            'timeline': None,
        }
        for site, state, reason in [
            (
                'dcn0',
                'present',
                'wanted by policy all-public (visibility public)',
            ),
            ('dcn1', 'absent', 'no import yet'),
        ]
    ]


def test_evil_names_print_safely_and_survive_in_json_and_yaml(desk):
    everywhere(desk, EVIL)

    told = {
        form: desk.run('-f', form)[1]
        for form in ('table', 'json', 'yaml', 'csv', 'value')
    }
    told['long'] = desk.run('--long')[1]

    for out in told.values():
        assert all(c.isprintable() for c in out.replace('\n', ''))
    escaped = 'a\\n\\x1b[31mb\\u202e$(reboot)/'
    assert f"| '{escaped}' |" in told['table']
    assert json.loads(told['json'])[0]['image_name'] == EVIL
    assert yaml.safe_load(told['yaml'])[0]['image_name'] == EVIL
    rows = list(csv.reader(io.StringIO(told['csv']), escapechar='\\'))
    assert len(rows) == 3
    assert len(told['value'].splitlines()) == 2


def test_many_sites_are_summed_up(capsys):
    desk = desks.Desk(status.Status, capsys.readouterr, site_count=200)
    everywhere(desk, 'there')
    desk.glance.add('half', stores=frozenset(f'dcn{n}' for n in range(100)))

    code, out, _ = desk.run()

    assert code == 3
    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert max(map(len, lines)) < 130
    assert any('| 200 | 200 | - | - | - | - |' in line for line in lines)
    assert any('| 200 | 100 | - | - | 100 | 100 GiB' in line for line in lines)
    assert 'at 100 sites: no import yet' in out


def test_a_long_table_leaves_out_what_is_in_order(desk):
    for number in range(70):
        everywhere(desk, f'image{number}')
    desk.glance.add('gone')

    _, out, _ = desk.run()
    assert '| gone' in out
    assert 'image7' not in out
    assert '70 more images in order; --all lists them\n' in out
    assert 'image7' in desk.run('--all')[1]


def test_long_is_a_line_for_each_cell_that_is_wanted_or_there(desk):
    everywhere(desk, 'there')
    desk.glance.add('private', visibility='private')

    assert desk.run('--long')[1].count('present |') == 2
    assert 'private' not in desk.run('--long')[1]
    assert '| - ' in desk.run('--long', '--all')[1]


def test_an_image_seen_twice_is_counted_once(desk):
    image = everywhere(desk)

    _, out, _ = desk.run(image.id, image.id, 'cirros')

    assert '1 image, 2 sites: 2 of 2 wanted' in out


def test_no_access_is_1_and_says_what_to_do(desk):
    desk.glance.go_down(error=exceptions.AccessDenied('check the roles'))

    assert desk.run()[::2] == (1, 'dcn-distributor: check the roles\n')


def a_report(image, phase=transfers.Phase.COPYING, ended_s=None, **lane):
    return transfers.Report(
        image.id,
        image.size_bytes,
        'central',
        transfers.Verify.FULL,
        desks.NOW_S - 10,
        ended_s,
        0,
        (transfers.Lane('dcn0', 'dcn0', phase, **lane),),
    )


def test_a_stream_shows_how_far_and_how_fast_it_is(desk):
    image = desk.glance.add('cirros', size_bytes=274 * desks.MIB)
    desk.agent.reports = [
        a_report(
            image,
            settled_bytes=118 * desks.MIB,
            rate_bytes_s=78.0 * desks.MIB,
            eta_s=2.0,
        )
    ]

    code, out, err = desk.run()
    assert (code, err) == (3, '')
    assert '| copying 43 % | absent |' in ' '.join(out.split())
    assert (
        'at dcn0: 43 %, 118 MiB of 274 MiB, 78 MiB/s, 2.0 s left: '
        'a stream from central, copying' in out
    )

    _, (told, _) = records(desk)
    assert told['state'] == 'copying'
    assert told['phase'] == 'copying'
    assert told['copied_bytes'] == 118 * desks.MIB
    assert told['rate_bytes_s'] == 78 * desks.MIB
    assert told['eta_s'] == 2.0


def test_a_stream_that_has_ended_is_not_under_way(desk):
    image = desk.glance.add('cirros')
    error = exceptions.ClusterUnavailable('dcn0 is away')
    desk.agent.reports = [
        a_report(image, transfers.Phase.FAILED, desks.NOW_S - 5, error=error)
    ]

    _, (told, _) = records(desk)

    assert told['state'] == 'absent'


def test_a_copy_that_was_proved_is_verified_and_counts_as_present(desk):
    image = everywhere(desk)
    desk.agent.verified = {image.id: ['dcn1']}

    code, out, _ = desk.run()

    assert code == 0
    assert '| present | verified |' in ' '.join(out.split())
    assert '2 of 2 wanted copies present' in out


def test_a_proof_makes_no_copy_that_glance_does_not_list(desk):
    image = desk.glance.add('cirros')
    desk.agent.verified = {image.id: ['dcn1']}

    _, told = records(desk)

    assert [record['state'] for record in told] == ['absent', 'absent']


def test_what_keeps_streams_from_a_site_is_named_once(desk):
    everywhere(desk)
    desk.agent.obstacles = {
        'central': ['it does not answer'],
        'dcn0': ['Glance shows no locations', 'no \x1b caps'],
        'dcn1': ['Glance shows no locations'],
    }

    code, out, _ = desk.run()
    assert code == 0
    lines = out.splitlines()
    assert 'central: rbd-stream cannot serve: it does not answer' in lines
    assert (
        'dcn0 and dcn1: rbd-stream cannot serve: Glance shows no locations'
        in lines
    )
    assert 'dcn0: rbd-stream cannot serve: no \\x1b caps' in lines

    _, out, _ = desk.run('--site', 'dcn1')
    assert 'caps' not in out

    _, told = records(desk)
    assert told[0]['obstacles'] == desk.agent.obstacles['dcn0']


def test_an_agent_of_the_first_release_is_still_of_use(desk):
    image = desk.glance.add('cirros')
    desk.agent.is_old = True
    desk.agent.setbacks = {
        image.id: {
            'dcn0': {'failures': 1, 'reason': 'no space', 'next_try_s': None}
        }
    }

    _, out, err = desk.run()

    assert 'FAILED' in out
    assert 'no space' in out
    assert err.startswith('Streams are not shown')


# -- what happened


def entry(at_s, state='copying', **attributes):
    values = {
        'host': 'ctl-0',
        'at_s': at_s,
        'state': state,
        'engine': 'rbd-stream',
        'seconds': 2.0,
        'reason': 'because',
        'attempt': 1,
        'error': None,
        'trace': 'req-7',
        'sent_bytes': None,
        **attributes,
    }
    return transitions.Entry(**values)


def happened(desk, **entries):
    """Have the agents tell what happened at sites."""
    desk.agent.told_timeline = transitions.Timeline(
        entries, {'ctl-0': desks.NOW_S - 100}
    )


def test_what_happened_to_the_only_image_named_is_told_newest_last(desk):
    everywhere(desk)
    now_s = desks.NOW_S
    happened(
        desk,
        dcn0=(
            entry(now_s - 9, 'failed', error='failed', reason='no\x1b[31m'),
            entry(now_s - 5, 'copying', attempt=2),
            entry(now_s - 3, 'verified', attempt=2, sent_bytes=2**20),
        ),
        dcn1=(entry(now_s - 7),),
    )

    code, out, err = desk.run('cirros')

    assert (code, err) == (0, '')
    head, *lines = out.partition('Timeline, ')[2].splitlines()[:5]
    assert head.startswith('as seen by ctl-0 since ')
    assert [line.split()[1:3] for line in lines] == [
        ['dcn0', 'FAILED'],
        ['dcn1', 'copying'],
        ['dcn0', 'copying'],
        ['dcn0', 'verified'],
    ]
    assert r'no\x1b[31m' in lines[0]
    assert 'try 2  ' in lines[2]
    assert 'try 2 2.0 s  1 MiB sent  because' in lines[3]


def test_that_nothing_was_seen_is_told_with_the_time_since(desk):
    everywhere(desk)

    out = desk.run('cirros')[1]

    assert 'Timeline: nothing, as seen by ctl-0 since ' in out


def test_a_timeline_keeps_to_the_sites_asked_for(desk):
    everywhere(desk)
    happened(desk, dcn0=(entry(1.0),), dcn1=(entry(2.0, reason='other'),))

    out = desk.run('cirros', '--site', 'dcn0')[1]

    assert 'because' in out
    assert 'other' not in out


def test_a_long_timeline_shows_its_end_and_all_with_long(desk):
    everywhere(desk)
    entries = [entry(float(n), reason=f'why {n};') for n in range(30)]
    happened(desk, dcn0=tuple(entries))

    short, long = desk.run('cirros')[1], desk.run('cirros', '--long')[1]

    assert '10 before; --long shows all' in short
    assert 'why 9;' not in short
    assert 'why 10;' in short
    assert 'why 0;' in long
    assert 'before' not in long


def test_what_the_agents_forgot_is_told(desk):
    everywhere(desk)
    desk.agent.told_timeline = transitions.Timeline(
        {'dcn0': (entry(1.0),)}, {'ctl-0': 0.0}, {'dcn0': 3}
    )

    assert '3 earlier changes forgotten' in desk.run('cirros')[1]


@pytest.mark.parametrize('argv', [[], ['cirros', 'rhel']])
def test_of_several_images_no_timeline_is_asked_for(desk, argv):
    everywhere(desk)
    everywhere(desk, 'rhel')
    happened(desk, dcn0=(entry(1.0),))

    assert 'Timeline' not in desk.run(*argv)[1]


def test_records_of_one_image_have_its_timeline(desk):
    everywhere(desk)
    happened(desk, dcn0=(entry(0.0, reason=EVIL),))

    _, found = records(desk, 'cirros')
    _, out, _ = desk.run('cirros', '-f', 'csv')

    assert found[0]['timeline'] == [
        {
            'time': '1970-01-01T00:00:00Z',
            'state': 'copying',
            'engine': 'rbd-stream',
            'seconds': 2.0,
            'sent_bytes': None,
            'attempt': 1,
            'error': None,
            'reason': EVIL,
            'trace_id': 'req-7',
            'agent': 'ctl-0',
        }
    ]
    assert found[1]['timeline'] == []
    assert '\x1b' not in out
    assert '1970-01-01T00:00:00Z copying rbd-stream: a' in out


def test_an_agent_that_keeps_no_timeline_is_still_of_use(desk):
    everywhere(desk)
    desk.agent.is_old = True

    code, out, err = desk.run('cirros')

    assert code == 0
    assert 'The timeline is not shown: the agent is too old' in err
    assert 'Timeline' not in out
