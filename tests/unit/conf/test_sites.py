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
import re

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import sites
from dcn_distributor.core import links
from dcn_distributor.core import sites as core_sites

SAMPLES = pathlib.Path(__file__).parents[3] / 'etc' / 'dcn_distributor'
FSID = '6f1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a6b'
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


def test_what_is_commented_out_in_the_sample_can_be_used(tmp_path):
    path = tmp_path / 'sites.yaml'
    sample = (SAMPLES / 'sites.yaml.sample').read_text()
    options = re.compile(r'^( +)#(windows|taints| +-)', re.MULTILINE)
    path.write_text(options.sub(r'\1\2', sample))

    near, far = sites.load(str(path))

    assert [len(site.link.windows) for site in (near, far)] == [2, 0]
    assert [len(site.taints) for site in (near, far)] == [1, 0]


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


def test_clusters_and_links_are_loaded_with_their_defaults(load):
    loaded = load(
        'version: 1\n'
        'central:\n'
        '  store: central\n'
        '  cluster: {conf: /etc/ceph/central.conf}\n'
        'sites:\n'
        '  near:\n'
        f'    cluster: {{conf: /a/b.conf, user: u, pool: p, fsid: {FSID}}}\n'
        '    link: {cost: 2.5}\n'
        '  far: {}\n'
    )

    central, near, far = loaded.everywhere
    assert central.cluster == core_sites.Cluster(
        '/etc/ceph/central.conf', 'dcn-distributor', 'images'
    )
    assert near.cluster == core_sites.Cluster('/a/b.conf', 'u', 'p', FSID)
    assert far.cluster is None
    assert [s.link for s in (central, near, far)] == [
        links.Link('central', 0),
        links.Link('near', 2.5),
        links.Link('far', 10),
    ]


def test_the_link_of_central_may_cost_something(load):
    loaded = load(
        'version: 1\ncentral: {store: c, link: {cost: 7}}\nsites: {}\n'
    )

    assert loaded.central_cost == 7


def test_fsid_in_capital_letters_is_the_same(load):
    cluster = f'{{conf: /c, fsid: {FSID.upper()}}}'

    [site] = load(HEAD + f'sites: {{a: {{cluster: {cluster}}}}}\n')

    assert site.cluster.fsid == FSID


def test_two_pools_of_one_cluster_may_be_two_sites(load):
    loaded = load(
        HEAD + 'sites:\n'
        f'  a: {{cluster: {{conf: /a, pool: one, fsid: {FSID}}}}}\n'
        f'  b: {{cluster: {{conf: /b, pool: two, fsid: {FSID}}}}}\n'
    )

    assert [site.cluster.pool for site in loaded] == ['one', 'two']


def test_a_conf_that_is_not_there_keeps_no_site_from_its_copies(load):
    [site] = load(HEAD + 'sites: {a: {cluster: {conf: /no/such.conf}}}\n')

    assert site.cluster.conf == '/no/such.conf'


@pytest.fixture
def doubts(tmp_path):
    def doubts(content):
        path = tmp_path / 'sites.yaml'
        path.write_text(content)
        return [
            doubt.removeprefix(f'{path}:')
            for doubt in sites.inspect(str(path))[1]
        ]

    return doubts


def test_a_conf_that_cannot_be_read_is_doubtful(doubts, tmp_path):
    there = tmp_path / 'there.conf'
    there.touch()
    found = doubts(
        'version: 1\n'
        f'central: {{store: c, cluster: {{conf: {there}}}}}\n'
        'sites:\n'
        '  away:\n'
        '    cluster:\n'
        '      conf: /no/such.conf\n'
        f'  directory: {{cluster: {{conf: {tmp_path}}}}}\n'
    )

    assert found == [
        '6: warning: site away: /no/such.conf cannot be read: no such file',
        f'7: warning: site directory: {tmp_path} cannot be read: not a '
        'regular file',
    ]


