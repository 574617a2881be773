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
"""Each sample of sites.yaml, as a cloud that is brought up, used and changed.

`tools/lab up --like SAMPLE` is the sequence that the documentation has.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
import io
import os
from pathlib import Path
import threading
from typing import Any

from glanceclient.v2 import client as glance_client
import pytest
import rados
import yaml

from lab import deployment
from lab import topology
from tests import waiting
from tests.integration import bootstrapped
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import ceph_client
from tests.unit.bootstrap.tripleo import sources

MIB = 2**20


class Cloud:
    """A lab like one of the samples, with a Glance at each site."""

    def __init__(self, directory: Path, sample: str, flavour: str) -> None:
        self.sample = sample
        self._directory = directory
        self.lab = deployment.Lab(
            directory,
            glance=flavour,
            like=samples.sample(sample),
        )
        self.lab.up()
        self._session = self.lab.credentials('admin').session()
        self.bootstrap = bootstrapped.Commands(
            self.lab.admin_conf,
            self.lab.sites_file,
            self.lab.state.bootstrap_directory / 'state.json',
            topology.files_of(self.lab.state),
        )

    def add(self, site: str) -> None:
        """Have one more site, like the first, while all others run."""
        self.lab = deployment.Lab(self._directory, sites=(site,))
        self.lab.up()

    def hand_over(self) -> None:
        """Render all files anew, and start what reads others than before."""
        self.bootstrap.render()
        self.lab.up()

    def glance(self, site: str) -> Any:
        """Give an administrator's client of one site's Glance."""
        return glance_client.Client(
            session=self._session,
            endpoint_override=topology.url(self.lab.state, site),
        )

    @contextlib.contextmanager
    def image(self, size_mib: int) -> Iterator[tuple[str, str]]:
        """Have one of random bytes at central; give it and its sha512."""
        content = os.urandom(size_mib * MIB)
        images = self.glance('central').images
        image = images.create(
            name='under load', disk_format='raw', container_format='bare'
        )
        try:
            images.upload(image.id, io.BytesIO(content))
            yield image.id, hashlib.sha512(content).hexdigest()
        finally:
            images.delete(image.id)

    def download(self, site: str, image_id: str) -> str:
        """Read an image from a site's Glance; give the sha512."""
        hashed = hashlib.sha512()
        for chunk in self.glance(site).images.data(image_id):
            hashed.update(chunk)
        return hashed.hexdigest()

    def copy(self, image_id: str, site: str) -> None:
        """Ask for a copy; it is made in the background."""
        self.glance('central').images.image_import(
            image_id, 'copy-image', stores=[site]
        )

    def wait_for(self, image_id: str, site: str) -> None:
        """Wait until a site has a copy, and nothing goes on any more."""

        def is_there() -> bool:
            image = self.glance('central').images.get(image_id)
            return site in image.stores.split(',') and not image.get(
                'os_glance_import_task'
            )

        waiting.until(f'{image_id} is at {site}', is_there, 120.0)

    def verify(self) -> list[str]:
        """Have all checks made, and find all well; give their names."""
        found = self.bootstrap.read('verify', '--timeout', '120')
        assert {row['Result'] for row in found} == {'ok'}, found
        return [row['Check'] for row in found]


@pytest.fixture(scope='module', params=samples.TOPOLOGIES)
def cloud(
    request: pytest.FixtureRequest,
    running_lab: deployment.Lab,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cloud]:
    """A cloud like one sample, with the Glance that the tests are run on."""
    directory = tmp_path_factory.mktemp(request.param) / 'lab'
    try:
        yield Cloud(directory, request.param, running_lab.state.glance)
    finally:
        deployment.Lab(directory).down(purge=True)


@pytest.fixture
def with_keys(cloud: Cloud) -> Cloud:
    """One whose sites exchange keys."""
    if not cloud.lab.clusters:
        pytest.skip('all images are in Swift: no keys are exchanged')
    return cloud


@contextlib.contextmanager
def _repeated(call: Callable[[], str]) -> Iterator[list[str]]:
    """Call it again and again, and give what comes of it each time."""
    ended, seen = threading.Event(), list[str]()

    def go_on() -> None:
        while not ended.is_set():
            try:
                seen.append(call())
            except Exception as exc:
                seen.append(repr(exc))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        waiting.until('it is done once', lambda: seen)
        yield seen
    finally:
        ended.set()
        thread.join()


def test_all_checks_pass_and_nothing_is_left_to_do(cloud: Cloud) -> None:
    checks = cloud.verify()

    sites, clusters = len(cloud.lab.sites), len(cloud.lab.clusters)
    assert checks.count('import methods') == sites
    assert checks.count('stores') == clusters
    assert checks.count('bytes') == clusters
    assert ('key opens' in checks) == bool(clusters)
    again = cloud.bootstrap.read('keys', '--apply')
    assert {row['To do'] for row in again} <= {'as it should be'}


