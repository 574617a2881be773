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
"""dcn-distributor plan, before a cloud in memory."""

import csv
import io
import json

import pytest

from dcn_distributor.cmd import plan
from dcn_distributor.core import links
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from tests.unit.cmd import desk as desks

MB = 10**6
# Desk has NOW_S at 2027-01-15 08:00 UTC.
NORTH = links.Link('north', rate_bytes_s=1e6, transfers=1)

SITES = """\
version: 1
central: {store: central}
links: {north: {rate: 8Mbit, transfers: 1}}
sites: {dcn0: {link: north}, dcn1: {link: north}}
"""
PLACEMENT = """\
version: 1
policies:
  all-public: {match: {visibility: [public]}, sites: all}
"""


@pytest.fixture
def desk(capsys):
    """Two sites on one link, which takes 1 MB/s and one copy at once."""
    made = desks.Desk(plan.Plan, capsys.readouterr)
    made.use(where('dcn0', 'dcn1'))
    return made


@pytest.fixture
def drafts(tmp_path):
    """Give what writes the files in force, and drafts; and names them."""
    (tmp_path / 'sites.yaml').write_text(SITES)
    (tmp_path / 'placement.yaml').write_text(PLACEMENT)
    (tmp_path / 'test.conf').write_text(
        '[DEFAULT]\n'
        f'sites_file = {tmp_path}/sites.yaml\n'
        f'placement_file = {tmp_path}/placement.yaml\n'
    )

    def write(**contents):
        argv = [f'--config-file={tmp_path}/test.conf']
        for name, content in contents.items():
            (tmp_path / f'{name}-draft.yaml').write_text(content)
            argv.append(f'--{name}={tmp_path}/{name}-draft.yaml')
        return argv

    return write


def where(*names, link=NORTH):
    return sites.Sites(
        'central', tuple(sites.Site(n, n, {}, link=link) for n in names)
    )


def records(desk, *argv):
    code, out, err = desk.run(*argv, '-f', 'json')
    assert (code, err) == (0, '')
    return json.loads(out)


def rows(out):
    """The cells of all tables."""
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in out.splitlines()
        if line.startswith('|')
    ]


def test_what_is_missing_is_told_by_link_and_by_copy(desk):
    image = desk.glance.add('cirros', size_bytes=600 * MB)

    code, out, err = desk.run()

    told = rows(out)
    assert (code, err) == (0, '')
    assert told[1] == [
        *('north', 'always', '8Mbit/s', '1', '2', '2', '1.1 GiB'),
        *('2027-01-15 08:00 UTC', '2027-01-15 08:20 UTC', '-', '-'),
    ]
    assert told[3][:2] == ['dcn0', 'north']
    copies = [cells for cells in told if cells[0] == 'cirros']
    assert copies == [
        [
            *('cirros', image.id, 'dcn0', 'north', '572 MiB'),
            *('copy-image', 'all-public'),
            *('2027-01-15 08:00 UTC', '2027-01-15 08:10 UTC', ''),
        ],
        [
            *('cirros', image.id, 'dcn1', 'north', '572 MiB'),
            *('copy-image', 'all-public'),
            *('2027-01-15 08:10 UTC', '2027-01-15 08:20 UTC'),
            'its turn on link north',
        ],
    ]
    assert out.endswith('2 copies, 1.1 GiB; last end 2027-01-15 08:20 UTC\n')


def test_with_nothing_to_do_there_is_nothing_but_a_word(desk):
    desk.glance.add('there', stores=frozenset({'central', 'dcn0', 'dcn1'}))

    assert desk.run() == (0, 'Nothing is to be copied.\n', '')
    assert records(desk) == []


def test_programs_get_everything(desk):
    image = desk.glance.add('cirros', size_bytes=600 * MB)

    assert records(desk, '--site', 'dcn1', '--limit', '0') == [
        {
            'image_id': image.id,
            'image_name': 'cirros',
            'site': 'dcn1',
            'store': 'dcn1',
            'link': 'north',
            'engine': 'copy-image',
            'bytes': 600 * MB,
            'policy': 'all-public',
            'reason': 'wanted by policy all-public (visibility public)',
            'starts': '2027-01-15T08:10:00Z',
            'ends': '2027-01-15T08:20:00Z',
            'under_way': False,
            'stuck': False,
            'waits': 'its turn on link north',
            'deadline': None,
            'late': False,
            'change': None,
        }
    ]


