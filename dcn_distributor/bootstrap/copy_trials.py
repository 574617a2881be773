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
"""Does an image get to every site? One is made for that, and removed."""

from collections.abc import Iterator
import functools
import hashlib

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import trials
from dcn_distributor.core import images
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def copies(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    chosen: tuple[stacks.Site, ...],
    around: trials.Surroundings,
    data: bytes,
) -> Iterator[trials.Finding]:
    """Have an image brought to sites, look at it there, remove it.

    It begins at central, whichever sites are chosen.
    """
    stores = [
        site
        for site in cloud.sites
        if site.has_store and (site.is_central or site in chosen)
    ]
    if not stores:
        return
    trial = _Trial(cloud, ring, around, stores, data)
    try:
        yield from trial.run()
    finally:
        gone = trial.clean()
    yield from gone


class _Trial:
    """One image on its way to stores."""

    def __init__(
        self,
        cloud: stacks.Cloud,
        ring: rings.Ring,
        around: trials.Surroundings,
        stores: list[stacks.Site],
        data: bytes,
    ) -> None:
        self._cloud = cloud
        self._ring = ring
        self._around = around
        self._stores = stores
        self._data = data
        self._glance = around.connect(cloud.central)
        self._made: list[images.ImageId] = []

    def run(self) -> Iterator[trials.Finding]:
        """Bring it there, and look."""
        first, rest = _first_stores(self._cloud, self._stores)
        names = ', '.join(site.name for site in first)
        begun = trials.find(
            'import', names, functools.partial(self._begin, first)
        )
        yield begun
        if not begun.is_good:
            return
        for site in rest:
            copied = functools.partial(self._copy_to, site)
            yield trials.find('copy', site.name, copied)
        for site in self._stores:
            looked = functools.partial(self._look_at, site)
            yield trials.find('bytes', site.name, looked)

    def clean(self) -> list[trials.Finding]:
        """Remove it."""
        return [
            trials.find(
                'removal',
                image_id,
                functools.partial(_delete, self._glance, image_id),
            )
            for image_id in self._made
        ]

    def _begin(self, first: tuple[stacks.Site, ...]) -> str:
        glance = self._glance
        image_id = glance.create('dcn-distributor-verify')
        self._made.append(image_id)
        if len(first) > 1:
            glance.stage(image_id, self._data)
            glance.import_staged(image_id, tuple(s.store for s in first))
        else:
            glance.upload(image_id, self._data)
        _await(glance, image_id, first, self._around)
        return f'{image_id}, {len(self._data)} bytes'

    def _copy_to(self, site: stacks.Site) -> str:
        self._glance.copy_to_stores(self._made[0], (site.store,))
        _await(self._glance, self._made[0], (site,), self._around)
        return 'by copy-image'

    def _look_at(self, site: stacks.Site) -> str:
        sent = hashlib.sha512(self._data).hexdigest()
        keys, image_id = self._around.keys, self._made[0]
        return _look(self._cloud, self._ring, keys, site, image_id, sent)


def _first_stores(
    cloud: stacks.Cloud, stores: list[stacks.Site]
) -> tuple[tuple[stacks.Site, ...], tuple[stacks.Site, ...]]:
    """Part those that an import goes to from those that are copied to.

    An upload goes to central only; an import to two at once, as the documents
    have it.
    """
    count = 2 if 'glance-direct' in cloud.import_methods else 1
    return tuple(stores[:count]), tuple(stores[count:])


def _await(
    glance: trials.Glance,
    image_id: images.ImageId,
    wanted: tuple[stacks.Site, ...],
    around: trials.Surroundings,
) -> None:
    """Wait until it is in these stores. Raises VerificationFailed."""
    wait = around.waiter()
    while True:
        image = glance.get(image_id)
        lacking = {site.store for site in wanted} - set(image.stores)
        if not lacking and image.import_task is None:
            return
        failed = lacking & set(image.failed_import)
        if failed and image.import_task is None:
            raise exceptions.VerificationFailed(
                f'Glance could not bring {image_id} to '
                f'{", ".join(sorted(failed))}: its log says why'
            )
        try:
            wait()
        except StopIteration:
            raise exceptions.VerificationFailed(
                f'{image_id} is not at {", ".join(sorted(lacking))} yet: '
                'waited for long enough'
            ) from None


def _look(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    keys: trials.Keys,
    site: stacks.Site,
    image_id: images.ImageId,
    sent: str,
) -> str:
    assert site.ceph is not None
    entity = rings.user_of(cloud, ring, site)
    found, is_protected = keys.read_copy(
        site.ceph, entity, site.ceph.image_pool, image_id
    )
    if found != sent:
        raise exceptions.VerificationFailed('other bytes than were sent')
    if not is_protected:
        raise exceptions.VerificationFailed(
            'its snapshot is not protected: nobody can clone it'
        )
    return 'the same bytes, in a protected snapshot'


def _delete(glance: trials.Glance, image_id: images.ImageId) -> str:
    try:
        glance.delete(image_id)
    except exceptions.ImageNotFound:
        return 'it was gone'
    return 'removed, with all its copies'
