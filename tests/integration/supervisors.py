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
"""A service manager's end of what sd_notify(3) says."""

from pathlib import Path
import queue
import socket
import threading


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

    def value(self, name: str) -> str:
        """What a word NAME=VALUE gave last; '' if none came."""
        self.has_heard(name)
        told = [w.partition('=') for w in self.words]
        return next((v for n, _, v in reversed(told) if n == name), '')

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b'', str(self.path))
        self._thread.join()
        self._socket.close()
