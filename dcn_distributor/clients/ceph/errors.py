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
"""Foreign errors to ours: of rados, of rbd, and bare error numbers."""

from collections.abc import Iterator
import contextlib
import errno
import os

import rados
import rbd

from dcn_distributor import exceptions

_DENIED = frozenset((errno.EPERM, errno.EACCES))
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))

# What a client gets that the cluster has put on its blocklist; from then on
# its connection is useless (ceph: common/ceph_releases, EBLOCKLISTED).
BLOCKLISTED = errno.ESHUTDOWN

ABSENT = errno.ENOENT

# After these a new connection may help where the old one cannot.
LOST = frozenset((BLOCKLISTED, errno.ENOTCONN))

_WORDS = {
    errno.ETIMEDOUT: 'no answer in time',
    errno.ENOTCONN: 'not connected',
    BLOCKLISTED: 'the cluster has blocklisted this client',
    errno.EBUSY: 'in use by another client',
    errno.EROFS: 'locked by another client',
}


def from_number(number: int, what: str) -> exceptions.DistributorError:
    """Make an error of ours from an error number, of either sign.

    `what` says what was tried, on which object. What is neither a refusal
    nor a lack of space is an outage to us, to be tried again.
    """
    number = abs(number)
    words = _WORDS.get(number) or os.strerror(number)
    text = f'{what}: {words} ({errno.errorcode.get(number, number)})'
    if number in _DENIED:
        return exceptions.AccessDenied(text)
    if number in _FULL:
        return exceptions.StoreFull(text)
    return exceptions.ClusterUnavailable(text)


def number_of(error: BaseException) -> int:
    """Read the error number of an error of rados or rbd; EIO if untold."""
    number = getattr(error, 'errno', None)
    return abs(number) if isinstance(number, int) and number else errno.EIO


def translate(
    error: rados.Error | rbd.Error, what: str
) -> exceptions.DistributorError:
    """Make an error of ours from one of the bindings."""
    number = number_of(error)
    if number == errno.EIO and not _is_numbered(error):
        return exceptions.ClusterUnavailable(f'{what}: {error}')
    return from_number(number, what)


def _is_numbered(error: BaseException) -> bool:
    return isinstance(getattr(error, 'errno', None), int)


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise errors of the bindings as ours. `what` is tried within."""
    try:
        yield
    except (rados.Error, rbd.Error) as exc:
        raise translate(exc, what) from exc