def test_csv_escapes_what_is_not_printable(desk):
    desk.glance.add('a\n\x1b[31m')

    _, out, _ = desk.run('-f', 'csv')

    reader = csv.DictReader(io.StringIO(out), escapechar='\\')
    names = {one['image_name'] for one in reader}
    assert names == {'a\\n\\x1b[31m'}


def test_only_what_is_asked_for_is_told_but_all_is_reckoned_with(desk):
    desk.glance.add('small', size_bytes=60 * MB)
    large = desk.glance.add('large', size_bytes=600 * MB)

    told = [
        records(desk, '--image', word) for word in ('large', large.id.upper())
    ]

    assert told[0] == told[1]
    assert [one['starts'][11:16] for one in told[0]] == ['08:02', '08:12']


@pytest.mark.parametrize(
    ('argv', 'code', 'expected'),
    [
        (['--image', 'nope'], 1, 'no image is called nope'),
        (['--site', 'dcn'], 2, 'there is no site dcn; did you mean dcn1?'),
    ],
)
def test_what_does_not_exist_is_told(desk, argv, code, expected):
    assert desk.run(*argv) == (code, '', f'dcn-distributor: {expected}\n')


@pytest.mark.parametrize(
    'argv', [['--assume-rate', '5'], ['--limit', '-1'], ['--limit', 'x']]
)
def test_wrong_usage_is_refused(desk, argv):
    with pytest.raises(SystemExit) as caught:
        desk.run(*argv)

    assert caught.value.code == 2


def test_lines_are_limited_and_the_rest_is_counted(desk):
    for n in range(3):
        desk.glance.add(f'image{n}')

    _, out, _ = desk.run('--limit', '2')

    assert sum(cells[0].startswith('image') for cells in rows(out)) == 2
    assert '\n... and 4 more; see --limit\n' in out


def test_a_rate_may_be_assumed(desk):
    desk.use(where('dcn0', link=links.Link('dcn0')))
    desk.glance.add('cirros', size_bytes=600 * MB)

    (unknown,) = records(desk)
    (assumed,) = records(desk, '--assume-rate', '8Mbit')
    _, out, _ = desk.run()

    assert unknown['starts'] == assumed['starts'] == '2027-01-15T08:00:00Z'
    assert unknown['ends'] is None
    assert assumed['ends'] == '2027-01-15T08:10:00Z'
    assert '1 end at a time unknown' in out
    assert '8Mbit/s assumed' in desk.run('--assume-rate', '8Mbit')[1]


def test_what_is_paused_does_not_start_by_itself(desk):
    desk.glance.add('cirros')
    desk.agent.rest('site', 'dcn0', True, 'alice', 'no power')

    told = records(desk)
    _, out, _ = desk.run()

    assert {one['site']: one['stuck'] for one in told} == {
        'dcn0': True,
        'dcn1': False,
    }
    assert 'not by itself' in out
    assert 'site dcn0 paused by alice since 2027-01-15 08:00 UTC' in out
    assert '1 cannot begin as things are' in out


def test_a_stream_under_way_is_told_with_what_is_left(desk):
    image = desk.glance.add('cirros', size_bytes=600 * MB)
    desk.agent.reports = [
        transfers.Report(
            image.id,
            600 * MB,
            'central',
            transfers.Verify.FULL,
            desks.NOW_S - 60,
            None,
            400 * MB,
            (
                transfers.Lane(
                    'dcn1', 'dcn1', transfers.Phase.COPYING, 300 * MB
                ),
            ),
        )
    ]

    first, second = records(desk)
    _, out, _ = desk.run()

    assert (first['site'], first['under_way']) == ('dcn1', True)
    assert (first['bytes'], first['engine']) == (300 * MB, 'rbd-stream')
    assert second['starts'] == first['ends'] == '2027-01-15T08:05:00Z'
    assert 'under way' in out


def test_a_link_that_no_agent_has_carries_nothing(desk):
    desk.glance.add('cirros')
    desk.agent.roster = {
        'members': ['ctl-0', 'ctl-1'],
        'problem': None,
        'sites': {'dcn0': {'link': 'north', 'owner': None}},
    }

    told = records(desk)

    assert {one['stuck'] for one in told} == {True}
    assert {one['waits'] for one in told} == {'no agent has link north'}


