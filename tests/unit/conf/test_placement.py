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
"""placement.yaml: what it says, and everything that can be wrong in it."""

import pathlib
import textwrap

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from dcn_distributor.core import transfers
from tests.fakes import images as fake_images
from tests.unit.core import examples

SAMPLES = pathlib.Path(__file__).parents[3] / 'etc' / 'dcn_distributor'


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / 'placement.yaml'
        path.write_text(content)
        return placement.load(str(path), examples.SITES)

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(content):
        with pytest.raises(exceptions.ConfigError) as caught:
            load(content)
        prefix = f'{tmp_path}/placement.yaml:'
        assert all(p.startswith(prefix) for p in caught.value.problems)
        return [p.removeprefix(prefix) for p in caught.value.problems]

    return problems


def policy(body):
    """A file with one policy, whose keys begin on line 4 in column 5."""
    return 'version: 1\npolicies:\n  p:\n' + textwrap.indent(body, '    ')


def matching(block):
    """A file with one match block, which begins on line 4 in column 12."""
    return policy(f'match: {block}\nsites: all\n')


def wanted(decisions):
    return [d.site.name for d in decisions.wanted]


def test_sample_is_loaded_without_warnings():
    all_sites = sites.load(str(SAMPLES / 'sites.yaml.sample'))

    policy_set = placement.load(
        str(SAMPLES / 'placement.yaml.sample'), all_sites
    )

    assert [p.name for p in policy_set.policies] == [
        'golden',
        'all-public',
        'export-ban',
    ]
    assert policy_set.warnings() == ()


def test_sample_says_what_its_comments_say():
    all_sites = sites.load(str(SAMPLES / 'sites.yaml.sample'))
    policy_set = placement.load(
        str(SAMPLES / 'placement.yaml.sample'), all_sites
    )

    plain = policy_set.decide(fake_images.image())
    banned = policy_set.decide(
        fake_images.image(properties={'export_control': 'yes'})
    )

    assert wanted(plain) == ['dcn0', 'dcn1']
    assert wanted(banned) == ['dcn0']


def test_policy_knows_its_line(load, tmp_path):
    [loaded] = load(matching('{}')).policies

    assert loaded.origin == f'{tmp_path}/placement.yaml:3'


