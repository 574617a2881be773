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
"""Does it work? What the documents look at by eye, as checks.

1. Each Glance has the stores and the import methods that it should have.
2. Each key opens the pools that it should, and none of another cluster.
3. An image gets to every site, whole and protected, and is removed again.

None stops the others: what one finds is a row, good or bad.
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
import hashlib
import itertools
from typing import Protocol

from dcn_distributor import exceptions
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import images
from dcn_distributor.core import rings
from dcn_distributor.core import sites
from dcn_distributor.core import stacks


class Keys(Protocol):
    """Try keys, each as a client that has nothing else.

    All raise AccessDenied and ClusterUnavailable.
    """

    def try_pool(
        self, ceph: stacks.Ceph, entity: cephx.Entity, pool: str
    ) -> None:
        """Create, write, read, list and remove an image."""
        ...

    def try_secret(self, ceph: stacks.Ceph, entity: cephx.Entity) -> None:
        """Only connect."""
        ...

    def read_copy(
        self,
        ceph: stacks.Ceph,
        entity: cephx.Entity,
        pool: str,
        image_id: images.ImageId,
    ) -> tuple[str, bool]:
        """Read a copy: its sha512, and whether its snapshot is protected."""
        ...


class Glance(Protocol):
    """One glance-api. All raise what core.ports.Images raises."""

    def stores(self) -> frozenset[images.StoreId]:
        """Read which stores it has."""
        ...

    def import_methods(self) -> frozenset[str]:
        """Read which are enabled."""
        ...

    def create(self, name: str) -> images.ImageId:
        """Make an image without data."""
        ...

    def upload(self, image_id: images.ImageId, data: bytes) -> None:
        """Give it its data, in the default store."""
        ...

    def stage(self, image_id: images.ImageId, data: bytes) -> None:
        """Leave its data to be imported."""
        ...

    def import_staged(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """Ask for what was staged to be imported into stores."""
        ...

    def copy_to_stores(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """Ask for copies by copy-image."""
        ...

    def get(self, image_id: images.ImageId) -> images.Image:
        """Read an image."""
        ...

    def delete(self, image_id: images.ImageId) -> None:
        """Remove it with its copies."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    :ivar subject: of what, such as ``dcn0 -> central``
    """

    check: str
    subject: str
    is_good: bool
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks need besides the cloud.

    :ivar connect: gives the Glance of a site
    :ivar waiter: gives what is called between two looks at a copy; that
        raises StopIteration when it was called for long enough
    """

    keys: Keys
    connect: Callable[[stacks.Site], Glance]
    waiter: Callable[[], Callable[[], None]]


def glances(
    cloud: stacks.Cloud,
    chosen: tuple[stacks.Site, ...],
    around: Surroundings,
) -> Iterator[Finding]:
    """Check the stores and import methods of each glance-api."""
    for site in chosen:
        wanted = {s.store for s in cloud.stores_of(site)}

        if not site.is_central and site.glance.url is None:
            detail = 'not checked: nobody says where it is; add glance.url'
            yield Finding('stores', site.name, False, detail)
            continue

        def stores(
            site: stacks.Site = site, wanted: set[images.StoreId] = wanted
        ) -> str:
            found = around.connect(site).stores()
            _same('stores', wanted, found)
            return ', '.join(sorted(found))

        def methods(site: stacks.Site = site) -> str:
            found = around.connect(site).import_methods()
            _same('methods', set(cloud.import_methods), found)
            return ', '.join(sorted(found))

        if wanted:
            yield _find('stores', site.name, stores)
        yield _find('import methods', site.name, methods)


def _same(
    what: str, wanted: set[str] | set[images.StoreId], found: frozenset[str]
) -> None:
    missing, more = wanted - found, found - wanted
    if missing or more:
        parts = [f'{what} that lack: {", ".join(sorted(missing))}'] * bool(
            missing
        ) + [f'{what} too many: {", ".join(sorted(more))}'] * bool(more)
        raise exceptions.VerificationFailed('; '.join(parts))


