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
"""Glance: central's API service, and those of sites in a lab that has them.

What they have to know of stores is what `dcn-distributor bootstrap` renders.

Two flavours: the newest from PyPI under gunicorn, and Debian 12's own, the
eventlet server of the Zed release, with the system's Python.
"""

import configparser
import hashlib
from pathlib import Path
import subprocess
import threading

from lab import bus
from lab import errors
from lab import files
from lab import gunicorn
from lab import http
from lab import keystone as lab_keystone
from lab import ports
from lab import processes
from lab import service
from lab import sqlite
from lab import state as lab_state
from lab import topology

POLICY = lab_state.TOP / 'etc/dcn_distributor/glance-policy.yaml.sample'
TOPICS = ('notifications', 'dcn_distributor')
# Beside glance-api.conf, which wins, under a name that gunicorn's server
# looks for (glance: common/wsgi_app.py).
_STORES = 'glance-image-import.conf'
_SYSTEM_PYTHON = '/usr/bin/python3'
_DEBIAN_MANAGE = """
import sys
from glance.cmd import manage
sys.argv[0] = 'glance-manage'
sys.exit(manage.main())
"""
_DEBIAN_SERVER = """
import sys
sys.path.append({top!r})
import lab.sqlite_begin
from glance.cmd import api
sys.argv[0] = 'glance-api'
sys.exit(api.main())
"""


