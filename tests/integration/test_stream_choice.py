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
"""Where copy-image cannot serve, rbd-stream takes over and says why."""

import contextlib
import re

import pytest

from tests import waiting
from tests.fakes import glance as fake_glance
from tests.integration import operators

pytestmark = pytest.mark.glance

FAST = {('rbd_stream', 'rate'): '0'}
SLOWLY = {('rbd_stream', 'rate'): '1MiB'}


def explained(cloud, agent, image_id):
    """Wait until a stream is under way; say why it is one."""
    operator = operators.Operator(agent)

    def told():
        site = operator.explain(image_id)['dcn0']
        return site['engine'] == 'rbd-stream' and site['engine_reason']

    reason = waiting.until('rbd-stream takes over', told)
    agent.change(FAST)
    cloud.wait_for_copies(image_id)
    cloud.check_settled(image_id, cloud.lab.sites)
    # Which stores a request was for may change between two looks.
    begin = reason.partition(image_id)[0]
    assert re.search(
        r'engine=rbd-stream seconds=0\.0 trace=\S+ reason=wanted', agent.log
    )
    assert f'; {begin}' in agent.log
    return reason


@pytest.mark.parametrize(
    ('settings', 'rules', 'word'),
    [
        pytest.param(
            fake_glance.Settings(enabled_import_methods=('glance-direct',)),
            '',
            'copy-image',
            id='the method is disabled',
        ),
        pytest.param(
            fake_glance.Settings(),
            '"copy_image": "!"\n',
            'copy_image',
            id='the policy forbids it',
        ),
    ],
)
def test_a_glance_that_refuses_is_no_obstacle(cloud, settings, rules, word):
    host = cloud.at_host(settings, rules)
    agent = cloud.agent({**host, **SLOWLY}, cloud.streaming('auto'))
    agent.start()

    reason = explained(cloud, agent, cloud.upload(size_mib=12))

    assert reason.startswith('rbd-stream takes over: copy-image cannot serve')
    assert word in reason


@contextlib.contextmanager
def no_room_to_stage(cloud):
    """Have a file where Glance wants to stage, as if its disk were broken."""
    staging = cloud.lab.directory / 'glance' / 'staging'
    aside = staging.with_name('staging-aside')
    staging.rename(aside)
    staging.touch()
    try:
        yield
    finally:
        staging.unlink()
        aside.rename(staging)


def test_a_staging_area_that_fails_again_and_again_is_no_obstacle(cloud):
    agent = cloud.agent(SLOWLY, cloud.streaming('auto'))
    agent.start()
    with no_room_to_stage(cloud):
        reason = explained(cloud, agent, cloud.upload(size_mib=12))

    assert 'copy-image failed 2 times in a row' in reason


def test_a_store_unknown_to_the_api_is_told_and_the_others_served(cloud):
    known = fake_glance.Settings(enabled_backends=('central', 'dcn0'))
    agent = cloud.agent(cloud.at_host(known), cloud.streaming('auto'))
    agent.start()
    image_id = cloud.upload()

    cloud.wait_for_copies(image_id, {'dcn0'})

    reason = operators.Operator(agent).explain(image_id)['dcn1']['reason']
    assert 'Glance has no store dcn1' in reason
    cloud.check_settled(image_id, {'central', 'dcn0'})
