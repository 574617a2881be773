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
"""A site's glance-api with a cache, as bootstrap renders it."""

import configparser
import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import Any

from glanceclient.v2 import client as glance_client

from lab import deployment
from lab import ports
from tests import waiting
from tests.integration import bootstrapped

MIB = 2**20


def _document(at: dict[str, int], data: Path) -> dict[str, Any]:
    """Describe a cloud whose images all lie in central's store."""

    def deploy(site: str, kind: str, **glance: object) -> dict[str, Any]:
        for name in ('staging', 'tasks', 'cache'):
            (data / site / name).mkdir(parents=True, exist_ok=True)
        return {
            'glance': {
                'backend': 'swift',
                'url': f'http://{ports.LOOPBACK}:{at[site]}',
                'data': str(data / site),
                **glance,
            },
            'stacks': {site: {'kind': kind, 'roles': {'Role': {'tag': site}}}},
        }

    cache = {'directory': str(data / 'dcn0' / 'cache'), 'max_size': '64MiB'}
    return {
        'version': '1',
        'deploy': {'import_methods': ['web-download']},
        'central': {
            'store': 'central',
            'deploy': deploy('central', 'control-plane'),
        },
        'sites': {
            'dcn0': {'deploy': deploy('dcn0', 'hyperconverged', cache=cache)}
        },
    }


def _in_front_of_rbd(rendered: Path, lab: deployment.Lab) -> None:
    """Have the same file name central's cluster: there is no Swift here."""
    parser = configparser.RawConfigParser()
    parser.read(rendered)
    assert parser['DEFAULT']['enabled_backends'] == 'central:swift'
    parser['DEFAULT']['enabled_backends'] = 'central:rbd'
    parser['central'] = {
        'rbd_store_ceph_conf': lab.ceph_conf('central', 'client.glance'),
        'rbd_store_user': 'glance',
        'rbd_store_pool': 'images',
    }
    with rendered.open('w') as file:
        parser.write(file)


def _download(client: Any, image_id: str) -> str:
    digest = hashlib.sha512()
    for chunk in client.images.data(image_id):
        digest.update(chunk)
    return digest.hexdigest()


def test_image_is_read_from_the_cache_while_central_is_away(
    running_lab: deployment.Lab, tmp_path: Path
) -> None:
    running_lab.up()
    at = bootstrapped.free_ports(running_lab, ('central', 'dcn0'))
    document = _document(at, tmp_path / 'data')
    made = bootstrapped.Bootstrap(running_lab, tmp_path, document)
    made.run('keys', '--apply')
    made.render()
    glance = made.glances({'dcn0': at['dcn0']})[0]
    stores = made.out / 'dcn0' / 'glance-api.conf.d' / 'dcn-stores.conf'
    _in_front_of_rbd(stores, running_lab)
    session = running_lab.credentials('admin').session()
    central = glance_client.Client(session=session)
    content = os.urandom(8 * MIB)
    expected = hashlib.sha512(content).hexdigest()
    with contextlib.ExitStack() as rest:
        image = central.images.create(
            name='cached', disk_format='raw', container_format='bare'
        )
        rest.callback(central.images.delete, image.id)
        rest.callback(glance.remove)
        rest.callback(running_lab.up)
        central.images.upload(image.id, io.BytesIO(content))
        glance.start()
        edge = glance_client.Client(
            session=session, endpoint_override=glance.url
        )
        assert _download(edge, image.id) == expected
        cached = tmp_path / 'data' / 'dcn0' / 'cache' / image.id
        waiting.until('it is in the cache', cached.exists)
        assert cached.read_bytes() == content

        running_lab.service('ceph-central').freeze()

        assert _download(edge, image.id) == expected
