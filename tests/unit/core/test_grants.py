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
"""Who needs which key: over clouds of any size."""

import dataclasses

import hypothesis
from hypothesis import strategies
import pytest

from dcn_distributor.core import grants
from dcn_distributor.core import sites
from dcn_distributor.core import stacks

USERS = ('glance', 'openstack', 'external')
POOLS = ('images', 'volumes', 'vms')


def cloud_of(count, *, user='openstack', agent='dcn-distributor', pools=POOLS):
    """Describe central and some sites, all with clusters."""
    names = ['central', *(f'dcn{n}' for n in range(count))]
    return stacks.Cloud(
        tuple(
            stacks.Site(
                sites.SiteName(name),
                name,
                name,
                (),
                stacks.Glance(stacks.Backend.RBD, name),
                stacks.Ceph(name, False, None, (), pools, None, agent),
            )
            for name in names
        ),
        user,
        ('copy-image',),
    )


clouds = strategies.builds(
    cloud_of,
    strategies.integers(0, 6),
    user=strategies.sampled_from(USERS),
    agent=strategies.sampled_from((*USERS, 'dcn-distributor', None)),
)


@hypothesis.given(clouds)
def test_every_entity_of_a_cluster_is_granted_once(cloud):
    granted = [(grant.site, grant.entity) for grant in grants.wanted(cloud)]

    assert len(set(granted)) == len(granted)


@hypothesis.given(clouds)
def test_every_glance_can_open_all_its_stores_and_no_others(cloud):
    for site in cloud.sites:
        opened = {
            grant.site
            for grant in grants.held_by(cloud, site)
            if grant.user == cloud.user
        }

        assert opened == {store.name for store in cloud.stores_of(site)}


@hypothesis.given(clouds)
def test_edge_sites_hold_no_key_of_each_other_nor_of_the_agent(cloud):
    for site in cloud.edges:
        held = grants.held_by(cloud, site)

        assert {grant.site for grant in held} == {site.name, 'central'}
        assert {grant.user for grant in held} == {cloud.user}


@hypothesis.given(clouds)
def test_own_cluster_comes_first(cloud):
    for site in cloud.sites:
        assert grants.held_by(cloud, site)[0].site == site.name


@hypothesis.given(clouds, strategies.integers(0, 6))
def test_one_more_site_changes_no_grant_but_its_holders(cloud, count):
    larger = dataclasses.replace(
        cloud,
        sites=(
            *cloud.sites,
            dataclasses.replace(cloud.central, name=f'new{count}'),
        ),
    )

    before = {(g.site, g.entity): g.caps for g in grants.wanted(cloud)}
    after = {(g.site, g.entity): g.caps for g in grants.wanted(larger)}
    assert before.items() <= after.items()
    assert {site for site, _ in after.keys() - before.keys()} <= {
        f'new{count}'
    }


@hypothesis.given(clouds)
def test_nobody_is_granted_more_than_the_pools_of_images(cloud):
    for grant in grants.wanted(cloud):
        osd = {cap.strip() for cap in grant.caps['osd'].split(',')}

        assert osd <= {f'profile rbd pool={pool}' for pool in POOLS}
        assert grant.caps['mon'] == 'profile rbd'


def test_agent_may_touch_only_the_pool_of_glance():
    [_, agent] = grants.wanted(cloud_of(0, pools=('pictures', 'vms')))

    assert agent.caps == {
        'mon': 'profile rbd',
        'osd': 'profile rbd pool=pictures',
    }
    assert agent.holders == ('central',)


@pytest.mark.parametrize('agent', ['openstack', None])
def test_agent_without_a_user_of_its_own_gets_no_entity(agent):
    [only] = grants.wanted(cloud_of(0, agent=agent))

    assert only.entity == 'client.openstack'


def test_grants_of_one_cluster_are_those_of_its_site():
    cloud = cloud_of(2)

    found = grants.of_cluster(cloud, cloud.site('dcn1'))

    assert [(grant.site, grant.user) for grant in found] == [
        ('dcn1', 'openstack'),
        ('dcn1', 'dcn-distributor'),
    ]


def test_cluster_that_glance_does_not_use_needs_no_keys():
    cloud = cloud_of(1)
    swift = stacks.Glance(stacks.Backend.SWIFT, 'x')
    cached = dataclasses.replace(
        cloud,
        sites=tuple(
            dataclasses.replace(site, glance=swift) for site in cloud.sites
        ),
    )

    assert grants.wanted(cached) == ()
    assert grants.held_by(cached, cached.central) == ()
