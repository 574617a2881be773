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
"""What the samples of sites.yaml describe."""

import re

import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import clouds
from dcn_distributor.conf import sites
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from tests.unit.bootstrap import samples


@samples.topologies
def test_sample_is_read_by_agent_and_bootstrap(topology: str) -> None:
    path = samples.sample(topology)

    cloud = samples.load(topology)

    assert [s.name for s in cloud.edges] == [
        s.name for s in sites.load(str(path))
    ]


def test_sites_see_their_own_store_and_that_of_central() -> None:
    cloud = samples.load('multi-ceph')

    stores = {
        site.name: [seen.name for seen in cloud.stores_of(site)]
        for site in cloud.sites
    }

    assert stores == {
        'central': ['central', 'dcn0', 'dcn1'],
        'dcn0': ['dcn0', 'central'],
        'dcn1': ['dcn1', 'central'],
    }


def test_every_cluster_has_an_entity_for_others_and_one_for_the_agent() -> (
    None
):
    cloud = samples.load('multi-ceph')

    holders = {
        (grant.site, grant.entity): grant.holders
        for grant in grants.wanted(cloud)
    }

    assert holders == {
        ('central', 'client.glance'): ('central', 'dcn0', 'dcn1'),
        ('central', 'client.dcn-distributor'): ('central',),
        ('dcn0', 'client.glance'): ('dcn0', 'central'),
        ('dcn0', 'client.dcn-distributor'): ('central',),
        ('dcn1', 'client.glance'): ('dcn1', 'central'),
        ('dcn1', 'client.dcn-distributor'): ('central',),
    }


def test_glance_may_use_its_pool_and_openstack_all() -> None:
    caps = {
        topology: grants.wanted(samples.load(topology))[0].caps['osd']
        for topology in ('multi-ceph', 'external-ceph')
    }

    assert caps == {
        'multi-ceph': 'profile rbd pool=images',
        'external-ceph': 'profile rbd pool=images, profile rbd pool=volumes, '
        'profile rbd pool=vms',
    }


def test_caches_need_no_keys() -> None:
    cloud = samples.load('glance-cache')

    assert grants.wanted(cloud) == ()
    assert rings.missing(cloud, rings.Ring()) == ()


def test_what_is_missing_is_said_of_every_cluster() -> None:
    cloud = samples.load('multi-ceph')

    said = rings.missing(cloud, rings.Ring())

    assert len(said) == len(grants.wanted(cloud))
    assert rings.missing(cloud, samples.ring_for(cloud)) == ()


@pytest.mark.parametrize(
    ('old', 'new', 'problem'),
    [
        ('name: central', 'name: dcn1', 'cluster dcn1 is already that of'),
        ('owner: external', 'owner: own', ''),
        ('az: central', 'az: "a b"', 'expected letters'),
        ('kind: control-plane', 'kind: compute', 'no stack is of kind'),
        ('nodes: [oc0-ceph-5]', 'nodes: [oc0-ceph-4]', 'node oc0-ceph-4'),
        ('number: 2', 'number: 1', 'tag 1-ceph-0 is already that of'),
        ('user: openstack', 'user: open.stack', 'a dot would part'),
        ('copy-image]', 'glance-download]', 'add copy-image'),
        ("url: 'http://172.16.11.45:9292'", 'data: /srv', ''),
        ('[172.16.11.45]', '[the.monitor]', 'address of a monitor'),
        ('store: central', 'store: os_glance_x', 'for itself'),
    ],
)
def test_mistakes_are_found_with_their_line(
    tmp_path, old: str, new: str, problem: str
) -> None:
    text = samples.sample('external-ceph').read_text()
    assert old in text
    path = tmp_path / 'sites.yaml'
    path.write_text(text.replace(old, new, 1))

    if not problem:
        clouds.load(str(path))
        return
    with pytest.raises(exceptions.ConfigError) as raised:
        clouds.load(str(path))

    said = [line for line in raised.value.problems if problem in line]
    assert said
    assert re.match(rf'{re.escape(str(path))}:\d+:\d+: ', said[0])