@pytest.mark.parametrize(
    ('block', 'fitting', 'other', 'why_not'),
    [
        (
            'visibility: [public, shared]',
            {'visibility': 'shared'},
            {'visibility': 'private'},
            'visibility: expected public or shared, found private',
        ),
        (
            'name: ["rhel-9-*", "ubuntu-{22,24}.04*"]',
            {'name': 'ubuntu-24.04.1'},
            {'name': 'Ubuntu-24.04'},
            "name: expected 'rhel-9-*' or 'ubuntu-{22,24}.04*', found "
            "'Ubuntu-24.04'",
        ),
        (
            'name: only',
            {'name': 'only'},
            {'name': 'only\n\x1b[31m'},
            "name: expected 'only', found 'only\\n\\x1b[31m'",
        ),
        (
            'owner: [project-a, 1e10]',
            {'owner': '1e10'},
            {'owner': ''},
            'owner: expected project-a or 1e10, found nothing',
        ),
        (
            'tags: [golden, signed]',
            {'tags': frozenset({'golden', 'signed', 'x'})},
            {'tags': frozenset({'golden'})},
            'tags: expected golden and signed, found golden',
        ),
        (
            'properties: {golden: true}',
            {'properties': {'golden': 'true'}},
            {'properties': {'golden': 'True'}},
            'property golden: expected true, found True',
        ),
        (
            'properties: {os_distro: [rhel, debian]}',
            {'properties': {'os_distro': 'debian'}},
            {'properties': {}},
            'property os_distro: expected rhel or debian, found no such '
            'property',
        ),
        (
            'properties: {os_admin_user: exists}',
            {'properties': {'os_admin_user': ''}},
            {'properties': {'other': 'exists'}},
            'property os_admin_user: expected any value, found no such '
            'property',
        ),
        (
            'properties: {state: [exists]}',
            {'properties': {'state': 'exists'}},
            {'properties': {'state': 'gone'}},
            'property state: expected exists, found gone',
        ),
        (
            'disk_format: raw',
            {'disk_format': 'raw'},
            {'disk_format': None},
            'disk_format: expected raw, found nothing',
        ),
        (
            'container_format: [bare, ovf]',
            {'container_format': 'ovf'},
            {'container_format': 'docker'},
            'container_format: expected bare or ovf, found docker',
        ),
        (
            'size: "<=40GiB"',
            {'size_bytes': 40 * 2**30},
            {'size_bytes': None},
            'size: expected <=40GiB, found an unknown size',
        ),
        (
            'size: [">1GiB", "<=40GiB"]',
            {'size_bytes': 2**31},
            {'size_bytes': 2**30},
            'size: expected >1GiB and <=40GiB, found 1GiB (1073741824 bytes)',
        ),
        (
            'hidden: false',
            {'is_hidden': False},
            {'is_hidden': True},
            'hidden: expected false, found true',
        ),
        (
            'protected: true',
            {'is_protected': True},
            {'is_protected': False},
            'protected: expected true, found false',
        ),
        (
            'not: {tags: [deprecated]}',
            {'tags': frozenset()},
            {'tags': frozenset({'deprecated', 'x'})},
            'not: expected (tags deprecated), found tags deprecated and x',
        ),
        (
            'not: {properties: {k: exists}}',
            {'properties': {}},
            {'properties': {'k': 'v'}},
            'not: expected (property k any value), found property k v',
        ),
        (
            'any: [{tags: [a]}, {disk_format: [raw], hidden: true}]',
            {'disk_format': 'raw', 'is_hidden': True},
            {'disk_format': 'raw', 'is_hidden': False},
            'any: expected (tags a) or (hidden true, disk_format raw), found '
            'tags no tags and hidden false',
        ),
        (
            'not: {any: [{not: {tags: [a]}}, {tags: [b]}]}',
            {'tags': frozenset('a')},
            {'tags': frozenset('ab')},
            'not: expected (any (not (tags a)) or (tags b)), found any tags '
            'a and b',
        ),
    ],
)
def test_image_matches_by(load, block, fitting, other, why_not):
    policy_set = load(matching(f'{{{block}}}'))

    fits = policy_set.decide(fake_images.image(**fitting))
    explained = policy_set.explain(fake_images.image(**other))

    assert wanted(fits) == ['dcn0', 'dcn1', 'dcn2']
    [judged] = explained.policies
    assert [str(check) for check in judged.failed] == [why_not]


@pytest.mark.parametrize(
    ('form', 'names'),
    [
        ('all', ['dcn0', 'dcn1', 'dcn2']),
        ('[dcn2, dcn0]', ['dcn0', 'dcn2']),
        ('{labels: "tier in (edge, core)"}', ['dcn0']),
        ('{labels: region!=south}', ['dcn0', 'dcn2']),
        ('all\nexclude: [dcn1]', ['dcn0', 'dcn2']),
        ('{labels: tier=far-edge}\nexclude: [dcn1]', ['dcn2']),
    ],
)
def test_sites_are_selected_by(load, form, names):
    policy_set = load(policy(f'match: {{}}\nsites: {form}\n'))

    assert wanted(policy_set.decide(fake_images.image())) == names


def test_transfer_is_loaded(load):
    [full, some, none] = load(
        'version: 1\n'
        'policies:\n'
        '  a:\n'
        '    match: {}\n'
        '    sites: all\n'
        '    transfer:\n'
        '      engine: rbd-stream\n'
        '      source: nearest\n'
        '      verify: checksum\n'
        '      rate: 25MiB/s\n'
        '  b: {match: {}, sites: all, transfer: {engine: auto}}\n'
        '  c: {match: {}, sites: all}\n'
    ).policies

    assert full.wishes == transfers.Wishes(
        transfers.EngineChoice.RBD_STREAM,
        transfers.SourceChoice.NEAREST,
        transfers.Verify.CHECKSUM,
        25 * 2**20,
    )
    assert some.wishes == transfers.Wishes(engine=transfers.EngineChoice.AUTO)
    assert none.wishes == transfers.NO_WISHES


