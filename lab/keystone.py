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
"""Keystone, and the users and roles a careful operator would make."""

import base64
import os
import threading
from typing import Any

from lab import files
from lab import gunicorn
from lab import http
from lab import ports
from lab import processes
from lab import service
from lab import sqlite
from lab import state as lab_state

REGION = 'RegionOne'
DOMAIN = 'Default'
# user -> (project, roles). The agent's only role is its own; what that may
# do says etc/dcn_distributor/glance-policy.yaml.sample.
USERS = {
    'glance': ('service', ('service',)),
    'demo': ('demo', ('member', 'reader')),
    'dcn-distributor': ('service', ('image_distributor',)),
}


class Keystone(service.Service):
    """The identity service."""

    def __init__(
        self, state: lab_state.State, cancelled: threading.Event
    ) -> None:
        super().__init__('keystone', state, cancelled)
        self.port = state.port('keystone')

    @property
    def url(self) -> str:
        """Give the URL that goes into auth_url."""
        return f'http://{ports.LOOPBACK}:{self.port}/v3'

    def ports(self) -> dict[str, int]:
        """It has one."""
        return {'server': self.port}

    def daemons(self) -> tuple[processes.Daemon, ...]:
        """Give gunicorn, which finds gunicorn.conf.py in its directory."""
        environment = {'OS_KEYSTONE_CONFIG_FILES': str(self._conf)}
        return (
            self.daemon(
                'server',
                gunicorn.program('gunicorn'),
                environment=environment,
            ),
        )

    def configure(self) -> bool:
        """Write keystone.conf and how gunicorn runs it."""
        data = self.directory / 'data'
        options: dict[str, dict[str, object]] = {
            'DEFAULT': {'use_stderr': 'true'},
            'database': sqlite.options(data / 'keystone.db'),
            'token': {'provider': 'fernet', 'expiration': 86400},
            'fernet_tokens': {'key_repository': data / 'fernet-keys'},
            'fernet_receipts': {'key_repository': data / 'fernet-keys'},
            'credential': {'key_repository': data / 'credential-keys'},
            # There is one worker, so its memory is right. Every request to
            # Glance has a token checked, by some ten queries otherwise.
            'cache': {'enabled': 'true', 'backend': 'dogpile.cache.memory'},
            # The cost of a real password hash is 0.3 s of CPU for each
            # token, and these passwords have 128 random bits.
            'identity': {
                'password_hash_rounds': 4,
                'max_password_length': 72,
            },
        }
        changed = files.write_private(self._conf, files.ini(options))
        text = gunicorn.conf(
            self.name,
            'keystone.wsgi.api:application',
            self.port,
            workers=1,
            threads=16,
        )
        path = self.directory / 'gunicorn.conf.py'
        return files.write_private(path, text) or changed

    def initialise(self) -> None:
        """Make the keys, the tables and the first administrator."""
        data = self.directory / 'data'
        for repository in ('fernet-keys', 'credential-keys'):
            for number in ('0', '1'):
                files.write_private(data / repository / number, _new_key())
        self._manage('db_sync')
        sqlite.let_readers_through(data / 'keystone.db')
        # By its environment: an argument could be read by anyone.
        self._manage(
            'bootstrap',
            OS_BOOTSTRAP_USERNAME='admin',
            OS_BOOTSTRAP_PASSWORD=self.state.passwords['admin'],
            OS_BOOTSTRAP_PROJECT_NAME='admin',
            OS_BOOTSTRAP_ROLE_NAME='admin',
            OS_BOOTSTRAP_SERVICE_NAME='keystone',
            OS_BOOTSTRAP_REGION_ID=REGION,
            OS_BOOTSTRAP_PUBLIC_URL=self.url,
            OS_BOOTSTRAP_INTERNAL_URL=self.url,
        )

    def launch(self) -> None:
        """Start it and make, once, what others need in it."""
        super().launch()
        done = self.directory / 'data' / 'users-made'
        if not done.exists():
            _Setup(self).make_everything()
            done.touch()

    def problem(self) -> str | None:
        """Ask for its versions."""
        return http.version_problem(self.url)

    @property
    def _conf(self) -> Any:
        return self.directory / 'keystone.conf'

    def _manage(self, command: str, **environment: str) -> None:
        processes.run(
            (
                gunicorn.program('keystone-manage'),
                '--config-file',
                str(self._conf),
                command,
            ),
            what=f'keystone-manage {command}',
            log=self.state.log('keystone-setup'),
            environment=environment,
        )


class _Setup:
    """Makes projects, users, roles and endpoints; again does no harm."""

    def __init__(self, keystone: Keystone) -> None:
        self.url = keystone.url
        self.state = keystone.state
        self.token = get_token(
            self.url, 'admin', 'admin', self.state.passwords['admin']
        )

    def make_everything(self) -> None:
        roles = {
            role: self.make('role', role)
            for role in sorted({r for _, rs in USERS.values() for r in rs})
        }
        for user, (project, wanted) in USERS.items():
            project_id = self.make('project', project, domain_id='default')
            user_id = self.make(
                'user',
                user,
                domain_id='default',
                password=self.state.passwords[user],
            )
            for role in wanted:
                path = f'projects/{project_id}/users/{user_id}/roles'
                self.call('PUT', f'{path}/{roles[role]}')
        self.make_endpoint()

    def make_endpoint(self) -> None:
        service_id = self.make('service', 'glance', type='image')
        known = self.call('GET', f'endpoints?service_id={service_id}')
        there = {one['interface'] for one in known['endpoints']}
        port = self.state.port('glance')
        for interface in sorted({'public', 'internal'} - there):
            values = {
                'service_id': service_id,
                'region_id': REGION,
                'interface': interface,
                'url': f'http://{ports.LOOPBACK}:{port}',
            }
            self.call('POST', 'endpoints', {'endpoint': values})

    def make(self, kind: str, name: str, **values: str) -> str:
        """Find or create; give the id."""
        known = self.call('GET', f'{kind}s?name={name}')[f'{kind}s']
        if known:
            return str(known[0]['id'])
        body = {kind: {'name': name, **values}}
        return str(self.call('POST', f'{kind}s', body)[kind]['id'])

    def call(
        self, method: str, path: str, body: object = None
    ) -> dict[str, Any]:
        url = f'{self.url}/{path}'
        return http.checked(method, url, self.token, body).json()


def get_token(url: str, user: str, project: str, password: str) -> str:
    """Log in at Keystone."""
    domain = {'name': DOMAIN}
    person = {'name': user, 'domain': domain, 'password': password}
    body = {
        'auth': {
            'identity': {
                'methods': ['password'],
                'password': {'user': person},
            },
            'scope': {'project': {'name': project, 'domain': domain}},
        }
    }
    answer = http.checked('POST', f'{url}/auth/tokens', '', body)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return headers['x-subject-token']


def _new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()
