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
"""What the OSDs compute over objects at rest."""

import errno

import rados
import xxhash

from dcn_distributor.clients.ceph import errors
from dcn_distributor.clients.ceph import native
from dcn_distributor.core import storage

_OF_NOTHING = xxhash.xxh64_intdigest(b'')
NOTHING = storage.Checksum(0, _OF_NOTHING)


def compute(
    pool: native.Pool,
    name: str,
    extent: storage.Extent,
    done: storage.ChecksumDone,
) -> None:
    """Have the OSD compute over a range of one object; returns at once.

    Raises nothing: `done` gets the error of a connection that is closed, too.
    """
    what = f'checksum of object {name}'

    def finish(result: native.Sum | int) -> None:
        if isinstance(result, native.Sum):
            done(_checksum(result, extent))
        elif result == -errno.ENOENT:
            done(NOTHING)
        else:
            done(errors.from_number(result, what))

    try:
        pool.checksum(name, extent.offset, extent.length, finish)
    except rados.Error as exc:
        done(errors.translate(exc, what))


def _checksum(result: native.Sum, extent: storage.Extent) -> storage.Checksum:
    if result.value is None:
        return NOTHING
    covered = min(result.size_bytes - extent.offset, extent.length)
    return storage.Checksum(covered, result.value)
