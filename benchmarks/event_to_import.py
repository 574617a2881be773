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
"""From the event that an image is active to Glance accepting its import.

Run on a lab: ``python -m benchmarks.event_to_import [IMAGES]``. One image
after another is uploaded, so the agent's queue is idle. The time begins when
Glance sends the ``image.update`` that says active (its own time stamp) and
ends when an agent logs that Glance has accepted the import.

On a lab of several (``tools/lab up --agents 3 --rabbitmq-nodes 3``) as many
agents as it has share the links: one hears of an image, another may have to
act on it.
"""

import datetime
import json
import re
import sys

import kombu

from benchmarks import stage
from tests import labs
from tests import waiting
from tests.integration import agents
from tests.integration import clouds
from tests.integration import fleets

IMAGES = 200
_COPYING = re.compile(
    r'^(\S+ \S+) .* placement image=(\S+) store=\S+ state=copying', re.M
)


class Witness:
    """Reads what Glance tells everybody, on a queue of its own."""

    def __init__(self, url: str) -> None:
        # Any node of a cluster will do.
        first, _, _ = url.replace('rabbit://', 'amqp://', 1).partition(',')
        self._connection = kombu.Connection(first)
        exchange = kombu.Exchange('glance', 'topic', durable=True)
        queue = kombu.Queue(
            'benchmark', exchange, 'notifications.info', auto_delete=True
        )
        self.active: dict[str, datetime.datetime] = {}
        self._consumer = self._connection.Consumer(
            [queue], callbacks=[self._take], no_ack=True
        )
        self._consumer.consume()

    def listen(self) -> None:
        """Take in what has come."""
        try:
            while True:
                self._connection.drain_events(timeout=0.05)
        except TimeoutError:
            return

    def close(self) -> None:
        """Hang up; the queue goes with it."""
        self._connection.close()

    def _take(self, body: object, message: kombu.Message) -> None:
        envelope = body if isinstance(body, dict) else json.loads(str(body))
        inner = json.loads(envelope['oslo.message'])
        payload = inner['payload']
        if (
            inner['event_type'] == 'image.update'
            and isinstance(payload, dict)
            and payload.get('status') == 'active'
        ):
            at = datetime.datetime.fromisoformat(inner['timestamp'])
            self.active.setdefault(payload['id'], at)


def accepted(running: list[agents.Agent]) -> dict[str, datetime.datetime]:
    """When Glance accepted the first import of each image."""
    times: dict[str, datetime.datetime] = {}
    told = [found for one in running for found in _COPYING.findall(one.log)]
    for at, image_id in sorted(told):
        times.setdefault(image_id, datetime.datetime.fromisoformat(at))
    return times


def start(cloud: clouds.Cloud) -> list[agents.Agent]:
    """Start one agent, or as many as the lab has."""
    policy = cloud.policy.replace('sites: all', 'sites: [dcn0]')
    if len(cloud.lab.agent_confs) > 1:
        labs.stop_agents(cloud.lab)
        fleet = fleets.Fleet(
            cloud, {('agent', 'resync_interval'): '600'}, policy
        )
        fleet.start()
        return list(fleet.agents.values())
    agent = cloud.agent(policy=policy)
    agent.start()
    return [agent]


def measure(cloud: clouds.Cloud, count: int) -> list[float]:
    """Return the milliseconds of `count` images."""
    witness = Witness(cloud.lab.transport_url)
    running = start(cloud)
    waiting.until(
        'the first resyncs',
        lambda: all('Resync:' in agent.log for agent in running),
    )
    cloud.wait_for_copies(cloud.upload(), {'dcn0'})
    image_ids = []
    for number in range(count):
        image_id = cloud.upload()
        waiting.until(
            f'{image_id} is at dcn0',
            lambda image_id=image_id: (
                cloud.stores(image_id) == {'dcn0'}
                and not cloud.is_locked(image_id)
            ),
        )
        image_ids.append(image_id)
        witness.listen()
        print(f'\r{number + 1} of {count}', end='', file=sys.stderr)
    print(file=sys.stderr)
    witness.close()
    ends = accepted(running)
    return [
        (ends[i] - witness.active[i]).total_seconds() * 1000 for i in image_ids
    ]


def main() -> None:
    """Measure and report."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    stage.print_machine()
    with stage.cloud() as cloud:
        times = measure(cloud, count)
        print(
            f'{len(cloud.lab.agent_confs)} agents, {count} images, '
            f'image.update (active) -> import accepted: '
            f'p50 {stage.percentile(times, 0.5):.0f} ms, '
            f'p99 {stage.percentile(times, 0.99):.0f} ms, '
            f'worst {max(times):.0f} ms (aim: p99 below 250 ms)'
        )


if __name__ == '__main__':
    main()
