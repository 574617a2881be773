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
"""Kill, freeze, damage: in the end there are whole copies, and no more."""

import os
import random
import signal
import time

import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import cluster as ceph_cluster
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.core import sites
from tests import waiting
from tests.integration import operators
from tests.integration import pools

MIB = 2**20
KILLS = 20
# Small enough for a kill to cost a part of the image only.
WINDOW = 4 * MIB
SMALL = {
    ('rbd_stream', 'window'): '4MiB',
    ('rbd_stream', 'chunk_size'): '1MiB',
}
SLOWLY = {**SMALL, ('rbd_stream', 'rate'): '2MiB'}
FAST = {('rbd_stream', 'rate'): '0'}
HASTY = {('rbd_stream', 'cluster_timeout'): '4'}


def wait_for_draft(cloud, image_id, site='dcn0', size=MIB):
    """Wait until so much of a draft is written."""
    waiting.until(
        f'some of {image_id} is at {site}',
        lambda: at_rest(cloud, image_id, site) >= size,
        pause_s=0.05,
    )


def at_rest(cloud, image_id, site):
    """How much of a copy is written, under whichever name."""
    return max(
        cloud.pool(site).object_bytes_at_rest(name)
        for name in (image_id, image_id + pools.DRAFT)
    )


def of_use(cloud, image_id, site, data):
    """How many bytes of a draft are the image's, in whole chunks.

    Chunks need not be written in order, so some may still be missing.
    """
    draft = cloud.pool(site).read(image_id + pools.DRAFT, None)
    return MIB * sum(
        draft[begin : begin + MIB] == data[begin : begin + MIB]
        for begin in range(0, len(data), MIB)
    )


def received(cloud):
    """What each site's OSD was sent since it runs."""
    return {site: cloud.pool(site).received_bytes() for site in cloud.edges}


def test_killing_the_agent_at_any_moment_of_a_copy_costs_a_window(cloud):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f'seed {seed}')  # noqa: T201 - shown if it fails
    data = chance.randbytes(32 * MIB)
    # What is left of a copy that was registered goes with a resync, unless
    # the client that was killed is still taken for a living one.
    options = {
        ('agent', 'resync_interval'): '10',
        ('rbd_stream', 'rate'): '32MiB',
    }
    agent = cloud.agent({**SMALL, **options}, cloud.streaming())
    agent.start()
    image_ids = []
    for _ in range(KILLS):
        before = received(cloud)
        image_id = cloud.put_bytes(data)
        image_ids.append(image_id)
        waiting.until(
            'the copy begins',
            lambda image_id=image_id: f'image={image_id}' in agent.log,
            pause_s=0.02,
        )
        waiting.passes(chance.uniform(0.0, 2.5))

        agent.kill()
        agent.start()

        cloud.wait_for_copies(image_id)
        for site, bytes_before in before.items():
            # What RBD writes beside the data is less than a mebibyte.
            sent = cloud.pool(site).received_bytes() - bytes_before
            assert sent < len(data) + WINDOW + MIB

    for image_id in image_ids:
        for site in cloud.edges:
            assert cloud.pool(site).has_sound_maps(image_id)
    for image_id in image_ids:
        # A client that was killed counts as a watcher for 30 s.
        cloud.check_settled(image_id, cloud.lab.sites, deadline_s=60.0)


def test_a_stopped_agent_ends_at_once_and_the_next_one_goes_on(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    data = os.urandom(64 * MIB)
    image_id = cloud.upload_bytes(data)
    before = received(cloud)
    wait_for_draft(cloud, image_id, 'dcn0', 3 * MIB)
    wait_for_draft(cloud, image_id, 'dcn1', 3 * MIB)

    began_s = time.monotonic()
    code = agent.stop()

    assert code == 0
    assert time.monotonic() - began_s < 10.0
    left = {s: of_use(cloud, image_id, s, data) for s in cloud.edges}
    agent.change(FAST)
    agent.start()
    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)
    report = operators.Operator(agent).report(image_id)
    for lane in report.lanes:
        assert lane.resumed_bytes == left[lane.store] > 0
        sent = cloud.pool(lane.store).received_bytes() - before[lane.store]
        assert sent < len(data) + MIB


