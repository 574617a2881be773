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
"""What the benchmarks of rbd-stream share: options, a lab, a report."""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import json
from pathlib import Path
import sys
import tempfile
from typing import Any

from benchmarks import contest
from benchmarks import figures
from benchmarks import images
from benchmarks import machine
from benchmarks import peers
from benchmarks import streaming
from lab import deployment
from lab import errors
from lab import link
from tests.integration import clouds

_SMALL_BYTES = 64 * images.MIB


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all have."""
    made = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        '--rounds',
        type=int,
        default=5,
        metavar='N',
        help='how often each is measured; the median counts (default: 5)',
    )
    made.add_argument(
        '--size-gib',
        type=float,
        default=1.0,
        metavar='GIB',
        help='the size of the images (default: 1)',
    )
    made.add_argument(
        '--lab',
        type=Path,
        metavar='DIR',
        help='a lab that runs, with the sites that are needed; by default '
        'one is made, and removed at the end',
    )
    made.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='where to write all that was measured',
    )
    made.add_argument(
        '--busy',
        action='store_true',
        help='measure at once, although others work on this machine: what '
        'comes out is good for a try only',
    )
    return made


class Report:
    """Prints figures, and keeps what was measured for a file."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._path: Path | None = options.json
        self._facts = machine.facts()
        self._samples: dict[str, Any] = {}
        self._aims: list[figures.Aim] = []

    def begin(self) -> None:
        """Say what all this is measured on."""
        for name, value in self._facts.items():
            print(f'{name}: {value}')

    def show(
        self, title: str, samples: contest.Samples, size_bytes: int
    ) -> None:
        """Print a table of samples."""
        self._samples[title] = {
            name: [dataclasses.asdict(one) for one in taken]
            for name, taken in samples.items()
        }
        print(f'\n{title}')
        print(figures.table(contest.rows(samples, size_bytes)), flush=True)
        self._save()

    def tell(self, *aims: figures.Aim | None) -> None:
        """Print figures, each with its aim; None is passed over."""
        for aim in aims:
            if aim is not None:
                self._aims.append(aim)
                print(f'  {aim}', flush=True)
        self._save()

    def _save(self) -> None:
        if self._path is not None:
            values = {
                'command': sys.argv,
                'facts': self._facts,
                'aims': [
                    {**dataclasses.asdict(aim), 'is_met': aim.is_met}
                    for aim in self._aims
                ],
                'samples': self._samples,
            }
            self._path.write_text(json.dumps(values, indent=1) + '\n')


@contextlib.contextmanager
def running(
    options: argparse.Namespace,
    sites: Sequence[str],
    links: Mapping[str, link.Link] | None = None,
) -> Iterator['Bench']:
    """Give the lab that was named, or one of our own, with these sites."""
    machine.check_quiet(options.busy)
    with tempfile.TemporaryDirectory(prefix='dcn-benchmark-') as name:
        directory = Path(name)
        lab = deployment.Lab(
            options.lab or directory / 'lab', sites=tuple(sites), links=links
        )
        try:
            if options.lab is None:
                print('a lab is made ...', file=sys.stderr)
                lab.up()
            cloud = clouds.Cloud(lab, directory)
            try:
                _check_sites(lab, sites, links or {})
                yield Bench(lab, cloud, directory)
            finally:
                cloud.close()
        except errors.LabError as exc:
            sys.exit(str(exc))
        finally:
            if options.lab is None:
                lab.down(purge=True)


def _check_sites(
    lab: deployment.Lab, sites: Sequence[str], links: Mapping[str, link.Link]
) -> None:
    missing = [site for site in sites if site not in lab.sites]
    if missing:
        sys.exit(f'the lab has no site {missing[0]}')
    for site in links:
        lab.link(site)


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """A lab to measure on, with a directory for what is in the way."""

    lab: deployment.Lab
    cloud: clouds.Cloud
    directory: Path

    @contextlib.contextmanager
    def streamer(
        self, sites: Sequence[str], tuning: Mapping[str, Any] | None = None
    ) -> Iterator[streaming.Streamer]:
        """Give a process with the engine, all connections warm."""
        log = self.directory / 'streamer.log'
        streamer = streaming.Streamer(self.lab, sites, log, tuning)
        try:
            yield streamer
        finally:
            streamer.close()

    def image(self, kind: str, size_gib: float) -> images.Image:
        """Upload an image."""
        print(f'image {kind} is uploaded ...', file=sys.stderr)
        size_bytes = int(size_gib * images.GIB)
        size_bytes -= size_bytes % _SMALL_BYTES
        return images.upload(self.cloud, kind, size_bytes)

    def warm_up(
        self, streamer: streaming.Streamer, sites: Sequence[str]
    ) -> None:
        """Have engine and Glance each copy a small image, unmeasured.

        A process that has just started imports, connects and asks Keystone
        for a token first; an agent and a glance-api have done that long ago.
        """
        small = images.upload(self.cloud, 'A', _SMALL_BYTES)
        ways: list[contest.Contestant] = [
            streaming.Stream(self.cloud, streamer, small, sites)
        ]
        ways += [peers.CopyImage(self.cloud, small, site) for site in sites]
        contest.hold(ways, 1, say=lambda _: None)
