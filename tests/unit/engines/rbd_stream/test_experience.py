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
"""What one transfer teaches the next, and sites that change under one."""

import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import experience as experiences
from tests.unit.engines.rbd_stream import clouds

IMAGE = images.ImageId('one')
EDGES = [images.StoreId('dcn0'), images.StoreId('dcn1')]
CONTENT = bytes(range(1, 251)) * 20


def _report(
    error: exceptions.DistributorError | None = None,
    failed_source: str | None = None,
    image_id: str = IMAGE,
    is_source_false: bool = False,
) -> transfers.Report:
    phase = transfers.Phase.FAILED if error else transfers.Phase.DONE
    lane = transfers.Lane(
        site=sites.SiteName('dcn0'), store=EDGES[0], phase=phase, error=error
    )
    return transfers.Report(
        image_id=images.ImageId(image_id),
        size_bytes=1,
        source=images.StoreId('central'),
        verify=transfers.Verify.FULL,
        started_s=0.0,
        ended_s=1.0,
        read_bytes=1,
        lanes=(lane,),
        failed_source=failed_source and images.StoreId(failed_source),
        is_source_false=is_source_false,
    )


def test_a_site_that_gave_no_answer_is_narrow_until_a_copy_is_done() -> None:
    experience = experiences.Experience()

    experience.learn(_report(exceptions.ClusterUnavailable('no answer')))
    assert experience.is_narrow(EDGES[0])
    experience.learn(_report(exceptions.StoreFull('full')))
    assert experience.is_narrow(EDGES[0])
    experience.learn(_report())

    assert not experience.is_narrow(EDGES[0])


def test_sources_that_failed_are_remembered_until_all_is_well() -> None:
    experience = experiences.Experience()
    error = exceptions.SourceUnavailable('away')

    experience.learn(_report(error, 'central'))
    assert experience.failed_sources(IMAGE) == {'central'}
    assert not experience.doubted_sources(IMAGE)
    assert experience.is_narrow(images.StoreId('central'))
    experience.learn(_report(error, 'dcn1', is_source_false=True))
    assert experience.failed_sources(IMAGE) == {'central', 'dcn1'}
    assert experience.doubted_sources(IMAGE) == {'dcn1'}
    experience.learn(_report())

    assert not experience.failed_sources(IMAGE)
    assert not experience.doubted_sources(IMAGE)
    assert not experience.is_narrow(images.StoreId('central'))


def test_only_so_many_images_are_remembered() -> None:
    experience = experiences.Experience()
    error = exceptions.SourceUnavailable('away')
    for number in range(300):
        experience.learn(
            _report(error, 'central', str(number), is_source_false=True)
        )

    remembered = [
        number
        for number in range(300)
        if experience.failed_sources(images.ImageId(str(number)))
        and experience.doubted_sources(images.ImageId(str(number)))
    ]

    assert remembered == [*range(300 - 256, 300)]


def test_a_rotten_source_is_passed_over_by_the_next_pass(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    engine.start(image, EDGES[1:], transfers.NO_WISHES)
    cloud.wait_for(engine, image.id)
    cloud.cephs['central'].pool.flip(image.id, 1234)

    engine.start(cloud.glance.get(image.id), EDGES[:1], transfers.NO_WISHES)
    first = cloud.wait_for(engine, image.id)
    engine.start(cloud.glance.get(image.id), EDGES[:1], transfers.NO_WISHES)
    second = cloud.wait_for(engine, image.id)

    assert isinstance(first.lanes[0].error, exceptions.SourceUnavailable)
    assert (second.source, second.lanes[0].error) == ('dcn1', None)
    assert cloud.cephs['dcn0'].pool.read(image.id) == CONTENT


def test_an_image_that_is_false_everywhere_is_so_for_good(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    engine.start(image, EDGES[1:], transfers.NO_WISHES)
    cloud.wait_for(engine, image.id)
    for store in ('central', 'dcn1'):
        cloud.cephs[store].pool.flip(image.id, 1234)

    errors = []
    for _ in range(2):
        engine.start(
            cloud.glance.get(image.id), EDGES[:1], transfers.NO_WISHES
        )
        errors.append(cloud.wait_for(engine, image.id).lanes[0].error)

    assert isinstance(errors[0], exceptions.SourceUnavailable)
    assert isinstance(errors[1], exceptions.VerificationFailed)


def test_new_settings_of_a_site_break_no_copy_under_way(
    cloud: clouds.Cloud,
) -> None:
    image = cloud.add(CONTENT)
    engine = cloud.engine()
    engine.set_rate(500.0)
    engine.start(image, EDGES[:1], transfers.NO_WISHES)
    cloud.wait_for_data(engine, image.id)
    before = cloud.all_sites()
    assert before.central_cluster is not None
    changed = dataclasses.replace(before.central_cluster, user='another')

    engine.set_sites(dataclasses.replace(before, central_cluster=changed))
    engine.set_rate(None)
    report = cloud.wait_for(engine, image.id)

    assert report.lanes[0].error is None
    assert cloud.cephs['dcn0'].pool.read(image.id) == CONTENT
