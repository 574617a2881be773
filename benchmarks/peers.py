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
"""What others do to bring an image to a site: rbd, qemu-img, Glance."""

import os
from pathlib import Path
import time
import uuid

from benchmarks import commands
from benchmarks import contest
from benchmarks import images
from lab import deployment
from tests import waiting
from tests.integration import clouds

RBD = 'rbd export | import'
QEMU = 'qemu-img convert'
COPY_IMAGE = 'copy-image'
_POOL = 'images'
_OBJECT_SIZE = '8M'
_POLL_S = 0.05
_DEADLINE_S = 1800.0


class _Scratch:
    """A copy by commands, under a name that nobody else uses."""

    def __init__(
        self, lab: deployment.Lab, image: images.Image, site: str
    ) -> None:
        self.source = f'{_POOL}/{image.id}@snap'
        self.image = image
        self.source_conf = lab.ceph_conf('central')
        self.target_conf = lab.ceph_conf(site)
        self.target = f'{_POOL}/scratch-{uuid.uuid4().hex[:12]}'

    def at_source(self, *words: str) -> commands.Command:
        return ('rbd', '--conf', self.source_conf, *words)

    def at_target(self, *words: str) -> commands.Command:
        return ('rbd', '--conf', self.target_conf, *words)

    def publish(self) -> commands.Usage:
        """Make what Nova clones: a protected snapshot."""
        return commands.run(
            self.at_target('snap', 'create', f'{self.target}@snap'),
            self.at_target('snap', 'protect', f'{self.target}@snap'),
        )

    def clean(self) -> None:
        """Remove it."""
        commands.run(
            self.at_target('snap', 'unprotect', f'{self.target}@snap'),
            self.at_target('snap', 'rm', f'{self.target}@snap'),
            self.at_target('rm', '--no-progress', self.target),
        )


class RbdPipe:
    """``rbd export - | rbd import -``, then the snapshot."""

    name = RBD

    def __init__(
        self, lab: deployment.Lab, image: images.Image, site: str
    ) -> None:
        self._scratch = _Scratch(lab, image, site)

    def run(self) -> contest.Sample:
        """Copy once."""
        scratch = self._scratch
        copied = commands.pipe(
            scratch.at_source('export', '--no-progress', scratch.source, '-'),
            scratch.at_target(
                *('import', '--no-progress', '--object-size', _OBJECT_SIZE),
                *('-', scratch.target),
            ),
        )
        used = copied.then(scratch.publish())
        return _sample(used, copied.seconds)

    def clean(self) -> None:
        """Remove the copy."""
        self._scratch.clean()


class QemuConvert:
    """``rbd create``, ``qemu-img convert -n -W -m 16``, the snapshot."""

    name = QEMU

    def __init__(
        self, lab: deployment.Lab, image: images.Image, site: str
    ) -> None:
        self._scratch = _Scratch(lab, image, site)

    def run(self) -> contest.Sample:
        """Copy once."""
        scratch = self._scratch
        size_mib = scratch.image.size_bytes // images.MIB
        created = commands.run(
            scratch.at_target(
                *('create', '--size', f'{size_mib}M'),
                *('--object-size', _OBJECT_SIZE, scratch.target),
            )
        )
        converted = commands.run(
            (
                *('qemu-img', 'convert', '-n', '-W', '-m', '16'),
                *('-f', 'raw', '-O', 'raw'),
                _qemu_name(scratch.source, scratch.source_conf),
                _qemu_name(scratch.target, scratch.target_conf),
            )
        )
        used = created.then(converted).then(scratch.publish())
        return _sample(used, converted.seconds)

    def clean(self) -> None:
        """Remove the copy."""
        self._scratch.clean()


def _sample(used: commands.Usage, data_s: float) -> contest.Sample:
    return contest.Sample(
        used.seconds, used.cpu_s, used.peak_mib, {'data_s': data_s}
    )


def _qemu_name(image: str, conf: str) -> str:
    """Name an image for QEMU; a colon would end an option's value."""
    return f'rbd:{image}:id=admin:conf={conf}'


class CopyImage:
    """Glance's own import, from the request to the store being listed."""

    name = COPY_IMAGE

    def __init__(
        self, cloud: clouds.Cloud, image: images.Image, site: str
    ) -> None:
        self._cloud = cloud
        self._image_id = image.id
        self._site = site

    def run(self) -> contest.Sample:
        """Copy once."""
        pids = self._cloud.lab.service('glance').pids()
        for pid in pids:
            Path(f'/proc/{pid}/clear_refs').write_text('5')
        cpu_s, begin_s = sum(map(_cpu_s, pids)), time.monotonic()
        self._cloud.glance.http_client.post(
            f'/v2/images/{self._image_id}/import',
            data={
                'method': {'name': 'copy-image'},
                'stores': [self._site],
                'all_stores_must_succeed': True,
            },
        )
        waiting.until(
            f'Glance lists {self._site}',
            lambda: self._site in self._cloud.stores(self._image_id),
            _DEADLINE_S,
            _POLL_S,
        )
        seconds = time.monotonic() - begin_s
        return contest.Sample(
            seconds,
            sum(map(_cpu_s, pids)) - cpu_s,
            max(map(_peak_mib, pids)),
        )

    def clean(self) -> None:
        """Remove the copy, when the import has let go of the image."""
        remove_copies(self._cloud, self._image_id, [self._site])


def remove_copies(
    cloud: clouds.Cloud, image_id: str, sites: list[str]
) -> None:
    """Remove copies by Glance."""
    waiting.until(
        'the import has ended', lambda: not cloud.is_locked(image_id)
    )
    for site in sites:
        cloud.glance.images.delete_from_store(site, image_id)


def _cpu_s(pid: int) -> float:
    """How long a process has run on a processor (proc(5), stat)."""
    stat = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf('SC_CLK_TCK')


def _peak_mib(pid: int) -> float:
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1024
    return 0.0
