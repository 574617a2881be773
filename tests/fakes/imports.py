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
"""Imports by copy-image, as Glance 25 to 33 run them.

See async_/flows/api_image_import.py of Glance. An import goes on only when
the test says so: it takes its lock when it is accepted and then waits for
`step` or `finish`. One step is what Glance does between two of its saves:

1. start: the task is processing, its stores join importing_to (which Glance
   sorts, and which keeps what an earlier import left there) and leave
   failed_import;
2. staging, which nothing shows;
3. one store, in the order of the request: copied, or failed. Failures do
   not end the import, since `copy_to_stores` allows them;
4. end: the task is a success, whatever became of the stores, and the lock
   is dropped. But if the image is not active by then, the task has failed,
   and all that it copied is removed again.

The saves of 2 and 3 are of the image as it was when the step began, which
is when the one before it ended: what changed in between is undone.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import itertools
import threading
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.core import images
from tests.fakes import image_table
from tests.fakes import stores as fake_stores

_STALE_S = 3600.0
_STALE_PENDING_S = 7200.0
_MIB = 2**20
# All that Glance says, be it a full disk or a copy that is gone.
_FAILED = 'Task failed due to Internal Error'


@dataclasses.dataclass
class Import:
    """An import that was accepted.

    `left` are the stores still to be written, `loaded` is the image as it
    will be saved. `is_ours` tells what came through `copy_to_stores` from an
    import that the test had another begin.
    """

    image_id: images.ImageId
    task: images.ImportTask
    left: list[images.StoreId]
    is_ours: bool
    loaded: images.Image
    is_staged: bool = False
    is_crashed: bool = False

    @property
    def stores(self) -> tuple[images.StoreId, ...]:
        """The stores that were asked for, in their order."""
        return self.task.stores

    @property
    def being_written(self) -> images.StoreId | None:
        """The store whose turn it is."""
        return self.left[0] if self.is_staged and self.left else None


class Imports:
    """The imports of a cloud, and the hand on their levers.

    :param details: the stores of the cloud
    :param data: what they hold
    :param clock: gives seconds since the epoch
    """

    def __init__(
        self,
        details: Mapping[images.StoreId, images.StoreDetails],
        data: fake_stores.Stores,
        clock: Callable[[], float],
    ) -> None:
        self.data = data
        self._clock = clock
        self._table = image_table.ImageTable(details)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._accepted: list[Import] = []
        self._lost_tasks: set[str] = set()
        self._strays: set[tuple[images.ImageId, images.StoreId]] = set()
        self._failing: set[str] = set()
        self._losing: set[str] = set()
        self._hanging: set[str] = set()
        self._staging_fails = False

    @property
    def imports(self) -> tuple[Import, ...]:
        """What `copy_to_stores` was granted, oldest first."""
        with self._lock:
            return tuple(one for one in self._accepted if one.is_ours)

    @property
    def running(self) -> tuple[Import, ...]:
        """The imports that hold a lock now, crashed ones among them."""
        with self._lock:
            held = {image.import_task for image in self._table}
            return tuple(one for one in self._accepted if one.task.id in held)

    def import_by_another(
        self, image_id: images.ImageId, stores: Iterable[str]
    ) -> Import:
        """Have somebody else import the image, and so hold its lock."""
        wanted = tuple(images.StoreId(store) for store in stores)
        with self._lock:
            return self._accept(image_id, wanted, ours=False)

    def step(self, image_id: images.ImageId) -> bool:
        """Let the image's import do one more step.

        False if there is none, or it cannot: it hangs, or has crashed.
        """
        with self._lock:
            if image_id not in self._table:
                return False
            running = self._holder(self._table.load(image_id))
            if running is None or self._is_stopped(running):
                return False
            self._do_step(running)
            running.loaded = self._table.load(image_id)
            return True

    def finish(self, image_id: images.ImageId) -> bool:
        """Step to the end; False if the import hangs before it."""
        while self.step(image_id):
            pass
        with self._lock:
            return (
                image_id not in self._table
                or self._table.load(image_id).import_task is None
            )

    def finish_all(self) -> bool:
        """Let all imports come to their end; False if one hangs."""
        ended = [self.finish(one.image_id) for one in self.running]
        return all(ended)

    def copy_some(self, image_id: images.ImageId, mib: int) -> None:
        """Show progress in the task.

        Glance does so once a minute and after the last byte of each store;
        the figure of one store stands until the next one's first.
        """
        with self._lock:
            running = self._holder(self._table.load(image_id))
            assert running is not None, 'no import is running'
            self._update(
                running,
                message=f'Copied {mib} MiB',
                copied_bytes=mib * _MIB,
            )

    # -- trouble

    def fail(self, *stores: str) -> None:
        """Have writes to these stores fail, until `heal`."""
        self._failing.update(stores)

    def lose(self, *stores: str) -> None:
        """Have copies into these stores vanish without a word."""
        self._losing.update(stores)

    def hang(self, *stores: str) -> None:
        """Have writes to these stores never end, until `heal`."""
        self._hanging.update(stores)

    def heal(self) -> None:
        """Make all stores, and staging, work again."""
        for trouble in (self._failing, self._losing, self._hanging):
            trouble.clear()
        self._staging_fails = False

    def fail_staging(self) -> None:
        """Have imports fail while staging, until `heal`.

        The task fails and the lock is dropped, but importing_to stays as it
        was and failed_import stays empty (glance: _CopyImage.revert).
        """
        self._staging_fails = True

    def crash(self) -> None:
        """Kill the API: no running import goes on, and all keep the lock.

        A store that was being written keeps an RBD image of the same name,
        on which later imports fail, until `remove_orphans`.
        """
        with self._lock:
            for one in self.running:
                one.is_crashed = True
                if one.being_written is not None:
                    self.leave_orphan(one.image_id, one.being_written)

    def leave_orphan(self, image_id: images.ImageId, store: str) -> None:
        """Leave a torn image in a store that Glance knows nothing of."""
        with self._lock:
            location = self._stray(image_id, images.StoreId(store))
            self.data.tear(location.url)

    def remove_orphans(self) -> None:
        """Remove what was left in the stores and no location leads to."""
        with self._lock:
            known = {
                location.url
                for image in self._table
                for location in image.locations or ()
            }
            for image_id, store in self._strays:
                url = self._table.location(image_id, store).url
                if url not in known:
                    self.data.remove(url)
            self._strays.clear()

    def lose_task(self, image_id: images.ImageId) -> None:
        """Forget the task that holds the image's lock."""
        with self._lock:
            task_id = self._table.load(image_id).import_task
            assert task_id is not None, 'no import is running'
            self._lost_tasks.add(task_id)

    # -- inside

    def _stray(
        self, image_id: images.ImageId, store: images.StoreId
    ) -> images.Location:
        """Note that there may be data that no location leads to."""
        self._strays.add((image_id, store))
        return self._table.location(image_id, store)

    def _holder(self, image: images.Image) -> Import | None:
        """Return the import that holds the lock, if its task is known."""
        for one in self._accepted:
            if one.task.id == image.import_task:
                return None if one.task.id in self._lost_tasks else one
        return None

    def _update(self, one: Import, **changes: Any) -> None:
        """Save a task."""
        one.task = dataclasses.replace(
            one.task, updated_at_s=self._clock(), **changes
        )

    def _accept(
        self,
        image_id: images.ImageId,
        stores: tuple[images.StoreId, ...],
        ours: bool,
    ) -> Import:
        """Refuse or begin an import (glance: api/v2/images.py)."""
        if not stores:
            raise ValueError('no store to copy to')
        image = self._table.load(image_id)
        if not image.is_active:
            raise exceptions.NotCopyable(f'{image_id} is not active')
        if not (image.disk_format and image.container_format):
            raise exceptions.NotCopyable(f'{image_id} lacks a format')
        if image.import_task is not None:
            image = self._bust_lock(image)
        for store in stores:
            if store not in self._table.details:
                raise exceptions.StoreUnknown(f'no store {store!r}')
        for store in stores:
            if store in image.stores:
                raise exceptions.AlreadyPresent(f'{image_id} is in {store}')
        return self._begin(image, stores, ours)

    def _bust_lock(self, image: images.Image) -> images.Image:
        """Break a lock that is stale (glance: _enforce_import_lock).

        Without its task it is stale at once, and nobody cleans the lists.
        """
        old = self._holder(image)
        if old is None:
            return self._table.change(image.id, import_task=None)
        pending = old.task.status == 'pending'
        stale_s = _STALE_PENDING_S if pending else _STALE_S
        if self._clock() - old.task.updated_at_s < stale_s:
            raise exceptions.ImportInProgress(f'{image.id} has an import')
        old.is_crashed = True
        self._update(old, status='failure', message='Expired lock preempted')
        return self._table.change(
            image.id,
            import_task=None,
            importing_to=_without(image.importing_to, old.stores),
            failed_import=image.failed_import - set(old.stores),
        )

    def _begin(
        self,
        image: images.Image,
        stores: tuple[images.StoreId, ...],
        ours: bool,
    ) -> Import:
        now = self._clock()
        task = images.ImportTask(
            id=f'task-{next(self._numbers)}',
            status='pending',
            stores=stores,
            message='',
            copied_bytes=None,
            created_at_s=now,
            updated_at_s=now,
        )
        locked = self._table.change(image.id, import_task=task.id)
        begun = Import(image.id, task, [*stores], ours, locked)
        self._accepted.append(begun)
        return begun

    def _is_stopped(self, one: Import) -> bool:
        return one.is_crashed or one.being_written in self._hanging

    def _do_step(self, one: Import) -> None:
        if one.task.status == 'pending':
            self._start(one)
        elif not one.is_staged:
            self._stage(one)
        elif one.left:
            self._write(one, one.left.pop(0))
        elif not self._table.load(one.image_id).is_active:
            self._revert(one, one.stores)
        else:
            self._end(one, 'success')

    def _end(self, one: Import, status: str, **changes: Any) -> None:
        self._update(one, status=status, **changes)
        self._table.change(one.image_id, import_task=None)

    def _start(self, one: Import) -> None:
        image = self._table.load(one.image_id)
        self._update(one, status='processing')
        self._table.change(
            one.image_id,
            importing_to=tuple(sorted({*image.importing_to, *one.stores})),
            failed_import=image.failed_import - set(one.stores),
        )

    def _save(self, one: Import, image: images.Image) -> None:
        self._table.save(image, from_status=one.loaded.status)

    def _source(self, one: Import) -> str | None:
        """Return the URL of a copy that can be read."""
        urls = [location.url for location in one.loaded.locations or ()]
        found = [url for url in urls if self.data.size_bytes(url) is not None]
        return found[0] if found else None

    def _stage(self, one: Import) -> None:
        if self._staging_fails or self._source(one) is None:
            self._end(one, 'failure', message=_FAILED)
            return
        try:
            self._save(one, one.loaded)
        except image_table.StatusChanged:
            self._end(one, 'failure', message=_FAILED)
        else:
            one.is_staged = True

    def _write(self, one: Import, store: images.StoreId) -> None:
        image = one.loaded
        target = self._table.location(image.id, store)
        changes: dict[str, Any] = {
            'importing_to': _without(image.importing_to, (store,))
        }
        source = self._source(one)
        if (
            store in self._failing
            or source is None
            or self.data.is_taken(target.url)
        ):
            changes['failed_import'] = image.failed_import | {store}
        else:
            self.copy_some(image.id, (image.size_bytes or 0) // _MIB)
            if store not in self._losing:
                self.data.copy(source, target.url)
                changes['locations'] = (*(image.locations or ()), target)
        try:
            self._save(one, self._table.changed(image, **changes))
        except image_table.StatusChanged:
            self._stray(one.image_id, store)
            done = one.stores[: one.stores.index(store) + 1]
            self._revert(one, done, failed=store)

    def _revert(
        self,
        one: Import,
        done: tuple[images.StoreId, ...],
        failed: images.StoreId | None = None,
    ) -> None:
        """Undo an import that has come through these stores.

        Copies that were saved go, failures allowed or not; one that was
        made and not saved stays behind (glance: _ImportToStore.revert and
        _VerifyImageState; seen on 25.1.0 and 33.0.0, where an image was
        deactivated meanwhile).
        """
        image = self._table.load(one.image_id)
        for location in image.locations or ():
            if location.store in done:
                self.data.remove(location.url)
        self._table.change(
            one.image_id,
            locations=tuple(
                location
                for location in image.locations or ()
                if location.store not in done
            ),
            importing_to=_without(image.importing_to, done),
            failed_import=image.failed_import | ({failed} - {None}),
        )
        self._end(one, 'failure', message=_FAILED)


def _without(
    stores: Iterable[images.StoreId], gone: Iterable[images.StoreId]
) -> tuple[images.StoreId, ...]:
    """Return the stores that are not gone, in order."""
    return tuple(store for store in stores if store not in set(gone))
