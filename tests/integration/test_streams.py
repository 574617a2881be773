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
"""Copies by rbd-stream, seen in the clusters, are like those of Glance."""

import hashlib
import io
import os
import random
import subprocess

import pytest

from tests import waiting

pytestmark = pytest.mark.glance

MIB = 2**20
SITES = {'central', 'dcn0', 'dcn1'}


@pytest.fixture
def streamer(cloud):
    """An agent that streams everything everywhere."""
    agent = cloud.agent(policy=cloud.streaming())
    agent.start()
    return agent


def locations(cloud, image_id):
    found = cloud.glance.images.get(image_id).locations
    return {one['metadata']['store']: one for one in found}


# -- a copy is whole, and nobody can tell whose it is


def test_a_streamed_copy_is_like_one_that_glance_has_made(cloud, streamer):
    data = os.urandom(21 * MIB)
    model = cloud.upload_bytes(data, visibility='private')
    cloud.glance.images.image_import(
        model, 'copy-image', stores=['dcn0', 'dcn1']
    )
    image_id = cloud.upload_bytes(data)

    cloud.wait_for_copies(image_id)
    cloud.wait_for_copies(model)

    cloud.check_settled(image_id, SITES)
    ours, theirs = locations(cloud, image_id), locations(cloud, model)
    for site in cloud.edges:
        pool = cloud.pool(site)
        assert pool.look(image_id) == pool.look(model)
        assert pool.has_sound_maps(image_id)
        assert ours[site]['metadata'] == theirs[site]['metadata']
        url = theirs[site]['url'].replace(model, image_id)
        assert ours[site]['url'] == url


def test_a_streamed_copy_serves_nova_cinder_and_glance(cloud):
    agent = cloud.agent(policy=cloud.streaming(sites='[dcn0]'))
    agent.start()
    image_id = cloud.upload(size_mib=9)
    cloud.wait_for_copies(image_id, {'dcn0'})
    cloud.check_settled(image_id, {'central', 'dcn0'})
    agent.stop()

    # Each format of clones, as both services make and use them.
    for users in ('vms', 'volumes'):
        for form in (1, 2):
            held = cloud.pool('dcn0').clone_and_use(image_id, users, form)
            assert hashlib.sha256(held).hexdigest() == cloud.digest(image_id)

    # From now on there is no other copy that Glance could read.
    cloud.glance.images.delete_from_store('central', image_id)
    assert cloud.download(image_id) == cloud.digest(image_id)
    cloud.glance.images.image_import(image_id, 'copy-image', stores=['dcn1'])
    cloud.wait_for_copies(image_id, {'dcn0', 'dcn1'})

    cloud.glance.images.delete_from_store('dcn0', image_id)
    cloud.check_settled(image_id, {'dcn1'})
    cloud.prove(image_id, 'dcn1')


def test_a_deleted_image_takes_its_streamed_copies_with_it(cloud, streamer):
    image_id = cloud.upload(size_mib=9)
    cloud.wait_for_copies(image_id)

    cloud.glance.images.delete(image_id)

    cloud.check_settled(image_id, set())


# -- whatever the image is


def test_an_odd_and_sparse_image_arrives_sparse(cloud, streamer):
    data = os.urandom(MIB + 4321) + bytes(70 * MIB) + os.urandom(12_347)
    image_id = cloud.upload_bytes(data)

    cloud.wait_for_copies(image_id)

    for site in cloud.edges:
        pool = cloud.pool(site)
        assert pool.look(image_id).size_bytes == len(data)
        assert pool.has_sound_maps(image_id)
        # Two objects of 8 MiB hold all that is not zero.
        assert pool.used_bytes(image_id) <= 16 * MIB


def test_a_qcow2_image_arrives_bit_for_bit(cloud, streamer, tmp_path):
    plain, image = tmp_path / 'plain', tmp_path / 'image'
    plain.write_bytes(random.Random(3).randbytes(3 * MIB))
    argv = ['qemu-img', 'convert', '-O', 'qcow2', plain, image]
    subprocess.run(argv, check=True)
    image_id = cloud.upload_bytes(image.read_bytes(), disk_format='qcow2')

    cloud.wait_for_copies(image_id)


def test_an_empty_image_leaves_nothing_behind(cloud, streamer):
    # Glance takes no location of an image without data.
    image_id = cloud.create()
    cloud.glance.images.upload(image_id, io.BytesIO(b''))
    waiting.until(
        'it is told', lambda: f'no copy of image {image_id}' in streamer.log
    )

    cloud.check_settled(image_id, {'central'})


def test_a_snapshot_that_nova_made_arrives_flat(cloud):
    base = cloud.upload(size_mib=9, visibility='private')
    pool = cloud.pool('central')
    image_id = cloud.create()
    pool.clone(base, image_id)
    pool.overwrite(image_id, 5 * MIB, b'grown' * 1000)
    pool.take_snapshot(image_id, 'snap')
    cloud.note(image_id, pool.read(image_id))
    cloud.register(image_id, 'central')

    agent = cloud.agent(policy=cloud.streaming())
    agent.start()

    cloud.wait_for_copies(image_id)
    for site in cloud.edges:
        assert not cloud.pool(site).parent(image_id)
        assert cloud.pool(site).has_sound_maps(image_id)
    cloud.glance.images.delete(image_id)
    cloud.check_settled(image_id, set())


# -- nothing is told that is a secret


def test_no_key_is_in_the_log_of_those_who_debug(cloud):
    agent = cloud.agent({('DEFAULT', 'debug'): 'true'}, cloud.streaming())
    agent.start()
    cloud.wait_for_copies(cloud.upload())
    agent.stop()

    for site in cloud.lab.sites:
        for entity in ('client.dcn-distributor', 'client.admin'):
            key = cloud.pool(site).key_of(entity)
            assert len(key) > 20
            assert key not in agent.log
