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
"""What of a cloud RHOSO cannot have."""

import dataclasses

from hypothesis import given
from hypothesis import settings
import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import rhoso
from dcn_distributor.bootstrap.rhoso import fitness
from dcn_distributor.core import sites
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.rhoso import clouds


@settings(max_examples=40, deadline=None)
@given(cloud=clouds.clouds())
def test_nothing_is_wrong_with_clouds_that_can_be_rendered(
    cloud: stacks.Cloud,
) -> None:
    assert fitness.problems(cloud) == ()


def test_the_user_that_has_images_only_is_not_enough() -> None:
    cloud = samples.load('multi-ceph')
    assert cloud.user == 'glance'

    problems = fitness.problems(cloud)

    assert {problem.path for problem in problems} == {('deploy', 'user')}
    assert [p.message.split(':')[0] for p in problems] == [
        'central',
        'dcn0',
        'dcn1',
    ]
    assert 'volumes and vms' in problems[0].message
    with pytest.raises(exceptions.ConfigError) as raised:
        rhoso.render(cloud, samples.ring_for(cloud))
    assert raised.value.problems == tuple(p.message for p in problems)


def test_that_user_is_enough_for_clusters_of_images_only() -> None:
    cloud = samples.load('multi-ceph')
    for site, ceph in cloud.clusters():
        only = dataclasses.replace(ceph, pools=('images',))
        cloud = samples.with_site(cloud, site.name, ceph=only)

    assert fitness.problems(cloud) == ()
    assert rhoso.render(cloud, samples.ring_for(cloud))


@pytest.mark.parametrize(
    'name', ['dcn_0', 'Dcn0', 'dcn0.example', '-dcn0', 'a' * 31]
)
def test_a_site_that_is_no_label_is_refused(name: str) -> None:
    cloud = clouds.load('multi-ceph')
    renamed = dataclasses.replace(
        cloud.site('dcn0'), name=sites.SiteName(name)
    )
    cloud = dataclasses.replace(cloud, sites=(cloud.central, renamed))

    (problem,) = fitness.problems(cloud)
    assert problem.path == ('sites', name)
    assert problem.message.startswith(f"'{name}'")


def test_names_of_stacks_and_nodes_are_labels() -> None:
    cloud = clouds.load('multi-ceph')
    role = stacks.Role('DistributedComputeHCI', 1, 'hci', ('node.example',))
    stack = stacks.Stack('Site_0', stacks.Kind.HYPERCONVERGED, 0, (role,))
    cloud = samples.with_site(cloud, 'dcn0', stacks=(stack,))

    assert [problem.path[-1] for problem in fitness.problems(cloud)] == [
        'Site_0',
        'nodes',
    ]


def test_controllers_are_pods_and_may_be_called_anything() -> None:
    cloud = clouds.load('multi-ceph')
    role = stacks.Role('Controller', 1, 'controller', ('Node_0.example',))
    stack = stacks.Stack('Over_Cloud', stacks.Kind.CONTROL_PLANE, 0, (role,))
    cloud = samples.with_site(cloud, 'central', stacks=(stack,))

    assert fitness.problems(cloud) == ()


@pytest.mark.parametrize('store', ['a:b', 'a]', '{{a', 'a=b'])
def test_a_store_that_is_no_section_is_refused(store: str) -> None:
    cloud = samples.with_site(clouds.load('multi-ceph'), 'dcn0', store=store)

    (problem,) = fitness.problems(cloud)
    assert problem.path == ('sites', 'dcn0', 'store')


def test_a_description_that_is_a_template_is_refused() -> None:
    cloud = clouds.load('multi-ceph')
    glance = dataclasses.replace(
        cloud.site('dcn0').glance, description='{{ .ServicePassword }}'
    )
    cloud = samples.with_site(cloud, 'dcn0', glance=glance)

    (problem,) = fitness.problems(cloud)
    assert problem.path == ('sites', 'dcn0', 'deploy', 'glance', 'description')
