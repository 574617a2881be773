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
"""What systemd is told by an agent that works on a real cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import waiting
from tests.integration import clouds
from tests.integration import supervisors


@pytest.fixture
def systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[supervisors.NotifySocket]:
    made = supervisors.NotifySocket(tmp_path / 'notify')
    monkeypatch.setenv('NOTIFY_SOCKET', str(made.path))
    monkeypatch.setenv('WATCHDOG_USEC', '2000000')
    yield made
    made.close()


def test_ready_is_told_once_glance_was_looked_at(
    cloud: clouds.Cloud, systemd: supervisors.NotifySocket
) -> None:
    cloud.lab.service('glance').stop()
    agent = cloud.agent()
    agent.start()
    waiting.until(
        'the watchdog is fed', lambda: systemd.has_heard('WATCHDOG=1')
    )
    waiting.until('Glance is missed', lambda: 'Resync broken off' in agent.log)
    assert not systemd.has_heard('READY=1')

    cloud.lab.service('glance').start()

    waiting.until('it is ready', lambda: systemd.has_heard('READY=1'))
    image_id = cloud.upload()
    cloud.wait_for_copies(image_id)
    assert agent.stop() == 0
    waiting.until('it is ending', lambda: systemd.has_heard('STOPPING=1'))
    assert systemd.words.count('READY=1') == 1
