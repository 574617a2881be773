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
"""What others do to an image while it is streamed, and what they have left."""

import os

import pytest

from tests import waiting
from tests.fakes import glance as fake_glance
from tests.integration import operators
from tests.integration import pools

MIB = 2**20
OBJECT = 8 * MIB
FAST = {('rbd_stream', 'rate'): '0'}
SLOWLY = {('rbd_stream', 'rate'): '1MiB'}


def wait_for_draft(cloud, image_id, site='dcn0', size=MIB):
    """Wait until so much of a draft is written."""
    waiting.until(
        f'some of {image_id} is at {site}',
        lambda: (
            cloud.pool(site).object_bytes_at_rest(image_id + pools.DRAFT)
            >= size
        ),
        pause_s=0.05,
    )


def wait_for_word(operator, image_id, site, word):
    """Wait until an operator is told of it, by two commands."""

    def told():
        reason = operator.explain(image_id)[site]['reason']
        return word in reason and reason

    reason = waiting.until(f'{word} is explained', told)
    assert reason[:60] in ' '.join(operator.status().split())


# -- the image changes


def test_an_image_deleted_meanwhile_leaves_nothing(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    image_id = cloud.upload(size_mib=64)
    wait_for_draft(cloud, image_id, 'dcn0')
    wait_for_draft(cloud, image_id, 'dcn1')

    cloud.glance.images.delete(image_id)

    cloud.check_settled(image_id, set())
    assert 'Traceback' not in agent.log


def test_an_image_deactivated_meanwhile_is_not_announced(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    operator = operators.Operator(agent)
    image_id = cloud.upload(size_mib=16)
    wait_for_draft(cloud, image_id)

    cloud.glance.images.deactivate(image_id)

    waiting.until(
        'it is called off', lambda: operator.report(image_id).ended_s
    )
    assert cloud.stores(image_id) == set()
    for site in cloud.edges:
        assert image_id not in cloud.pool(site).names()

    # What was sent is of use once the image is back.
    sent = cloud.pool('dcn0').object_bytes_at_rest(image_id + pools.DRAFT)
    agent.change(FAST)
    cloud.glance.images.reactivate(image_id)
    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)
    lane = operator.report(image_id).lanes[0]
    assert lane.resumed_bytes >= sent > 0


# -- Glance is at work


def test_nothing_is_registered_while_an_import_holds_the_lock(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming(sites='[dcn0]'))
    agent.start()
    operator = operators.Operator(agent)
    image_id = cloud.upload(size_mib=64)
    wait_for_draft(cloud, image_id)
    # In this order: Glance takes no request for a site that hangs.
    cloud.start_import(image_id, 'dcn1')
    cloud.lab.service('ceph-dcn1').freeze()
    agent.change(FAST)

    def waits():
        report = operator.report(image_id)
        return report and report.lanes[0].phase.value == 'publishing'

    def has_both():
        image = cloud.glance.images.get(image_id)
        stores = set(image.stores.split(','))
        # Glance tells both as they were at the same moment.
        assert 'dcn0' not in stores or not image.get('os_glance_import_task')
        return stores >= {'dcn0', 'dcn1'}

    waiting.until('all is sent', waits)
    assert not has_both()
    assert cloud.is_locked(image_id)
    cloud.lab.service('ceph-dcn1').thaw()

    waiting.until('both copies are there', has_both, 120.0)
    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)


def test_a_quota_of_locations_is_told_and_leaves_nothing(cloud):
    quota = fake_glance.Settings(image_location_quota=1)
    agent = cloud.agent(cloud.at_host(quota), cloud.streaming(sites='[dcn0]'))
    agent.start()

    image_id = cloud.upload(size_mib=9)

    operator = operators.Operator(agent)
    wait_for_word(operator, image_id, 'dcn0', 'image_location_quota')
    cloud.check_settled(image_id, {'central'})


# -- something has the name of the copy


def test_a_whole_copy_without_a_location_is_adopted(cloud):
    data = os.urandom(9 * MIB)
    image_id = cloud.upload_bytes(data)
    pool = cloud.pool('dcn0')
    pool.put(image_id, data, OBJECT)
    known = pool.internal_id(image_id)

    cloud.agent(policy=cloud.streaming()).start()

    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)
    assert pool.internal_id(image_id) == known


@pytest.mark.parametrize('stage', ['written', ''])
def test_what_is_not_the_image_is_told_and_kept_until_removed(cloud, stage):
    data = os.urandom(9 * MIB)
    image_id = cloud.upload_bytes(data)
    pool = cloud.pool('dcn0')
    other = data[:-1] + bytes([data[-1] ^ 1])
    pool.put(image_id, other, OBJECT, stage=stage)
    before = pool.look(image_id)
    agent = cloud.agent(policy=cloud.streaming())
    agent.start()
    operator = operators.Operator(agent)

    cloud.wait_for_store(image_id, 'dcn1')
    wait_for_word(operator, image_id, 'dcn0', 'dcn-distributor clean')
    cloud.check_settled(image_id, cloud.lab.sites)
    assert pool.look(image_id) == before
    assert pool.read(image_id, None) == other

    if not stage:
        pool.unprotect(image_id)
    operator.run('clean', image_id, 'dcn0', '--yes')
    operator.run('resync', image_id)
    cloud.wait_for_copies(image_id)
