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

Whether an image gets to every site is tried in copy_trials. None stops the
others: what one finds is a row, good or bad.
"""

from collections.abc import Callable
from collections.abc import Iterator
import functools
import itertools

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import trials
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def glances(
    cloud: stacks.Cloud,
    chosen: tuple[stacks.Site, ...],
    around: trials.Surroundings,
) -> Iterator[trials.Finding]:
    """Check the stores and import methods of each glance-api."""
    for site in chosen:
        if not site.is_central and site.glance.url is None:
            detail = 'not checked: nobody says where it is; add glance.url'
            yield trials.Finding('stores', site.name, False, detail)
            continue
        glance = around.connect(site)
        stores = {str(each.store) for each in cloud.stores_of(site)}
        if stores:
            has = functools.partial(_has, 'stores', stores, glance.stores)
            yield trials.find('stores', site.name, has)
        methods = set(cloud.import_methods)
        has = functools.partial(
            _has, 'methods', methods, glance.import_methods
        )
        yield trials.find('import methods', site.name, has)


def _has(
    what: str, wanted: set[str], read: Callable[[], frozenset[str]]
) -> str:
    """Compare. Raises VerificationFailed."""
    found = frozenset(map(str, read()))
    off = {'that lack': wanted - found, 'too many': found - wanted}
    told = [
        f'{what} {word}: {", ".join(sorted(names))}'
        for word, names in off.items()
        if names
    ]
    if told:
        raise exceptions.VerificationFailed('; '.join(told))
    return ', '.join(sorted(found))


def pairs(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    chosen: tuple[stacks.Site, ...],
    keys: trials.Keys,
) -> Iterator[trials.Finding]:
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
    keys: trials.Keys,
) -> trials.Finding:
    ceph = cloud.site(grant.site).ceph
    entity = ring.entity(grant)

    def use() -> str:
        assert ceph is not None
        assert entity is not None
        keys.try_pool(ceph, entity, pool)
        return f'{entity.name} creates, writes, lists and removes in {pool}'

    return trials.find('key opens', f'{site.name} -> {grant.site}', use)


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
    keys: trials.Keys,
) -> trials.Finding:
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

    return trials.find(
        'key is refused', f'{site.name} -> {other.name}', be_refused
    )