def pairs(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    chosen: tuple[stacks.Site, ...],
    keys: Keys,
) -> Iterator[Finding]:
    """Check which keys open which clusters, and which do not."""
    for site in chosen:
        for grant in grants.held_by(cloud, site):
            for pool in _pools(cloud, grant):
                yield _opens(cloud, ring, site, grant, pool, keys)
        for grant, other in _strangers(cloud, site):
            yield _is_refused(cloud, ring, site, grant, other, keys)


def _pools(cloud: stacks.Cloud, grant: grants.Grant) -> tuple[str, ...]:
    ceph = cloud.site(grant.site).ceph
    assert ceph is not None
    clauses = {c.strip() for c in grant.caps['osd'].split(',')}
    return tuple(
        pool for pool in ceph.pools if f'profile rbd pool={pool}' in clauses
    )


def _opens(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    grant: grants.Grant,
    pool: str,
    keys: Keys,
) -> Finding:
    ceph = cloud.site(grant.site).ceph
    entity = ring.entity(grant)

    def use() -> str:
        assert ceph is not None
        assert entity is not None
        keys.try_pool(ceph, entity, pool)
        return f'{entity.name} creates, writes, lists and removes in {pool}'

    return _find('key opens', f'{site.name} -> {grant.site}', use)


def _strangers(
    cloud: stacks.Cloud, site: stacks.Site
) -> Iterator[tuple[grants.Grant, stacks.Site]]:
    """Give a site's own key with each cluster that it must not open."""
    users = [s for s, _ in cloud.clusters() if s.has_store]
    mine = [
        grant
        for grant in grants.of_cluster(cloud, site)
        if grant.user == cloud.user
    ]
    for grant, other in itertools.product(mine, users):
        if other.name != site.name:
            yield grant, other


def _is_refused(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    grant: grants.Grant,
    other: stacks.Site,
    keys: Keys,
) -> Finding:
    entity = ring.entity(grant)

    def be_refused() -> str:
        assert other.ceph is not None
        assert entity is not None
        try:
            keys.try_secret(other.ceph, entity)
        except exceptions.AccessDenied:
            return f"refused, as {site.name}'s own {entity.name} should be"
        raise exceptions.VerificationFailed(
            f"{site.name}'s own {entity.name} opens the cluster of "
            f'{other.name}, too: give each cluster a key of its own'
        )

    return _find('key is refused', f'{site.name} -> {other.name}', be_refused)


def copies(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    chosen: tuple[stacks.Site, ...],
    around: Surroundings,
    data: bytes,
) -> Iterator[Finding]:
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
        around: Surroundings,
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

    def run(self) -> Iterator[Finding]:
        """Bring it there, and look."""
        first, rest = _first_stores(self._cloud, self._stores)
        names = ', '.join(site.name for site in first)
        begun = _find('import', names, functools.partial(self._begin, first))
        yield begun
        if not begun.is_good:
            return
        for site in rest:
            copied = functools.partial(self._copy_to, site)
            yield _find('copy', site.name, copied)
        for site in self._stores:
            looked = functools.partial(self._look_at, site)
            yield _find('bytes', site.name, looked)

    def clean(self) -> list[Finding]:
        """Remove it."""
        return [
            _find(
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
    glance: Glance,
    image_id: images.ImageId,
    wanted: tuple[stacks.Site, ...],
    around: Surroundings,
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
    keys: Keys,
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


def _delete(glance: Glance, image_id: images.ImageId) -> str:
    try:
        glance.delete(image_id)
    except exceptions.ImageNotFound:
        return 'it was gone'
    return 'removed, with all its copies'


def _find(
    check: str, subject: str | sites.SiteName, look: Callable[[], str]
) -> Finding:
    try:
        detail = look()
    except exceptions.DistributorError as exc:
        return Finding(check, subject, False, str(exc))
    return Finding(check, subject, True, detail)
