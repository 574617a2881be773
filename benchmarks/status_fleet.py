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
"""How long dcn-distributor status takes: 10,000 images at 200 sites.

Run: ``python -m benchmarks.status_fleet``; no network. The command runs as a
whole, its start and the reading of its files included; only the bytes that
Glance and the agents would send come from files, so what they and the network
take is left out. One copy in a hundred has failed or is under way. The time
is of the processor, so that others on the machine do not count.
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import json
import os
from pathlib import Path
import random
import sys
import tempfile
import time
from typing import Any

from benchmarks import commands
from benchmarks import figures
from dcn_distributor import app
from dcn_distributor.clients import glance
from dcn_distributor.clients import glance_values
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import status
from dcn_distributor.core import images
from dcn_distributor.core import sites as core_sites
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers

IMAGES = 10_000
SITES = 200
RUNS = 5
AIM_S = 2.0
STREAMS = 20
GIB = 2**30

_CONF = """\
[DEFAULT]
transport_url = fake://
sites_file = {0}/sites.yaml
placement_file = {0}/placement.yaml
"""
_PLACEMENT = """\
version: 1
policies:
  all-public: {match: {visibility: [public]}, sites: all}
  golden: {match: {tags: [golden]}, sites: {labels: tier=edge}}
  never: {match: {tags: [never]}, sites: all, deny: true, priority: 9}
"""


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), draw(100))
        # As where it is installed, its modules are compiled before.
        os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
        os.environ['PYTHONPYCACHEPREFIX'] = f'{directory}/compiled'
        for name, argv, aim_s in (
            ('the table', ['status'], AIM_S),
            ('one site', ['status', '--site', 'dcn-007'], AIM_S),
            ('what failed, as records', _RECORDS, None),
        ):
            program = [sys.executable, '-m', 'benchmarks.status_fleet']
            commands.run([*program, directory, *argv])
            used = [
                commands.run([*program, directory, *argv]) for _ in range(RUNS)
            ]
            cpu = figures.Summary.of(one.cpu_s for one in used)
            peak_mib = max(one.peak_mib for one in used)
            aim = figures.Aim(name, cpu.median, at_most=aim_s, unit=' s')
            print(
                f'{aim}, {cpu.low:.2f} to {cpu.high:.2f} s, {peak_mib:.0f} MiB'
            )


_RECORDS = ['status', '--state', 'failed', '-f', 'json']


# -- the cloud, in files

Missing = dict[int, set[int]]


def write(directory: Path, missing: Missing) -> None:
    """Write what the command reads, and what it would be told."""
    (directory / 'agent.conf').write_text(_CONF.format(directory))
    (directory / 'placement.yaml').write_text(_PLACEMENT)
    (directory / 'sites.yaml').write_text(
        'version: 1\ncentral: {store: central}\nsites:\n'
        + ''.join(
            f'  dcn-{n:03}: {{store: dcn-{n:03}, labels: {{tier: edge}}}}\n'
            for n in range(SITES)
        )
    )
    with (directory / 'images.json').open('w') as file:
        for number in range(IMAGES):
            file.write(f'{json.dumps(image(number, missing[number]))}\n')
    (directory / 'agents.json').write_text(json.dumps(answers(missing)))


def draw(per_myriad: int) -> Missing:
    """Draw the cells that are not in order: the sites, by image."""
    rng = random.Random(1)
    count = IMAGES * SITES * per_myriad // 10_000
    cells = rng.sample(range(IMAGES * SITES), count)
    missing = collections.defaultdict(set)
    for cell in cells:
        missing[cell // SITES].add(cell % SITES)
    return missing


def image(number: int, missing: set[int]) -> dict[str, Any]:
    """Make an image as Glance lists it."""
    stores = [f'dcn-{n:03}' for n in range(SITES) if n not in missing]
    return {
        'id': image_id(number),
        'name': f'ubuntu-24.04-x86_64-{number}',
        'status': 'active',
        'visibility': 'public',
        'owner': f'{number % 40:032x}',
        'tags': ['golden'] if number % 7 == 0 else [],
        'disk_format': 'raw',
        'container_format': 'bare',
        'size': GIB,
        'os_hidden': False,
        'protected': False,
        'stores': ','.join(['central', *stores]),
        'os_hash_algo': 'sha512',
        'os_hash_value': f'{number:0128x}',
        'created_at': '2026-11-21T10:00:00Z',
        'updated_at': '2026-11-21T10:00:00Z',
        'min_disk': 0,
        'min_ram': 0,
        'virtual_size': GIB,
        'os_distro': 'ubuntu',
        'hw_disk_bus': 'virtio',
    }


def image_id(number: int) -> str:
    """Give an image's id."""
    return f'{number:08x}-0000-4000-8000-000000000000'


