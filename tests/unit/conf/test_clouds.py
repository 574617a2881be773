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
"""sites.yaml as bootstrap reads it: every mistake, with its line."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import clouds
from dcn_distributor.core import cephx

# Line by line, so that tests can say where a mistake stands.
LINES = {
    1: 'version: 1',
    2: 'deploy:',
    3: '  user: glance',
    4: '  import_methods: [glance-direct, copy-image]',
    5: 'central:',
    6: '  store: central',
    7: '  cluster:',
    8: '    conf: /etc/ceph/central.conf',
    9: '    fsid: 6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a60',
    10: '  deploy:',
    11: '    ceph:',
    12: '      monitors: [10.0.0.1, 10.0.0.2]',
    13: '    glance:',
    14: '      url: http://10.0.0.9:9292',
    15: '    stacks:',
    16: '      control-plane:',
    17: '        kind: control-plane',
    18: '        roles:',
    19: '          Controller:',
    20: '            nodes: [node-0]',
    21: 'sites:',
    22: '  dcn0:',
    23: '    cluster:',
    24: '      conf: /etc/ceph/dcn0.conf',
    25: '      fsid: 6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a61',
    26: '    deploy:',
    27: '      number: 1',
    28: '      ceph:',
    29: '        monitors: [10.1.0.1]',
    30: '      glance:',
    31: '        url: http://10.1.0.9:9292',
    32: '      stacks:',
    33: '        dcn0:',
    34: '          kind: hyperconverged',
    35: '          roles:',
    36: '            Controller:',
    37: '              nodes: [node-1]',
}


def changed(changes):
    """Replace lines; None leaves one empty."""
    lines = {**LINES, **changes}
    return '\n'.join(lines[number] or '' for number in sorted(lines)) + '\n'


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / 'sites.yaml'
        path.write_text(content)
        return clouds.load(str(path))

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(content):
        with pytest.raises(exceptions.ConfigError) as raised:
            load(content)
        prefix = f'{tmp_path}/sites.yaml:'
        assert all(p.startswith(prefix) for p in raised.value.problems)
        return [p.removeprefix(prefix) for p in raised.value.problems]

    return problems


def test_file_without_mistakes_is_loaded(load):
    cloud = load(changed({}))

    assert [(site.name, site.ceph.name) for site in cloud.sites] == [
        ('central', 'central'),
        ('dcn0', 'dcn0'),
    ]
    assert cloud.site('dcn0').stacks[0].tags(
        cloud.site('dcn0').stacks[0].roles[0]
    ) == ('1-controller-0',)


SWIFT = {
    13: '    glance: {backend: swift, url: "http://10.0.0.9:9292"}',
    14: '',
}


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        pytest.param(
            {11: '    ceph: {}', 12: None},
            [],
            id='monitors may be found later',
        ),
        pytest.param(
            {11: None, 12: None},
            [
                '13:',
                "central: Glance keeps images in RBD, but there is no 'ce",
            ],
            id='no cluster for RBD',
        ),
        pytest.param(
            SWIFT,
            ['31:', 'dcn0: Glance keeps images in rbd, and central in swift'],
            id='backends that differ',
        ),
        pytest.param(
            {
                **SWIFT,
                4: '  import_methods: [web-download]',
                31: '        backend: swift',
            },
            ['31:', "add 'cache': without one every boot there"],
            id='Swift without a cache',
        ),
        pytest.param(
            {
                **SWIFT,
                4: '  import_methods: [web-download]',
                31: '        {backend: swift, cache: {max_size: 1GiB}}',
            },
            ['31:', "add 'url' beside 'cache'"],
            id='cache without a URL',
        ),
        pytest.param(
            {
                22: '  os_glance_x:',
                29: '        {name: dcn0, monitors: [10.1.0.1]}',
            },
            ['23:', 'os_glance_x: Glance keeps names that begin with'],
            id='reserved store by the name of the site',
        ),
        pytest.param(
            {6: '  store: os_glance_staging_store'},
            ['6:', 'for itself'],
            id='reserved store',
        ),
        pytest.param(
            {6: '  store: glance_store'},
            ['6:', 'glance_store: a section of glance-api.conf is called so'],
            id='store that is a section',
        ),
        pytest.param(
            {6: '  store: "a:b"'},
            ['6:', "'a:b' cannot be a store that is deployed"],
            id='store that Glance would part',
        ),
        pytest.param(
            {22: '  dcn-0:'},
            ['29:', "dcn-0: 'dcn-0' cannot be the name of a cluster: add"],
            id='site whose name is none for a cluster',
        ),
        pytest.param(
            {29: '        name: dcn-0'},
            ['29:', 'letters and digits only for the name of a cluster'],
            id='name that is none for a cluster',
        ),
        pytest.param(
            {29: '        name: central'},
            ['29:', 'cluster central is already that of central'],
            id='two clusters of one name',
        ),
        pytest.param(
            {
                24: LINES[24] + '\n      pool: glance',
                29: '        pools: [glance]',
                25: '      fsid: 6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a60',
            },
            ['26:', 'already that of central: two sites cannot have the same'],
            id='two pools of one cluster',
        ),
        pytest.param(
            {29: '        owner: external'},
            [
                '29:',
                'dcn0: the cluster is external, so nobody but you can '
                'tell its monitors',
            ],
            id='external cluster without monitors',
        ),
        pytest.param(
            {25: None, 29: LINES[29] + '\n        owner: external'},
            ['24:', 'tell its fsid: add it as cluster.fsid'],
            id='external cluster without fsid',
        ),
        pytest.param(
            {29: '        monitors: [10.1.0.1, 10.0.0.2]'},
            ['29:', 'monitor 10.0.0.2 is already that of central'],
            id='one monitor of two clusters',
        ),
        pytest.param(
            {29: "        monitors: ['[v2:10.1.0.1:3300']"},
            ['29:', 'expected the address of a monitor'],
            id='monitor with an open bracket',
        ),
        pytest.param(
            {29: '        monitors: []'},
            ['29:', 'expected at least one value, found none'],
            id='no monitors',
        ),
        pytest.param(
            {29: '        pools: [pictures, vms]'},
            [
                '29:',
                "dcn0: the agent's pool is images (cluster.pool), and not "
                'one of pictures, vms',
            ],
            id='another pool of the agent',
        ),
        pytest.param(
            {29: '        key_type: des'},
            ['29:', "expected 'auto', 'aes' or 'aes256k', found 'des'"],
            id='unknown type of keys',
        ),
        pytest.param(
            {3: '  user: admin'},
            ['3:', 'client.admin may do everything'],
            id='the administrator as user of Glance',
        ),
        pytest.param(
            {24: LINES[24] + '\n      user: admin'},
            ['25:', 'client.admin may do everything'],
            id='the administrator as user of the agent',
        ),
        pytest.param(
            {3: '  user: client.glance'},
            ['3:', "expected a cephx user without 'client.'"],
            id='user with its type',
        ),
        pytest.param(
            {4: '  import_methods: [glance-direct]'},
            ['4:', 'add copy-image'],
            id='nothing copies images',
        ),
        pytest.param(
            {30: None, 31: None},
            ['27:', "dcn0: add 'url', where the other Glances"],
            id='glance-direct without a URL',
        ),
        pytest.param(
            {31: '        url: http://10.0.0.9:9292/'},
            ['31:', 'url http://10.0.0.9:9292 is already that of central'],
            id='two Glances at one URL',
        ),
        pytest.param(
            {31: LINES[31] + '\n        description: "a\\nb = c"'},
            ['32:', "expected one line of text, found 'a\\nb = c'"],
            id='description of two lines',
        ),
        pytest.param(
            {33: '        control-plane:'},
            ['34:', 'stack control-plane is already that of central'],
            id='two stacks of one name',
        ),
        pytest.param(
            {17: '        kind: compute'},
            ['11:', 'central: no stack is of kind control-plane'],
            id='no control plane',
        ),
        pytest.param(
            {34: '          kind: control-plane'},
            ['34:', 'dcn0: the control plane is at central'],
            id='control plane at a site',
        ),
        pytest.param(
            {27: '      number: 0'},
            ['37:', 'tag 0-controller-0 is already that of control-plane/Con'],
            id='one tag for two nodes',
        ),
        pytest.param(
            {37: '              nodes: [node-0]'},
            [
                '37:',
                'node node-0 is already that of control-plane/Controller: '
                'a machine is in one stack only',
            ],
            id='one node in two stacks',
        ),
        pytest.param(
            {37: '              nodes: [node-1, node-2]'},
            ['37:', '2 nodes for a count of 1'],
            id='more nodes than counted',
        ),
        pytest.param(
            {26: None, **dict.fromkeys(range(27, 38))},
            ['23:', "dcn0 has no 'deploy'"],
            id='site that is not described',
        ),
    ],
)
def test_mistake_is_told_with_its_line(load, problems, changes, expected):
    if not expected:
        load(changed(changes))
        return

    [problem] = problems(changed(changes))

    line, words = expected
    assert problem.startswith(line)
    assert words in problem


def test_all_mistakes_are_told_at_once_in_their_order(problems):
    found = problems(
        changed(
            {
                3: '  user: admin',
                4: '  import_methods: [glance-direct]',
                25: None,
                29: '        {name: central, owner: external}',
                31: '        description: of dcn0',
                37: '              nodes: [node-0, node-1]',
            }
        )
        + '  dcn1: {}\n'
    )

    assert [p.partition(':')[0] for p in found] == [
        '3',
        '4',
        '24',
        '29',
        '29',
        '31',
        '37',
        '37',
        '38',
    ]


def test_mistakes_at_one_place_are_all_told(problems):
    [problem] = problems(
        changed({**SWIFT, 30: '      glance: {backend: rbd}', 31: None})
    )

    assert problem.startswith('30:')
    assert 'both must be the same' in problem
    assert "add 'url'" in problem


def test_nodes_and_pools_may_have_dots(load):
    cloud = load(
        changed(
            {
                20: '            nodes: [node-0.example.org]',
                29: '        pools: [images, .rgw.buckets]',
            }
        )
    )

    assert cloud.central.stacks[0].roles[0].nodes == ('node-0.example.org',)
    assert cloud.site('dcn0').ceph.pools == ('images', '.rgw.buckets')


def test_the_pool_of_the_agent_is_that_of_glance(load):
    cloud = load(
        changed(
            {
                24: LINES[24] + '\n      pool: pictures',
                29: '        pools: [vms, pictures]',
            }
        )
    )

    assert cloud.site('dcn0').ceph.image_pool == 'pictures'


def test_type_of_keys_is_asked_unless_it_is_chosen(load):
    cloud = load(changed({29: '        key_type: aes256k'}))

    assert [site.ceph.key_type for site in cloud.sites] == [
        None,
        cephx.KeyType.AES256K,
    ]
