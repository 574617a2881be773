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
"""Bad input from the bus stops nothing and costs at most one request."""

import json
import uuid

import pytest

from tests import waiting
from tests.integration import publishers

MALFORMED = [
    pytest.param(b'{"oslo.version": ', id='broken JSON'),
    pytest.param(b'\xff\xfe\x00', id='not UTF-8'),
    pytest.param(b'', id='empty'),
    pytest.param(b'[1, 2, 3]', id='a list'),
    pytest.param(b'"text"', id='a string'),
    pytest.param(b'{}', id='an empty message'),
    pytest.param(
        json.dumps({'oslo.version': '9.0', 'oslo.message': '{}'}).encode(),
        id='a version of the future',
    ),
    pytest.param(
        json.dumps({'oslo.version': '2.0', 'oslo.message': '[]'}).encode(),
        id='a list in an envelope',
    ),
    pytest.param(
        json.dumps(
            {'oslo.version': '2.0', 'oslo.message': '{"priority": 7}'}
        ).encode(),
        id='a priority that is a number',
    ),
    pytest.param(
        b'{"oslo.version": "2.0", "oslo.message": "'
        + b'x' * 10 * 2**20
        + b'"}',
        id='ten mebibytes of nonsense',
    ),
]


@pytest.fixture
def publisher(cloud):
    made = publishers.Publisher(cloud.lab.transport_url)
    yield made
    made.close()


@pytest.mark.parametrize('body', MALFORMED)
def test_what_is_no_message_does_not_stop_the_agent(
    cloud, agent, publisher, body
):
    publisher.send_raw(body)

    cloud.wait_for_copies(cloud.upload())
    assert agent.is_running
    assert 'Traceback' not in agent.log
    assert 'ERROR' not in agent.log


def test_events_of_all_kinds_cost_at_most_one_request_each(cloud, publisher):
    agent = cloud.agent({('DEFAULT', 'debug'): 'true'})
    agent.start()
    stranger = str(uuid.uuid4())
    nonsense = [
        ('image.update', 'just text'),
        ('image.update', None),
        ('image.update', {'id': 7}),
        ('image.update', {'id': 'no-uuid'}),
        ('image.update', {'id': '../../../etc/passwd'}),
        ('image.update', {'nothing': True}),
        ('compute.instance.create.end', {'id': stranger}),
        ('image.frobnicate', {'id': stranger}),
        (None, {'id': stranger}),
        ({'a': 'b'}, {'id': stranger}),
    ]
    for event_type, payload in nonsense:
        publisher.send(event_type, payload)
    publisher.send('image.update', {'id': stranger, 'x': 'x' * 10 * 2**20})

    def looks():
        # A look at an image that is not there is one request.
        return agent.log.count(f'image={stranger} is not in Glance')

    waiting.until('the stranger is looked at', looks)
    cloud.wait_for_copies(cloud.upload())
    assert looks() == 1
    assert 'no-uuid' not in agent.log
    assert 'passwd' not in agent.log
    malformed = [
        line for line in agent.log.splitlines() if 'Malformed' in line
    ]
    assert len(malformed) == 7
    assert all(' DEBUG ' in line for line in malformed)


def test_the_bus_may_use_quorum_queues(cloud):
    topic = f'quorum-{cloud.tag}'
    publisher = publishers.Publisher(
        cloud.lab.transport_url, topic, queue_type='quorum'
    )
    image_id = cloud.upload(visibility='private')
    agent = cloud.agent(
        {
            ('agent', 'topic'): topic,
            ('oslo_messaging_rabbit', 'rabbit_quorum_queue'): 'true',
        }
    )
    agent.start()
    waiting.until('the first resync', lambda: 'Resync:' in agent.log)
    cloud.glance.images.update(image_id, visibility='public')

    publisher.declare()
    publisher.send('image.update', {'id': image_id})

    cloud.wait_for_copies(image_id)
    waiting.until('the event is taken', lambda: publisher.waiting() == 0)
    publisher.close()
