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
"""When a supervisor is told what."""

import logging

import pytest

from dcn_distributor.service import progress
from dcn_distributor.service import supervision
from tests import waiting
from tests.fakes import clock as fake_clock

PATIENCE_S = 40.0


class Supervisor:
    """Keeps what it was told."""

    def __init__(self, patience_s=PATIENCE_S):
        self.patience_s = patience_s
        self.told = []

    def ready(self):
        """See Supervisor."""
        self.told.append('ready')

    def alive(self):
        """See Supervisor."""
        self.told.append('alive')

    def stopping(self):
        """See Supervisor."""
        self.told.append('stopping')


class World:
    """A supervision, with a clock and a Glance that tests set."""

    def __init__(self, patience_s=PATIENCE_S):
        self.clock = fake_clock.Clock()
        self.has_looked = False
        self.supervisor = Supervisor(patience_s)
        self.progress = progress.Progress(self.clock)
        self.supervision = supervision.Supervision(
            self.supervisor, self.progress, lambda: self.has_looked
        )

    def tell(self):
        """Have told what there is now; give that."""
        self.supervisor.told.clear()
        self.supervision.tell()
        return list(self.supervisor.told)


@pytest.fixture
def world():
    return World()


def test_it_is_ready_once_all_images_were_looked_at(world):
    assert world.tell() == ['alive']
    world.has_looked = True
    assert world.tell() == ['ready', 'alive']
    assert world.tell() == ['alive']


def test_work_that_is_stuck_keeps_the_watchdog_unfed(world, caplog):
    with world.progress.working('the look at an image'):
        world.clock.advance(PATIENCE_S / 2)
        assert world.tell() == ['alive']
        world.clock.advance(1)
        assert world.tell() == []
        assert world.tell() == []
    assert world.tell() == ['alive']

    (message,) = (
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR
    )
    assert 'the look at an image' in message


def test_nobody_watches_and_it_is_ready_nevertheless():
    world = World(patience_s=None)
    world.has_looked = True

    assert world.tell() == ['ready']
    assert world.tell() == []


def test_it_tells_by_itself_until_it_is_stopped():
    world = World(patience_s=0.04)
    world.has_looked = True

    world.supervision.start()
    waiting.until(
        'it is fed', lambda: world.supervisor.told.count('alive') > 2
    )
    world.supervision.stop()

    assert world.supervisor.told[0] == 'ready'
    assert 'stopping' in world.supervisor.told
