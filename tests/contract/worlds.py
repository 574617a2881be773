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
"""The worlds the contracts are checked in: a fake one and a real one.

A world makes and removes images as their owners do, and lets time pass. The
port under test is `images`; central is the first of `stores`.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import io
import os
import sqlite3
import subprocess
import threading
import time
from typing import Protocol
import uuid

from glanceclient.v2 import client as glance_client
from oslo_config import cfg

from dcn_distributor import exceptions
from dcn_distributor.clients import glance
from dcn_distributor.core import images as core_images
from dcn_distributor.core import ports
from lab import deployment
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance

PAGE_SIZE = 3
DEADLINE_S = 120.0
POLL_S = 0.03
MIB = 2**20


class World(Protocol):
    """A cloud with three stores, and what happens in it."""

    images: ports.Images
    stores: tuple[core_images.StoreId, ...]

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
    ) -> core_images.ImageId:
        """Make an image of a project that is not the agent's."""
        ...

    def delete(self, image_id: core_images.ImageId) -> None:
        """Delete an image."""
        ...

    def watch(
        self, image_id: core_images.ImageId
    ) -> Iterator[core_images.Image]:
        """Read an image again and again until its import has ended."""
        ...

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Put data of the image into the store behind Glance's back."""
        ...

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """Remove it."""
        ...

    def lock(
        self, image_id: core_images.ImageId, status: str, idle_s: float
    ) -> None:
        """Have the image's last task hold the lock, as a dead API leaves it.

        The task has that status and was saved so long ago.
        """
        ...

    def lock_without_task(self, image_id: core_images.ImageId) -> None:
        """Have a task hold the lock that Glance has forgotten."""
        ...

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def unreachable(self) -> ports.Images:
        """Return the images of a Glance that does not answer."""
        ...

    def rejected(self) -> ports.Images:
        """Return the images as a user with a wrong password sees them."""
        ...


class FakeWorld:
    """See World; made of tests.fakes."""

    def __init__(self) -> None:
        self._clock = fake_clock.Clock()
        self._glance = self._make()
        self.images: ports.Images = self._glance
        self.stores = tuple(map(core_images.StoreId, _STORES))

    def _make(self) -> fake_glance.FakeGlance:
        return fake_glance.FakeGlance(_STORES, self._clock, PAGE_SIZE)

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
    ) -> core_images.ImageId:
        """See World."""
        image = self._glance.add(
            visibility=visibility,
            is_hidden=hidden,
            size_bytes=size_mib * MIB if data else None,
            status='active' if data else 'queued',
            stores=frozenset(self.stores[:1] if data else ()),
        )
        return image.id

    def delete(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._glance.delete(image_id)

    def watch(
        self, image_id: core_images.ImageId
    ) -> Iterator[core_images.Image]:
        """See World."""
        yield self.images.get(image_id)
        while self._glance.step(image_id):
            yield self.images.get(image_id)

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.leave_orphan(image_id, store)

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._glance.remove_orphans()

    def lock(
        self, image_id: core_images.ImageId, status: str, idle_s: float
    ) -> None:
        """See World."""
        last = self._glance.imports[-1]
        assert last.image_id == image_id
        last.task = dataclasses.replace(
            last.task, status=status, updated_at_s=self.now() - idle_s
        )
        self._glance.change(image_id, import_task=last.task.id)

    def lock_without_task(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._glance.change(image_id, import_task='forgotten')

    def now(self) -> float:
        """See World."""
        return self._clock()

    def unreachable(self) -> ports.Images:
        """See World."""
        other = self._make()
        other.go_down()
        return other

    def rejected(self) -> ports.Images:
        """See World."""
        other = self._make()
        other.go_down(error=exceptions.AccessDenied('no'))
        return other


_STORES = ('central', 'dcn0', 'dcn1')


class RealWorld:
    """See World; a lab's Glance, and the client as the agent has it."""

    def __init__(self, lab: deployment.Lab) -> None:
        self._lab = lab
        self._conf = self._configured()
        self._connected: list[glance.GlanceImages] = []
        self._made: list[core_images.ImageId] = []
        self._locked: set[str] = set()
        self._orphans: list[
            tuple[core_images.ImageId, core_images.StoreId]
        ] = []
        self._admin = glance_client.Client(
            session=lab.credentials('admin').session()
        )
        self.images: ports.Images = self.connect()
        self.stores = tuple(map(core_images.StoreId, lab.sites))

    def clean(self) -> None:
        """Remove all that was made here."""
        for image_id, store in [*self._orphans]:
            self.remove_orphan(image_id, store)
        for image_id in [*self._made]:
            if image_id not in self._locked:
                for _ in self.watch(image_id):
                    pass
            self.delete(image_id)
        self._locked.clear()

    def close(self) -> None:
        """Close the connections."""
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
        conf.set_override('page_size', PAGE_SIZE, group='glance')
        return conf

    def create(
        self,
        *,
        visibility: str = 'public',
        hidden: bool = False,
        size_mib: int = 1,
        data: bool = True,
    ) -> core_images.ImageId:
        """See World; the data are random."""
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
            content = io.BytesIO(os.urandom(size_mib * MIB))
            self._admin.images.upload(image_id, content)
        return image_id

    def delete(self, image_id: core_images.ImageId) -> None:
        """See World."""
        self._admin.images.delete(image_id)
        self._made.remove(image_id)

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

    def leave_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._rbd(store, 'create', '--size', '1M', f'images/{image_id}')
        self._orphans.append((image_id, store))

    def remove_orphan(
        self, image_id: core_images.ImageId, store: core_images.StoreId
    ) -> None:
        """See World."""
        self._rbd(store, 'rm', '--no-progress', f'images/{image_id}')
        self._orphans.remove((image_id, store))

    def _rbd(self, store: str, *words: str) -> None:
        conf = self._lab.ceph_conf(store)
        subprocess.run(['rbd', '-c', conf, *words], check=True)

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
