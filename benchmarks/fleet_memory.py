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
"""Memory of an agent with 10,000 images at 200 sites.

Run: ``python -m benchmarks.fleet_memory``; no network. It is the agent of the
service but for the bus; what Glance lists comes from a file. Once all copies
are there, and once one in a hundred is missing and each try for it fails.
"""

from collections.abc import Iterable
import dataclasses
from pathlib import Path
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from oslo_config import cfg

from benchmarks import figures
from benchmarks import status_fleet
from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.app import agent as agents
from dcn_distributor.clients import glance_values
from dcn_distributor.clients import groups
from dcn_distributor.clients import metrics
from dcn_distributor.clients import systemd
from dcn_distributor.clients.bus import notifications
from dcn_distributor.core import images
from tests import waiting

AIM_MIB = 300.0


class Glance(status_fleet.Cloud):
    """Lists images, and takes no import."""

    def get(self, image_id: images.ImageId) -> images.Image:
        """See core.ports.Images."""
        number = int(image_id[:8], 16)
        raw = status_fleet.image(number, self.missing[number])
        return glance_values.from_glance(raw)

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """See core.ports.Images."""
        raise exceptions.GlanceUnavailable('the quota of imports is used up')


def main() -> None:
    """Measure and report."""
    for words, share in (('all present', 0), ('one copy in 100 fails', 100)):
        with tempfile.TemporaryDirectory() as directory:
            missing = status_fleet.draw(share)
            status_fleet.write(Path(directory), missing)
            program = [sys.executable, '-m', 'benchmarks.fleet_memory']
            told = subprocess.run(
                [*program, directory, str(share)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        peak_mib, setbacks = map(float, told.split())
        aim = figures.Aim(
            f'{status_fleet.IMAGES} images at {status_fleet.SITES} sites, '
            f'{words} ({setbacks:.0f} setbacks)',
            peak_mib,
            at_most=AIM_MIB,
            unit=' MiB',
        )
        print(aim)


def agent(directory: Path, share: int) -> None:
    """Run an agent until it has looked at everything; print what it took."""
    conf = cfg.ConfigOpts()
    configuration.register_opts(conf)
    files = [str(directory / 'agent.conf')]
    settings = dataclasses.replace(
        configuration.read(conf, [], files), state_dir=str(directory)
    )
    port: Any = Glance(directory)
    port.missing = status_fleet.draw(share)
    built = agents.build_agent(
        settings,
        app.rule_reader(settings)(),
        port,
        lambda wake, wake_all: None,
        lambda on_change: groups.Alone('ctl-0'),
        notifications.Counts(),
        systemd.Systemd({}),
        metrics.Metrics(),
        lambda: None,
        [],
    )
    built.agent.start([])
    tried = sum(1 for some in port.missing.values() if some)
    waiting.until(
        'all were looked at',
        lambda: (
            built.parts.resync.has_looked
            and len(built.parts.ledger.remembered()) == tried
        ),
        600.0,
    )
    histories = built.parts.ledger.remembered()
    setbacks = sum(len(history.setbacks) for history in histories.values())
    # Once more, with all that is remembered.
    begun_s = time.time()
    built.parts.resync.ask()
    waiting.until(
        'another look at all',
        lambda: (
            (last := built.parts.observed.counting.last) is not None
            and last.ended_s > begun_s
        ),
        600.0,
    )
    built.agent.stop(5.0)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak_kib / 1024, setbacks)


if __name__ == '__main__':
    if len(sys.argv) > 1:
        agent(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
