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
"""Links, their windows and taints of sites, as sites.yaml has them."""

import datetime
import zoneinfo

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import sites
from dcn_distributor.core import links
from dcn_distributor.core import windows

HEAD = 'version: 1\ncentral: {store: central}\n'
NORTH = (
    'links:\n'
    '  wan-north:\n'
    '    rate: 2Gbit\n'
    '    transfers: 4\n'
    '    cost: 3\n'
    '    windows:\n'
    '      - {days: mon-fri, from: 01:00, to: 05:30, tz: Europe/Oslo}\n'
    '      - {days: [sat, sun], from: 00:00, to: 24:00}\n'
)


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / 'sites.yaml'
        path.write_text(HEAD + content)
        return sites.load(str(path))

    return load


def test_sites_share_a_link_by_its_name(load):
    north, other, south, plain = load(
        f'{NORTH}'
        'sites:\n'
        '  dcn0: {link: wan-north}\n'
        '  dcn1: {link: wan-north}\n'
        '  dcn2: {link: {cost: 25, rate: 300Mbit, transfers: 1}}\n'
        '  dcn3: {}\n'
    )

    assert north.link == links.Link(
        'wan-north',
        3.0,
        250e6,
        4,
        (
            windows.Window(
                frozenset(range(5)),
                datetime.time(1),
                datetime.time(5, 30),
                zoneinfo.ZoneInfo('Europe/Oslo'),
            ),
            windows.Window(
                frozenset((5, 6)),
                datetime.time(0),
                datetime.time(0),
                zoneinfo.ZoneInfo('UTC'),
            ),
        ),
    )
    assert other.link is north.link
    assert south.link == links.Link('dcn2', 25.0, 37.5e6, 1)
    assert plain.link == links.Link('dcn3')


@pytest.mark.parametrize(
    ('written', 'expected'),
    [
        ('mon', [0]),
        ('mon-fri', [0, 1, 2, 3, 4]),
        ('fri-mon', [0, 4, 5, 6]),
        ('sun-sun', [6]),
        ('"sat,sun"', [5, 6]),
        ('"mon - tue, thu"', [0, 1, 3]),
        ('[mon, wed-thu]', [0, 2, 3]),
        ('daily', range(7)),
    ],
)
def test_days(load, written, expected):
    window = f'{{days: {written}, from: "22:00", to: "05:30"}}'

    [site] = load(f'sites: {{a: {{link: {{windows: [{window}]}}}}}}\n')

    [loaded] = site.link.windows
    assert loaded.days == frozenset(expected)


def test_a_window_is_by_default_daily_and_in_utc(load):
    [site] = load(
        'sites: {a: {link: {windows: [{from: 07:00, to: 07:00}]}}}\n'
    )

    seven = datetime.time(7)
    assert site.link.windows == (
        windows.Window(
            windows.EVERY_DAY, seven, seven, zoneinfo.ZoneInfo('UTC')
        ),
    )


def test_taints_are_loaded(load):
    [site] = load(
        'sites:\n'
        '  a:\n'
        '    taints:\n'
        '      - {key: maintenance, effect: no-new, '
        'until: 2026-12-01T06:00Z}\n'
        '      - {key: moving, effect: drain, '
        'until: 2026-12-01T07:00:30+01:00}\n'
        '      - {key: old, effect: drain}\n'
    )

    # 2026-12-01 06:00 UTC
    end_s = 1_796_104_800
    assert site.taints == (
        links.Taint('maintenance', links.Effect.NO_NEW, end_s),
        links.Taint('moving', links.Effect.DRAIN, end_s + 30),
        links.Taint('old', links.Effect.DRAIN),
    )


def link(content):
    return f'sites: {{a: {{link: {{{content}}}}}}}\n'


def window(content):
    return link(f'windows: [{{{content}}}]')


