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
"""What others hear on a real bus of copies to real clusters."""

from collections.abc import Iterator
import contextlib
import hashlib

from oslo_config import cfg
import pytest

from dcn_distributor.clients.bus import announcements
from tests import waiting

# Not before ours, which keeps it from loading eventlet.
oslo_messaging = announcements.oslo_messaging


class Reader:
    """A service beside the agent, which reads what it tells."""

    def __init__(self) -> None:
        self.payloads: list[tuple[str, dict[str, object]]] = []

    def info(self, context, publisher_id, event_type, payload, metadata):
        """Take one; oslo.messaging calls this by priority."""
        assert publisher_id.startswith('image.distribution.')
        self.payloads.append((event_type.rpartition('.')[2], payload))

    error = info

    def told(self, image_id: str, site: str) -> dict[str, dict[str, object]]:
        """Give what was told of one copy, by what it is."""
        return {
            what: payload
            for what, payload in self.payloads
            if (payload['image_id'], payload['site']) == (image_id, site)
        }


@contextlib.contextmanager
def reading(conf_file: str, topic: str) -> Iterator[Reader]:
    """Read a topic, as whoever has the same options of the bus can."""
    conf = cfg.ConfigOpts()
    conf([], project='test', default_config_files=[conf_file])
    reader = Reader()
    listener = oslo_messaging.get_notification_listener(
        oslo_messaging.get_notification_transport(conf),
        [oslo_messaging.Target(exchange=announcements.EXCHANGE, topic=topic)],
        [reader],
        executor='threading',
    )
    listener.start()
    try:
        yield reader
    finally:
        listener.stop()
        listener.wait()


@pytest.fixture
def reader(cloud):
    """Read a topic of the test's own."""
    with reading(str(cloud.lab.agent_conf), cloud.tag) as made:
        yield made


def check(cloud, reader, agent, image_id):
    """See what is told of each of an image's copies."""
    for site in cloud.edges:
        told = waiting.until(
            'start and end are told',
            lambda site=site: (
                len(reader.told(image_id, site)) == 2
                and reader.told(image_id, site)
            ),
        )
        start, end = told['start'], told['end']
        assert start['engine'] == end['engine'] == 'rbd-stream'
        assert start['policy'] == end['policy'] == cloud.tag
        assert end['image_name'] == f'image of {cloud.tag}'
        assert end['state'] == 'verified'
        assert end['source'] == 'central'
        assert end['size_bytes'] == end['sent_bytes'] == 2**20
        assert 0 < end['seconds'] < 60
        assert end['error'] is None
        assert f'trace={end["trace_id"]} ' in agent.log


def test_a_copy_is_told_from_its_start_to_its_end(cloud, reader):
    agent = cloud.agent(
        {('agent', 'notification_topics'): cloud.tag}, cloud.streaming()
    )
    agent.start()
    image_id = cloud.upload()

    cloud.wait_for_copies(image_id)

    check(cloud, reader, agent, image_id)
    broker = cloud.lab.service('rabbitmq')
    broker.stop()
    broker.start()
    # Through a bus that was lost the next comes as before.
    image_id = cloud.upload()
    check(cloud, reader, agent, image_id)
    assert agent.stop() == 0


def test_a_copy_of_what_is_not_the_image_is_told_as_an_error(cloud, reader):
    image_id = cloud.create()
    cloud.cluster('central').put(image_id, b'x' * 2**20)
    false = {
        'checksum': hashlib.md5(b'y').hexdigest(),
        'os_hash_algo': 'sha512',
        'os_hash_value': hashlib.sha512(b'y').hexdigest(),
    }
    cloud.register(image_id, 'central', false)
    agent = cloud.agent(
        {('agent', 'notification_topics'): cloud.tag}, cloud.streaming()
    )
    agent.start()

    for site in cloud.edges:
        error = waiting.until(
            'the error is told',
            lambda site=site: reader.told(image_id, site).get('error'),
        )
        assert error['state'] == 'failed'
        assert error['error'] in ('put_off', 'refused')
        assert error['attempt'] == 1
        assert error['reason']
    assert cloud.stores(image_id) == set()
    assert agent.stop() == 0
