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
"""A published copy as the pipeline sees it while it is compared only."""

from collections.abc import Collection
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import storage


class Inspected:
    """A published copy as a storage.Copy that notes what would be written.

    :ivar is_hollow: whether an object may have to be made for that
    """

    is_fresh = False

    def __init__(self, snapshot: storage.Readable) -> None:
        self._snapshot = snapshot
        self._lock = threading.Lock()
        self._bare: set[int] = set()
        self.is_hollow = False
        self.differing: list[tuple[int, int]] = []
        self.size_bytes = snapshot.size_bytes
        self.object_bytes = snapshot.object_bytes
        self.checksum_obstacle = snapshot.checksum_obstacle
        self.object_name = snapshot.object_name
        self.read = snapshot.read
        self.close = snapshot.close

    def checksum(
        self, offset: int, length: int, done: storage.ChecksumDone
    ) -> None:
        """Have the OSD compute, and note where nothing is stored."""

        def answered(
            result: storage.Checksum | exceptions.DistributorError,
        ) -> None:
            if isinstance(result, storage.Checksum) and not result.covered:
                with self._lock:
                    self._bare.add(offset)
            done(result)

        self._snapshot.checksum(offset, length, answered)

    def write(self, offset: int, data: bytes, done: storage.WriteDone) -> None:
        """Note the chunk."""
        with self._lock:
            self.differing.append((offset, len(data)))
            self.is_hollow |= (
                offset in self._bare or self.checksum_obstacle is not None
            )
        done(0)

    def record_objects(self, numbers: Collection[int]) -> None:
        """Not called: nothing is published."""

    def take_snapshot(self) -> None:
        """Not called: nothing is published."""

    def rename(self) -> None:
        """Not called: nothing is published."""

    def discard(self) -> None:
        """Not called: nothing is removed."""

    def release(self) -> None:
        """Not called: nothing was claimed."""
