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
"""The engine where links have rates, with threads and in real time."""

import random
import time

import pytest

from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import transfers
from tests import waiting
from tests.unit.engines.rbd_stream import clouds

DCN0, DCN1 = images.StoreId('dcn0'), images.StoreId('dcn1')
CRAWL = links.Link('wan', rate_bytes_s=10.0)


def add(cloud: clouds.Cloud, length: int) -> images.Image:
    return cloud.add(random.Random(length).randbytes(length))


def test_several_images_share_a_link(cloud: clouds.Cloud) -> None:
    rate = 8000.0
    wan = links.Link('wan', rate_bytes_s=rate)
    engine = cloud.engine()
    engine.set_sites(cloud.all_sites(dcn0=wan, dcn1=wan))
    sent = [add(cloud, 4000), add(cloud, 4001), add(cloud, 4002)]
    begun_s = time.monotonic()

    engine.start(sent[0], [DCN0, DCN1], transfers.NO_WISHES)
    engine.start(sent[1], [DCN0], transfers.NO_WISHES)
    engine.start(sent[2], [DCN1], transfers.NO_WISHES)
    for image in sent:
        report = cloud.wait_for(engine, image.id)
        assert [lane.error for lane in report.lanes] == [None] * len(
            report.lanes
        )

    took_s = time.monotonic() - begun_s
    assert took_s >= (4 * 4000 - 4 * clouds.CHUNK) / rate - 0.1


@pytest.mark.parametrize(
    'then',
    [
        links.Link('wan', rate_bytes_s=1e9),
        links.Link('wan'),
        links.Link('other', rate_bytes_s=1e9),
    ],
    ids=['raised', 'taken away', 'moved'],
)
def test_what_crawls_is_let_go_at_once(
    cloud: clouds.Cloud, then: links.Link
) -> None:
    image = add(cloud, 20_000)
    engine = cloud.engine()
    engine.set_sites(cloud.all_sites(dcn0=CRAWL, dcn1=CRAWL))
    engine.start(image, [DCN0], transfers.NO_WISHES)
    engine.start(image, [DCN1], transfers.NO_WISHES)
    cloud.wait_for_data(engine, image.id)

    engine.set_sites(cloud.all_sites(dcn0=then, dcn1=then))

    waiting.until(
        'both have arrived',
        lambda: cloud.glance.get(image.id).stores >= {'dcn0', 'dcn1'},
        deadline_s=20.0,
    )


def test_what_runs_is_slowed_down_live(cloud: clouds.Cloud) -> None:
    image = add(cloud, 20_000)
    engine = cloud.engine()
    cloud.cephs['dcn0'].faults.delay(0.05, 'write')
    engine.start(image, [DCN0], transfers.NO_WISHES)
    cloud.wait_for_data(engine, image.id)

    engine.set_sites(cloud.all_sites(dcn0=CRAWL))
    # What is under way by then: four chunks, and one more.
    waiting.passes(0.3)
    before = cloud.cephs['dcn0'].sent_bytes
    waiting.passes(1.5)

    assert cloud.cephs['dcn0'].sent_bytes - before <= clouds.CHUNK
    assert before < 20_000
    engine.break_off(image.id, [DCN0], 'enough')
    cloud.wait_for(engine, image.id)


def test_a_lane_that_was_broken_off_frees_the_link(
    cloud: clouds.Cloud,
) -> None:
    first, second = add(cloud, 20_000), add(cloud, 20_001)
    engine = cloud.engine()
    engine.set_sites(cloud.all_sites(dcn0=CRAWL))
    engine.start(first, [DCN0], transfers.NO_WISHES)
    engine.start(second, [DCN0], transfers.NO_WISHES)
    cloud.wait_for_data(engine, first.id)

    engine.break_off(first.id, [DCN0], 'enough')
    cloud.wait_for(engine, first.id)
    wide = links.Link('wan', rate_bytes_s=1e6)
    engine.set_sites(cloud.all_sites(dcn0=wide))

    report = cloud.wait_for(engine, second.id)
    assert report.lanes[0].error is None
