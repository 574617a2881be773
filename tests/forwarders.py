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
"""A way from one program to a server that can be cut."""

from collections.abc import Iterator
import contextlib
import socket
import socketserver
import threading

_PIECE = 1 << 16
_LOOPBACK = '127.0.0.1'


class Forwarder(socketserver.ThreadingTCPServer):
    """Passes TCP connections on to a port of this host.

    While it is cut nothing gets through, and nobody is told: connections
    stay open, new ones are taken up, and no answer comes, as when a network
    loses all packets. What was under way then is lost with its connection.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((_LOOPBACK, 0), _Connection)
        self._to = (_LOOPBACK, port)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._is_whole = threading.Event()
        self._is_whole.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """The port on which to reach the server."""
        return int(self.server_address[1])

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._is_whole.clear()

    def mend(self) -> None:
        """Let everything through again, over new connections."""
        self._reset()
        self._is_whole.set()

    def close(self) -> None:
        """End all connections, and take up no more."""
        self.shutdown()
        self.server_close()
        self._reset()
        self._is_whole.set()

    def carry(self, near: socket.socket) -> None:
        """Carry one connection to its end."""
        with self._known(near):
            self._is_whole.wait()
            with (
                contextlib.suppress(OSError),
                socket.create_connection(self._to) as far,
                self._known(far),
            ):
                back = threading.Thread(
                    target=self._pump, args=(far, near), daemon=True
                )
                back.start()
                self._pump(near, far)
                back.join()

    @contextlib.contextmanager
    def _known(self, one: socket.socket) -> Iterator[None]:
        with self._lock:
            self._sockets.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(one)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                self._is_whole.wait()
                target.sendall(piece)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _reset(self) -> None:
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Forwarder)
        self.server.carry(self.request)