def test_a_rate_changes_while_a_copy_is_under_way(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    # At this rate it would take more than two minutes.
    image_id = cloud.upload(size_mib=128)
    wait_for_draft(cloud, image_id)

    agent.change(FAST)

    cloud.wait_for_copies(image_id, deadline_s=60.0)


def test_a_site_that_hangs_costs_its_own_copy_only(cloud):
    agent = cloud.agent({**SLOWLY, **HASTY}, cloud.streaming())
    agent.start()
    image_id = cloud.upload(size_mib=64)
    wait_for_draft(cloud, image_id, 'dcn0')
    wait_for_draft(cloud, image_id, 'dcn1')

    cloud.lab.service('ceph-dcn0').freeze()
    agent.change(FAST)
    cloud.wait_for_store(image_id, 'dcn1', deadline_s=60.0)
    assert 'dcn0' not in cloud.stores(image_id)
    cloud.lab.service('ceph-dcn0').thaw()

    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites, deadline_s=60.0)


def test_an_osd_that_dies_and_comes_back_only_delays(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    image_id = cloud.upload(size_mib=64)
    wait_for_draft(cloud, image_id)

    restart_osd(cloud, 'dcn0', lambda: agent.change(FAST))

    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites, deadline_s=60.0)


def restart_osd(cloud, site, meanwhile):
    """Kill the OSD of a site, and start it again."""
    service = cloud.lab.service(f'ceph-{site}')
    os.kill(dict(service.status().pids)['osd'], signal.SIGKILL)
    meanwhile()
    service.start()


def test_an_osd_that_was_away_for_longer_is_found_again(cloud):
    cluster = ceph_cluster.Cluster(
        sites.Cluster(
            cloud.lab.ceph_conf('dcn0', 'client.dcn-distributor'),
            'dcn-distributor',
            'images',
        ),
        ceph_options.Options(connections=1, timeout_s=2.0),
    )
    cluster.check()

    def is_away():
        try:
            cluster.check()
        except exceptions.ClusterUnavailable:
            return True
        return False

    restart_osd(cloud, 'dcn0', lambda: waiting.until('it is gone', is_away))

    waiting.until('it is back', lambda: not is_away())
    cluster.close()


def test_a_glance_that_dies_and_comes_back_only_delays(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming())
    agent.start()
    image_id = cloud.upload(size_mib=32)
    wait_for_draft(cloud, image_id)

    cloud.lab.service('glance').kill()
    agent.change(FAST)
    waiting.until(
        'all is sent',
        lambda: at_rest(cloud, image_id, 'dcn0') == 32 * MIB,
    )
    cloud.lab.service('glance').start()

    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)


@pytest.mark.parametrize('is_proven', [True, False])
def test_a_byte_that_flips_at_rest_is_found_and_repaired(cloud, is_proven):
    level = 'full' if is_proven else 'checksum'
    agent = cloud.agent(
        {**SLOWLY, ('rbd_stream', 'verify'): level}, cloud.streaming()
    )
    agent.start()
    data = os.urandom(32 * MIB)
    image_id = cloud.upload_bytes(data)
    wait_for_draft(cloud, image_id, size=4 * MIB)
    agent.stop()
    before = of_use(cloud, image_id, 'dcn0', data)

    cloud.pool('dcn0').flip(image_id + pools.DRAFT, 12_345)
    left = of_use(cloud, image_id, 'dcn0', data)
    assert left == before - MIB
    agent.change(FAST)
    agent.start()

    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)
    report = operators.Operator(agent).report(image_id)
    resumed = {lane.store: lane.resumed_bytes for lane in report.lanes}
    assert resumed['dcn0'] == left
