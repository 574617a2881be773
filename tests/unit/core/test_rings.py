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
"""What is remembered of clusters, and what sites.yaml leaves open."""

import dataclasses

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from tests.unit.core.test_grants import cloud_of

FSID = '6f1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a6b'
OTHER = '6f1c6c5e-2f0b-4f0e-9a51-1c2d3e4f5a6c'
SECRET = cephx.make_secret(cephx.KeyType.AES, b'k' * 16, 1_600_000_000)
GLANCE = cephx.Entity('client.glance', SECRET, {'mon': 'profile rbd'})
AGENT = cephx.Entity('client.agent', SECRET, {})


def with_ceph(cloud, name, **changes):
    return dataclasses.replace(
        cloud,
        sites=tuple(
            dataclasses.replace(
                site, ceph=dataclasses.replace(site.ceph, **changes)
            )
            if site.name == name
            else site
            for site in cloud.sites
        ),
    )


def test_entities_are_added_and_removed_one_by_one():
    known = rings.Known().with_entity(GLANCE).with_entity(AGENT)

    left = known.without_entity('client.glance')

    assert dict(known.entities) == {
        'client.glance': GLANCE,
        'client.agent': AGENT,
    }
    assert dict(left.entities) == {'client.agent': AGENT}


def test_of_what_is_not_known_nothing_is_known():
    assert rings.Ring().of('dcn0') == rings.Known()
    assert rings.Known() == rings.Known(None, ())


def test_knowledge_of_one_cluster_does_not_change_that_of_others():
    ring = rings.Ring({'central': rings.Known(FSID)})

    more = ring.replacing('dcn0', rings.Known(OTHER))

    assert (more.of('central').fsid, more.of('dcn0').fsid) == (FSID, OTHER)
    assert ring.of('dcn0').fsid is None


def test_secrets_are_not_printed_with_a_ring():
    ring = rings.Ring({'central': rings.Known().with_entity(GLANCE)})

    assert SECRET.text not in f'{ring} {ring!r}'


def test_entity_is_that_of_the_granting_cluster():
    cloud = cloud_of(1, user='glance', agent=None)
    ring = rings.Ring({'dcn0': rings.Known().with_entity(GLANCE)})

    issued = {g.site: ring.entity(g) for g in grants.wanted(cloud)}

    assert issued == {'central': None, 'dcn0': GLANCE}


def test_what_was_found_fills_what_was_left_open():
    cloud = with_ceph(cloud_of(1), 'dcn0', monitors=('10.0.0.9',))
    ring = rings.Ring(
        {
            'central': rings.Known(FSID, ('10.0.0.1',)),
            'dcn0': rings.Known(OTHER, ('10.0.0.2',)),
        }
    )

    central, dcn0 = (site.ceph for site in rings.resolve(cloud, ring).sites)

    assert (central.fsid, central.monitors) == (FSID, ('10.0.0.1',))
    assert (dcn0.fsid, dcn0.monitors) == (OTHER, ('10.0.0.9',))


def test_all_fsids_that_contradict_are_told_at_once():
    cloud = with_ceph(cloud_of(1), 'central', fsid=FSID)
    cloud = with_ceph(cloud, 'dcn0', fsid=OTHER)
    ring = rings.Ring(
        {'central': rings.Known(OTHER), 'dcn0': rings.Known(FSID)}
    )

    with pytest.raises(exceptions.ConfigError) as raised:
        rings.resolve(cloud, ring)

    assert [p.partition(':')[0] for p in raised.value.problems] == [
        'central',
        'dcn0',
    ]
    assert all(FSID in p and OTHER in p for p in raised.value.problems)


def test_fsid_in_capital_letters_is_the_same():
    cloud = with_ceph(cloud_of(0), 'central', fsid=FSID)
    ring = rings.Ring({'central': rings.Known(FSID.upper())})

    assert rings.resolve(cloud, ring).central.ceph.fsid == FSID


def test_cluster_that_was_found_at_two_sites_is_refused():
    cloud = with_ceph(cloud_of(1), 'central', fsid=FSID)
    ring = rings.Ring({'dcn0': rings.Known(FSID)})

    with pytest.raises(exceptions.ConfigError, match='already that of cen'):
        rings.resolve(cloud, ring)


def test_missing_values_are_told_with_their_keys():
    cloud = cloud_of(0, agent=None)

    fsid, monitors, secret = rings.missing(cloud, rings.Ring())

    assert 'cluster.fsid' in fsid
    assert 'deploy.ceph.monitors' in monitors
    assert 'client.openstack' in secret


def test_nothing_is_missing_of_what_is_known():
    cloud = with_ceph(cloud_of(0), 'central', fsid=FSID, monitors=('::1',))
    known = rings.Known()
    for grant in grants.wanted(cloud):
        known = known.with_entity(
            cephx.Entity(grant.entity, SECRET, grant.caps)
        )

    assert rings.missing(cloud, rings.Ring({'central': known})) == ()
