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
"""The engine rbd-stream as a contestant: the other end of streamer.py."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import json
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any
from typing import IO

from benchmarks import contest
from benchmarks import figures
from benchmarks import images
from benchmarks import peers
from lab import deployment
from lab import state as lab_state
from tests.integration import clouds

NAME = 'rbd-stream'
FULL = f'{NAME}, verify full'
CHECKSUM = f'{NAME}, verify checksum'


class Streamer:
    """The process of benchmarks.streamer, its engine checked and warm.

    :param log: a file for what it logs
    :param tuning: replaces options of [rbd_stream]
    """

    def __init__(
        self,
        lab: deployment.Lab,
        sites: Sequence[str],
        log: Path,
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        self._log = log
        with log.open('ab') as stderr:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.streamer'],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=lab_state.TOP,
                text=True,
                bufsize=1,
            )
        self._begin(
            {
                'agent_conf': str(lab.agent_conf),
                'clusters': {
                    site: lab.ceph_conf(site, 'client.dcn-distributor')
                    for site in ('central', *sites)
                },
                'tuning': dict(tuning or {}),
            }
        )
        self._answer()

    @property
    def pid(self) -> int:
        """Its number, for a profiler."""
        return self.process.pid

    def copy(
        self, image_id: str, stores: Sequence[str], verify: str
    ) -> dict[str, Any]:
        """Copy; give the report. Ends the program if a lane fails."""
        order = {'image': image_id, 'stores': list(stores), 'verify': verify}
        self._begin(order)
        return self._checked(self._answer())

    def copy_until(self, image_id: str, store: str, sent_bytes: int) -> int:
        """Copy, and kill it when so much is sent; give what was by then."""
        order = {'image': image_id, 'stores': [store], 'verify': 'full'}
        self._begin({**order, 'progress_s': 0.01})
        while True:
            answer = self._answer()
            if 'lanes' in answer:
                self._checked(answer)
                raise SystemExit('the copy ended before it was killed')
            if answer['sent_bytes'] >= sent_bytes:
                self.kill()
                return int(answer['sent_bytes'])

    def warm_up(self) -> None:
        """Have it connect again where it was idle for long."""
        self._begin({'warm': True})
        self._answer()

    def close_connections(self) -> None:
        """Have the next copy begin with connecting."""
        self._begin({'close': True})
        self._answer()

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it."""
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _open(stream).close()

    def _begin(self, order: Mapping[str, Any]) -> None:
        _open(self.process.stdin).write(json.dumps(order) + '\n')

    def _answer(self) -> dict[str, Any]:
        line = _open(self.process.stdout).readline()
        if not line:
            raise SystemExit(
                f'the streamer ended:\n{self._log.read_text()[-4000:]}'
            )
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        failed = [e for e in answer['lanes'] if e['phase'] != 'done']
        if failed:
            raise SystemExit(
                f'the copy failed: {failed}\n{self._log.read_text()[-4000:]}'
            )
        return answer


class Stream:
    """A copy by the engine to some sites, from begin to being listed."""

    def __init__(
        self,
        cloud: clouds.Cloud,
        streamer: Streamer,
        image: images.Image,
        sites: Sequence[str],
        verify: str = 'full',
        *,
        is_cold: bool = False,
    ) -> None:
        targets = '' if len(sites) == 1 else f', {len(sites)} targets'
        cold = ', cold' if is_cold else ''
        self.name = f'{NAME}, verify {verify}{targets}{cold}'
        self._cloud = cloud
        self._streamer = streamer
        self._image_id = image.id
        self._sites = list(sites)
        self._verify = verify
        self._is_cold = is_cold

    def run(self) -> contest.Sample:
        """Copy once."""
        if self._is_cold:
            self._streamer.close_connections()
        else:
            self._streamer.warm_up()
        report = self._streamer.copy(self._image_id, self._sites, self._verify)
        return contest.Sample(
            report.pop('seconds'),
            report.pop('cpu_s'),
            report.pop('peak_mib'),
            report,
        )

    def clean(self) -> None:
        """Remove the copies."""
        peers.remove_copies(self._cloud, self._image_id, self._sites)


def show_phases(samples: contest.Samples) -> None:
    """Print where our time went, as medians of each phase."""
    for name, taken in samples.items():
        if not name.startswith(NAME):
            continue
        spent = [sample.details['lanes'][0]['seconds'] for sample in taken]
        rest = [
            sample.seconds - sum(phases.values())
            for sample, phases in zip(taken, spent, strict=True)
        ]
        told = [
            f'{phase} {figures.Summary.of(e[phase] for e in spent).median:.2f}'
            for phase in spent[0]
        ]
        told.append(f'the rest {figures.Summary.of(rest).median:.2f}')
        print(f'  {name}: seconds {", ".join(told)}')


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