def test_tolerated_taints_and_deadline_are_loaded(load):
    [full, one, none] = load(
        'version: 1\n'
        'policies:\n'
        '  a:\n'
        '    match: {}\n'
        '    sites: all\n'
        '    tolerate: [maintenance, moving]\n'
        '    when: {deadline: 90min}\n'
        '  b: {match: {}, sites: all, tolerate: moving}\n'
        '  c: {match: {}, sites: all}\n'
    ).policies

    assert full.tolerates == {'maintenance', 'moving'}
    assert full.deadline_s == 5400
    assert one.tolerates == {'moving'}
    assert none.tolerates == frozenset()
    assert none.deadline_s is None


def test_empty_match_holds_for_every_image(load):
    [decision, *_] = load(matching('{}')).decide(fake_images.image()).wanted

    assert decision.reason == 'wanted by policy p (every image)'


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param(
            'version: 1\n', "1:1: key 'policies' is missing", id='no policies'
        ),
        pytest.param(
            policy('sites: all\n'),
            "3:3: key 'match' is missing",
            id='no match block',
        ),
        pytest.param(
            policy('match: {}\n'), "3:3: key 'sites' is missing", id='no sites'
        ),
        pytest.param(
            policy('match:\nsites: all\n'),
            '4:5: expected a mapping, found nothing',
            id='match block left empty',
        ),
        pytest.param(
            policy('match: {}\nsites: all\nprioritty: 1\n'),
            "6:5: unknown key 'prioritty'; did you mean 'priority'? (known "
            'here: match, sites, exclude, deny, priority, transfer, tolerate, '
            'when)',
            id='unknown key of a policy',
        ),
        pytest.param(
            matching('{visible: [public]}'),
            "4:13: unknown key 'visible'; did you mean 'visibility'?",
            id='unknown key of a match block',
        ),
        pytest.param(
            matching('{any: [{not: {nme: x}}]}'),
            "4:26: unknown key 'nme'; did you mean 'name'?",
            id='unknown key of a nested block',
        ),
        pytest.param(
            matching('{visibility: [public, Private]}'),
            "4:34: expected 'public', 'shared', 'community' or 'private', "
            "found 'Private'; did you mean 'private'?",
            id='unknown visibility',
        ),
        pytest.param(
            matching('{visibility: []}'),
            '4:25: expected at least one value, found none',
            id='empty list',
        ),
        pytest.param(
            matching('{tags: {a: b}}'),
            '4:19: expected a value or a list of values, found a mapping',
            id='mapping for a list',
        ),
        pytest.param(
            matching('{tags: [a, ""]}'),
            "4:23: expected a text, found ''",
            id='empty text',
        ),
        pytest.param(
            matching('{owner: }'),
            '4:13: expected a value or a list of values, found nothing',
            id='key without a value',
        ),
        pytest.param(
            matching('{hidden: yes}'),
            "4:21: expected true or false, found 'yes'",
            id='no boolean of YAML 1.2',
        ),
        pytest.param(
            matching('{name: ["rhel-{8,9-*"]}'),
            "4:26: '{' without '}' after it",
            id='brace never closed',
        ),
        pytest.param(
            matching('{name: "a-{1..1000000}"}'),
            "4:19: the braces of 'a-{1..1000000}' stand for more than 256",
            id='braces for a million names',
        ),
        pytest.param(
            matching('{name: rhel-{8,9}-*}'),
            '4:24: not valid YAML',
            id='braces without quotes',
        ),
        pytest.param(
            matching('{size: "<=40GIB"}'),
            "4:24: unknown unit 'GIB', expected one of B, kB, MB, GB, TB, "
            "PB, KiB, MiB, GiB, TiB, PiB; did you mean 'GiB'?",
            id='unknown unit',
        ),
        pytest.param(
            matching('{size: 40GiB}'),
            "4:19: expected <, <=, >, >= or = before '40GiB'",
            id='size without a comparison',
        ),
        pytest.param(
            matching('{size: ["<1GiB", ">2GiB"]}'),
            '4:19: no size is <1GiB and >2GiB',
            id='size that cannot be',
        ),
        pytest.param(
            matching('{properties: {}}'),
            '4:25: expected at least one value, found none',
            id='no property',
        ),
        pytest.param(
            matching('{properties: {visibility: public}}'),
            "4:26: 'visibility' is no property in Glance",
            id='field taken for a property',
        ),
        pytest.param(
            matching('{not: {}}'),
            '4:18: expected at least one condition',
            id='empty not',
        ),
        pytest.param(
            matching('{any: []}'),
            '4:18: expected at least one value, found none',
            id='empty any',
        ),
        pytest.param(
            matching('{any: {tags: [a]}}'),
            '4:18: expected a list, found a mapping',
            id='any without a list',
        ),
        pytest.param(
            policy('match: {}\nsites: dcn0\n'),
            '5:12: expected all, a list of site names or {labels: SELECTOR}, '
            "found 'dcn0'; did you mean [dcn0]?",
            id='one site without brackets',
        ),
        pytest.param(
            policy('match: {}\nsites: tier=edge\n'),
            '5:12: expected all, a list of site names or {labels: SELECTOR}, '
            'found \'tier=edge\'; did you mean {labels: "tier=edge"}?',
            id='selector without its key',
        ),
        pytest.param(
            policy('match: {}\nsites: [dcn0, dcn7]\nexclude: [dcn00]\n'),
            "5:19: no site 'dcn7' in sites.yaml; did you mean 'dcn",
            id='unknown site',
        ),
        pytest.param(
            policy('match: {}\nsites: {labels: "tier inn (edge)"}\n'),
            "5:27: expected ',', found 'inn'",
            id='malformed selector',
        ),
        pytest.param(
            policy('match: {}\nsites: {labels: tier in (a, b)}\n'),
            "5:31: expected ')', found the end",
            id='selector cut at its comma',
        ),
        pytest.param(
            policy('match: {}\nsites: {labels: tier, exclude: [dcn0]}\n'),
            "5:27: unknown key 'exclude'; it stands beside 'sites' (known "
            'here: labels)',
            id='exclude in the wrong place',
        ),
        pytest.param(
            policy('match: {}\nsites: all\npriority: high\n'),
            '6:15: expected a whole number from -1000000 to 1000000, '
            "found 'high'",
            id='priority in words',
        ),
        pytest.param(
            policy('match: {}\nsites: all\npriority: 9999999999999\n'),
            '6:15: expected a whole number from -1000000 to 1000000, found '
            "'9999999999999'",
            id='priority out of range',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ndeny:\n'),
            '6:5: expected true or false, found nothing',
            id='deny without a value',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {engine: rbd}\n'),
            "6:24: expected 'auto', 'copy-image' or 'rbd-stream', found 'rbd'",
            id='unknown engine',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {source: nearst}\n'),
            "6:24: expected 'central' or 'nearest', found 'nearst'; did you "
            "mean 'nearest'?",
            id='unknown source',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {verify: none}\n'),
            "6:24: expected 'full', 'checksum' or 'size', found 'none'",
            id='unknown proof',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {rate: 200Mb}\n'),
            "6:25: unknown unit 'Mb', expected one of kbit, Mbit, Gbit, kB, "
            "MB, GB, KiB, MiB, GiB; did you mean 'Mbit'?",
            id='rate with an unknown unit',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {engin: auto}\n'),
            "6:16: unknown key 'engin'; did you mean 'engine'? (known here: "
            'engine, source, verify, rate)',
            id='unknown key of a transfer',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer: {}\n'),
            '6:15: expected at least one key, found none',
            id='transfer that says nothing',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntransfer:\n'),
            '6:5: expected a mapping, found nothing',
            id='transfer left empty',
        ),
        pytest.param(
            policy('match: {}\nsites: all\nrate: 1Gbit\n'),
            "6:5: unknown key 'rate'; it stands in 'transfer' (known here:",
            id='rate beside a transfer',
        ),
        pytest.param(
            policy(
                'match: {}\nsites: all\ntransfer: {rate: 1Gbit}\ndeny: true\n'
            ),
            '6:15: a deny policy sends nothing anywhere, so it has no '
            'transfer',
            id='transfer of a deny policy',
        ),
        pytest.param(
            policy(
                'match: {}\nsites: all\ntolerate: [maintenance]\ndeny: true\n'
            ),
            '6:15: a deny policy sends nothing anywhere, so it has no '
            'tolerate',
            id='taints that a deny policy tolerates',
        ),
        pytest.param(
            policy(
                'match: {}\nsites: all\ndeny: true\nwhen: {deadline: 1h}\n'
            ),
            '7:11: a deny policy sends nothing anywhere, so it has no when',
            id='deadline of a deny policy',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntolerate: [a b]\n'),
            "6:16: 'a b' is no name for a taint",
            id='no key of a taint',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ntolerate: []\n'),
            '6:15: expected at least one value, found none',
            id='nothing is tolerated',
        ),
        pytest.param(
            policy('match: {}\nsites: all\nwhen: {}\n'),
            "6:5: key 'deadline' is missing",
            id='when without a deadline',
        ),
        pytest.param(
            policy('match: {}\nsites: all\nwhen: {deadline: 6}\n'),
            '6:23: expected a unit of time, one of s, min, h, d, w, found '
            'none',
            id='deadline without a unit',
        ),
        pytest.param(
            policy('match: {}\nsites: all\ndeadline: 6h\n'),
            "6:5: unknown key 'deadline'; it stands in 'when' (known here:",
            id='deadline outside of when',
        ),
        pytest.param(
            'version: 1\npolicies: {"a b": {match: {}, sites: all}}\n',
            "2:12: 'a b' is no name for a policy",
            id='policy name with a space',
        ),
        pytest.param(
            'version: 1\npolicies: {match: {match: {}, sites: all, x: 1}}\n',
            "2:43: unknown key 'x' (known here: match, sites,",
            id='policy called as a key',
        ),
        pytest.param(
            matching('{not: ' * 30 + '{}' + '}' * 30),
            '4:138: nested deeper than 24 levels',
            id='deep nesting',
        ),
    ],
)
def test_problem_is_told_with_its_place(problems, content, expected):
    assert problems(content)[0].startswith(expected)


def test_all_problems_are_told_at_once_in_their_order(problems):
    found = problems(
        'version: 1\n'
        'policies:\n'
        '  golden:\n'
        '    match: {visible: [public], size: 5GB}\n'
        '    sites: {labels: "a=="}\n'
        '    exclude: [nope]\n'
        '  other:\n'
        '    sites: all\n'
        '    sites: all\n'
        'polices: {}\n'
    )

    assert [p.partition(': ')[0] for p in found] == [
        '4:13',
        '4:38',
        '5:25',
        '6:15',
        '7:3',
        '9:5',
        '10:1',
    ]


def test_place_in_a_folded_text_is_told_in_words(problems):
    [problem] = problems(
        policy('match: {}\nsites:\n  labels: >\n    tier\n    inn (edge)\n')
    )

    assert problem == (
        "6:15: expected ',', found 'inn' (character 6 of the text)"
    )


def test_a_file_is_checked_without_knowing_the_sites(tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text(policy('match: {}\nsites: [whatever]\npriority: x\n'))

    with pytest.raises(exceptions.ConfigError) as caught:
        placement.check(str(path))

    assert caught.value.problems == (
        f'{path}:6:15: expected a whole number from -1000000 to 1000000, '
        "found 'x'",
    )
