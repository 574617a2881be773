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
"""How often sites are checked, and Glance is asked for its stores."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import threading

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.engines.rbd_stream import caretaker as caretakers
from dcn_distributor.engines.rbd_stream import preconditions
from tests import waiting
from tests.fakes import clusters
from tests.fakes import glance as fake_glance
from tests.unit.engines.rbd_stream import clouds

ROUNDS = 5


class CountedCluster(clusters.FakeCluster):
    """A cluster that counts how often it was checked."""

    checks = 0

    def check(self) -> None:
        """See core.storage.Cluster."""
        super().check()
        self.checks += 1


class SlowGlance(fake_glance.FakeGlance):
    """A Glance that connects to sites for as long as it is told to."""

    def __init__(self) -> None:
        super().__init__(clouds.STORES, lambda: 0.0)
        self.may_answer = threading.Event()
        self.asked = 0
        self.error: exceptions.DistributorError | None = None

    def store_details(self) -> Mapping[images.StoreId, images.StoreDetails]:
        """See core.ports.Images."""
        self.asked += 1
        self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        return {images.StoreId('dcn0'): images.StoreDetails(512, 'images', '')}


@pytest.fixture
def glance() -> Iterator[SlowGlance]:
    """A Glance that does not answer yet."""
    made = SlowGlance()
    yield made
    made.may_answer.set()


@pytest.fixture
def caretaker(glance: SlowGlance) -> Iterator[caretakers.Caretaker]:
    """A caretaker that was told of no sites yet."""
    made = caretakers.Caretaker(
        glance, preconditions.Preconditions(glance, lambda: None)
    )
    yield made
    made.stop()


def _one(cloud: clouds.Cloud) -> sites.Sites:
    """One site that has a cluster."""
    every = cloud.all_sites()
    return dataclasses.replace(
        every, edges=every.edges[:1], central_cluster=None
    )


def _check_often(
    caretaker: caretakers.Caretaker, cluster: CountedCluster
) -> None:
    for number in range(ROUNDS):
        caretaker.recheck()
        waiting.until(
            'the site is checked once more',
            lambda number=number: cluster.checks > number,  # type: ignore[misc]
        )


def test_glance_connects_to_all_sites_once_for_many_checks(
    cloud: clouds.Cloud, glance: SlowGlance, caretaker: caretakers.Caretaker
) -> None:
    cluster = CountedCluster(cloud.cephs['dcn0'])
    caretaker.set_sites(_one(cloud), {images.StoreId('dcn0'): cluster})

    _check_often(caretaker, cluster)
    caretaker.set_sites(_one(cloud), {images.StoreId('dcn0'): cluster})
    _check_often(caretaker, cluster)

    assert glance.asked == 1


def test_details_are_read_again_when_the_sites_change(
    cloud: clouds.Cloud, glance: SlowGlance, caretaker: caretakers.Caretaker
) -> None:
    cluster = CountedCluster(cloud.cephs['dcn0'])
    glance.may_answer.set()
    glance.error = exceptions.GlanceUnavailable('not now')
    caretaker.set_sites(_one(cloud), {images.StoreId('dcn0'): cluster})
    caretaker.wait(30)
    assert caretaker.chunk_bytes(images.StoreId('dcn0')) is None

    glance.error = None
    caretaker.set_sites(_one(cloud), {images.StoreId('dcn0'): cluster})

    waiting.until(
        'they are known',
        lambda: caretaker.chunk_bytes(images.StoreId('dcn0')) == 512,
    )


def test_glance_is_left_alone_where_no_site_has_a_cluster(
    cloud: clouds.Cloud, glance: SlowGlance, caretaker: caretakers.Caretaker
) -> None:
    caretaker.set_sites(cloud.all_sites(), {})
    caretaker.recheck()

    caretaker.wait(0.2)

    assert not glance.asked
