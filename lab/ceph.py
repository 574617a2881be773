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
"""One Ceph cluster: a monitor, an OSD, and a manager if asked for.

Made by hand, without cephadm and systemd. The keys of servers and of
client.admin are made here and given to the monitor when it is created, so that
none ever stands on a command line; all others are `bootstrap`'s. cephx stays
on.
"""

import base64
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import itertools
import json
import os
from pathlib import Path
import shutil
import struct
import threading
import time
from typing import Any
import uuid

from lab import admin_socket
from lab import errors
from lab import files
from lab import link_devices
from lab import ports
from lab import processes
from lab import rados_options
from lab import service
from lab import state as lab_state

POOLS = ('images', 'volumes', 'vms')
OSD_BYTES = 12 << 30
# An OSD opens four endpoints, each for two versions of the protocol; what
# is left of the block is for the manager.
_OSD_PORTS = 10
_TIMEOUT_S = 30
# Who may do everything; all others are bootstrap's.
ADMIN = 'client.admin'
_ALL = {'mon': 'allow *', 'osd': 'allow *', 'mgr': 'allow *', 'mds': 'allow *'}


class Ceph(service.Service):
    """The cluster of one site."""

    start_timeout_s = 90

    def __init__(
        self,
        site: str,
        state: lab_state.State,
        cancelled: threading.Event,
    ) -> None:
        super().__init__(f'ceph-{site}', state, cancelled)
        self.site = site
        self.with_manager = state.with_manager
        self.mon_port = state.port(f'{self.name}-mon')
        self.mon_v1_port = state.port(f'{self.name}-mon-v1')
        self.osd_port = state.port(f'{self.name}-osd', lab_state.BLOCK)
        self.run_directory = state.run_directory
        # Behind a link it is all at the far end: its clients are not.
        self._network = state.network(site) if site in state.links else None
        self._host = (
            self._network.far_address if self._network else ports.LOOPBACK
        )

    # -- for others -------------------------------------------------------

    @property
    def conf(self) -> str:
        """The path of the ceph.conf of client.admin."""
        return str(self.directory / 'admin.conf')

    @property
    def fsid(self) -> str:
        """The identity of the cluster."""
        return str(self._keys()['fsid'])

    @property
    def monitors(self) -> str:
        """Its monitor, as `mon host` has it."""
        v2 = f'v2:{self._address(self.mon_port)}'
        v1 = f'v1:{self._address(self.mon_v1_port)}'
        return f'[{v2},{v1}]'

    def issue(self, wanted: Mapping[str, Mapping[str, str]]) -> Path:
        """Make entities, as its administrator; give a keyring with them.

        `wanted` are their caps, by their names.
        """
        keyring = {}
        with self.connected() as cluster:
            for entity, caps in wanted.items():
                answer = cluster.command(
                    {
                        'prefix': 'auth get-or-create',
                        'entity': entity,
                        'caps': [*itertools.chain(*caps.items())],
                        'format': 'json',
                    }
                )
                keyring[entity] = {'key': json.loads(answer)[0]['key']}
        path = self.directory / 'issued.keyring'
        files.write_private(path, files.ini(keyring))
        return path

    # -- as a service -----------------------------------------------------

    def ports(self) -> dict[str, int]:
        """The monitor's; the OSD takes some out of its own range."""
        return {'mon': self.mon_port, 'mon-v1': self.mon_v1_port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Monitor, OSD and perhaps a manager, in the foreground."""
        kinds = [('mon', 'a'), ('osd', '0')]
        if self.with_manager:
            kinds.append(('mgr', 'x'))
        return tuple(
            self.daemon(kind, *self._argv(kind), '-f', '-i', name)
            for kind, name in kinds
        )

    def configure(self) -> bool:
        """Write the confs and keyrings, of the servers and of clients."""
        files.private_directory(self.run_directory)
        changed = files.write_private(
            self.directory / 'ceph.conf', files.ini(self._server_options())
        )
        self._write_keyring('mgr.x')
        keyring = self._write_keyring(ADMIN)
        options = {**self._common_options(), 'keyring': keyring}
        files.write_private(Path(self.conf), files.ini({'global': options}))
        return changed

    def initialise(self) -> None:
        """Create the monitor's store; the OSD's follows once it runs."""
        data = self.directory / 'data'
        files.write_private(data / 'keyring', self._first_keyring())
        addresses = f'[v2:{self._address(self.mon_port)}'
        addresses += f',v1:{self._address(self.mon_v1_port)}]'
        monmap = str(data / 'monmap')
        self._run(
            'monmaptool',
            ('--create', '--clobber', '--fsid', self.fsid),
            ('--addv', 'a', addresses, monmap),
        )
        self._run(
            'ceph-mon',
            ('--conf', str(self.directory / 'ceph.conf')),
            ('--mkfs', '-i', 'a', '--monmap', monmap),
            ('--keyring', str(data / 'keyring')),
        )

    def launch(self) -> None:
        """Start the monitor, then the OSD it admits, then make the pools."""
        mon, *others = self.daemons()
        self.launch_one(mon)
        self.wait(self._mon_problem, daemons=(mon,))
        if not (self.directory / 'data' / 'osd' / 'ready').exists():
            self._make_osd()
        for daemon in others:
            self.launch_one(daemon)
        self.wait(self.problem, daemons=(mon, *others))
        if not (self.directory / 'data' / 'pools-made').exists():
            self._make_pools()
            (self.directory / 'data' / 'pools-made').touch()

    def problem(self) -> str | None:
        """Ask both servers through their admin sockets."""
        return self._mon_problem() or self._osd_problem()

    # -- health -----------------------------------------------------------

    def _mon_problem(self) -> str | None:
        answer = self._ask('mon.a', 'mon_status')
        if isinstance(answer, str):
            return answer
        if answer.get('state') != 'leader':
            return f'the monitor is {answer.get("state")}, not yet leader'
        return None

    def _osd_problem(self) -> str | None:
        answer = self._ask('osd.0', 'status')
        if isinstance(answer, str):
            return answer
        if answer.get('state') != 'active':
            return f'the OSD is {answer.get("state")}, not yet active'
        return None

    def _ask(self, name: str, command: str) -> dict[str, Any] | str:
        path = self.run_directory / f'{self.site}-{name}.asok'
        try:
            return admin_socket.ask(path, command)
        except (OSError, TypeError, ValueError) as exc:
            return f'{name} does not answer on its admin socket: {exc}'

    # -- configuration ----------------------------------------------------

    def _address(self, port: int) -> str:
        return f'{self._host}:{port}'

    def _common_options(self) -> dict[str, object]:
        return {
            'fsid': self.fsid,
            'mon_host': self.monitors,
            'auth_cluster_required': 'cephx',
            'auth_service_required': 'cephx',
            'auth_client_required': 'cephx',
            'log_to_file': 'false',
            'run_dir': self.run_directory,
        }

    def _server_options(self) -> dict[str, dict[str, object]]:
        socket = self.run_directory / f'{self.site}-$type.$id.asok'
        return {
            'global': {
                **self._common_options(),
                'admin_socket': socket,
                'log_to_stderr': 'true',
                'err_to_stderr': 'true',
                'pid_file': '',
                'crash_dir': self.directory / 'data' / 'crash',
                'ms_bind_ipv6': 'false',
                'osd_pool_default_size': 1,
                'osd_pool_default_min_size': 1,
                'osd_pool_default_pg_num': 8,
                'osd_pool_default_pg_autoscale_mode': 'off',
                'osd_crush_chooseleaf_type': 0,
            },
            'mon': self._mon_options(),
            'osd': self._osd_options(),
            'mgr': {
                'mgr_data': self.directory / 'data' / 'mgr',
                'keyring': self.directory / 'ceph.mgr.x.keyring',
                'public_addr': self._host,
                'ms_bind_port_min': self.osd_port + _OSD_PORTS,
                'ms_bind_port_max': self.osd_port + lab_state.BLOCK - 1,
                'mgr_initial_modules': 'iostat',
            },
        }

    def _mon_options(self) -> dict[str, object]:
        return {
            'mon_data': self.directory / 'data' / 'mon',
            'public_addr': self._host,
            'mon_allow_pool_size_one': 'true',
            'mon_allow_pool_delete': 'true',
            'mon_warn_on_pool_no_redundancy': 'false',
            'mon_data_avail_warn': 2,
            'mon_data_avail_crit': 1,
            'auth_allow_insecure_global_id_reclaim': 'false',
        }

    def _osd_options(self) -> dict[str, object]:
        return {
            'osd_data': self.directory / 'data' / 'osd',
            'public_addr': self._host,
            'cluster_addr': self._host,
            'ms_bind_port_min': self.osd_port,
            'ms_bind_port_max': self.osd_port + _OSD_PORTS - 1,
            'osd_memory_target': 1 << 30,
            # A sparse file: it takes from the disk what was written.
            'bluestore_block_size': OSD_BYTES,
            'bluestore_fsck_on_mkfs': 'false',
            # Small writes go to their place at once. Those that BlueStore
            # puts off, as it does on what the kernel calls a rotating disk,
            # may come to lie over an object that has the place by then, of
            # an OSD that was killed (https://github.com/ceph/ceph/pull/60753).
            # There is no other copy: who reads it then waits for ever.
            'bluestore_prefer_deferred_size_hdd': 0,
            'bluestore_prefer_deferred_size_ssd': 0,
            # A lease of reads, in units of 20 s, that outlives the lab: a
            # group of one OSD whose lease ran out, because it was frozen or
            # had to wait for a processor, never finds it renewed, and its
            # clients wait for ever (https://tracker.ceph.com/issues/80404).
            # There is no other OSD that such a lease could protect from.
            'osd_pool_default_read_lease_ratio': 50_000,
        }

    # -- keys -------------------------------------------------------------

    def _keys(self) -> dict[str, str]:
        path = self.directory / 'keys.json'
        if not path.exists():
            names = ('mon.', 'osd.0', 'mgr.x', ADMIN)
            keys = {name: _new_key() for name in names}
            keys['fsid'] = str(uuid.uuid4())
            keys['osd-uuid'] = str(uuid.uuid4())
            files.write_private(path, json.dumps(keys, indent=2))
        return dict(json.loads(path.read_text()))

    def _write_keyring(self, entity: str) -> str:
        path = self.directory / f'ceph.{entity}.keyring'
        files.write_private(
            path, files.ini({entity: {'key': self._keys()[entity]}})
        )
        return str(path)

    def _first_keyring(self) -> str:
        """Give all entities: the monitor takes them over at its creation."""
        keys = self._keys()
        caps: dict[str, dict[str, str]] = {
            'mon.': {'mon': 'allow *'},
            'mgr.x': {
                'mon': 'allow profile mgr',
                'osd': 'allow *',
                'mds': 'allow *',
            },
            ADMIN: _ALL,
        }
        return files.ini(
            {
                entity: {
                    'key': keys[entity],
                    **{f'caps {who}': f'"{cap}"' for who, cap in may.items()},
                }
                for entity, may in caps.items()
            }
        )

    # -- the OSD and the pools --------------------------------------------

    def _make_osd(self) -> None:
        keys = self._keys()
        data = self.directory / 'data' / 'osd'
        shutil.rmtree(data, ignore_errors=True)
        files.write_private(
            data / 'keyring', files.ini({'osd.0': {'key': keys['osd.0']}})
        )
        with self.connected() as cluster:
            cluster.command(
                {'prefix': 'osd new', 'uuid': keys['osd-uuid']},
                json.dumps({'cephx_secret': keys['osd.0']}).encode(),
            )
        self._run(
            'ceph-osd',
            ('--conf', str(self.directory / 'ceph.conf')),
            ('--mkfs', '-i', '0', '--osd-uuid', keys['osd-uuid']),
        )
        (data / 'ready').touch()

    def _make_pools(self) -> None:
        with self.connected() as cluster:
            for pool in POOLS:
                cluster.command({'prefix': 'osd pool create', 'pool': pool})
            for pool in POOLS:
                cluster.initialise_pool(pool)

    @contextlib.contextmanager
    def connected(self) -> Iterator['Connection']:
        """Connect as client.admin. Raises LabError."""
        known = _bindings('rados').Error, _bindings('rbd').Error
        try:
            with Connection(self.conf) as cluster:
                yield cluster
        except known as exc:
            raise errors.LabError(f'{self.name}: Ceph said: {exc}') from exc

    def _argv(self, kind: str) -> tuple[str, ...]:
        program = processes.find_program(f'ceph-{kind}', f'ceph-{kind}')
        command = (program, '--conf', str(self.directory / 'ceph.conf'))
        if self._network is None:
            return command
        return (*link_devices.enter(self._network), *command)

    def _run(self, program: str, *parts: tuple[str, ...]) -> None:
        package = 'ceph-common' if program == 'monmaptool' else program
        argv = (processes.find_program(program, package),)
        processes.run(
            argv + tuple(word for part in parts for word in part),
            what=f'{self.name}: {program}',
            log=self.state.log(f'{self.name}-setup'),
        )


@dataclasses.dataclass(slots=True)
class Connection:
    """A connection as client.admin that does not wait for ever."""

    conf: str
    _cluster: Any = None

    def __enter__(self) -> 'Connection':
        """Connect, with time limits that the conf for tests lacks."""
        self._cluster = _bindings('rados').Rados(
            conffile=self.conf, conf=rados_options.time_limits(_TIMEOUT_S)
        )
        self._cluster.connect()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connection back."""
        self._cluster.shutdown()

    def command(
        self, command: Mapping[str, object], data: bytes = b''
    ) -> bytes:
        """Run a command of the monitor."""
        code, answer, text = self._cluster.mon_command(
            json.dumps(dict(command)), data
        )
        if code != 0:
            raise errors.LabError(
                f'Ceph refused {command["prefix"]!r} with '
                f'{os.strerror(-code)}: {text}'
            )
        return bytes(answer)

    def initialise_pool(self, pool: str) -> None:
        """Make the pool one for RBD images."""
        with self._cluster.open_ioctx(pool) as pool_context:
            _bindings('rbd').RBD().pool_init(pool_context, True)


def _bindings(name: str) -> Any:
    """Import rados or rbd, which come with the distribution."""
    try:
        return __import__(name)
    except ImportError as exc:
        raise errors.LabError(
            f'the Python module {name} cannot be imported ({exc}): it comes '
            f'with the Debian package python3-{name}, and tools/setup.sh '
            'links it into .venv'
        ) from exc


def _new_key() -> str:
    """Make a cephx key: type AES, time of creation, length, 16 bytes."""
    header = struct.pack('<HIIH', 1, int(time.time()), 0, 16)
    return base64.b64encode(header + os.urandom(16)).decode()
