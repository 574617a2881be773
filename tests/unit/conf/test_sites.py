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
"""sites.yaml: what it says, and everything that can be wrong in it."""

import pathlib

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import sites

SAMPLES = pathlib.Path(__file__).parents[3] / 'etc' / 'dcn_distributor'
HEAD = 'version: 1\ncentral: {store: central}\n'


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / 'sites.yaml'
        path.write_text(content)
        return sites.load(str(path))

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(content):
        with pytest.raises(exceptions.ConfigError) as caught:
            load(content)
        prefix = f'{tmp_path}/sites.yaml:'
        assert all(p.startswith(prefix) for p in caught.value.problems)
        return [p.removeprefix(prefix) for p in caught.value.problems]

    return problems


def test_sample_is_loaded():
    loaded = sites.load(str(SAMPLES / 'sites.yaml.sample'))

    assert loaded.central_store == 'central'
    assert [(s.name, s.store) for s in loaded] == [
        ('dcn0', 'dcn0'),
        ('dcn1', 'dcn1'),
    ]


def test_store_is_by_default_called_as_the_site_is(load):
    [near, far] = load(HEAD + 'sites: {a: {}, b: {store: s2}}\n')

    assert (near.store, far.store) == ('a', 's2')


def test_labels_are_the_texts_that_were_written(load):
    labels = '{country: NO, version: 1.10, since: 2026-01-01, canary: "no"}'

    [site] = load(HEAD + f'sites: {{dcn0: {{labels: {labels}}}}}\n')

    assert site.labels == {
        'country': 'NO',
        'version': '1.10',
        'since': '2026-01-01',
        'canary': 'no',
    }


def test_there_may_be_no_sites(load):
    assert len(load(HEAD + 'sites: {}\n')) == 0


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param(
            'version: 2\ncentral: {store: c}\nsites: {}\n',
            "1:10: expected '1', found '2'",
            id='unknown version',
        ),
        pytest.param(
            HEAD + 'sits: {}\nsites: {}\n',
            "3:1: unknown key 'sits'; did you mean 'sites'? (known here: "
            'version, central, sites)',
            id='unknown key with a near-miss',
        ),
        pytest.param(
            HEAD + 'sites: {a: {label: {}}}\n',
            "3:13: unknown key 'label'; did you mean 'labels'? (known here: "
            'store, labels, cluster, link)',
            id='unknown key of a site',
        ),
        pytest.param(
            HEAD + 'sites: {store: {stor: x}}\n',
            "3:17: unknown key 'stor'; did you mean 'store'? (known here: "
            'store, labels, cluster, link)',
            id='unknown key of a site called as a key',
        ),
        pytest.param(
            HEAD + 'sites: [a, b]\n',
            '3:8: expected a mapping, found a list',
            id='a list of sites',
        ),
        pytest.param(
            HEAD + 'sites:\n  dcn0:\n',
            '4:3: expected a mapping, found nothing',
            id='a site without anything',
        ),
        pytest.param(HEAD, "1:1: key 'sites' is missing", id='key is missing'),
        pytest.param(
            'version: 1\ncentral: {}\nsites: {}\n',
            "2:1: key 'store' is missing",
            id='key of central is missing',
        ),
        pytest.param(
            HEAD + 'sites: {../etc: {}}\n',
            "3:9: '../etc' is no name for a site: expected 1 to 63 letters",
            id='site name that is a path',
        ),
        pytest.param(
            HEAD + 'sites: {a..b: {}}\n',
            "3:9: 'a..b' is no name for a site",
            id='site name with two dots',
        ),
        pytest.param(
            HEAD + 'sites: {"a\\n\\u202E": {}}\n',
            "3:9: 'a\\n\\u202e' is no name for a site",
            id='site name with a line end and a right-to-left mark',
        ),
        pytest.param(
            HEAD + 'sites: {all: {}}\n',
            "3:9: a site cannot be called 'all'",
            id='reserved site name',
        ),
        pytest.param(
            HEAD + 'sites: {a: {store: "s,t"}}\n',
            "3:20: 's,t' is no Glance store",
            id='store with a comma',
        ),
        pytest.param(
            HEAD + 'sites: {a: {store: b}, b: {}}\n',
            '3:27: store b is already that of site a; every site has its own',
            id='two sites with one store',
        ),
        pytest.param(
            HEAD + 'sites: {a: {store: central}}\n',
            '3:20: store central is already that of central',
            id='a site with the store of central',
        ),
        pytest.param(
            HEAD + 'sites: {a: {labels: {tier: [x]}}}\n',
            '3:28: expected a text, found a list',
            id='label that is a list',
        ),
        pytest.param(
            HEAD + 'sites: {a: {labels: {tier: a b}}}\n',
            '3:28: expected letters, digits and _ . / : + @ - in a label, '
            "found 'a b'",
            id='label no selector could name',
        ),
        pytest.param(
            'just text\n', '1:1: expected a mapping, found', id='no mapping'
        ),
    ],
)
def test_problem_is_told_with_its_place(problems, content, expected):
    [problem] = problems(content)

    assert problem.startswith(expected)


def test_all_problems_are_told_at_once_in_their_order(problems):
    found = problems(
        'version: 1\n'
        'central: {store: central, pool: images}\n'
        'sites:\n'
        '  dcn0: {store: [x]}\n'
        '  -dcn1: {}\n'
        '  dcn0: {}\n'
    )

    assert [p.partition(': ')[0] for p in found] == [
        '2:27',
        '4:17',
        '5:3',
        '6:3',
    ]
