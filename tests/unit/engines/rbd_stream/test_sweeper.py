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
"""What a sweep removes, whatever else lies there or does not answer."""

import threading

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import sweeper
from tests import waiting
from tests.fakes import clusters
from tests.fakes import rbd_pool
from tests.unit.engines.rbd_stream import clouds

FIRST = images.ImageId('11111111-0000-4000-8000-000000000000')
SECOND = images.ImageId('22222222-0000-4000-8000-000000000000')


def put_draft(
    cloud: clouds.Cloud, store: str, image_id: images.ImageId
) -> rbd_pool.Pool:
    pool = cloud.cephs[store].pool
    pool.put(f'{image_id}{storage.DRAFT_SUFFIX}', b'left', clouds.OBJECT)
    return pool


def sweep(cloud: clouds.Cloud) -> None:
    sweeper.sweep(
        cloud.glance,
        {
            images.StoreId(store): clusters.FakeCluster(ceph)
            for store, ceph in cloud.cephs.items()
        },
        lambda _: False,
    )


def drafts(cloud: clouds.Cloud, store: str) -> set[str]:
    return {
        name.removesuffix(storage.DRAFT_SUFFIX)
        for name in cloud.cephs[store].pool.images
        if name.endswith(storage.DRAFT_SUFFIX)
    }


def test_what_cannot_be_removed_keeps_nothing_else(
    cloud: clouds.Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    pool = put_draft(cloud, 'dcn0', FIRST)
    pool.clone(f'{FIRST}{storage.DRAFT_SUFFIX}', 'a volume')
    put_draft(cloud, 'dcn0', SECOND)

    sweep(cloud)

    assert drafts(cloud, 'dcn0') == {FIRST}
    [told] = [r for r in caplog.records if r.levelname == 'WARNING']
    assert FIRST in told.getMessage()
    assert 'dcn0' in told.getMessage()


def test_an_image_that_glance_cannot_read_keeps_nothing_else(
    cloud: clouds.Cloud,
) -> None:
    put_draft(cloud, 'dcn0', FIRST)
    put_draft(cloud, 'dcn0', SECOND)
    cloud.glance.add(id=FIRST)
    cloud.glance.break_image(FIRST, exceptions.GlanceUnavailable('500'))

    sweep(cloud)

    assert drafts(cloud, 'dcn0') == {FIRST}


def test_a_cluster_that_is_lost_is_left_for_another_time(
    cloud: clouds.Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    for image_id in (FIRST, SECOND):
        put_draft(cloud, 'dcn0', image_id)
        put_draft(cloud, 'dcn1', image_id)
    cloud.cephs['dcn0'].faults.fail('claim', times=None)

    sweep(cloud)

    assert drafts(cloud, 'dcn0') == {FIRST, SECOND}
    assert drafts(cloud, 'dcn1') == set()
    assert cloud.cephs['dcn0'].faults.calls['claim'] == 1
    assert not [r for r in caplog.records if r.levelname == 'WARNING']


def test_a_cluster_that_hangs_does_not_delay_the_others(
    cloud: clouds.Cloud,
) -> None:
    put_draft(cloud, 'dcn0', FIRST)
    put_draft(cloud, 'dcn1', FIRST)
    cloud.cephs['dcn0'].faults.timeout_s = 100.0
    cloud.cephs['dcn0'].freeze()
    sweeping = threading.Thread(target=sweep, args=[cloud], daemon=True)
    sweeping.start()

    waiting.until('dcn1 is swept', lambda: not drafts(cloud, 'dcn1'), 30.0)

    assert drafts(cloud, 'dcn0') == {FIRST}
    cloud.cephs['dcn0'].thaw()
    sweeping.join()
    assert drafts(cloud, 'dcn0') == set()
