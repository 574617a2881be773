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
"""Worlds for the contract suite, and the lab that one of them needs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lab import deployment
from tests.contract import cluster_worlds
from tests.contract import fake_clusters
from tests.contract import real_worlds
from tests.contract import worlds
from tests.labs import running_lab  # noqa: F401

if TYPE_CHECKING:
    from tests.contract import one_cluster
    from tests.contract import real_clusters


@pytest.fixture(scope='session')
def logged_in(
    running_lab: deployment.Lab,  # noqa: F811
) -> Iterator[real_worlds.RealWorld]:
    """Return a world for the session: to log in takes longer than a test."""
    world = real_worlds.RealWorld(running_lab)
    yield world
    world.close()


@pytest.fixture
def real_world(
    logged_in: real_worlds.RealWorld,
) -> Iterator[real_worlds.RealWorld]:
    yield logged_in
    logged_in.clean()


@pytest.fixture(params=['fake', pytest.param('glance', marks=pytest.mark.lab)])
def world(request: pytest.FixtureRequest) -> worlds.World:
    """Return a world, once a fake and once a real one."""
    if request.param == 'fake':
        return worlds.FakeWorld()
    real: real_worlds.RealWorld = request.getfixturevalue('real_world')
    return real


@pytest.fixture(scope='session')
def connected(
    running_lab: deployment.Lab,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> 'Iterator[real_clusters.RealWorld]':
    """Return a world for the session: its own connections stay open."""
    # Needs rados and rbd, which the fakes do without.
    from tests.contract import real_clusters

    made = real_clusters.RealWorld(
        running_lab, tmp_path_factory.mktemp('clusters')
    )
    yield made
    made.close()


@pytest.fixture
def real_world_of_clusters(
    connected: 'real_clusters.RealWorld',
) -> 'Iterator[real_clusters.RealWorld]':
    with connected.in_use():
        yield connected


@pytest.fixture
def threaded_world() -> Iterator[fake_clusters.ThreadedWorld]:
    made = fake_clusters.ThreadedWorld()
    yield made
    made.close()


@pytest.fixture(
    params=[
        'virtual',
        'threads',
        pytest.param('ceph', marks=pytest.mark.lab),
    ]
)
def clusters(request: pytest.FixtureRequest) -> cluster_worlds.World:
    """Return two clusters: twice fake, once real."""
    if request.param == 'virtual':
        return fake_clusters.VirtualWorld()
    name = {'threads': 'threaded_world', 'ceph': 'real_world_of_clusters'}
    made: cluster_worlds.World = request.getfixturevalue(name[request.param])
    return made


@pytest.fixture
def here(
    real_world_of_clusters: 'real_clusters.RealWorld',
    running_lab: deployment.Lab,  # noqa: F811
) -> 'Iterator[one_cluster.OneCluster]':
    """Return the first of the real ones, and its administrator."""
    from tests.contract import one_cluster

    made = one_cluster.OneCluster(real_world_of_clusters, running_lab)
    yield made
    made.close()
