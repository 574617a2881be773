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
"""Asking a Ceph server through its admin socket."""

import contextlib
import json
from pathlib import Path
import socket
import struct
from typing import Any

_TIMEOUT_S = 3.0


def ask(path: Path, command: str) -> dict[str, Any]:
    """Send one command; a frozen server fails with TimeoutError."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(str(path))
        question = json.dumps({'prefix': command, 'format': 'json'})
        connection.sendall(question.encode() + b'\0')
        (length,) = struct.unpack('>I', _receive(connection, 4))
        answer = json.loads(_receive(connection, length))
    if not isinstance(answer, dict):
        raise TypeError(f'{command} was answered with {answer!r}')
    return answer


def _receive(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise ConnectionError('the answer ended early')
        parts += part
    return bytes(parts)
