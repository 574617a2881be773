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
"""A lab, seen from outside: by /proc, by HTTP, and in its files."""

import contextlib
from pathlib import Path
import socket

from lab import deployment
from lab import http
from lab import processes


def identity(lab: deployment.Lab) -> str:
    """Give what the mark of all its processes starts with."""
    return f'{lab.state.identity}/'


def states(lab: deployment.Lab) -> dict[str, str]:
    """Give the state of each service."""
    return {status.name: status.state for status in lab.status()}


def create_image(lab: deployment.Lab, name: str) -> str:
    """Make an image without data, as the ordinary user."""
    answer = http.request(
        'POST',
        f'{lab.glance_url}/v2/images',
        body={'name': name},
        headers={'X-Auth-Token': lab.credentials('demo').token()},
    )
    assert answer.status == 201, answer
    return str(answer.json()['id'])


def secrets_of(lab: deployment.Lab) -> list[bytes]:
    """Give every password and every Ceph key of a lab."""
    keyrings = lab.directory.glob('ceph-*/ceph.*.keyring')
    keys = [
        line.partition(' = ')[2]
        for keyring in keyrings
        for line in keyring.read_text().splitlines()
        if line.startswith('key')
    ]
    assert keys
    return [word.encode() for word in [*lab.state.passwords.values(), *keys]]


def places_with(lab: deployment.Lab, secrets: list[bytes]) -> list[Path]:
    """Name the command lines and logs that hold any of these."""
    found = []
    for place in [
        *Path('/proc').glob('[0-9]*/cmdline'),
        *lab.directory.glob('log/*.log'),
    ]:
        with contextlib.suppress(OSError):
            text = place.read_bytes()
            if any(word in text for word in secrets):
                found.append(place)
    return found


def listening(
    owners: list[processes.Process],
) -> set[tuple[str, int]]:
    """Find what these processes listen on, as (address, port)."""
    inodes = set()
    for owner in owners:
        for link in Path(f'/proc/{owner.pid}/fd').iterdir():
            with contextlib.suppress(OSError):
                inodes.add(link.readlink().name)
    found = set()
    for family, table in ((socket.AF_INET, 'tcp'), (socket.AF_INET6, 'tcp6')):
        for line in Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == '0A' and f'socket:[{fields[9]}]' in inodes:
                address, _, port = fields[1].partition(':')
                found.add((_address(family, address), int(port, 16)))
    return found


def _address(family: socket.AddressFamily, text: str) -> str:
    """Turn words in this machine's byte order into an address."""
    words = [
        bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)
    ]
    return socket.inet_ntop(family, b''.join(words))
