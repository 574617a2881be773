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
"""A burst of 10,000 notifications: absorbed, de-duplicated, none lost.

Run on a lab: ``python -m benchmarks.burst [EVENTS [IMAGES]]``. The images
become wanted while the agent cannot hear of it; then all events are sent at
once to the agent's own topic, many for each image and in a random order.
Prints how long until every event was taken in, how many looks at images they
led to, the most memory the agent held, and whether every image reached its
site.
"""

import random
import sys
import time

from benchmarks import stage
from tests import waiting
from tests.integration import clouds
from tests.integration import publishers

EVENTS = 10_000
IMAGES = 100
_POLICY = """\
version: 1
policies:
  burst:
    match: {{tags: [{tag}], properties: {{burst: go}}}}
    sites: [dcn0]
"""


def prepare(cloud: clouds.Cloud, count: int) -> list[str]:
    """Make images that no policy wants yet."""
    image_ids = []
    for number in range(count):
        image_ids.append(cloud.upload(burst='wait'))
        print(f'\r{number + 1} of {count} images', end='', file=sys.stderr)
    print(file=sys.stderr)
    return image_ids


def send(
    cloud: clouds.Cloud, topic: str, image_ids: list[str], count: int
) -> float:
    """Send the burst; return the seconds it took to send."""
    names = [image_ids[n % len(image_ids)] for n in range(count)]
    random.Random(1).shuffle(names)
    publisher = publishers.Publisher(cloud.lab.transport_url, topic)
    begin = time.monotonic()
    for image_id in names:
        publisher.send('image.update', {'id': image_id, 'status': 'active'})
    publisher.close()
    return time.monotonic() - begin


def main() -> None:
    """Measure and report."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    count = int(sys.argv[2]) if len(sys.argv) > 2 else IMAGES
    stage.print_machine()
    with stage.cloud() as cloud:
        topic = f'burst-{cloud.tag}'
        agent = cloud.agent({('agent', 'topic'): topic})
        agent.placement_file.write_text(_POLICY.format(tag=cloud.tag))
        image_ids = prepare(cloud, count)
        agent.start()
        waiting.until('the first resync', lambda: 'Resync:' in agent.log)
        for image_id in image_ids:
            cloud.glance.images.update(image_id, burst='go')
        asked = stage.ask(agent)
        idle_mib = stage.peak_mib(agent)
        looks = asked.remembered()['looks']
        begin = time.monotonic()
        sending_s = send(cloud, topic, image_ids, events)
        waiting.until(
            'all events are taken in',
            lambda: asked.remembered()['events']['handled'] >= events,
            600.0,
        )
        taken_s = time.monotonic() - begin
        looks = asked.remembered()['looks'] - looks
        for image_id in image_ids:
            waiting.until(
                f'{image_id} is at dcn0',
                lambda image_id=image_id: cloud.stores(image_id) == {'dcn0'},
                900.0,
            )
        copied_s = time.monotonic() - begin
        peak_mib = stage.peak_mib(agent)
        print(
            f'{events} events for {count} images, sent in {sending_s:.1f} s: '
            f'all taken in after {taken_s:.1f} s by {looks} looks; all '
            f'{count} images at their site after {copied_s:.0f} s; agent '
            f'{idle_mib:.0f} MiB idle, {peak_mib:.0f} MiB at most '
            '(aim: none lost, below 200 MiB)'
        )


if __name__ == '__main__':
    main()
