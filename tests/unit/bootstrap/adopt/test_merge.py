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
"""What sources told, as a sites.yaml that bootstrap reads."""

import dataclasses

import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import merge
from dcn_distributor.conf import clouds
from dcn_distributor.conf import sites
from dcn_distributor.core import cephx
from dcn_distributor.core import rings
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples

CAPS = {'mon': 'profile rbd', 'osd': 'profile rbd pool=images'}
CHOICES = merge.Choices('central')


def entity(user, word='', caps=CAPS):
    return cephx.Entity(f'client.{user}', samples.secret(user + word), caps)


def found(cluster, number, *entities, **others):
    return findings.Found(
        f'{cluster}.conf',
        cluster,
        f'8649d6c3-dcb3-4aae-8c19-8c2fe5a853{number:02x}',
        (f'10.0.{number}.1',),
        entities or (entity('openstack', cluster),),
        **others,
    )


@pytest.fixture
def adopt(tmp_path):
    def adopt(*all_found, choices=CHOICES):
        adopted = merge.merge(all_found, choices)
        path = tmp_path / 'sites.yaml'
        path.write_text(adopted.sites)
        # The agent reads the same file.
        assert len(sites.load(str(path))) == len(adopted.ring.clusters) - 1
        return clouds.load(str(path)), adopted.ring

    return adopt


def problems(*all_found, choices=CHOICES):
    with pytest.raises(exceptions.ConfigError) as raised:
        merge.merge(all_found, choices)
    told = str(raised.value)
    secrets = {e.secret.text for each in all_found for e in each.entities}
    assert not any(secret in told for secret in secrets)
    return raised.value.problems


def test_clusters_become_sites_and_their_keys_are_kept(adopt):
    central, dcn0 = found('central', 0), found('dcn0', 1)

    cloud, ring = adopt(dcn0, central)

    assert [
        (s.name, s.store, s.ceph.name, s.ceph.fsid, s.ceph.monitors)
        for s in cloud.sites
    ] == [
        ('central', 'central', 'central', central.fsid, central.monitors),
        ('dcn0', 'dcn0', 'dcn0', dcn0.fsid, dcn0.monitors),
    ]
    assert cloud.user == 'openstack'
    assert dict(ring.of('dcn0').entities) == {
        'client.openstack': dcn0.entities[0]
    }


def test_nothing_but_the_keys_of_the_agent_is_missing(adopt):
    cloud, ring = adopt(found('central', 0), found('dcn0', 1))

    missing = rings.missing(cloud, ring)

    assert [message.split(' yet')[0] for message in missing] == [
        'central: there is no secret for client.dcn-distributor',
        'dcn0: there is no secret for client.dcn-distributor',
    ]


def test_no_secret_is_in_the_file():
    central = found('central', 0)

    adopted = merge.merge([central], CHOICES)

    assert central.entities[0].secret.text not in adopted.sites
    assert central.entities[0].secret.text not in repr(adopted)


def test_sites_are_in_the_order_of_their_numbers(adopt):
    names = ['dcn10', 'dcn2', 'az1', 'central', 'dcn1']

    cloud, _ = adopt(*(found(name, n) for n, name in enumerate(names)))

    assert [site.name for site in cloud.sites] == [
        'central',
        'az1',
        'dcn1',
        'dcn2',
        'dcn10',
    ]


def test_central_may_be_called_otherwise(adopt):
    choices = merge.Choices('az0', store='default_backend')

    cloud, ring = adopt(found('az0', 0), found('az1', 1), choices=choices)

    assert (cloud.central.store, cloud.central.ceph.name) == (
        'default_backend',
        'az0',
    )
    assert set(ring.clusters) == {'central', 'az1'}


def test_sources_that_agree_become_one(adopt):
    bare = found('central', 0, entity('openstack', caps={}))
    full = dataclasses.replace(
        found('central', 0, entity('openstack')),
        source='ceph_client.yml',
        monitors=('[v2:10.0.0.1:3300,v1:10.0.0.1:6789]',),
    )

    cloud, ring = adopt(bare, full)

    assert cloud.central.ceph.monitors == ('10.0.0.1',)
    assert ring.of('central').entities['client.openstack'].caps == CAPS


def test_key_of_the_agent_is_kept_and_those_of_others_are_not(adopt):
    users = ('openstack', 'dcn-distributor', 'radosgw')
    central = found('central', 0, *(entity(user) for user in users))

    _, ring = adopt(
        central, choices=merge.Choices('central', user='openstack')
    )

    assert set(ring.of('central').entities) == {
        'client.openstack',
        'client.dcn-distributor',
    }


def test_user_is_the_one_that_all_clusters_have(adopt):
    central = found('central', 0, entity('openstack'), entity('external'))
    dcn0 = found('dcn0', 1, entity('external', 'b'), entity('cinder'))

    cloud, _ = adopt(central, dcn0)

    assert cloud.user == 'external'


