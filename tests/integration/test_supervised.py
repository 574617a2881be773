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
import queue
import socket
import threading

import pytest

from tests import waiting
from tests.integration import clouds


class NotifySocket:
    """The end of a service systemd: it keeps all that it hears."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._heard: queue.Queue[str] = queue.Queue()
        self.words: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while text := self._socket.recv(4096).decode():
            self._heard.put(text)

    def has_heard(self, word: str, times: int = 1) -> bool:
        """Tell whether a word came, at least so often."""
        while not self._heard.empty():
            self.words += self._heard.get().splitlines()
        return self.words.count(word) >= times

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b'', str(self.path))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NotifySocket]:
    made = NotifySocket(tmp_path / 'notify')
    monkeypatch.setenv('NOTIFY_SOCKET', str(made.path))
    monkeypatch.setenv('WATCHDOG_USEC', '2000000')
    yield made
    made.close()


def test_ready_is_told_once_glance_was_looked_at(
    cloud: clouds.Cloud, systemd: NotifySocket
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
