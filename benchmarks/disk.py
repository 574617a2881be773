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
"""What the disk alone needs: the floor under copies of a lab on one disk.

A lab's clusters share the disk of the machine. A copy that is proven at rest
reads the image at the source, writes it, and reads it again at the target;
one that is not proven leaves out the last. This does the same in files, past
the page cache, and nothing else.
"""

from collections.abc import Callable
from concurrent import futures
import mmap
import os
from pathlib import Path
import time

from benchmarks import contest

PROVEN = 'the disk alone, 2 x read, 1 x write'
UNPROVEN = 'the disk alone, 1 x read, 1 x write'
_BLOCK_BYTES = 4 << 20
_DIRECT = os.O_DIRECT | os.O_CREAT


class Disk:
    """Read files and write one at the same time.

    :param directory: on the disk of the lab
    :param reads: how many files are read
    """

    def __init__(
        self, name: str, directory: Path, size_bytes: int, reads: int
    ) -> None:
        self.name = name
        self._size_bytes = size_bytes - size_bytes % _BLOCK_BYTES
        self._written = directory / f'disk-{reads}-written'
        self._read = [directory / f'disk-{n}-read' for n in range(reads)]

    def run(self) -> contest.Sample:
        """Do it once; files to be read are made first, unmeasured."""
        for path in self._read:
            if not path.exists():
                self._pass(path, os.O_WRONLY, _write)
        begin_s, before = time.monotonic(), os.times()
        with futures.ThreadPoolExecutor(len(self._read) + 1) as threads:
            passes = [
                threads.submit(self._pass, path, os.O_RDONLY, _read)
                for path in self._read
            ]
            passes.append(
                threads.submit(self._pass, self._written, os.O_WRONLY, _write)
            )
            for one in passes:
                one.result()
        seconds, after = time.monotonic() - begin_s, os.times()
        used_s = after.user + after.system - before.user - before.system
        return contest.Sample(seconds, used_s, 0.0)

    def clean(self) -> None:
        """Remove what was written."""
        self._written.unlink(missing_ok=True)

    def _pass(
        self,
        path: Path,
        mode: int,
        act: Callable[[int, mmap.mmap, int], object],
    ) -> None:
        # NOTE: memory of a mapping is aligned, as O_DIRECT demands.
        with mmap.mmap(-1, _BLOCK_BYTES) as block:
            block.write(os.urandom(_BLOCK_BYTES))
            handle = os.open(path, mode | _DIRECT, 0o600)
            try:
                for offset in range(0, self._size_bytes, _BLOCK_BYTES):
                    act(handle, block, offset)
            finally:
                os.close(handle)


def _read(handle: int, block: mmap.mmap, offset: int) -> None:
    os.preadv(handle, [block], offset)


def _write(handle: int, block: mmap.mmap, offset: int) -> None:
    os.pwrite(handle, block, offset)
