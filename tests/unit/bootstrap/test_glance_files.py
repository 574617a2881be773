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
"""What each glance-api reads of its stores."""

import dataclasses
from pathlib import Path

import pytest

from dcn_distributor.bootstrap import glance_files
from dcn_distributor.core import renderings
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.rhoso import clouds


def _of(files: tuple[renderings.File, ...], site: str) -> str:
    path = f'{site}/glance-api.conf.d/{glance_files.NAME}'
    (text,) = [file.text for file in files if file.path == path]
    return text


@pytest.mark.parametrize('description', ['"all"', "it's $5", '$glance_store'])
def test_any_description_is_read_as_it_was_written(
    tmp_path: Path, description: str
) -> None:
    cloud = samples.load('multi-ceph')
    glance = dataclasses.replace(
        cloud.site('dcn0').glance, description=description
    )
    cloud = samples.with_site(cloud, 'dcn0', glance=glance)

    files = glance_files.render(cloud, samples.ring_for(cloud))

    for site in ('central', 'dcn0'):
        conf = clouds.options(tmp_path, _of(files, site))
        assert conf.dcn0.store_description == description


def test_glance_is_told_of_successors(tmp_path: Path) -> None:
    cloud = samples.load('multi-ceph')
    ring = samples.rotated(samples.ring_for(cloud), cloud, 'dcn0')

    files = glance_files.render(cloud, ring)

    conf = clouds.options(tmp_path, _of(files, 'central'))
    users = {
        store: conf[store].rbd_store_user
        for store in ('central', 'dcn0', 'dcn1')
    }
    assert users == {
        'central': 'glance',
        'dcn0': 'glance-r1',
        'dcn1': 'glance',
    }


def test_caches_share_the_store_of_central(tmp_path: Path) -> None:
    cloud = samples.load('glance-cache')

    files = glance_files.render(cloud, samples.ring_for(cloud))

    for site in cloud.sites:
        conf = clouds.options(tmp_path, _of(files, site.name))
        backends = {str(cloud.central.store): stacks.Backend.SWIFT.value}
        assert conf.enabled_backends == backends
        assert conf.glance_store.default_backend == cloud.central.store