class Glance(service.Service):
    """The image service of one site; all have central's database.

    :param rendered: what bootstrap has rendered for its host, if that is not
        the lab's
    """

    stage = service.Stage.IMAGES

    def __init__(
        self,
        state: lab_state.State,
        cancelled: threading.Event,
        keystone: lab_keystone.Keystone,
        site: str = lab_state.CENTRAL,
        rendered: Path | None = None,
    ) -> None:
        super().__init__(topology.service_name(site), state, cancelled)
        self.port = state.port(self.name)
        self.keystone = keystone
        self.is_debian = state.glance == 'debian'
        self.rendered = rendered or topology.files_of(state, site)
        self.central = state.service_directory('glance')

    @property
    def url(self) -> str:
        """Give its endpoint."""
        return f'http://{ports.LOOPBACK}:{self.port}'

    @property
    def conf(self) -> Path:
        """Give the path of glance-api.conf."""
        return self.directory / 'glance-api.conf'

    def ports(self) -> dict[str, int]:
        """It has one."""
        return {'server': self.port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give the server of the flavour."""
        if self.is_debian:
            conf = [f'--config-file={path}' for path in self._conf_files()]
            code = _DEBIAN_SERVER.format(top=str(lab_state.TOP))
            server = self._debian(code, *conf)
            return (self.daemon('server', *server),)
        return (
            self.daemon(
                'server',
                gunicorn.program('gunicorn'),
                environment={'OS_GLANCE_CONFIG_DIR': str(self.directory)},
            ),
        )

    def configure(self) -> bool:
        """Write glance-api.conf and how gunicorn runs it."""
        for name in ('staging', 'tasks', 'cache', 'policy.d'):
            files.private_directory(self.directory / name)
        changed = self._take_rendered()
        text = files.ini(self._options())
        changed = files.write_private(self.conf, text) or changed
        text = gunicorn.conf(
            self.name,
            'glance.wsgi.api:application',
            self.port,
            workers=2,
            threads=32,
        )
        path = self.directory / 'gunicorn.conf.py'
        return files.write_private(path, text) or changed

    def initialise(self) -> None:
        """Make the tables, which are central's."""
        if self.directory != self.central:
            return
        words = ('--config-file', str(self.conf), 'db_sync')
        if self.is_debian:
            argv = self._debian(_DEBIAN_MANAGE, *words)
        else:
            argv = (gunicorn.program('glance-manage'), *words)
        processes.run(
            argv,
            what='glance-manage db_sync',
            log=self.state.log('glance-setup'),
        )
        sqlite.let_readers_through(self.directory / 'data' / 'glance.db')

    def problem(self) -> str | None:
        """Ask for its versions."""
        return http.version_problem(f'{self.url}/versions')

    # -- configuration ----------------------------------------------------

    def _take_rendered(self) -> bool:
        """Lay the rendered file beside ours; tell if anything changed.

        There is none before the clusters of a lab run for the first time. A
        conf or a key of a cluster that changes wants a new start, too.
        """
        paths = [p for p in self.rendered.rglob('*') if p.is_file()]
        digest = hashlib.sha256()
        for path in sorted(paths):
            digest.update(path.read_bytes())
        changed = files.write_private(
            self.directory / 'rendered.sha256', digest.hexdigest()
        )
        stores = self.rendered / 'glance-api.conf.d' / 'dcn-stores.conf'
        if stores.exists():
            files.write_private(self._stores, stores.read_text())
        return changed

    @property
    def _stores(self) -> Path:
        return self.directory / _STORES

    def _conf_files(self) -> tuple[Path, ...]:
        """Give the files that the server reads; later ones win."""
        both = self._stores, self.conf
        return both if self._stores.exists() else (self.conf,)

    def _options(self) -> dict[str, dict[str, object]]:
        in_place = self._in_place_of_swift()
        return {
            **in_place,
            'DEFAULT': {
                **self._default_options(),
                **in_place.get('DEFAULT', {}),
            },
            'database': sqlite.options(self.central / 'data/glance.db'),
            'keystone_authtoken': self._user_options(),
            'paste_deploy': {'config_file': self._paste_file()},
            'oslo_policy': {
                'policy_file': POLICY,
                'policy_dirs': self.directory / 'policy.d',
                'enforce_scope': 'true',
                'enforce_new_defaults': 'true',
            },
            'oslo_messaging_notifications': {
                'driver': 'messagingv2',
                'topics': ','.join(TOPICS),
                # The default, -1, holds an API thread for as long as the
                # broker is away.
                'retry': 1,
            },
            'oslo_messaging_rabbit': {
                **bus.options(self.state),
                # Also how long a send waits for a broker that hangs. With
                # the default of 60 s a frozen one held the creation of an
                # image for 101 s and its upload for 234 s; so 51 and 208 s.
                'heartbeat_timeout_threshold': 10,
            },
            'oslo_concurrency': {'lock_path': self.directory / 'locks'},
        }

    def _default_options(self) -> dict[str, object]:
        options: dict[str, object] = {
            'use_stderr': 'true',
            'transport_url': bus.transport_url(self.state),
        }
        if self.is_debian:
            options['bind_host'] = ports.LOOPBACK
            options['bind_port'] = self.port
            # This release calls librbd from green threads: an operation on
            # a store, and even more so one on a store that hangs, holds up
            # all other requests of its process.
            options['workers'] = 4
            options['enforce_secure_rbac'] = 'true'
        return options

    def _user_options(self) -> dict[str, object]:
        return {
            'auth_type': 'password',
            'auth_url': self.keystone.url,
            'www_authenticate_uri': self.keystone.url,
            'username': 'glance',
            'password': self.state.passwords['glance'],
            'project_name': 'service',
            'user_domain_name': lab_keystone.DOMAIN,
            'project_domain_name': lab_keystone.DOMAIN,
            'region_name': lab_keystone.REGION,
        }

    def _in_place_of_swift(self) -> dict[str, dict[str, object]]:
        """Have a directory that all share be what Swift is elsewhere."""
        parser = configparser.RawConfigParser()
        parser.read(self._stores)
        store, _, driver = parser.get(
            'DEFAULT', 'enabled_backends', fallback=''
        ).partition(':')
        if driver != 'swift':
            return {}
        directory = files.private_directory(
            self.state.service_directory('in-place-of-swift')
        )
        return {
            'DEFAULT': {'enabled_backends': f'{store}:file'},
            store: {'filesystem_store_datadir': directory},
        }

    # -- the flavours -----------------------------------------------------

    def _paste_file(self) -> Path:
        if self.is_debian:
            return self._debian_paste_file()
        return gunicorn.BIN.parent / 'etc/glance/glance-api-paste.ini'

    def _debian(self, code: str, *words: str) -> tuple[str, ...]:
        # -I: nothing of the directory it runs in shadows the system's.
        return (_SYSTEM_PYTHON, '-I', '-c', code, *words)

    def _debian_paste_file(self) -> Path:
        """Take it out of glance-common, which would install a service."""
        unpacked = self.central / 'glance-common'
        paste = unpacked / 'usr/share/glance-common/glance-api-paste.ini'
        if not paste.exists():
            files.private_directory(unpacked)
            log = self.state.log('glance-setup')
            _run_in(unpacked, log, 'apt-get', 'download', 'glance-common')
            package = next(unpacked.glob('glance-common_*.deb'))
            _run_in(unpacked, log, 'dpkg', '-x', str(package), str(unpacked))
        if not paste.exists():
            raise errors.LabError(
                f'the Debian package glance-common has no {paste.name} where '
                f'it was expected: {paste}'
            )
        return paste


def _run_in(directory: Path, log: Path, *argv: str) -> None:
    files.private_directory(log.parent)
    with log.open('ab') as stream:
        done = subprocess.run(
            argv, cwd=directory, stdout=stream, stderr=stream, check=False
        )
    if done.returncode != 0:
        raise errors.LabError(
            f'{" ".join(argv)} failed with exit code {done.returncode}\n'
            f'{errors.log_tail(log)}'
        )
