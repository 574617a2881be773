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
"""Keys and sites change while copies are made and read."""

from collections.abc import Iterator
import contextlib
import hashlib
import io
import os
from pathlib import Path
import threading
from typing import Any

from glanceclient import exc
from glanceclient.v2 import client as glance_client
import pytest

from lab import deployment
from tests import waiting
from tests.integration import bootstrapped

MIB = 2**20


class Cloud:
    """A lab whose Glances, one at each site, are bootstrap's."""

    def __init__(self, lab: deployment.Lab, directory: Path) -> None:
        self.lab = lab
        self.at = bootstrapped.free_ports(lab.sites)
        self.whole = bootstrapped.describe(
            lab, self.at, directory / 'data', 'external'
        )
        self.bootstrap = bootstrapped.Bootstrap(lab, directory, self.whole)
        self._glances: dict[str, bootstrapped.SiteGlance] = {}
        self._session = lab.credentials('admin').session()
        self._images: list[str] = []

    def start(self, *sites: str) -> None:
        """Start these sites' Glances, or anew if their files changed."""
        for site in sites:
            if site not in self._glances:
                (self._glances[site],) = self.bootstrap.glances(
                    {site: self.at[site]}
                )
            self._glances[site].start()

    def glance(self, site: str) -> Any:
        """Give an administrator's client of one site's Glance."""
        return glance_client.Client(
            session=self._session,
            endpoint_override=self._glances[site].url,
        )

    def upload(self, size_mib: int) -> tuple[str, str]:
        """Upload random bytes to central; give the image and its sha512."""
        content = os.urandom(size_mib * MIB)
        images = self.glance('central').images
        image = images.create(
            name='under load', disk_format='raw', container_format='bare'
        )
        self._images.append(image.id)
        images.upload(image.id, io.BytesIO(content))
        return image.id, hashlib.sha512(content).hexdigest()

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

    def close(self) -> None:
        """Remove images, keys and Glances: each, whatever else fails."""
        with contextlib.ExitStack() as rest:
            for glance in self._glances.values():
                rest.callback(glance.remove)
            self.bootstrap.write(self.whole)
            rest.callback(self.bootstrap.revoke_all)
            for image_id in self._images:
                rest.callback(self._remove, image_id)

    def _remove(self, image_id: str) -> None:
        """Remove an image by the lab's own Glance, which always runs."""
        images = glance_client.Client(session=self._session).images

        def is_removed() -> bool:
            try:
                images.delete(image_id)
            except exc.HTTPConflict:
                # Something still writes or reads one of its copies.
                return False
            return True

        waiting.until(f'{image_id} is removed', is_removed)


@pytest.fixture
def cloud(running_lab: deployment.Lab, tmp_path: Path) -> Iterator[Cloud]:
    running_lab.up()
    made = Cloud(running_lab, tmp_path)
    yield made
    made.close()


@contextlib.contextmanager
def _read_all_the_time(
    cloud: Cloud, site: str, image_id: str, digest: str
) -> Iterator[list[str]]:
    """Download an image from a site, again and again; give what is read."""
    ended, read = threading.Event(), list[str]()

    def read_on() -> None:
        images = cloud.glance(site).images
        while not ended.is_set():
            try:
                hashed = hashlib.sha512()
                for chunk in images.data(image_id):
                    hashed.update(chunk)
                read.append(hashed.hexdigest())
            except Exception as exc:
                read.append(repr(exc))

    thread = threading.Thread(target=read_on)
    thread.start()
    try:
        waiting.until('it is read once', lambda: read)
        yield read
    finally:
        ended.set()
        thread.join()


def test_key_is_rotated_and_another_revoked_under_load(cloud: Cloud) -> None:
    bootstrap = cloud.bootstrap
    bootstrap.run('keys', '--apply')
    bootstrap.render()
    cloud.start('central', 'dcn0', 'dcn1')
    first, _ = cloud.upload(96)
    at_dcn0 = ('client.external', '--site', 'dcn0', '--apply')

    cloud.copy(first, 'dcn0')
    bootstrap.run('keys', 'rotate', *at_dcn0)
    cloud.wait_for(first, 'dcn0')
    bootstrap.render()
    cloud.start('central', 'dcn0', 'dcn1')
    second, _ = cloud.upload(96)
    cloud.copy(second, 'dcn0')
    bootstrap.run('keys', 'retire', *at_dcn0)
    bootstrap.run(
        *('keys', 'revoke', 'client.external', '--site', 'dcn1', '--apply')
    )
    cloud.wait_for(second, 'dcn0')

    again = {
        row['Site']: row['To do']
        for row in bootstrap.read('keys', '--apply')
        if row['Entity'].startswith('client.external')
    }
    assert again['dcn0'] == 'as it should be'
    assert again['dcn1'] == 'done: have the cluster make it'
    bootstrap.render()
    cloud.start('central', 'dcn0', 'dcn1')
    found = bootstrap.read('verify', '--timeout', '120')
    assert {row['Result'] for row in found} == {'ok'}, found


def test_site_is_added_while_the_others_serve(cloud: Cloud) -> None:
    bootstrap = cloud.bootstrap
    first = {**cloud.whole, 'sites': {'dcn0': cloud.whole['sites']['dcn0']}}
    bootstrap.write(first)
    bootstrap.run('keys', '--apply')
    bootstrap.render()
    cloud.start('central', 'dcn0')
    image_id, digest = cloud.upload(16)
    cloud.copy(image_id, 'dcn0')
    cloud.wait_for(image_id, 'dcn0')
    before = bootstrap.secrets()

    with _read_all_the_time(cloud, 'dcn0', image_id, digest) as read:
        bootstrap.write(cloud.whole)
        bootstrap.run('keys', '--apply')
        bootstrap.render()
        cloud.start('central', 'dcn1')
        cloud.copy(image_id, 'dcn1')
        cloud.wait_for(image_id, 'dcn1')

    assert set(read) == {digest}
    assert before < bootstrap.secrets()
    found = bootstrap.read('verify', '--timeout', '120')
    assert {row['Result'] for row in found} == {'ok'}, found