def taint(content):
    return f'sites: {{a: {{taints: [{{{content}}}]}}}}\n'


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param(
            NORTH + 'sites: {a: {link: wan-noth}}\n',
            "11:19: no link 'wan-noth' in 'links'; did you mean 'wan-north'?",
            id='a link that is not there',
        ),
        pytest.param(
            'sites: {a: {link: wan-north}}\n',
            "3:19: no link 'wan-north' in 'links'",
            id='no links at all',
        ),
        pytest.param(
            'sites: {a: {link: [wan]}}\n',
            '3:19: expected a mapping, found a list',
            id='a list of links',
        ),
        pytest.param(
            'links: {a: {cost: 1}}\nsites: {a: {link: {cost: 2}}}\n',
            '3:12: a is a site; a link that sites share has another name',
            id='a link that is called as a site is',
        ),
        pytest.param(
            'links: {central: {}}\nsites: {}\n',
            "3:9: a link cannot be called 'central'",
            id='a link that is called central',
        ),
        pytest.param(
            'links: {../a: {}}\nsites: {}\n',
            "3:9: '../a' is no name for a link: expected 1 to 63 letters",
            id='a link whose name is a path',
        ),
        pytest.param(
            'links: {a: {rat: 1Mbit}}\nsites: {}\n',
            "3:13: unknown key 'rat'; did you mean 'rate'? (known here: "
            'cost, rate, transfers, windows)',
            id='unknown key of a shared link',
        ),
        pytest.param(
            link('rat: 1Mbit'),
            "3:20: unknown key 'rat'; did you mean 'rate'? (known here: "
            'cost, rate, transfers, windows)',
            id="unknown key of a site's own link",
        ),
        pytest.param(
            'sites: {a: {rate: 1Mbit}}\n',
            "3:13: unknown key 'rate'; it stands in 'link' (known here:",
            id='rate of a site',
        ),
        pytest.param(
            'sites: {a: {windows: []}}\n',
            "3:13: unknown key 'windows'; it stands in 'link' (known here:",
            id='windows of a site',
        ),
        pytest.param(
            'sites: {a: {until: x}}\n',
            "3:13: unknown key 'until'; it stands in 'taints' (known here:",
            id='key of a taint beside it',
        ),
        pytest.param(
            link('tz: UTC'),
            "3:20: unknown key 'tz'; it stands in 'windows' (known here:",
            id='key of a window beside it',
        ),
        pytest.param(
            link('rate: 300Mb'),
            "3:29: unknown unit 'Mb', expected one of kbit, Mbit, Gbit, kB, "
            "MB, GB, KiB, MiB, GiB; did you mean 'Mbit'?",
            id='rate with a wrong unit',
        ),
        pytest.param(
            link('rate: '),
            '3:20: expected a text, found nothing',
            id='rate left empty',
        ),
        pytest.param(
            link('transfers: 0'),
            "3:31: expected a number from 1 to 9999, found '0'",
            id='no transfers',
        ),
        pytest.param(
            link('windows: []'),
            '3:29: expected at least one value, found none',
            id='no windows',
        ),
        pytest.param(
            link('windows: {from: 01:00, to: 02:00}'),
            '3:29: expected a list, found a mapping',
            id='one window without a list',
        ),
        pytest.param(
            window('days: mon'),
            "3:30: key 'from' is missing",
            id='a window without times',
        ),
        pytest.param(
            window('days: "mon,holidays", from: 01:00, to: 02:00'),
            '3:42: expected days such as mon-fri, sat or daily, found '
            "'holidays'",
            id='unknown day',
        ),
        pytest.param(
            window('days: mon-friday, from: 01:00, to: 02:00'),
            '3:41: expected days such as mon-fri, sat or daily, found '
            "'friday'; did you mean 'fri'?",
            id='a day in full',
        ),
        pytest.param(
            window('days: sat,sun, from: 01:00, to: 02:00'),
            "3:41: unknown key 'sun'; put a text that holds a comma in quotes",
            id='comma in a mapping',
        ),
        pytest.param(
            window('from: 1:00, to: 02:00'),
            '3:37: expected a time from 00:00 to 23:59 (as the end also '
            "24:00), found '1:00'; did you mean '01:00'?",
            id='hour of one digit',
        ),
        pytest.param(
            window('from: 24:00, to: 02:00'),
            '3:37: expected a time from 00:00 to 23:59',
            id='begin at the end of a day',
        ),
        pytest.param(
            window('from: 01:00, to: 24:01'),
            '3:48: expected a time from 00:00 to 23:59',
            id='end after the end of a day',
        ),
        pytest.param(
            window('from: 01:00, to: \uff15:30'),
            '3:48: expected a time from 00:00 to 23:59',
            id='digits of another script',
        ),
        pytest.param(
            window('from: 90, to: 02:00'),
            '3:37: expected a time from 00:00 to 23:59',
            id='minutes as YAML 1.1 would have them',
        ),
        pytest.param(
            window('from: 01:00, to: 02:00, tz: europe/olso'),
            '3:59: expected the IANA name of a time zone, such as '
            "Europe/Oslo, found 'europe/olso'; did you mean 'Europe/Oslo'?",
            id='unknown time zone',
        ),
        pytest.param(
            window('from: 01:00, to: 02:00, tz: ../../etc/passwd'),
            '3:59: expected the IANA name of a time zone',
            id='a time zone that is a path',
        ),
        pytest.param(
            window('from: 01:00, to: 02:00, tz: localtime'),
            '3:59: expected the IANA name of a time zone',
            id='the time zone of this host',
        ),
        pytest.param(
            window('fron: 01:00, from: 01:00, to: 02:00'),
            "3:31: unknown key 'fron'; did you mean 'from'? (known here: "
            'days, from, to, tz)',
            id='unknown key of a window',
        ),
        pytest.param(
            taint('key: a b, effect: drain'),
            "3:28: 'a b' is no name for a taint",
            id='key of a taint with a space',
        ),
        pytest.param(
            taint('key: a, effect: NoSchedule'),
            "3:39: expected 'no-new' or 'drain', found 'NoSchedule'",
            id='unknown effect',
        ),
        pytest.param(
            taint('key: a'),
            "3:22: key 'effect' is missing",
            id='taint without effect',
        ),
        pytest.param(
            taint('key: a, effect: drain, until: 2026-12-01T06:00'),
            '3:53: expected a time with its zone such as 2026-12-01T06:00Z '
            "or 2026-12-01T07:00+01:00, found '2026-12-01T06:00'",
            id='end without a zone',
        ),
        pytest.param(
            taint('key: a, effect: drain, until: 2026-12-01'),
            '3:53: expected a time with its zone',
            id='a date for an end',
        ),
        pytest.param(
            taint('key: a, effect: drain, until: tomorrow'),
            '3:53: expected a date and time such as 2026-12-01T06:00Z, found '
            "'tomorrow'",
            id='no date',
        ),
        pytest.param(
            taint('key: a, effect: drain, until: 9999-12-31T23:59-01:00'),
            '3:53: expected a date and time such as 2026-12-01T06:00Z, found',
            id='the end of time',
        ),
        pytest.param(
            taint('key: a, effect: drain, till: x'),
            "3:46: unknown key 'till'; did you mean 'until'? (known here: "
            'key, effect, until)',
            id='unknown key of a taint',
        ),
    ],
)
def test_problem_is_told_with_its_place(load, tmp_path, content, expected):
    with pytest.raises(exceptions.ConfigError) as caught:
        load(content)

    [problem] = caught.value.problems
    assert problem.removeprefix(f'{tmp_path}/sites.yaml:').startswith(expected)


@pytest.mark.parametrize('key', ['rate: 1Mbit', 'transfers: 1', 'windows: []'])
def test_the_link_of_central_has_a_cost_only(tmp_path, key):
    path = tmp_path / 'sites.yaml'
    path.write_text(
        f'version: 1\ncentral: {{store: c, link: {{{key}}}}}\nsites: {{}}\n'
    )

    with pytest.raises(exceptions.ConfigError) as caught:
        sites.load(str(path))

    [problem] = caught.value.problems
    assert 'it stands in the links of edge sites (known here: cost)' in problem


def test_problems_of_links_are_told_with_all_others(load, tmp_path):
    with pytest.raises(exceptions.ConfigError) as caught:
        load('sites:\n  a: {link: b}\n  c: {store: central}\n')

    assert [
        problem.removeprefix(f'{tmp_path}/sites.yaml:').partition(': ')[0]
        for problem in caught.value.problems
    ] == ['4:13', '5:14']


def test_a_link_that_nobody_uses_is_doubtful(tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_text(
        HEAD + 'links: {idle: {}, wan: {}}\nsites: {a: {link: wan}}\n'
    )

    assert sites.inspect(str(path))[1] == (
        f'{path}:3: warning: link idle: no site hangs on it',
    )