def test_site_serves_from_its_cache_what_central_has_lost(
    cloud: Cloud,
) -> None:
    if cloud.sample != 'glance-cache':
        pytest.skip('sites have stores, and no cache')
    swift = cloud.lab.state.service_directory('in-place-of-swift')
    away = swift.with_name('away')
    with cloud.image(8) as (image_id, digest):
        assert cloud.download('dcn0', image_id) == digest
        cached = cloud.lab.state.service_directory('glance-dcn0') / 'cache'
        waiting.until('it is cached', (cached / image_id).exists)
        swift.rename(away)
        try:
            assert cloud.download('dcn0', image_id) == digest
        finally:
            away.rename(swift)


@sources.needed
def test_files_that_tripleo_makes_open_the_clusters(
    with_keys: Cloud, tmp_path: Path
) -> None:
    out = tmp_path / 'tripleo'
    with_keys.bootstrap.run('render', '--target', 'tripleo', '--out', str(out))

    opened = set()
    for path in out.rglob('*.yaml'):
        given = yaml.safe_load(path.read_text())
        if not isinstance(given, dict):
            continue
        entries = given.get('parameter_defaults', {}).get(
            'CephExternalMultiConfig', ()
        )
        for entry in entries:
            etc = tmp_path / path.parent.name / entry['cluster']
            etc.mkdir(parents=True, exist_ok=True)
            for name, text in ceph_client.files_of(entry, str(etc)).items():
                Path(name).write_text(text.replace('/etc/ceph/', f'{etc}/'))
            user = _entity_of_glance(with_keys).removeprefix('client.')
            conf = str(etc / f'{entry["cluster"]}.conf')
            with rados.Rados(conffile=conf, rados_id=user) as handle:
                assert handle.get_fsid() == entry['fsid']
                with handle.open_ioctx('images') as pool:
                    pool.write_full('of tripleo', b'opened')
                    pool.remove_object('of tripleo')
            opened.add((path.parent.name, entry['cluster']))

    # Central's hosts open every site's cluster, and a site's central's.
    edges = {site for site in with_keys.lab.sites if site != 'central'}
    assert opened == {('control-plane', site) for site in edges} | {
        (site, 'central') for site in edges
    }


def test_key_is_rotated_and_another_revoked_under_load(
    with_keys: Cloud,
) -> None:
    cloud, bootstrap = with_keys, with_keys.bootstrap
    entity = _entity_of_glance(cloud)
    at_dcn0 = (entity, '--site', 'dcn0', '--apply')
    # Nobody here may change an external cluster's keys.
    other = ('dcn1', entity)
    if cloud.sample == 'external-ceph':
        other = ('dcn0', 'client.dcn-distributor')
    with cloud.image(96) as (first, _), cloud.image(96) as (second, digest):
        cloud.copy(first, 'dcn0')
        bootstrap.run('keys', 'rotate', *at_dcn0)
        cloud.wait_for(first, 'dcn0')
        cloud.hand_over()
        cloud.copy(second, 'dcn0')
        bootstrap.run('keys', 'retire', *at_dcn0)
        site, revoked = other
        bootstrap.run('keys', 'revoke', revoked, '--site', site, '--apply')
        cloud.wait_for(second, 'dcn0')
        assert cloud.download('dcn0', second) == digest

    again = {
        (row['Site'], row['Entity']): row['To do']
        for row in bootstrap.read('keys', '--apply')
    }
    assert again.pop(other) == 'done: have the cluster make it'
    assert set(again.values()) == {'as it should be'}
    cloud.hand_over()
    cloud.verify()


def test_site_is_added_while_the_others_serve(cloud: Cloud) -> None:
    has_keys = bool(cloud.lab.clusters)
    before = cloud.bootstrap.secrets() if has_keys else set()
    with cloud.image(16) as (image_id, digest):
        if has_keys:
            cloud.copy(image_id, 'dcn0')
            cloud.wait_for(image_id, 'dcn0')

        with _repeated(lambda: cloud.download('dcn0', image_id)) as read:
            cloud.add('far-north')
            if has_keys:
                cloud.copy(image_id, 'far-north')
                cloud.wait_for(image_id, 'far-north')

        assert set(read) == {digest}
        assert cloud.download('far-north', image_id) == digest
    if has_keys:
        assert before < cloud.bootstrap.secrets()
    assert 'far-north' in cloud.lab.sites
    cloud.verify()


def _entity_of_glance(cloud: Cloud) -> str:
    document = topology.plan(cloud.lab.state)
    return f'client.{document["deploy"]["user"]}'
