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
"""What must hold between sites, over clouds of any size."""

import dataclasses

import hypothesis
from hypothesis import strategies

from dcn_distributor.core import sites
from dcn_distributor.core import stack_checks
from dcn_distributor.core import stacks

METHODS = ('glance-direct', 'web-download', 'copy-image')


def site(name, number):
    """Describe a site with which nothing is wrong."""
    is_central = name == sites.CENTRAL
    kind = (
        stacks.Kind.CONTROL_PLANE if is_central else stacks.Kind.HYPERCONVERGED
    )
    role = stacks.Role('Nodes', 2, 'node', (f'{name}-a', f'{name}-b'))
    return stacks.Site(
        sites.SiteName(name),
        name,
        name,
        (stacks.Stack(name, kind, number, (role,)),),
        stacks.Glance(
            stacks.Backend.RBD, name, f'http://10.{number}.0.1:9292'
        ),
        stacks.Ceph(
            name,
            False,
            f'6a1c6c5e-2f0b-4f0e-9a51-1c2d3e4f{number:04x}',
            (f'10.{number}.0.2',),
            ('images',),
        ),
    )


def cloud_of(count):
    """Describe a cloud with which nothing is wrong."""
    names = [sites.CENTRAL, *(f'dcn{n}' for n in range(count))]
    described = tuple(site(name, n) for n, name in enumerate(names))
    return stacks.Cloud(described, 'openstack', METHODS)


def at(cloud, index, **changes):
    """Change one site."""
    changed = list(cloud.sites)
    changed[index] = dataclasses.replace(changed[index], **changes)
    return dataclasses.replace(cloud, sites=tuple(changed))


# What a site has for itself: how another gets it, and where that stands.
OWN = {
    'store': (lambda one, other: {'store': other.store}, ('store',)),
    'cluster': (
        lambda one, other: {
            'ceph': dataclasses.replace(one.ceph, name=other.ceph.name)
        },
        ('deploy', 'ceph', 'name'),
    ),
    'fsid': (
        lambda one, other: {
            'ceph': dataclasses.replace(one.ceph, fsid=other.ceph.fsid)
        },
        ('cluster', 'fsid'),
    ),
    'monitor': (
        lambda one, other: {
            'ceph': dataclasses.replace(one.ceph, monitors=other.ceph.monitors)
        },
        ('deploy', 'ceph', 'monitors', 0),
    ),
    'url': (
        lambda one, other: {
            'glance': dataclasses.replace(one.glance, url=other.glance.url)
        },
        ('deploy', 'glance', 'url'),
    ),
}


@hypothesis.given(strategies.integers(0, 8))
def test_nothing_is_wrong_with_a_right_cloud(count):
    assert stack_checks.check(cloud_of(count)) == ()


@hypothesis.given(
    strategies.integers(2, 8),
    strategies.lists(
        strategies.sampled_from(sorted(OWN)), unique=True, min_size=1
    ),
    strategies.data(),
)
def test_all_that_two_sites_share_is_told_of_the_later(count, claims, data):
    cloud = cloud_of(count)
    index = strategies.integers(0, count)
    first, second = sorted(
        data.draw(strategies.lists(index, min_size=2, max_size=2, unique=True))
    )
    for claim in claims:
        share, _ = OWN[claim]
        cloud = at(
            cloud, second, **share(cloud.sites[second], cloud.sites[first])
        )

    found = stack_checks.check(cloud)

    name = cloud.sites[second].name
    assert {problem.path for problem in found} == {
        ('sites', name, *OWN[claim][1]) for claim in claims
    }
    owner = f'already that of {cloud.sites[first].name}: '
    assert all(owner in problem.message for problem in found)


def test_machine_of_two_stacks_is_told_by_its_place_in_the_list():
    cloud = cloud_of(1)
    [stack] = cloud.sites[1].stacks
    role = stacks.Role('Nodes', 2, 'node', ('dcn0-a', 'central-b'))
    cloud = at(cloud, 1, stacks=(dataclasses.replace(stack, roles=(role,)),))

    [problem] = stack_checks.check(cloud)

    roles = ('sites', 'dcn0', 'deploy', 'stacks', 'dcn0', 'roles')
    assert problem.path == (*roles, 'Nodes', 'nodes', 1)


def test_one_machine_twice_in_a_role_is_told():
    cloud = cloud_of(0)
    [stack] = cloud.central.stacks
    role = stacks.Role('Nodes', 2, 'node', ('a', 'a'))
    cloud = at(cloud, 0, stacks=(dataclasses.replace(stack, roles=(role,)),))

    [problem] = stack_checks.check(cloud)

    assert 'node a is already that of central/Nodes' in problem.message


def test_roles_with_one_tag_at_one_site_are_told_once_per_node():
    cloud = cloud_of(1)
    [stack] = cloud.sites[1].stacks
    other = dataclasses.replace(stack.roles[0], name='Others', nodes=())
    cloud = at(
        cloud,
        1,
        stacks=(dataclasses.replace(stack, roles=(stack.roles[0], other)),),
    )

    found = stack_checks.check(cloud)

    assert [problem.message.split(' is ')[0] for problem in found] == [
        'tag 1-node-0',
        'tag 1-node-1',
    ]
    assert {problem.path[-2:] for problem in found} == {('Others', 'tag')}