def answers(missing: Missing) -> dict[str, Any]:
    """Make what agents answer: most of what is missing has failed."""
    streaming = sorted(missing)[:STREAMS]
    return {
        'remembered': {
            'host': 'ctl-0',
            'setbacks': {
                image_id(number): {
                    f'dcn-{site:03}': {
                        'failures': 3,
                        'reason': 'the cluster of this site is full',
                        'next_try_s': 1.9e9,
                        'is_refused': False,
                    }
                    for site in sites
                }
                for number, sites in missing.items()
                if number not in streaming
            },
            'troubles': {},
            'verified': {},
        },
        'transfers': {
            'host': 'ctl-0',
            'transfers': [
                report(number, missing[number]) for number in streaming
            ],
        },
        'who': {'host': 'ctl-0', 'members': ['ctl-0'], 'problem': None},
    }


def report(number: int, sites: set[int]) -> dict[str, Any]:
    """Make what is told of a stream to all sites that lack an image."""
    return transfer_messages.plain(
        transfers.Report(
            images.ImageId(image_id(number)),
            GIB,
            images.StoreId('central'),
            transfers.Verify.FULL,
            1.0e9,
            None,
            GIB // 2,
            tuple(
                transfers.Lane(
                    core_sites.SiteName(f'dcn-{site:03}'),
                    images.StoreId(f'dcn-{site:03}'),
                    transfers.Phase.COPYING,
                    GIB // 2,
                    GIB // 2,
                    rate_bytes_s=1e8,
                )
                for site in sorted(sites)
            ),
        )
    )


# -- the command


class Cloud:
    """What Glance and the agents would say, out of files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        told = (directory / 'agents.json').read_bytes()
        self._answers: dict[str, dict[str, Any]] = json.loads(told)

    def stores(self) -> frozenset[images.StoreId]:
        """See core.ports.Images."""
        names = (f'dcn-{n:03}' for n in range(SITES))
        return frozenset(map(images.StoreId, ('central', *names)))

    def list(self) -> Iterator[images.Image]:
        """See core.ports.Images."""
        with (self._directory / 'images.json').open('rb') as file:
            for line in file:
                yield glance_values.from_glance(json.loads(line))

    def import_task(self, image: images.Image) -> None:
        """See core.ports.Images."""

    def remembered(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers['remembered']

    def transfers(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers['transfers']

    def who(self) -> dict[str, Any]:
        """See clients.bus.control.Agent."""
        return self._answers['who']


def command(directory: Path, argv: Sequence[str]) -> int:
    """Run the command on what was written."""

    def open_world(application: cli.Cli) -> app.World:
        cloud: Any = Cloud(directory)
        _, settings = application.read_configuration(glance.register_opts)
        _, policies = app.rule_reader(settings)()
        return app.World(
            cloud,
            policies,
            cloud,
            time.time,
            settings.streaming,
            app.cluster_maker(settings.streaming),
        )

    status.Status.open_world = staticmethod(open_world)
    conf = ['--config-file', str(directory / 'agent.conf')]
    code = cli.main([*conf, *argv])
    return 0 if code == cli.PARTLY_DONE else 1


if __name__ == '__main__':
    if len(sys.argv) > 1:
        sys.exit(command(Path(sys.argv[1]), sys.argv[2:]))
    main()
