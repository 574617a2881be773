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
"""An agent of several is lost: others take its links, and finish its copies.

One set of agents for all tests: each hands it on whole.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import time

import pytest

from lab import deployment
from tests import forwarders
from tests import labs
from tests import waiting
from tests.integration import agents
from tests.integration import clouds
from tests.integration import fleets
from tests.integration import pools

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

MIB = 2**20
# What the links of a lost agent may take beyond the lease.
TAKEOVER_S = 10.0
SITE = 'dcn0'
WINDOW = 4 * MIB
# What is written of a copy when its agent is lost, at least.
DRAFT = 8 * MIB
SLOWLY = {
    ('rbd_stream', 'window'): '4MiB',
    ('rbd_stream', 'chunk_size'): '1MiB',
    ('rbd_stream', 'rate'): '2MiB',
}
FAST = {('rbd_stream', 'rate'): '0'}


@dataclasses.dataclass(frozen=True)
class Scene:
    """Three agents; the victim alone reaches others by ways to be cut."""

    cloud: clouds.Cloud
    fleet: fleets.Fleet
    victim: str
    way_to_etcd: forwarders.Forwarder
    ways_to_bus: tuple[forwarders.Forwarder, ...]

    @property
    def agent(self) -> agents.Agent:
        """The agent that is going to be lost."""
        return self.fleet.agents[self.victim]


@dataclasses.dataclass(frozen=True)
class Loss:
    """A way to lose an agent, and to have it again."""

    strike: Callable[[Scene], object]
    heal: Callable[[Scene], object]


LOSSES = {
    'killed': Loss(
        lambda scene: scene.agent.kill(), lambda scene: scene.agent.start()
    ),
    'frozen': Loss(
        lambda scene: scene.agent.freeze(), lambda scene: scene.agent.thaw()
    ),
    'cut off from the coordinator': Loss(
        lambda scene: scene.way_to_etcd.cut(),
        lambda scene: scene.way_to_etcd.mend(),
    ),
    'cut off from the bus': Loss(
        lambda scene: [way.cut() for way in scene.ways_to_bus],
        lambda scene: [way.mend() for way in scene.ways_to_bus],
    ),
}


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return agents that all are well, with a cloud of their own."""
    directory = tmp_path_factory.mktemp('failover')
    with (
        labs.of_several(directory / 'l', ('dcn0', 'dcn1')) as lab,
        contextlib.ExitStack() as ending,
    ):
        way, *ways = (
            ending.enter_context(
                contextlib.closing(forwarders.Forwarder(port))
            )
            for port in ports(lab)
        )
        cloud = ending.enter_context(
            contextlib.closing(clouds.Cloud(lab, directory))
        )
        victim = fleets.owner(cloud, SITE)
        fleet = fleets.Fleet(
            cloud,
            SLOWLY,
            cloud.streaming(),
            {victim: detour(lab, [way, *ways])},
        )
        fleet.start()
        yield Scene(cloud, fleet, victim, way, tuple(ways))


def ports(lab: deployment.Lab) -> list[int]:
    """Where etcd and the nodes of RabbitMQ listen."""
    names = ('etcd', 'rabbitmq-1', 'rabbitmq-2', 'rabbitmq-3')
    return [lab.state.port(name) for name in names]


def detour(
    lab: deployment.Lab, ways: list[forwarders.Forwarder]
) -> fleets.Options:
    """Have an agent reach all of these by ways that can be cut."""
    urls = {
        ('coordination', 'backend_url'): lab.coordination_url,
        ('DEFAULT', 'transport_url'): lab.transport_url,
    }
    for port, way in zip(ports(lab), ways, strict=True):
        urls = {
            option: url.replace(f':{port}', f':{way.port}')
            for option, url in urls.items()
        }
    # The lease is shorter than usual, and so is this.
    return {
        **urls,
        ('oslo_messaging_rabbit', 'heartbeat_timeout_threshold'): '2',
    }


@pytest.mark.parametrize('loss', LOSSES)
def test_the_links_of_a_lost_agent_move_and_its_copies_are_resumed(
    scene: Scene, loss: str
) -> None:
    cloud, fleet = scene.cloud, scene.fleet
    fleet.change(SLOWLY)
    heir = fleet.owner(SITE, without=[scene.victim])
    data = os.urandom(64 * MIB)
    received = cloud.pool(SITE).received_bytes()
    image_id = cloud.put_bytes(data)
    wait_for_draft(cloud, image_id, DRAFT)

    told = len(scene.agent.log)
    begun_s = time.time()
    LOSSES[loss].strike(scene)
    taken_s = waiting.until(
        f'{heir} takes the link',
        lambda: [
            line.at_s
            for line in fleet.lines(image_id, SITE)
            if line.agent == heir and line.state == 'copying'
        ],
    )[0]
    fleet.change(FAST, but=[scene.victim])
    cloud.wait_for_copies(image_id)

    assert taken_s - begun_s < fleets.LEASE_S + TAKEOVER_S
    # What was there was not sent again, but for what was under way.
    sent = cloud.pool(SITE).received_bytes() - received
    assert sent < len(data) + WINDOW + MIB < len(data) + DRAFT

    LOSSES[loss].heal(scene)
    fleet.wait_until_in(scene.victim, told)
    fleet.change(FAST)
    later = cloud.upload()
    cloud.wait_for_copies(later)
    (copied,) = waiting.until(
        f'somebody logs the copy of {later}',
        lambda: whole(fleet.lines(later, SITE)),
    )
    assert copied.agent == scene.victim
    for site in cloud.edges:
        assert len(whole(fleet.lines(image_id, site))) == 1, fleet.lines(
            image_id, site
        )
    # A client that was frozen may count as a watcher for 30 s.
    cloud.check_settled(image_id, cloud.lab.sites, deadline_s=60.0)


def wait_for_draft(cloud: clouds.Cloud, image_id: str, size: int) -> None:
    """Wait until so much of a draft is written."""
    waiting.until(
        f'some of {image_id} is at {SITE}',
        lambda: (
            cloud.pool(SITE).object_bytes_at_rest(image_id + pools.DRAFT)
            >= size
        ),
        pause_s=0.05,
    )


def whole(lines: list[fleets.Line]) -> list[fleets.Line]:
    """Take those that tell of a copy that is whole."""
    return [line for line in lines if line.state in ('present', 'verified')]
