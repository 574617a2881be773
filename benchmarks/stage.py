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
"""What the benchmarks on real servers share: a lab, an agent, a report."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import platform
import sys
import tempfile

from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor.clients.bus import control
from lab import deployment
from lab import errors
from tests.integration import agents
from tests.integration import clouds


@contextlib.contextmanager
def cloud() -> Iterator[clouds.Cloud]:
    """Give a cloud on the lab that ``tools/lab env`` names."""
    if 'LAB_DIR' not in os.environ:
        sys.exit(
            'No lab: run `tools/lab up`, then `eval "$(tools/lab env)"`, '
            'then this again.'
        )
    lab = deployment.Lab(Path(os.environ['LAB_DIR']))
    with tempfile.TemporaryDirectory(prefix='dcn-benchmark-') as directory:
        try:
            made = clouds.Cloud(lab, Path(directory))
        except errors.LabError as exc:
            sys.exit(str(exc))
        try:
            yield made
        finally:
            made.close()


def ask(agent: agents.Agent) -> control.Client:
    """Give what asks a running agent over RPC."""
    conf = cfg.ConfigOpts()
    configuration.register_opts(conf)
    configuration.read(conf, [], [str(agent.conf_file)])
    return control.Client(conf, timeout_s=30.0)


def peak_mib(agent: agents.Agent) -> float:
    """The most memory any process of an agent has held, in MiB."""
    return max(_high_water_mib(pid) for pid in agent.pids())


def _high_water_mib(pid: int) -> float:
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1024
    return 0.0


def print_machine() -> None:
    """Say what all this was measured on."""
    print(
        f'{os.cpu_count()} cores of {processor()}, '
        f'Python {platform.python_version()}, '
        f'load {os.getloadavg()[0]:.1f}'
    )


def processor() -> str:
    """What the kernel calls the processor."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.machine()


def percentile(values: list[float], part: float) -> float:
    """The value that `part` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
