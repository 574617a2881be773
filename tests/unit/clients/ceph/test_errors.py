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
"""Errors of rados and rbd become ours."""

import errno

import pytest
import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import errors

ERRORS = [
    (errno.ETIMEDOUT, exceptions.ClusterUnavailable),
    (errno.EIO, exceptions.ClusterUnavailable),
    (errno.ENOTCONN, exceptions.ClusterUnavailable),
    (errors.BLOCKLISTED, exceptions.ClusterUnavailable),
    (errno.EROFS, exceptions.ClusterUnavailable),
    (errno.EINVAL, exceptions.ClusterUnavailable),
    (errno.EPERM, exceptions.AccessDenied),
    (errno.EACCES, exceptions.AccessDenied),
    (errno.ENOSPC, exceptions.StoreFull),
    (errno.EDQUOT, exceptions.StoreFull),
]


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize(('number', 'kind'), ERRORS)
def test_numbers_become_errors(
    number: int, kind: type[exceptions.DistributorError], sign: int
) -> None:
    error = errors.from_number(sign * number, 'read object x')

    assert type(error) is kind
    assert str(error).startswith('read object x: ')
    assert errno.errorcode[number] in str(error)


@pytest.mark.parametrize('binding', [rados.OSError, rbd.OSError])
@pytest.mark.parametrize(('number', 'kind'), ERRORS)
def test_errors_of_the_bindings_become_ours(
    binding: type[Exception],
    number: int,
    kind: type[exceptions.DistributorError],
) -> None:
    with (
        pytest.raises(kind, match='read object x') as caught,
        errors.translated('read object x'),
    ):
        raise binding('of the binding', errno=number)

    assert isinstance(caught.value.__cause__, binding)


@pytest.mark.parametrize(
    'error', [rados.Error('no number'), rbd.InvalidArgument('no number')]
)
def test_error_without_number_is_told(error: Exception) -> None:
    with (
        pytest.raises(exceptions.ClusterUnavailable),
        errors.translated('open image x'),
    ):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), errors.translated('anything'):
        raise KeyError('a bug')
