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
"""Try what a key opens: as a client that has nothing else.

The secret is handed to librados in memory: neither a file nor a command line
has it.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import uuid

import rados
import rbd

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import errors
from dcn_distributor.core import cephx
from dcn_distributor.core import images
from dcn_distributor.core import stacks
from dcn_distributor.core import storage

PREFIX = 'dcn-distributor-verify-'
_BYTES = 4 << 20
_ORDER = 22
_READ_BYTES = 8 << 20
_TIMEOUT_S = '15'


def try_pool(ceph: stacks.Ceph, entity: cephx.Entity, pool: str) -> None:
    """Create, write, read, list and remove an image.

    Raises AccessDenied, ClusterUnavailable, ConfigError for a pool that is
    not there, VerificationFailed if it reads something else.
    """
    name = f'{PREFIX}{uuid.uuid4().hex}'
    data = uuid.uuid4().bytes * 256
    what = f'use pool {pool} of {ceph.name} as {entity.name}'
    with _pool(ceph, entity, pool) as ioctx, errors.translated(what):
        rbd.RBD().create(ioctx, name, _BYTES, _ORDER)
        try:
            with rbd.Image(ioctx, name) as image:
                image.write(data, 0)
                found = image.read(0, len(data))
            names = rbd.RBD().list(ioctx)
        finally:
            rbd.RBD().remove(ioctx, name)
    if found != data or name not in names:
        raise exceptions.VerificationFailed(
            f'{what}: what was written is not what is read'
        )


def try_secret(ceph: stacks.Ceph, entity: cephx.Entity) -> None:
    """Only connect. Raises AccessDenied if it is refused."""
    with _connected(ceph, entity):
        pass


def read_copy(
    ceph: stacks.Ceph,
    entity: cephx.Entity,
    pool: str,
    image_id: images.ImageId,
) -> tuple[str, bool]:
    """Read a copy's snapshot: its sha512, and whether it is protected.

    Raises CopyNotFound, AccessDenied, ClusterUnavailable.
    """
    what = f'read the copy of {image_id} in {ceph.name}'
    digest = hashlib.sha512()
    with _pool(ceph, entity, pool) as ioctx:
        try:
            image = rbd.Image(
                ioctx, image_id, storage.SNAPSHOT, read_only=True
            )
        except rbd.ImageNotFound as exc:
            raise exceptions.CopyNotFound(f'{what}: there is none') from exc
        with errors.translated(what), image:
            for offset in range(0, image.size(), _READ_BYTES):
                length = min(_READ_BYTES, image.size() - offset)
                digest.update(image.read(offset, length))
            is_protected = bool(image.is_protected_snap(storage.SNAPSHOT))
    return digest.hexdigest(), is_protected


@contextlib.contextmanager
def _connected(
    ceph: stacks.Ceph, entity: cephx.Entity
) -> Iterator[rados.Rados]:
    options = {
        'mon_host': ceph.mon_host,
        'key': entity.secret.text,
        'client_mount_timeout': _TIMEOUT_S,
        'rados_mon_op_timeout': _TIMEOUT_S,
        'rados_osd_op_timeout': _TIMEOUT_S,
        'log_to_stderr': 'false',
        'err_to_stderr': 'false',
    }
    with errors.translated(f'connect to {ceph.name} as {entity.name}'):
        # Not even the host's own ceph.conf has a say.
        handle = rados.Rados(rados_id=entity.user, conf=options)
        handle.connect()
    try:
        yield handle
    finally:
        handle.shutdown()


@contextlib.contextmanager
def _pool(
    ceph: stacks.Ceph, entity: cephx.Entity, pool: str
) -> Iterator[rados.Ioctx]:
    with _connected(ceph, entity) as handle:
        try:
            ioctx = handle.open_ioctx(pool)
        except rados.ObjectNotFound as exc:
            raise exceptions.ConfigError(
                f'{ceph.name} has no pool {pool}: create it, or correct '
                'deploy.ceph.pools'
            ) from exc
        try:
            yield ioctx
        finally:
            ioctx.close()
