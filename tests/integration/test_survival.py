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
"""Kill, freeze, cut off: the end is the same."""

import random

import pytest

from tests import waiting


@pytest.mark.parametrize('seed', range(4))
def test_killing_the_agent_at_any_moment_changes_nothing(cloud, seed):
    chance = random.Random(seed)
    agent = cloud.agent()
    agent.start()
    image_ids = []
    for _ in range(3):
        image_ids.append(cloud.upload(size_mib=chance.randint(1, 24)))
        pause_s = chance.uniform(0.0, 1.5)
        waiting.passes(pause_s)
        agent.kill()
        agent.start()

    for image_id in image_ids:
        cloud.wait_for_copies(image_id)


def test_an_agent_killed_before_it_heard_finds_out_later(cloud):
    image_id = cloud.upload()
    agent = cloud.agent()
    agent.start()
    agent.kill()
    later = cloud.upload()

    agent.start()

    cloud.wait_for_copies(image_id)
    cloud.wait_for_copies(later)


@pytest.mark.glance
def test_a_stopped_agent_ends_in_time_and_loses_nothing(cloud, agent):
    image_id = cloud.upload(size_mib=32)
    waiting.until('the import begins', lambda: cloud.is_locked(image_id))

    code = agent.stop()

    assert code == 0
    assert 'Agent stopped' in agent.log
    agent.start()
    cloud.wait_for_copies(image_id)


@pytest.mark.parametrize(
    'service',
    ['rabbitmq', 'keystone', pytest.param('glance', marks=pytest.mark.glance)],
)
def test_a_service_that_dies_and_comes_back_only_delays(cloud, agent, service):
    before = cloud.upload()
    cloud.wait_for_copies(before)
    later = cloud.create()

    cloud.lab.service(service).kill()
    waiting.passes(2.0)
    cloud.lab.service(service).start()

    cloud.glance.images.upload(later, cloud.data_for(later))
    cloud.wait_for_copies(later)


def test_the_bus_may_be_out_of_reach_when_the_agent_starts(cloud):
    image_id = cloud.upload()
    # Only for the agent: Glance takes minutes for an import without a bus.
    nowhere = 'rabbit://nobody:nothing@127.0.0.1:1/'
    agent = cloud.agent({('DEFAULT', 'transport_url'): nowhere})

    agent.start()

    cloud.wait_for_copies(image_id)
    assert agent.stop() == 0


@pytest.mark.glance
def test_glance_may_be_down_when_the_agent_starts(cloud):
    image_id = cloud.upload()
    cloud.lab.service('glance').kill()
    agent = cloud.agent()
    agent.start()
    waiting.until('it is told', lambda: 'Resync broken off' in agent.log)

    cloud.lab.service('glance').start()

    cloud.wait_for_copies(image_id)


def test_a_dead_site_holds_up_no_other_and_catches_up(cloud, agent):
    cloud.lab.service('ceph-dcn0').freeze()
    image_ids = [cloud.upload() for _ in range(3)]
    for image_id in image_ids:
        cloud.wait_for_store(image_id, 'dcn1', deadline_s=240.0)

    cloud.lab.service('ceph-dcn0').thaw()

    for image_id in image_ids:
        cloud.wait_for_copies(image_id, deadline_s=240.0)


def test_policies_are_read_again_and_broken_ones_refused(cloud, agent):
    image_id = cloud.upload(visibility='community')
    agent.placement_file.write_text('version: 1\npolicies: {oops')
    agent.reload()
    waiting.until('it is refused', lambda: 'are refused' in agent.log)
    # The old policies still are in force.
    cloud.wait_for_copies(cloud.upload())
    assert cloud.stores(image_id) == set()

    agent.placement_file.write_text(
        cloud.policy.replace('[public]', '[public, community]')
    )
    agent.reload()

    cloud.wait_for_copies(image_id)


@pytest.mark.glance
def test_a_store_unknown_to_glance_is_named_and_costs_others_nothing(cloud):
    agent = cloud.agent()
    with agent.sites_file.open('a') as file:
        file.write('  dcn9: {store: nowhere}\n')
    agent.start()

    cloud.wait_for_copies(cloud.upload())

    assert 'Glance has no store nowhere' in agent.log
