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
"""Whether the world is as it should be, by Glance and the clusters alone.

No agent is asked.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import hashlib
from typing import Any

from glanceclient.v2 import client as glance_client

from lab import clusters
from lab import deployment
from tests.chaos import owners
from tests.chaos import plans
from tests.integration import pools

CENTRAL = 'central'
_ROW = 5


class Judge:
    """See the module. Make it when all servers are up."""

    def __init__(
        self,
        lab: deployment.Lab,
        glance: glance_client.Client,
        records: Sequence[owners.Record],
    ) -> None:
        self._glance = glance
        self._edges = [site for site in lab.sites if site != CENTRAL]
        self._records = [record for record in records if record.is_born]
        self._pools = {site: pools.Pool(lab, site) for site in lab.sites}
        self._clusters = {
            site: clusters.Cluster(lab.ceph_conf(site)) for site in lab.sites
        }

    def close(self) -> None:
        """Let go of the clusters."""
        for one in (*self._pools.values(), *self._clusters.values()):
            one.close()

    @property
    def living(self) -> list[owners.Record]:
        """Those that are in Glance."""
        return [r for r in self._records if r.wish is not None]

    @property
    def dead(self) -> list[owners.Record]:
        """Those that were deleted."""
        return [r for r in self._records if r.wish is None]

    @property
    def imported(self) -> set[str]:
        """The ids of those that Glance copies, when it can."""
        return {
            record.image_id
            for record in self._records
            if record.life.first.way == plans.IMPORT
        }

    def missing(self) -> list[str]:
        """What has not come about yet."""
        listed = {str(image.id): image for image in self._glance.images.list()}
        found = [
            f'{record.image_id} was deleted, and is in Glance'
            for record in self.dead
            if record.image_id in listed
        ]
        for record in self.living:
            image = listed.get(record.image_id)
            if image is None:
                found.append(f'{record.image_id} is lost')
            else:
                found += self._missing_of(record, image)
        return found + list(self._left())

    def remains(self) -> dict[str, list[str]]:
        """Where RBD images have an image's name, and Glance tells of none.

        It was deleted, or is not wanted there any more.
        """
        listed = {
            str(image.id): _stores(image)
            for image in self._glance.images.list()
        }
        found: dict[str, list[str]] = {}
        for site in self._edges:
            names = self._pools[site].names()
            for record in self._records:
                image_id = record.image_id
                if image_id in names and site not in listed.get(image_id, ()):
                    found.setdefault(image_id, []).append(site)
        return found

    def flaws(self) -> list[str]:
        """What is wrong with the copies; each is read to its end."""
        with futures.ThreadPoolExecutor(2) as threads:
            found = threads.map(self._flaws_of, self.living)
            return [flaw for some in found for flaw in some]

    def _missing_of(
        self, record: owners.Record, image: Mapping[str, Any]
    ) -> Iterator[str]:
        """Compare one image in Glance with what it should be."""
        wish, stores = record.wish, _stores(image)
        assert wish is not None
        status = 'active' if wish.is_active else 'deactivated'
        if image['status'] != status:
            yield f'{record.image_id} is {image["status"]}, not {status}'
        wanted = wish.sites(self._edges) if wish.is_active else frozenset()
        if lacking := wanted - stores:
            # Nobody breaks a lock that died with a Glance, without need.
            is_locked = bool(image.get('os_glance_import_task'))
            lock = ', and locked by an import' if is_locked else ''
            yield f'{record.image_id} is not at {sorted(lacking)}{lock}'
        if CENTRAL not in stores:
            yield f'{record.image_id} is not at central'
        if strange := stores - record.sites - {CENTRAL}:
            yield f'{record.image_id} never was wanted at {sorted(strange)}'
        urls = {location['url'] for location in image['locations']}
        if urls != {self._url(record.image_id, store) for store in stores}:
            yield f'{record.image_id} has other locations than stores: {urls}'

    def _left(self) -> Iterator[str]:
        """Find what transfers left that must go by itself.

        A draft, with its claim, is kept as long as it may be gone on with:
        while its image lives, but is not wanted there for now. And the claim
        to a whole copy of a deleted image is kept for `clean`.
        """
        ours = {record.image_id: record for record in self._records}
        for site, pool in self._pools.items():
            for name in pool.names():
                image_id = name.removesuffix(pools.DRAFT)
                record = ours.get(image_id)
                if (
                    record is not None
                    and image_id != name
                    and not _may_wait(record, site, self._edges)
                ):
                    yield f'{site} has a draft of {image_id}'
            for name in pool.marks():
                record = ours.get(name.removeprefix(f'{pools.CLAIMS}/'))
                if (
                    record is not None
                    and record.wish is not None
                    and not _may_wait(record, site, self._edges)
                ):
                    yield f'{site} has a claim to {record.image_id}'

    def _flaws_of(self, record: owners.Record) -> list[str]:
        image = self._glance.images.get(record.image_id)
        content = record.life.content()
        digest = hashlib.sha256(content).hexdigest()
        found = []
        for site in _stores(image):
            try:
                copy = self._clusters[site].inspect(record.image_id)
            except Exception as exc:
                found.append(f'{record.image_id} at {site}: {exc!r}')
                continue
            if copy.sha256 != digest or copy.size_bytes != len(content):
                found.append(f'{record.image_id} at {site} has other bytes')
            if not copy.is_protected:
                found.append(f'{record.image_id} at {site} is not protected')
            elif copy.clone_head != content[: clusters.HEAD]:
                found.append(f'{record.image_id} at {site} clones badly')
        return found

    def _url(self, image_id: str, store: str) -> str:
        fsid = self._clusters[store].fsid if store in self._clusters else ''
        return f'rbd://{fsid}/images/{image_id}/snap'


def _may_wait(record: owners.Record, site: str, edges: Sequence[str]) -> bool:
    """Tell whether a copy that was begun may be wanted again some day."""
    wish = record.wish
    return wish is not None and not (
        wish.is_active and site in wish.sites(edges)
    )


def _stores(image: Mapping[str, Any]) -> set[str]:
    return set(filter(None, (image.get('stores') or '').split(',')))


def first_of(found: Iterable[str]) -> str:
    """Write some of what was found."""
    every = list(found)
    rest = [f'and {len(every) - _ROW} more'] if len(every) > _ROW else []
    return '; '.join(every[:_ROW] + rest)