def test_a_central_without_a_cluster_is_doubtful(doubts, tmp_path):
    there = tmp_path / 'there.conf'
    there.touch()

    found = doubts(HEAD + f'sites: {{a: {{cluster: {{conf: {there}}}}}}}\n')

    assert found == [
        '2: warning: central has no cluster: rbd-stream can only read a copy '
        'that another site has already'
    ]


def test_without_clusters_nothing_is_doubtful(doubts):
    assert doubts(HEAD + 'sites: {a: {}, b: {}}\n') == []


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
            'version, deploy, central, links, sites)',
            id='unknown key with a near-miss',
        ),
        pytest.param(
            HEAD + 'sites: {a: {label: {}}}\n',
            "3:13: unknown key 'label'; did you mean 'labels'? (known here: "
            'store, labels, cluster, link, taints, deploy)',
            id='unknown key of a site',
        ),
        pytest.param(
            HEAD + 'sites: {store: {stor: x}}\n',
            "3:17: unknown key 'stor'; did you mean 'store'? (known here: "
            'store, labels, cluster, link, taints, deploy)',
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
            HEAD + 'sites: {a: {cluster: {user: u}}}\n',
            "3:13: key 'conf' is missing",
            id='cluster without a conf',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: }}\n',
            '3:13: expected a mapping, found nothing',
            id='cluster left empty',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: ceph.conf}}}\n',
            '3:29: expected the absolute path of a ceph.conf, found '
            "'ceph.conf'",
            id='path that is not absolute',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: "/a\\e"}}}\n',
            "3:29: expected the absolute path of a ceph.conf, found '/a\\x1b'",
            id='path with an escape sequence',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: /c, user: client.x}}}\n',
            "3:39: expected a user without 'client.', found 'client.x'; did "
            "you mean 'x'?",
            id='user with its type',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: /c, pool: a/b}}}\n',
            "3:39: expected letters, digits, '.', '_' or '-', found 'a/b'",
            id='pool with a slash',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: /c, fsid: 1234}}}\n',
            "3:39: expected a UUID as 'ceph fsid' prints it, found '1234'",
            id='fsid that is none',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cluster: {conf: /c, fsd: x}}}\n',
            "3:33: unknown key 'fsd'; did you mean 'fsid'? (known here: "
            'conf, user, pool, fsid)',
            id='unknown key of a cluster',
        ),
        pytest.param(
            HEAD + 'sites: {a: {pool: x}}\n',
            "3:13: unknown key 'pool'; it stands in 'cluster' (known here:",
            id='key of a cluster beside it',
        ),
        pytest.param(
            HEAD + 'sites: {a: {cost: 1}}\n',
            "3:13: unknown key 'cost'; it stands in 'link' (known here:",
            id='key of a link beside it',
        ),
        pytest.param(
            HEAD + 'sites: {a: {link: {cost: -1}}}\n',
            '3:26: expected a number that is 0 or more, such as 10 or 2.5, '
            "found '-1'",
            id='negative cost',
        ),
        pytest.param(
            HEAD + 'sites: {a: {link: {cost: inf}}}\n',
            '3:26: expected a number that is 0 or more',
            id='endless cost',
        ),
        pytest.param(
            HEAD + 'sites: {a: {link: {cost: }}}\n',
            '3:20: expected a number that is 0 or more, such as 10 or 2.5, '
            'found nothing',
            id='cost left empty',
        ),
        pytest.param(
            HEAD + 'sites:\n'
            '  a: {cluster: {conf: /etc/ceph/a.conf}}\n'
            '  b: {cluster: {conf: /etc//ceph/a.conf}}\n',
            '5:23: conf /etc/ceph/a.conf is already that of site a; every '
            'site has its own',
            id='two sites with one conf',
        ),
        pytest.param(
            'version: 1\n'
            f'central: {{store: c, cluster: {{conf: /c, fsid: {FSID}}}}}\n'
            'sites:\n'
            f'  a: {{cluster: {{conf: /a, fsid: {FSID}}}}}\n',
            f'4:33: pool images of cluster {FSID} is already that of '
            'central; every site has its own',
            id='a site with the pool of central',
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
