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
"""Memory of an agent that looks at 10,000 images, and how long that takes.

Run on a lab with Glance from PyPI: ``python -m benchmarks.resync_memory
[IMAGES]``. The records of the images are written into Glance's database
directly, since making so many through the API takes an hour; they are read
through it, by the agent. No policy wants them. They are removed at the end.
"""

from collections.abc import Iterator
import contextlib
import datetime
import re
import sqlite3
import sys
import time
import uuid

from benchmarks import stage
from dcn_distributor.clients.bus import control
from tests import waiting
from tests.integration import agents
from tests.integration import clouds

IMAGES = 10_000
_RESYNC = re.compile(r'Resync: (\d+) images seen')


@contextlib.contextmanager
def database(cloud: clouds.Cloud) -> Iterator[sqlite3.Connection]:
    """Open Glance's database."""
    path = cloud.lab.directory / 'glance' / 'data' / 'glance.db'
    connection = sqlite3.connect(path, timeout=60)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def fill(cloud: clouds.Cloud, count: int) -> None:
    """Write the records: active images of an owner of their own."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    rows = [
        {
            'id': str(uuid.uuid4()),
            'name': f'image {number} of a large cloud',
            'size': 2**30,
            'status': 'active',
            'created_at': (now - datetime.timedelta(seconds=number)),
            'updated_at': now,
            'deleted': 0,
            'disk_format': 'raw',
            'container_format': 'bare',
            'visibility': 'public',
            'owner': cloud.tag,
            'min_disk': 0,
            'min_ram': 0,
            'protected': 0,
            'os_hidden': 0,
        }
        for number in range(count)
    ]
    for row in rows:
        for name in ('created_at', 'updated_at'):
            row[name] = str(row[name])
    names = ', '.join(rows[0])
    values = ', '.join(f':{name}' for name in rows[0])
    with database(cloud) as connection:
        connection.executemany(
            f'INSERT INTO images ({names}) VALUES ({values})', rows
        )


def empty(cloud: clouds.Cloud) -> None:
    """Remove the records."""
    with database(cloud) as connection:
        connection.execute('DELETE FROM images WHERE owner = ?', [cloud.tag])


def resync(agent: agents.Agent, asked: control.Client) -> tuple[int, float]:
    """Have one done; return how many images it saw, and the seconds."""
    before = len(_RESYNC.findall(agent.log))
    begin = time.monotonic()
    asked.resync([])
    seen = waiting.until(
        'the resync', lambda: _RESYNC.findall(agent.log)[before:], 900.0
    )
    return int(seen[0]), time.monotonic() - begin


def main() -> None:
    """Measure and report."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    stage.print_machine()
    with stage.cloud() as cloud:
        agent = cloud.agent()
        agent.start()
        waiting.until('the first resync', lambda: 'Resync:' in agent.log)
        asked = stage.ask(agent)
        waiting.until('the agent hears', lambda: asked.remembered())
        few_mib = stage.peak_mib(agent)
        fill(cloud, count)
        try:
            resync(agent, asked)
            once_mib = stage.peak_mib(agent)
            seen, seconds = resync(agent, asked)
            many_mib = stage.peak_mib(agent)
        finally:
            empty(cloud)
        print(
            f'resync of {seen} images in {seconds:.1f} s; agent {few_mib:.0f} '
            f'MiB without them, {once_mib:.0f} MiB after one, {many_mib:.0f} '
            'MiB after two (aim: flat, below 150 MiB)'
        )


if __name__ == '__main__':
    main()
