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
"""Images come to all their sites, whatever way they became wanted."""

import pytest

from tests import waiting

pytestmark = pytest.mark.glance


def test_an_upload_reaches_every_site(cloud, agent):
    image_id = cloud.upload(size_mib=9)

    cloud.wait_for_copies(image_id)

    waiting.until(
        'the agent tells of it',
        lambda: f'image={image_id} store=dcn0 state=present' in agent.log,
    )


def test_an_image_made_active_by_its_location_reaches_every_site(cloud, agent):
    image_id = cloud.put()

    cloud.wait_for_copies(image_id)


def test_an_image_that_becomes_public_reaches_every_site(cloud, agent):
    image_id = cloud.upload(visibility='private')
    other = cloud.upload()
    cloud.wait_for_copies(other)
    assert cloud.stores(image_id) == set()

    cloud.glance.images.update(image_id, visibility='public')

    cloud.wait_for_copies(image_id)


def test_an_image_whose_property_changes_reaches_every_site(cloud):
    agent = cloud.agent()
    agent.placement_file.write_text(
        'version: 1\n'
        'policies:\n'
        '  golden:\n'
        f'    match: {{tags: [{cloud.tag}], properties: {{golden: "yes"}}}}\n'
        '    sites: all\n'
    )
    agent.start()
    image_id = cloud.upload(golden='no')
    # Whatever the agent does of its own accord it has done by the time it
    # has copied a later one.
    cloud.wait_for_copies(cloud.upload(golden='yes'))
    assert cloud.stores(image_id) == set()

    cloud.glance.images.update(image_id, golden='yes')

    cloud.wait_for_copies(image_id)


@pytest.mark.parametrize(
    'attributes',
    [
        pytest.param({'visibility': 'community'}, id='community'),
        pytest.param({'visibility': 'private'}, id='private'),
        pytest.param({'visibility': 'shared'}, id='shared with nobody'),
        pytest.param({'os_hidden': True}, id='hidden'),
        pytest.param({'protected': True}, id='protected'),
    ],
)
def test_images_nobody_else_sees_are_copied_if_a_policy_says_so(
    cloud, attributes
):
    agent = cloud.agent()
    agent.placement_file.write_text(
        'version: 1\n'
        f'policies: {{mine: {{match: {{tags: [{cloud.tag}]}}, sites: all}}}}\n'
    )
    agent.start()
    image_id = cloud.upload(**attributes)

    cloud.wait_for_copies(image_id)
    if attributes.get('protected'):
        cloud.glance.images.update(image_id, protected=False)


def test_only_the_sites_a_policy_selects_get_copies(cloud):
    agent = cloud.agent()
    agent.placement_file.write_text(
        'version: 1\n'
        'policies:\n'
        '  south:\n'
        f'    match: {{tags: [{cloud.tag}]}}\n'
        '    sites: {labels: "tier in (edge, far-edge), region != north"}\n'
    )
    agent.start()

    image_id = cloud.upload()

    cloud.wait_for_copies(image_id, {'dcn1'})


def test_what_happened_while_no_agent_heard_it_is_found(cloud):
    uploaded = cloud.upload()
    put = cloud.put()
    # On another topic nothing of that is heard: all events are lost.
    agent = cloud.agent({('agent', 'topic'): f'lost-{cloud.tag}'})

    agent.start()

    cloud.wait_for_copies(uploaded)
    cloud.wait_for_copies(put)


def test_a_burst_of_uploads_reaches_every_site(cloud, agent):
    image_ids = [cloud.upload() for _ in range(8)]

    for image_id in image_ids:
        cloud.wait_for_copies(image_id)


def test_an_image_deleted_while_it_is_copied_leaves_nothing_untold(
    cloud, agent
):
    image_id = cloud.upload(size_mib=64)
    waiting.until('the import begins', lambda: cloud.is_locked(image_id))

    cloud.glance.images.delete(image_id)

    later = cloud.upload()
    cloud.wait_for_copies(later)
    clusters = [cloud.cluster(site) for site in cloud.lab.sites]
    # What Glance was writing then it neither lists nor removes.
    waiting.until(
        f'{image_id} is gone from all sites but one',
        lambda: sum(image_id in c.images() for c in clusters) <= 1,
    )
    waiting.until(
        'the agent tells of it',
        lambda: f'dcn-distributor clean {image_id}' in agent.log,
    )
