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
"""Random kills of any part while images come, change and go."""

import argparse
import os
from pathlib import Path
import random
import shutil
import signal
import sys
import tempfile

from tests.chaos import campaign

_ABOUT = """\
Runs a lab with three agents, a RabbitMQ cluster of three nodes, etcd, Glance,
Keystone and four Ceph clusters, and breaks any part of it at random: kills,
freezes and restarts agents, nodes of RabbitMQ (one at a time), etcd, Glance,
Keystone, and the OSD, the monitor or all of a site. Each is healed after a
while. Meanwhile images are uploaded, changed so that policies want them at
other sites, deactivated, reactivated and deleted, also in mid-copy.

In the end all is healed, and within five minutes the world has to be as
wanted: every image at every site that wants it, with the bytes that were
uploaded, its snapshot protected and fit to be cloned; nowhere it never was
wanted; no location that does not open; no draft and no claim; nothing that
Glance does not list, after `clean`. Glance and the clusters are asked for
that, no agent is."""
_EPILOG = """\
exit codes:
  0  the world is as wanted
  1  it is not; the directory of the lab is kept, with all logs: start it
     again by  DCN_LAB_DIR=DIRECTORY/lab tools/lab up
  2  wrong usage

examples:
  python -m tests.chaos --seed 7
  python -m tests.chaos --seed 7 --minutes 3 --images 30"""


def parser() -> argparse.ArgumentParser:
    """Make what reads the command line."""
    made = argparse.ArgumentParser(
        prog='python -m tests.chaos',
        description=_ABOUT,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        '--seed',
        type=int,
        help='what the plan is drawn from: who fails when and how, and what '
        'happens to the images (default: another one each time; it is '
        'printed). The same seed, minutes and images give the same plan.',
    )
    made.add_argument(
        '--minutes',
        type=float,
        default=30.0,
        help='for how long things break (default: 30). Starting, settling '
        'and judging take some minutes more.',
    )
    made.add_argument(
        '--images',
        type=int,
        default=200,
        help='how many images come in that time, of 1 to 16 MiB, a few of '
        '64 MiB (default: 200)',
    )
    made.add_argument(
        '--directory',
        type=Path,
        help='where lab and logs are (default: a new one for temporary '
        'files, which is removed if all goes well)',
    )
    return made


def run(scale: campaign.Scale, directory: Path) -> list[str]:
    """Run a campaign; tell what is wrong in the end."""
    with campaign.stage(directory, scale) as made:
        found = made.run()
        if found:
            raise Unwanted(found)
    return []


class Unwanted(Exception):
    """The world is not as wanted."""

    def __init__(self, found: list[str]) -> None:
        super().__init__('\n'.join(found))


def main() -> int:
    """See parser()."""
    options = parser().parse_args()
    seed = options.seed
    if seed is None:
        seed = random.randrange(2**32)
    scale = campaign.Scale(seed, options.minutes * 60, options.images)
    directory = options.directory or Path(
        tempfile.mkdtemp(prefix='dcn-chaos-')
    )
    directory.mkdir(parents=True, exist_ok=True)
    _say(f'seed {seed}, in {directory}')
    try:
        run(scale, directory)
    except Exception as exc:
        _say(f'seed {seed} failed: {type(exc).__name__}\n{exc}')
        _say(f'lab and logs are kept in {directory}')
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    _say(f'seed {seed}: the world is as wanted')
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == '__main__':
    os.umask(0o077)
    # So that agents and lab are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
