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

import configparser
import json
import re
import urllib.parse
import uuid

import pytest

from tests import waiting
from tests.integration import publishers

MALFORMED = {
    'broken JSON': b'{"oslo.version": ',
    'not UTF-8': b'\xff\xfe\x00',
    'nothing': b'',
    'a list': b'[1, 2, 3]',
    'a string': b'"text"',
    'an empty message': b'{}',
    'a version of the future': json.dumps(
        {'oslo.version': '9.0', 'oslo.message': '{}'}
    ).encode(),
    'a list in an envelope': json.dumps(
        {'oslo.version': '2.0', 'oslo.message': '[]'}
    ).encode(),
    'a priority that is a number': json.dumps(
        {'oslo.version': '2.0', 'oslo.message': '{"priority": 7}'}
    ).encode(),
    'ten mebibytes of nonsense': (
        b'{"oslo.version": "2.0", "oslo.message": "'
        + b'x' * 10 * 2**20
        + b'"}'
    ),
}


@pytest.fixture
def publisher(cloud):
    made = publishers.Publisher(cloud.lab.transport_url)
    # What is sent before an agent listens is not lost.
    made.declare()
    yield made
    made.close()


def test_what_is_no_message_does_not_stop_the_agent(cloud, publisher):
    agent = cloud.agent({('DEFAULT', 'debug'): 'true'})
    agent.start()
    waiting.until('the bus is reached', lambda: publisher.is_read())
    for body in MALFORMED.values():
        publisher.send_raw(body)

    cloud.wait_for_copies(cloud.upload())

    malformed = [line for line in agent.log.splitlines() if 'Malfor' in line]
    assert len(malformed) == len(MALFORMED)
    assert all(' DEBUG ' in line for line in malformed)
    assert 'Traceback' not in agent.log
    assert not re.findall(
        r'^\S+ \S+ \d+ (?:ERROR|WARNING) .*', agent.log, re.M
    )


@pytest.mark.glance
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


@pytest.mark.glance
def test_no_secret_is_in_the_log_of_those_who_debug(cloud):
    agent = cloud.agent({('DEFAULT', 'debug'): 'true'})
    agent.start()
    cloud.wait_for_copies(cloud.upload())
    agent.stop()

    parser = configparser.RawConfigParser()
    parser.read(agent.conf_file)
    url = parser['DEFAULT']['transport_url']
    assert parser['glance']['password'] not in agent.log
    assert urllib.parse.urlsplit(url).password not in agent.log
