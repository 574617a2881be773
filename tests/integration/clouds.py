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
"""A lab seen by one test: its own images, agents and clusters."""

from collections.abc import Collection
from concurrent import futures
import hashlib
import io
import os
from pathlib import Path
import time
from typing import Any
import uuid

from glanceclient import exc
from glanceclient.v2 import client as glance_client

from lab import clusters
from lab import deployment
from lab import files
from tests import waiting
from tests.contract import hosts
from tests.fakes import glance as fake_glance
from tests.integration import agents
from tests.integration import pools

MIB = 2**20
_POLICY = """\
version: 1
policies:
  {tag}:
    match: {{tags: [{tag}], visibility: [public]}}
    sites: {sites}
"""
_STREAMING = '    transfer: {{engine: {engine}}}\n'


class Cloud:
    """See the module. Images carry a tag of the test's own.

    The agents' policy wants the public ones of that tag everywhere, so
    nothing that another test left behind is copied.
    """

    def __init__(self, lab: deployment.Lab, directory: Path) -> None:
        self.lab = lab
        self.tag = f'test-{uuid.uuid4().hex[:12]}'
        self.policy = _POLICY.format(tag=self.tag, sites='all')
        self.edges = tuple(s for s in lab.sites if s != 'central')
        self._directory = directory
        self._agents: list[agents.Agent] = []
        self._made: list[str] = []
        self._digests: dict[str, str] = {}
        self._clusters: dict[str, clusters.Cluster] = {}
        self._pools: dict[str, pools.Pool] = {}
        self._hosts: list[hosts.ApiHost] = []
        self.glance = glance_client.Client(
            session=lab.credentials('admin').session()
        )

    def close(self) -> None:
        """Kill the agents and remove the images."""
        for agent in self._agents:
            agent.kill()
        with futures.ThreadPoolExecutor(4) as threads:
            list(threads.map(self._remove, self._made))
        for host in self._hosts:
            host.remove()
        for cluster in (*self._clusters.values(), *self._pools.values()):
            cluster.close()
        self.glance.http_client.session.session.close()

    # -- agents

    def agent(
        self,
        options: dict[tuple[str, str], str] | None = None,
        policy: str | None = None,
        conf: Path | None = None,
    ) -> agents.Agent:
        """Make an agent; it is for the test to start.

        :param conf: of the lab's agents, the one it is like
        """
        directory = self._directory / f'agent-{len(self._agents)}'
        directory.mkdir()
        agent = agents.Agent(
            directory,
            conf or self.lab.agent_conf,
            policy or self.policy,
            options,
        )
        self._agents.append(agent)
        return agent

    def streaming(self, engine: str = 'rbd-stream', sites: str = 'all') -> str:
        """Write a policy like the usual one, with a wish for the way."""
        policy = _POLICY.format(tag=self.tag, sites=sites)
        return policy + _STREAMING.format(engine=engine)

    def at_host(
        self, settings: fake_glance.Settings, rules: str = ''
    ) -> dict[tuple[str, str], str]:
        """Start one more API host of Glance, set up in its own way.

        Return what makes an agent use it. `rules` are Glance's policies, in
        YAML, that go before the usual ones.
        """
        host = hosts.ApiHost(self.lab, 100 + len(self._hosts), settings)
        self._hosts.append(host)
        files.write_private(host.directory / 'policy.d' / 'more.yaml', rules)
        host.start()
        return {('glance', 'endpoint_override'): host.url}

    # -- images

    def create(self, **attributes: Any) -> str:
        """Make an image without data."""
        given = {
            'name': f'image of {self.tag}',
            'disk_format': 'raw',
            'container_format': 'bare',
            'visibility': 'public',
            'tags': [self.tag],
            **attributes,
        }
        image_id = str(self.glance.images.create(**given).id)
        self._made.append(image_id)
        return image_id

    def upload(self, size_mib: int = 1, **attributes: Any) -> str:
        """Make an image of random data."""
        image_id = self.create(**attributes)
        self.glance.images.upload(image_id, self.data_for(image_id, size_mib))
        return image_id

    def upload_bytes(self, data: bytes, **attributes: Any) -> str:
        """Make an image of these data."""
        image_id = self.create(**attributes)
        self.note(image_id, data)
        self.glance.images.upload(image_id, io.BytesIO(data))
        return image_id

    def put(self, size_mib: int = 1, **attributes: Any) -> str:
        """Make an image by its location, as Nova's snapshots are made."""
        image_id = self.create(**attributes)
        data = self.data_for(image_id, size_mib).getvalue()
        self.cluster('central').put(image_id, data)
        self.register(image_id, 'central')
        return image_id

    def put_bytes(self, data: bytes, **attributes: Any) -> str:
        """Make an image of these data in no time, with its hash."""
        image_id = self.create(**attributes)
        self.note(image_id, data)
        self.cluster('central').put(image_id, data)
        hashes = {
            'checksum': hashlib.md5(data).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
        }
        self.register(image_id, 'central', hashes)
        return image_id

    def register(
        self,
        image_id: str,
        site: str,
        hashes: dict[str, str] | None = None,
    ) -> None:
        """Add the location of what has an image's name at a site."""
        url = f'rbd://{self.cluster(site).fsid}/images/{image_id}/snap'
        self.glance.images.add_location(
            image_id, url, {'store': site}, hashes or {}
        )

    def data_for(self, image_id: str, size_mib: int = 1) -> io.BytesIO:
        """Draw random data for an image; copies are compared with it."""
        data = os.urandom(size_mib * MIB)
        self.note(image_id, data)
        return io.BytesIO(data)

    def note(self, image_id: str, data: bytes) -> None:
        """Note what an image's bytes are; copies are compared with it."""
        self._digests[image_id] = hashlib.sha256(data).hexdigest()

    def start_import(self, image_id: str, site: str) -> None:
        """Have Glance copy an image; asked over a connection of its own.

        Debian's Glance holds all who are connected to the process that does
        it, for as long as the site's cluster does not answer.
        """
        session = self.lab.credentials('admin').session()
        client = glance_client.Client(session=session)
        client.images.image_import(image_id, 'copy-image', stores=[site])
        session.session.close()

    def download(self, image_id: str) -> str:
        """Download an image from Glance; give the digest of its bytes."""
        digest = hashlib.sha256()
        for piece in self.glance.images.data(image_id, do_checksum=False):
            digest.update(piece)
        return digest.hexdigest()

    def digest(self, image_id: str) -> str:
        """The digest of the bytes that were uploaded."""
        return self._digests[image_id]

    def stores(self, image_id: str) -> set[str]:
        """The edge stores that Glance lists for an image."""
        listed = self.glance.images.get(image_id).get('stores') or ''
        return set(listed.split(',')) & set(self.edges)

    def is_locked(self, image_id: str) -> bool:
        """Tell whether an import of the image is under way."""
        image = self.glance.images.get(image_id)
        return bool(image.get('os_glance_import_task'))

    def is_gone(self, image_id: str) -> bool:
        """Tell whether Glance has no such image any more."""
        try:
            self.glance.images.get(image_id)
        except exc.HTTPNotFound:
            return True
        return False

    # -- copies

    def cluster(self, site: str) -> clusters.Cluster:
        """The cluster of a site."""
        if site not in self._clusters:
            conf = self.lab.ceph_conf(site)
            self._clusters[site] = clusters.Cluster(conf)
        return self._clusters[site]

    def pool(self, site: str) -> pools.Pool:
        """The pool of images of a site, to look deeper."""
        if site not in self._pools:
            self._pools[site] = pools.Pool(self.lab, site)
        return self._pools[site]

    def wait_for_copies(
        self,
        image_id: str,
        sites: set[str] | None = None,
        deadline_s: float = 120.0,
    ) -> None:
        """Wait until just these sites (all) hold it; then prove the copies."""
        wanted = set(self.edges) if sites is None else sites
        waiting.until(
            f'{image_id} is at {sorted(wanted)}',
            lambda: (
                self.stores(image_id) == wanted
                and not self.is_locked(image_id)
            ),
            deadline_s,
        )
        for site in wanted:
            self.prove(image_id, site)

    def wait_for_store(
        self, image_id: str, site: str, deadline_s: float = 120.0
    ) -> None:
        """Wait until this site holds it, whatever the others do."""
        waiting.until(
            f'{image_id} is at {site}',
            lambda: site in self.stores(image_id),
            deadline_s,
        )
        self.prove(image_id, site)

    def prove(self, image_id: str, site: str) -> None:
        """Check a copy in its cluster: its bytes, and that it is clonable."""
        copy = self.cluster(site).inspect(image_id)
        assert copy.sha256 == self._digests[image_id]
        assert copy.is_protected
        assert copy.clone_head

    def check_settled(
        self,
        image_id: str,
        sites: Collection[str],
        deadline_s: float = 10.0,
    ) -> None:
        """Wait until these sites have a copy, and none has anything else."""

        def strays() -> list[str]:
            found = []
            for site in self.lab.sites:
                pool = self.pool(site)
                own = {image_id} if site in sites else set()
                found += [
                    f'{site}: {one}'
                    for one in (pool.of(image_id) ^ own, pool.traces(image_id))
                    if one
                ]
            return found

        end = time.monotonic() + deadline_s
        while (found := strays()) and time.monotonic() < end:
            waiting.passes(0.2)
        assert not found, found

    def _remove(self, image_id: str) -> None:
        def is_removed() -> bool:
            try:
                self.glance.images.delete(image_id)
            except exc.HTTPNotFound:
                return True
            except (exc.HTTPException, exc.CommunicationError):
                return False
            return True

        waiting.until(f'{image_id} can be deleted', is_removed, 120.0)
