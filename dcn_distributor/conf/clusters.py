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
"""Clusters, as sites.yaml has them."""

import errno
import os
import re
import stat
from typing import Annotated

import pydantic

from dcn_distributor.conf import schema
from dcn_distributor.core import sites
from dcn_distributor.core import text

_FSID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_CEPH_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,127}')


def _conf(path: str) -> str:
    if not os.path.isabs(path) or not path.isprintable():
        raise text.Malformed(
            'expected the absolute path of a ceph.conf, found '
            f'{text.quote(path)}'
        )
    return os.path.normpath(path)


def _user(user: str) -> str:
    name = user.removeprefix('client.')
    if name != user:
        raise text.Malformed(
            f"expected a user without 'client.', found {text.quote(user)}; "
            f'did you mean {text.quote(name)}?'
        )
    return _ceph_name(user)


def _ceph_name(name: str) -> str:
    if not _CEPH_NAME.fullmatch(name):
        raise text.Malformed(
            "expected letters, digits, '.', '_' or '-', found "
            f'{text.quote(name)}'
        )
    return name


def _fsid(fsid: str) -> str:
    if not _FSID.fullmatch(fsid.lower()):
        raise text.Malformed(
            f"expected a UUID as 'ceph fsid' prints it, found "
            f'{text.quote(fsid)}'
        )
    return fsid.lower()


class Cluster(schema.Model):
    """How the agent reaches a cluster."""

    conf: Annotated[str, pydantic.AfterValidator(_conf)]
    user: Annotated[str, pydantic.AfterValidator(_user)] = 'dcn-distributor'
    pool: Annotated[str, pydantic.AfterValidator(_ceph_name)] = 'images'
    fsid: Annotated[str, pydantic.AfterValidator(_fsid)] | None = None

    def to_core(self) -> sites.Cluster:
        """Make a cluster of what the file says."""
        return sites.Cluster(self.conf, self.user, self.pool, self.fsid)


def unreadable(path: str) -> str | None:
    """Say why a file cannot be read, if so."""
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return 'not a regular file'
        with open(path, 'rb') as file:
            file.read(1)
    except OSError as exc:
        is_away = exc.errno == errno.ENOENT
        return 'no such file' if is_away else str(exc.strerror)
    return None
