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
"""A Glance in memory, for tests: `core.ports.Images` and its far side.

Imports run by copy-image as Glance 25 to 33 run them (async_/flows/
api_image_import.py), but only when the test says so: an import takes its
lock when it is accepted and then waits for `step` or `finish`. One step is
what Glance does between two of its saves:

1. start: the task is processing, its stores join importing_to (which Glance
   sorts, and which keeps what an earlier import left there) and leave
   failed_import;
2. staging, which nothing shows;
3. one store, in the order of the request: copied, or failed. Failures do
   not end the import, since `copy_to_stores` allows them;
4. end: the task is a success, whatever became of the stores, and the lock
   is dropped.

No threads, no sleeping, no chance: ids count up, time is the test's clock.
What `copy_to_stores` refuses and how, the contract suite checks against a
real Glance; what goes wrong on the way (`fail`, `lose`, `hang`, `crash`...)
is read from its source.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import itertools
import threading
from typing import Any
import uuid

from dcn_distributor import exceptions
from dcn_distributor.core import images
from tests.fakes import images as fake_images

CENTRAL = images.StoreId('central')
_STALE_S = 3600.0
_STALE_PENDING_S = 7200.0
_MIB = 2**20


@dataclasses.dataclass
class Import:
    """An import that was accepted.

    `left` are the stores still to be written. `is_ours` tells what came
    through `copy_to_stores` from an import that the test had another begin.
    """

    image_id: images.ImageId
    task: images.ImportTask
    left: list[images.StoreId]
    is_ours: bool
    is_staged: bool = False
    is_crashed: bool = False

    @property
    def stores(self) -> tuple[images.StoreId, ...]:
        """The stores that were asked for, in their order."""
        return self.task.stores


class FakeGlance:
    """The images of a cloud and the hand on its levers.

    :param stores: all stores of the cloud, the first being central's.
    :param clock: gives seconds since the epoch.
    :param page_size: as many images `list` reads at once.
    """

    def __init__(
        self,
        stores: Iterable[str],
        clock: Callable[[], float],
        page_size: int = 200,
    ) -> None:
        self._stores = tuple(dict.fromkeys(map(images.StoreId, stores)))
        self._clock = clock
        self._page_size = page_size
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._images: dict[images.ImageId, images.Image] = {}
        self._order: list[images.ImageId] = []
        self._accepted: list[Import] = []
        self._lost_tasks: set[str] = set()
        self._orphans: set[tuple[images.ImageId, images.StoreId]] = set()
        self._failing: set[str] = set()
        self._losing: set[str] = set()
        self._hanging: set[str] = set()
        self._staging_fails = False
        self._trouble: exceptions.DistributorError | None = None
        self._troubled_calls: int | None = None
        self._refusals: list[exceptions.DistributorError] = []
        self._broken: dict[images.ImageId, exceptions.DistributorError] = {}

    # -- core.ports.Images

    def get(self, image_id: images.ImageId) -> images.Image:
        """See core.ports.Images."""
        with self._answering():
            if image_id in self._broken:
                raise self._broken[image_id]
            return self._find(image_id)

    def list(self) -> Iterator[images.Image]:
        """See core.ports.Images; the hidden ones come last."""
        for hidden in (False, True):
            place = 0
            while True:
                with self._answering():
                    page = self._page(place, hidden)
                yield from (image for _, image in page)
                if len(page) < self._page_size:
                    break
                place = page[-1][0] + 1

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._answering():
            found = self._holder(image)
            return None if found is None else found.task

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """See core.ports.Images."""
        with self._answering():
            if image_id not in self._images:
                return None
            tasks = [
                accepted.task
                for accepted in self._accepted
                if accepted.image_id == image_id
                and accepted.task.id not in self._lost_tasks
            ]
            return tasks[-1] if tasks else None

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """See core.ports.Images."""
        with self._answering():
            if self._refusals:
                raise self._refusals.pop()
            self._accept(image_id, tuple(dict.fromkeys(stores)), ours=True)

    def stores(self) -> frozenset[images.StoreId]:
        """See core.ports.Images."""
        with self._answering():
            return frozenset(self._stores)

    # -- images

    def add(self, name: str = 'image', **attributes: Any) -> images.Image:
        """Add an image: active, public, raw, 1 GiB, in the first store.

        `attributes` are those of core.images.Image, and win.
        """
        with self._lock:
            number = next(self._numbers)
            image = fake_images.image(
                **{
                    'id': images.ImageId(str(uuid.UUID(int=number))),
                    'name': name,
                    'stores': frozenset(self._stores[:1]),
                    **attributes,
                }
            )
            self._images[image.id] = image
            self._order.append(image.id)
            return image

    def change(
        self, image_id: images.ImageId, **attributes: Any
    ) -> images.Image:
        """Change attributes of an image, as its owner or Glance would."""
        with self._lock:
            return self._save(image_id, **attributes)

    def delete(self, image_id: images.ImageId) -> None:
        """Delete an image. Glance does not look at the lock."""
        with self._lock:
            del self._images[image_id]

    # -- imports

    @property
    def imports(self) -> tuple[Import, ...]:
        """What `copy_to_stores` was granted, oldest first."""
        with self._lock:
            return tuple(one for one in self._accepted if one.is_ours)

    @property
    def running(self) -> tuple[Import, ...]:
        """The imports that hold a lock now, crashed ones among them."""
        with self._lock:
            held = {image.import_task for image in self._images.values()}
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
            image = self._images.get(image_id)
            running = None if image is None else self._holder(image)
            if running is None or self._is_stopped(running):
                return False
            self._do_step(running)
            return True

    def finish(self, image_id: images.ImageId) -> bool:
        """Step to the end; False if the import hangs before it."""
        while self.step(image_id):
            pass
        with self._lock:
            image = self._images.get(image_id)
            return image is None or image.import_task is None

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
            running = self._holder(self._images[image_id])
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
        """Have copies into these stores vanish without a word.

        That is how it ends when another save of the image overwrites the
        location (glance: db/__init__.py ImageRepo.save, a whole-row save).
        """
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
                if one.is_staged and one.left:
                    self._orphans.add((one.image_id, one.left[0]))

    def leave_orphan(self, image_id: images.ImageId, store: str) -> None:
        """Leave data of an image in a store that Glance knows nothing of."""
        with self._lock:
            self._orphans.add((image_id, images.StoreId(store)))

    def remove_orphans(self) -> None:
        """Remove what crashes left in the stores."""
        with self._lock:
            self._orphans.clear()

    def lose_task(self, image_id: images.ImageId) -> None:
        """Forget the task that holds the image's lock."""
        with self._lock:
            task_id = self._images[image_id].import_task
            assert task_id is not None, 'no import is running'
            self._lost_tasks.add(task_id)

    def go_down(
        self,
        calls: int | None = None,
        error: exceptions.DistributorError | None = None,
    ) -> None:
        """Answer all calls, or the next few, with an error.

        It is GlanceUnavailable unless another is given.
        """
        with self._lock:
            self._trouble = error or exceptions.GlanceUnavailable(
                'the fake Glance is down'
            )
            self._troubled_calls = calls

    def refuse_imports(
        self, calls: int, error: exceptions.DistributorError
    ) -> None:
        """Answer the next few requests for an import with an error."""
        with self._lock:
            self._refusals = [error] * calls

    def break_image(
        self,
        image_id: images.ImageId,
        error: exceptions.DistributorError | None,
    ) -> None:
        """Answer whoever reads this image with an error, until None."""
        with self._lock:
            self._broken.pop(image_id, None)
            if error is not None:
                self._broken[image_id] = error

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Answer nothing at all meanwhile, for threads of the test."""
        with self._lock:
            yield

    def come_up(self) -> None:
        """Answer again."""
        with self._lock:
            self._trouble = None

    # -- inside

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        with self._lock:
            if self._troubled_calls == 0:
                self._trouble, self._troubled_calls = None, None
            if self._trouble is not None:
                if self._troubled_calls is not None:
                    self._troubled_calls -= 1
                raise self._trouble
            yield

    def _find(self, image_id: images.ImageId) -> images.Image:
        try:
            return self._images[image_id]
        except KeyError:
            raise exceptions.ImageNotFound(f'no image {image_id!r}') from None

    def _page(
        self, place: int, hidden: bool
    ) -> tuple[tuple[int, images.Image], ...]:
        """Return images and their places, which deleted ones keep."""
        listed = (
            (number, self._images[image_id])
            for number, image_id in enumerate(self._order)
            if number >= place and image_id in self._images
        )
        listed = (found for found in listed if found[1].is_hidden == hidden)
        return tuple(itertools.islice(listed, self._page_size))

    def _save(self, image_id: images.ImageId, **changes: Any) -> images.Image:
        image = dataclasses.replace(self._images[image_id], **changes)
        self._images[image_id] = image
        return image

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
        image = self._find(image_id)
        if not image.is_active:
            raise exceptions.NotCopyable(f'{image_id} is not active')
        if not (image.disk_format and image.container_format):
            raise exceptions.NotCopyable(f'{image_id} lacks a format')
        if image.import_task is not None:
            image = self._bust_lock(image)
        for store in stores:
            if store not in self._stores:
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
            return self._save(image.id, import_task=None)
        pending = old.task.status == 'pending'
        stale_s = _STALE_PENDING_S if pending else _STALE_S
        if self._clock() - old.task.updated_at_s < stale_s:
            raise exceptions.ImportInProgress(f'{image.id} has an import')
        old.is_crashed = True
        self._update(old, status='failure', message='Expired lock preempted')
        return self._save(
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
        begun = Import(image.id, task, left=[*stores], is_ours=ours)
        self._accepted.append(begun)
        self._save(image.id, import_task=task.id)
        return begun

    def _is_stopped(self, one: Import) -> bool:
        hangs = one.is_staged and one.left and one.left[0] in self._hanging
        return one.is_crashed or bool(hangs)

    def _do_step(self, one: Import) -> None:
        if one.task.status == 'pending':
            self._start(one)
        elif not one.is_staged:
            self._stage(one)
        elif one.left:
            self._write(one, one.left.pop(0))
        else:
            self._update(one, status='success')
            self._save(one.image_id, import_task=None)

    def _start(self, one: Import) -> None:
        image = self._images[one.image_id]
        self._update(one, status='processing')
        self._save(
            one.image_id,
            importing_to=tuple(sorted({*image.importing_to, *one.stores})),
            failed_import=image.failed_import - set(one.stores),
        )

    def _stage(self, one: Import) -> None:
        if self._staging_fails:
            self._update(one, status='failure', message='staging failed')
            self._save(one.image_id, import_task=None)
        else:
            one.is_staged = True

    def _write(self, one: Import, store: images.StoreId) -> None:
        image = self._images[one.image_id]
        changes: dict[str, Any] = {
            'importing_to': _without(image.importing_to, (store,))
        }
        if store in self._failing or (image.id, store) in self._orphans:
            changes['failed_import'] = image.failed_import | {store}
        else:
            self.copy_some(image.id, (image.size_bytes or 0) // _MIB)
            if store not in self._losing:
                changes['stores'] = image.stores | {store}
        self._save(one.image_id, **changes)


def _without(
    stores: Iterable[images.StoreId], gone: Iterable[images.StoreId]
) -> tuple[images.StoreId, ...]:
    """Return the stores that are not gone, in order."""
    return tuple(store for store in stores if store not in set(gone))