def test_successor_of_a_rotated_key_serves(adopt):
    successor = entity('openstack-r2', 'b')
    central = found('central', 0, entity('openstack'), successor)

    cloud, ring = adopt(central)

    assert cloud.user == 'openstack'
    assert dict(ring.of('central').entities) == {'client.openstack': successor}


@pytest.mark.parametrize(
    ('osd', 'pool', 'chosen', 'pools'),
    [
        (
            'profile rbd pool=vms, profile rbd pool=images',
            None,
            None,
            ('images', 'vms'),
        ),
        (
            'allow class-read object_prefix rbd_children, '
            'allow rwx pool=volumes, allow rwx pool=glance.images',
            'glance.images',
            None,
            ('glance.images', 'volumes'),
        ),
        ('profile rbd pool=pictures', None, None, ('pictures',)),
        ('profile rbd pool=a,profile rbd pool=b', None, 'b', ('b', 'a')),
        ('', None, None, ('images', 'volumes', 'vms')),
        ('', 'pictures', None, ('pictures', 'volumes', 'vms')),
        ('allow *', None, None, ('images', 'volumes', 'vms')),
    ],
)
def test_pools_are_those_that_the_user_may_use(
    adopt, osd, pool, chosen, pools
):
    caps = {'mon': 'profile rbd'} | ({'osd': osd} if osd else {})
    central = found('central', 0, entity('openstack', caps=caps), pool=pool)

    cloud, _ = adopt(central, choices=merge.Choices('central', pool=chosen))

    assert cloud.central.ceph.pools == pools


def test_external_cluster_stays_external(adopt):
    cloud, _ = adopt(found('central', 0, is_external=True), found('dcn0', 1))

    assert [site.ceph.is_external for site in cloud.sites] == [True, False]


def test_adopted_sites_keep_images_in_their_clusters(adopt):
    cloud, _ = adopt(found('central', 0), found('dcn0', 1))

    assert {site.glance.backend for site in cloud.sites} == {
        stacks.Backend.RBD
    }
    assert 'copy-image' in cloud.import_methods


@pytest.mark.parametrize(
    ('all_found', 'choices', 'words'),
    [
        pytest.param(
            (found('dcn0', 0),),
            CHOICES,
            "no source tells of a cluster central, which is to be central's; "
            'there are: dcn0',
            id='no central',
        ),
        pytest.param(
            (found('ceph', 0), found('central', 1)),
            merge.Choices('ceph'),
            'no site can be called central',
            id='site called central',
        ),
        pytest.param(
            (found('central', 0), found('dcn0', 0)),
            CHOICES,
            'cluster dcn0 has fsid',
            id='one cluster with two names',
        ),
        pytest.param(
            (
                found('central', 0),
                dataclasses.replace(found('dcn0', 1), monitors=('10.0.0.1',)),
            ),
            CHOICES,
            'cluster dcn0 has 10.0.0.1, as central has',
            id='one monitor of two clusters',
        ),
        pytest.param(
            (
                found('central', 0, entity('openstack')),
                found('central', 0, entity('openstack', 'b')),
            ),
            CHOICES,
            'client.openstack of cluster central has another key than in '
            "central.conf: leave out the source that is out of date; 'ceph "
            "auth get client.openstack' prints the one that holds",
            id='two keys of one entity',
        ),
        pytest.param(
            (found('central', 0, pool='a'), found('central', 0, pool='b')),
            merge.Choices('central'),
            'Glance has pool b of cluster central, and in central.conf a',
            id='two pools of Glance',
        ),
        pytest.param(
            (found('central', 0, entity('a'), entity('b')),),
            CHOICES,
            'at all clusters: several could be it (central: a, b)',
            id='several users',
        ),
        pytest.param(
            (found('central', 0, entity('a')), found('dcn0', 1, entity('b'))),
            CHOICES,
            'at all clusters: none could be it (central: a; dcn0: b)',
            id='no user everywhere',
        ),
        pytest.param(
            (found('central', 0), found('dcn0', 1, entity('b'))),
            merge.Choices('central', user='openstack'),
            'cluster dcn0 has no user openstack',
            id='user that is not there',
        ),
        pytest.param(
            (
                found(
                    'central',
                    0,
                    entity(
                        'openstack',
                        caps={'osd': 'allow rwx pool=a, allow rwx pool=b'},
                    ),
                ),
            ),
            CHOICES,
            'may use a, b, and not images: name the pool of Glance',
            id='pool of Glance is not among them',
        ),
    ],
)
def test_what_is_not_clear_is_asked(all_found, choices, words):
    assert any(words in p for p in problems(*all_found, choices=choices))


def test_two_fsids_of_one_cluster_are_refused():
    one, other = found('central', 0), found('central', 1)

    [problem] = problems(
        one, dataclasses.replace(other, entities=one.entities)
    )

    assert one.fsid in problem
    assert other.fsid in problem


def test_all_problems_are_told_at_once():
    told = problems(
        found('central', 0),
        found('dcn0', 0),
        found('all', 2, entity('b')),
    )

    assert len(told) == 4


def test_nothing_found_is_an_error():
    assert any('there are: none' in problem for problem in problems())
