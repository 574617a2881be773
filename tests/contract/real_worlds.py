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
"""The real world that the contracts are checked in: a lab."""

from collections.abc import Iterator
import contextlib
import io
import os
import sqlite3
import subprocess
import threading
import time
import uuid

from glanceclient.v2 import client as glance_client
from oslo_config import cfg

from dcn_distributor.clients import glance
from dcn_distributor.core import images as core_images
from dcn_distributor.core import ports
from lab import deployment
from tests.contract import hosts
from tests.contract import worlds
from tests.fakes import glance as fake_glance

DEADLINE_S = 120.0
POLL_S = 0.03


class RealWorld:
    """A lab's Glance, and the client as the agent has it: worlds.World."""

    def __init__(self, lab: deployment.Lab) -> None:
        self._lab = lab
        self._conf = self._configured()
        self._connected: list[glance.GlanceImages] = []
        self._made: list[core_images.ImageId] = []
        self._locked: set[str] = set()
        self._strays: set[tuple[core_images.ImageId, core_images.StoreId]] = (
            set()
        )
        self._hosts: list[tuple[fake_glance.Settings, hosts.ApiHost]] = []
        self._admin = glance_client.Client(
            session=lab.credentials('admin').session()
        )
        self.images: ports.Images = self.connect()
        self.stores = tuple(map(core_images.StoreId, lab.sites))
        self._fsids = {site: self._fsid(site) for site in lab.sites}

    def clean(self) -> None:
        """Remove all that was made here."""
        for image_id in [*self._made]:
            if image_id not in self._locked:
                for _ in self.watch(image_id):
                    pass
            self.delete(image_id)
        self._locked.clear()
        for image_id, store in self._strays:
            if self.holds(image_id, store):
                self._remove(image_id, store)
        self._strays.clear()

    def close(self) -> None:
        """Close the connections, and end the API hosts that were started."""
        for _, host in self._hosts:
            host.remove()
        for one in self._connected:
            one.close()
        self._admin.http_client.session.session.close()

    def connect(self, **options: object) -> glance.GlanceImages:
        """Return a client of the agent's user, with other options."""
        for name, value in options.items():
            self._conf.set_override(name, value, group='glance')
        connected = glance.connect(self._conf)
        for name in options:
            self._conf.clear_override(name, group='glance')
        self._connected.append(connected)
        return connected

    def _configured(self) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        glance.register_opts(conf)
        conf.register_opts(dict(glance.list_opts())['glance'], group='glance')
        conf(['--config-file', str(self._lab.agent_conf)])
        conf.set_override('page_size', worlds.PAGE_SIZE, group='glance')
        return conf

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
        content: bytes | None = None,
    ) -> core_images.ImageId:
        """See World; the data are random if not given."""
        raw = self._admin.images.create(
            name=f'contract {uuid.uuid4()}',
            owner=uuid.uuid4().hex,
            disk_format='raw',
            container_format='bare',
            visibility=visibility,
            os_hidden=hidden,
        )
        image_id = core_images.ImageId(raw.id)
        self._made.append(image_id)
        if data:
            content = content or os.urandom(size_mib * worlds.MIB)
            self._admin.images.upload(image_id, io.BytesIO(content))
        return image_id

    def delete(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._admin.images.delete(image_id)
        self._made.remove(image_id)

    def deactivate(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._admin.images.deactivate(image_id)

    def delete_from_store(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._admin.images.delete_from_store(store, image_id)

    def watch(
        self, image_id: core_images.ImageId
    ) -> Iterator[core_images.Image]:
        """See World."""
        deadline = time.monotonic() + DEADLINE_S
        pause = threading.Event()
        while True:
            image = self.images.get(image_id)
            yield image
            if image.import_task is None:
                return
            assert time.monotonic() < deadline, 'the import does not end'
            pause.wait(POLL_S)

    def location(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """See World."""
        url = f'rbd://{self._fsids[store]}/images/{image_id}/snap'
        return core_images.Location(url, store)

    def put_copy(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> core_images.Location:
        """See World; it holds nothing but zeros."""
        self.leave_orphan(image_id, store)
        self._rbd(store, 'snap', 'create', f'images/{image_id}@snap')
        self._rbd(store, 'snap', 'protect', f'images/{image_id}@snap')
        return self.location(image_id, store)

    def holds(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> bool:
        """See World."""
        return image_id in self._rbd(store, 'ls', 'images').split()

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._strays.add((image_id, store))
        self._rbd(store, 'create', '--size', '1M', f'images/{image_id}')

    def await_write(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World; what is written may stay behind."""
        self._strays.add((image_id, store))
        for _ in self.watch(image_id):
            if self.holds(image_id, store):
                return

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._remove(image_id, store)
        self._strays.remove((image_id, store))

    def lose_data(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._remove(image_id, store)

    def _remove(self, image_id: str, store: str) -> None:
        name = f'images/{image_id}'
        if self._rbd(store, 'snap', 'ls', name):
            self._rbd(store, 'snap', 'unprotect', f'{name}@snap')
            self._rbd(store, 'snap', 'rm', f'{name}@snap')
        self._rbd(store, 'rm', name)

    def _rbd(self, store: str, *words: str) -> str:
        return self._ceph('rbd', store, *words)

    def _fsid(self, store: str) -> str:
        return self._ceph('ceph', store, 'fsid').strip()

    def _ceph(self, program: str, store: str, *words: str) -> str:
        argv = [program, '-c', self._lab.ceph_conf(store), *words]
        ran = subprocess.run(argv, check=True, capture_output=True, text=True)
        return ran.stdout

    def lock(
        self, image_id: core_images.ImageId, status: str, idle_s: float
    ) -> None:
        """See World."""
        task = self.images.last_import_task(image_id)
        assert task is not None
        with self._database() as database:
            database.execute(
                'UPDATE tasks SET status = ?, updated_at = '
                "strftime('%Y-%m-%d %H:%M:%f000', 'now', ?) WHERE id = ?",
                (status, f'-{idle_s} seconds', task.id),
            )
            self._insert_lock(database, image_id, task.id)

    def lock_without_task(self, image_id: core_images.ImageId) -> None:
        """See World."""
        with self._database() as database:
            self._insert_lock(database, image_id, str(uuid.uuid4()))

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Change Glance's database: no call of its API makes a dead lock."""
        path = self._lab.directory / 'glance' / 'data' / 'glance.db'
        connection = sqlite3.connect(path, timeout=DEADLINE_S)
        with contextlib.closing(connection), connection:
            yield connection

    def _insert_lock(
        self, database: sqlite3.Connection, image_id: str, task_id: str
    ) -> None:
        self._locked.add(image_id)
        # A lock that is dropped leaves its row, marked as deleted.
        database.execute(
            'DELETE FROM image_properties WHERE image_id = ? '
            "AND name = 'os_glance_import_task'",
            (image_id,),
        )
        database.execute(
            'INSERT INTO image_properties '
            '(image_id, name, value, created_at, updated_at, deleted) '
            "VALUES (?, 'os_glance_import_task', ?, datetime('now'), "
            "datetime('now'), 0)",
            (image_id, task_id),
        )

    def now(self) -> float:
        """See World."""
        return time.time()

    def unreachable(self) -> ports.Images:
        """See World; nothing listens on port 1."""
        return self.connect(endpoint_override='http://127.0.0.1:1')

    def rejected(self) -> ports.Images:
        """See World."""
        return self.connect(password='wrong')

    def without_role(self) -> ports.Images:
        """Return the images as a user without the agent's role sees them."""
        demo = self._lab.credentials('demo')
        return self.connect(
            username=demo.username,
            password=demo.password,
            project_name=demo.project_name,
        )

    def host(self, settings: fake_glance.Settings) -> ports.Images:
        """See World; each is started once."""
        for known, host in self._hosts:
            if known == settings:
                return self.connect(endpoint_override=host.url)
        host = hosts.ApiHost(self._lab, len(self._hosts), settings)
        self._hosts.append((settings, host))
        host.start()
        return self.connect(endpoint_override=host.url)
