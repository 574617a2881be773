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
"""Anybody on the bus: sends what it likes to the agent's queue."""

import json
from typing import Any
import uuid

from amqp import exceptions
import kombu


class Publisher:
    """Sends raw messages to a topic, as Glance or a fool would.

    :param url: the lab's transport URL
    :param queue_type: classic or quorum; both ends have to agree
    """

    def __init__(
        self,
        url: str,
        topic: str = 'dcn_distributor',
        queue_type: str = 'classic',
    ) -> None:
        self._connection = kombu.Connection(
            url.replace('rabbit://', 'amqp://', 1)
        )
        self._topic = topic
        exchange = kombu.Exchange('glance', 'topic', durable=True)
        self._queue = kombu.Queue(
            f'{topic}.info',
            exchange,
            f'{topic}.info',
            durable=True,
            queue_arguments=(
                {'x-queue-type': 'quorum'} if queue_type == 'quorum' else {}
            ),
        )
        self._producer = self._connection.Producer(
            exchange=exchange, routing_key=f'{topic}.info'
        )

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def declare(self) -> None:
        """Make the queue, as Glance does before it sends."""
        with self._connection.channel() as channel:
            self._queue(channel).declare()

    def send_raw(
        self,
        body: bytes | str,
        content_type: str = 'application/json',
        content_encoding: str = 'utf-8',
    ) -> None:
        """Send bytes as they are."""
        self._producer.publish(
            body,
            serializer=None,
            content_type=content_type,
            content_encoding=content_encoding,
        )

    def send(self, event_type: Any, payload: Any, **message: Any) -> None:
        """Send a notification in the form of oslo.messaging."""
        inner = {
            'message_id': str(uuid.uuid4()),
            'publisher_id': 'image.localhost',
            'event_type': event_type,
            'priority': 'INFO',
            'payload': payload,
            'timestamp': '2026-01-01 00:00:00.000000',
            '_unique_id': uuid.uuid4().hex,
            **message,
        }
        envelope = {
            'oslo.version': '2.0',
            'oslo.message': json.dumps(inner),
        }
        self.send_raw(json.dumps(envelope))

    def is_read(self) -> bool:
        """Tell whether somebody reads the queue, if there is one yet."""
        try:
            with self._connection.channel() as channel:
                declared = self._queue(channel).queue_declare(passive=True)
        except exceptions.NotFound:
            return False
        return bool(declared.consumer_count)

    def waiting(self) -> int:
        """How many messages wait to be fetched by an agent."""
        with self._connection.channel() as channel:
            declared = self._queue(channel).queue_declare(passive=True)
        return int(declared.message_count)

    def purge(self) -> None:
        """Take away what waits."""
        with self._connection.channel() as channel:
            self._queue(channel).purge()
