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
"""Finds out which blocks of a chunk differ, by checksums of its parts."""

from collections.abc import Callable
from concurrent import futures

import xxhash

from dcn_distributor import exceptions
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import inspected

# Damage is told to this many bytes, for the first so many chunks.
_FINEST_BYTES = 4096
_NARROWED = 16


def damages(
    source: storage.Readable, copy: inspected.Inspected, *, is_lost: bool
) -> tuple[transfers.Damage, ...]:
    """Tell what differs, as closely as can be; no error keeps it from that.

    :param is_lost: whether the copy's cluster failed, and is to be left alone
    """
    is_able = (
        not is_lost
        and source.checksum_obstacle is None
        and copy.checksum_obstacle is None
    )
    found = []
    for nth, (first, length) in enumerate(sorted(copy.differing)):
        behind = first + length
        if is_able and nth < _NARROWED:
            try:
                first, behind = _narrow(source, copy, first, behind)
            except exceptions.DistributorError:
                # Each further question might take as long as the time-out.
                is_able = False
        name = copy.object_name(first)
        found.append(transfers.Damage(name, first, behind - first))
    return tuple(found)


def _narrow(
    source: storage.Readable,
    copy: inspected.Inspected,
    first: int,
    behind: int,
) -> tuple[int, int]:
    """Find the first and the last block that differ."""
    first = _edge(source, copy, first, behind, is_first=True)
    return first, _edge(source, copy, first, behind, is_first=False)


def _edge(
    source: storage.Readable,
    copy: inspected.Inspected,
    first: int,
    behind: int,
    *,
    is_first: bool,
) -> int:
    """Halve a range that differs until its first (last) block is left."""
    while behind - first > _FINEST_BYTES:
        blocks = -(-(behind - first) // _FINEST_BYTES)
        middle = first + blocks // 2 * _FINEST_BYTES
        if is_first:
            is_before = _differs(source, copy, first, middle)
        else:
            is_before = not _differs(source, copy, middle, behind)
        first, behind = (first, middle) if is_before else (middle, behind)
    return first if is_first else behind


def _differs(
    source: storage.Readable,
    copy: inspected.Inspected,
    first: int,
    behind: int,
) -> bool:
    """Tell whether a range reads differently, however much is stored of it.

    What is not stored at the end reads as zeros; the other side may have
    stored these.
    """
    at_source = _sum(source.checksum, first, behind - first)
    at_copy = _sum(copy.checksum, first, behind - first)
    if at_source.covered == at_copy.covered:
        return at_source != at_copy
    if at_source.covered > at_copy.covered:
        longer, shorter = source.checksum, at_copy
    else:
        longer, shorter = copy.checksum, at_source
    both = shorter.covered
    if both and _sum(longer, first, both) != shorter:
        return True
    rest = max(at_source.covered, at_copy.covered) - both
    zeros = storage.Checksum(rest, xxhash.xxh64_intdigest(bytes(rest)))
    return _sum(longer, first + both, rest) != zeros


def _sum(
    checksum: Callable[[int, int, storage.ChecksumDone], None],
    offset: int,
    length: int,
) -> storage.Checksum:
    """Have an OSD compute, and wait for it."""
    answer: futures.Future[storage.Checksum | exceptions.DistributorError] = (
        futures.Future()
    )
    checksum(offset, length, answer.set_result)
    result = answer.result()
    if isinstance(result, exceptions.DistributorError):
        raise result
    return result
