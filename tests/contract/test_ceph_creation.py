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
"""What clients.ceph creates past librbd is what librbd creates."""

from collections.abc import Iterator
import subprocess

import pytest
import rados
import rbd

from dcn_distributor.clients import ceph
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from lab import deployment
from tests.contract import filling
from tests.contract import real_clusters
from tests.contract.filling import OBJECT
from tests.contract.filling import SIZE

pytestmark = pytest.mark.lab

_OF_EACH_ITS_OWN = {
    'object_prefix',
    'create_timestamp',
    'access_timestamp',
    'modify_timestamp',
}
_KEYS_AT_MOST = 100


@pytest.fixture
def conf(running_lab: deployment.Lab) -> str:
    """The administrator's configuration of the first site."""
    return running_lab.ceph_conf(running_lab.sites[0])


@pytest.fixture
def pool(conf: str) -> Iterator[rados.Ioctx]:
    """The pool of the images there."""
    with (
        real_clusters.administrator(conf) as handle,
        handle.open_ioctx('images') as ioctx,
    ):
        yield ioctx


@pytest.fixture
def cluster(running_lab: deployment.Lab, conf: str) -> Iterator[ceph.Cluster]:
    """The cluster as an agent has it."""
    user = real_clusters.USER
    conf = running_lab.ceph_conf(running_lab.sites[0], f'client.{user}')
    made = ceph.Cluster(
        sites.Cluster(conf, user, 'images'),
        ceph.Options(connections=2, timeout_s=10.0),
    )
    yield made
    made.close()


def _header(pool: rados.Ioctx, name: str) -> dict[str, bytes]:
    """Read all that an image's header holds."""
    with rbd.Image(pool, name, read_only=True) as image:
        rbd_id = image.id()
    with rados.ReadOpCtx() as operation:
        found, _ = pool.get_omap_vals(operation, '', '', _KEYS_AT_MOST)
        pool.operate_read_op(operation, f'rbd_header.{rbd_id}')
        return dict(found)


def _draft(cluster: ceph.Cluster) -> tuple[str, storage.Copy]:
    image_id = filling.new_id()
    copy = cluster.open_copy(images.ImageId(image_id), SIZE, OBJECT)
    return f'{image_id}{storage.DRAFT_SUFFIX}', copy


def test_header_is_what_librbd_writes(
    cluster: ceph.Cluster, pool: rados.Ioctx
) -> None:
    reference = filling.new_id()
    order = OBJECT.bit_length() - 1
    rbd.RBD().create(pool, reference, SIZE, order, old_format=False)
    name, copy = _draft(cluster)

    seen, expected = _header(pool, name), _header(pool, reference)

    assert seen.keys() == expected.keys()
    for key in seen.keys() - _OF_EACH_ITS_OWN:
        assert seen[key] == expected[key], key
    prefix = seen['object_prefix'][4:]
    with rbd.Image(pool, name, read_only=True) as image:
        assert prefix.decode() == image.block_name_prefix()
        assert prefix == f'rbd_data.{image.id()}'.encode()
    copy.discard()
    copy.close()
    rbd.RBD().remove(pool, reference)


def test_two_images_have_two_ids(
    cluster: ceph.Cluster, pool: rados.Ioctx
) -> None:
    drafts = [_draft(cluster) for _ in range(3)]

    ids = set()
    for name, _ in drafts:
        with rbd.Image(pool, name, read_only=True) as image:
            ids.add(image.id())

    assert len(ids) == len(drafts)
    for _, copy in drafts:
        copy.discard()
        copy.close()


def test_configuration_of_the_pool_holds(
    cluster: ceph.Cluster, pool: rados.Ioctx, conf: str
) -> None:
    words = ['rbd', '--conf', conf, 'config', 'pool']
    option = ['images', 'rbd_default_features']
    subprocess.run([*words, 'set', *option, 'layering'], check=True)
    try:
        name, copy = _draft(cluster)
        with rbd.Image(pool, name, read_only=True) as image:
            assert image.features() == rbd.RBD_FEATURE_LAYERING
    finally:
        subprocess.run([*words, 'remove', *option], check=True)
    copy.discard()
    copy.close()