def test_no_agent_is_no_failure(desk):
    desk.glance.add('cirros')
    desk.agent.is_away = True

    code, out, err = desk.run()

    assert code == 0
    assert '2 copies' in out
    assert err == (
        'Next tries are unknown: no agent answered within 3 s\n'
        'Streams and pauses are not reckoned with.\n'
    )


def test_a_store_that_glance_lacks_never_gets_its_copies(desk):
    desk.use(where('dcn0', 'dcn9'))
    desk.glance.add('cirros')

    code, out, err = desk.run()

    assert code == 0
    assert 'Glance has no store dcn9' in out
    assert err.startswith('warning: site dcn9: Glance has no store dcn9')


def test_a_draft_is_told_by_what_it_changes(desk, drafts):
    shared = desk.glance.add('shared', visibility='shared')
    there = desk.glance.add('there', stores=frozenset({'central', 'dcn0'}))
    draft = """\
version: 1
policies:
  mine: {match: {visibility: [shared]}, sites: [dcn1]}
"""

    code, out, err = desk.run(*drafts(placement=draft))
    told = records(desk, *drafts(placement=draft))

    assert (code, err) == (0, '')
    assert [(one['image_id'], one['site'], one['change']) for one in told] == [
        (shared.id, 'dcn1', 'new'),
        (there.id, 'dcn0', 'kept'),
        (there.id, 'dcn1', 'dropped'),
    ]
    lines = out.splitlines()
    assert 'policies added: mine' in lines
    assert 'policies removed: all-public' in lines
    assert 'to be made beside those in force: 1 copy, 1 GiB' in lines
    assert 'missing, and not to be made any more: 1 copy' in lines
    assert (
        'there, and not wanted any more: 1 copy; nothing is deleted, they '
        'are kept'
    ) in lines


def test_a_draft_without_a_difference_says_so(desk, drafts):
    desk.glance.add('cirros')

    told = records(desk, *drafts(placement=PLACEMENT, sites=SITES))
    _, out, _ = desk.run(*drafts(placement=PLACEMENT, sites=SITES))

    assert {one['change'] for one in told} == {'same'}
    assert 'to be made beside those in force: 0 copies' in out
    for word in ('added', 'removed', 'changed'):
        assert word not in out


def test_a_site_of_a_draft_need_not_have_its_store_yet(desk, drafts):
    desk.glance.add('cirros', size_bytes=60 * MB)
    draft = SITES.replace('dcn1:', 'dcn9:').replace('8Mbit', '16Mbit')

    code, out, err = desk.run(*drafts(sites=draft))
    _, told, _ = desk.run(*drafts(sites=draft), '-f', 'json')

    assert code == 0
    assert 'sites added: dcn9' in out
    assert 'sites removed: dcn1' in out
    assert 'sites changed: dcn0' in out
    assert 'warning: site dcn9: Glance has no store dcn9' in err
    assert [
        (one['site'], one['change'], one['stuck']) for one in json.loads(told)
    ] == [
        ('dcn0', 'same', False),
        ('dcn9', 'new', False),
        ('dcn1', 'dropped', False),
    ]


def test_all_problems_of_broken_drafts_are_told(desk, drafts):
    argv = drafts(
        sites=SITES.replace('dcn1:', 'a b:'),
        placement=PLACEMENT.replace('all}', 'al}'),
    )

    code, out, err = desk.run(*argv)

    assert (code, out) == (2, '')
    assert [line.partition(': ')[0][-22:] for line in err.splitlines()] == [
        '/sites-draft.yaml:4:30',
        'cement-draft.yaml:3:54',
    ]


def test_doubts_about_a_draft_are_told(desk, drafts):
    draft = PLACEMENT.replace('all}', '{labels: tier}}')

    code, _, err = desk.run(*drafts(placement=draft))

    assert code == 0
    assert 'warning: policy all-public: its sites' in err


def test_a_copy_that_comes_too_late_is_told(desk, drafts):
    draft = PLACEMENT.replace('all}', 'all, when: {deadline: 5min}}')
    desk.glance.add('cirros', size_bytes=600 * MB, created_at_s=desks.NOW_S)

    told = records(desk, *drafts(placement=draft))
    _, out, _ = desk.run(*drafts(placement=draft))

    assert [one['late'] for one in told] == [True, True]
    assert {one['deadline'] for one in told} == {'2027-01-15T08:05:00Z'}
    assert '08:10 UTC, LATE' in out
    assert '; 2 late' in out
    assert 'policies changed: all-public' in out
