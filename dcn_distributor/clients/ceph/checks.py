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
"""Whether a cluster is the right one, and lets us do what a copy needs."""

import contextlib
import threading
import uuid

import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import checksums
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.core import sites
from dcn_distributor.core import storage

_DATA = b'dcn_distributor'


def fsid(connection: ceph_connections.Connection) -> str:
    """Read the cluster's id."""
    with connection.translated('read the fsid'):
        return str(connection.handle.get_fsid())


def check(
    cluster: sites.Cluster, connections: ceph_connections.Connections
) -> None:
    """Try what a copy needs.

    Raises ConfigError if it is another cluster than sites.yaml says, or has
    no such pool; AccessDenied, with the command that gives the caps;
    ClusterUnavailable.
    """
    try:
        connection = connections.first()
    except exceptions.ClusterUnavailable as exc:
        if isinstance(exc.__cause__, rados.ObjectNotFound):
            raise exceptions.ConfigError(
                f'{cluster.conf}: there is no such file, or it names no '
                f'keyring with a key of client.{cluster.user}'
            ) from exc
        raise
    except exceptions.AccessDenied as exc:
        raise exceptions.AccessDenied(
            f'{exc}. Does the keyring named by {cluster.conf} hold the key '
            f'of client.{cluster.user}? See: ceph auth get '
            f'client.{cluster.user}'
        ) from exc
    found = fsid(connection)
    if cluster.fsid is not None and found != cluster.fsid:
        raise exceptions.ConfigError(
            f'{cluster.conf} leads to the cluster with fsid {found}, but '
            f'sites.yaml says {cluster.fsid}'
        )
    with connection.translated(f'look for pool {cluster.pool}'):
        has_pool = connection.handle.pool_exists(cluster.pool)
        data_pool = connection.handle.conf_get('rbd_default_data_pool')
    if not has_pool:
        raise exceptions.ConfigError(
            f'the cluster of {cluster.conf} has no pool {cluster.pool}'
        )
    try:
        _try_pool(connection)
        _try_checksum(connection, connections)
        if data_pool:
            _try_data_pool(connection, data_pool)
    except exceptions.AccessDenied as exc:
        raise exceptions.AccessDenied(
            f'{exc}. {_remedy(cluster, data_pool)}'
        ) from exc


def _remedy(cluster: sites.Cluster, data_pool: str | None) -> str:
    user = f'client.{cluster.user}'
    pools = [cluster.pool, *([data_pool] if data_pool else [])]
    caps = ', '.join(f'profile rbd pool={pool}' for pool in pools)
    return (
        f"Give {user} its caps: ceph auth caps {user} mon 'profile rbd' osd "
        f"'{caps}'. That replaces all that it has: name what else it needs, "
        f'too; see: ceph auth get {user}'
    )


def _try_pool(connection: ceph_connections.Connection) -> None:
    with (
        connection.translated('read the directory of images'),
        contextlib.suppress(rados.ObjectNotFound),
    ):
        headers.list_names(connection.pool(), 1)


def _try_data_pool(
    connection: ceph_connections.Connection, data_pool: str
) -> None:
    """Try the pool that the data of new images goes to by default.

    Raises ConfigError if there is none.
    """
    name = f'{claims.CHECK_PREFIX}{uuid.uuid4().hex}'
    with connection.translated(f'write an object in data pool {data_pool}'):
        number = connection.handle.pool_lookup(data_pool)
        if number is None:
            raise exceptions.ConfigError(
                f'rbd_default_data_pool: there is no pool {data_pool}'
            )
        pool = connection.pool(number, namespace=ceph_connections.NAMESPACE)
        pool.write_full(name, _DATA)
        pool.remove_object(name)


def _try_checksum(
    connection: ceph_connections.Connection,
    connections: ceph_connections.Connections,
) -> None:
    name = f'{claims.CHECK_PREFIX}{uuid.uuid4().hex}'
    came = threading.Event()
    results: list[storage.Checksum | exceptions.DistributorError] = []

    def take(result: storage.Checksum | exceptions.DistributorError) -> None:
        results.append(result)
        came.set()

    with connection.translated(f'write an object in {connections.label}'):
        ours = connection.pool(namespace=ceph_connections.NAMESPACE)
        ours.write_full(name, _DATA)
        try:
            checksums.compute(
                connections.native_pool(namespace=ceph_connections.NAMESPACE),
                name,
                storage.Extent(0, len(_DATA)),
                take,
            )
            came.wait()
        finally:
            ours.remove_object(name)
    if isinstance(results[0], exceptions.DistributorError):
        raise results[0]
