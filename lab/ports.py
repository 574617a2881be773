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
"""Choosing ports on the loopback interface, and naming who holds one.

A port is a lab's for as long as the lab's directory exists, whether or not
something listens there: what is stopped must find its port free again. So that
labs beside each other know, each port is claimed by a symbolic link to the
directory, in one directory for all labs of a user.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import random
import socket

from lab import errors
from lab import files

# Below the range the kernel takes for outgoing connections (32768 and up):
# a service that is stopped for a while must find its port free again.
LOWEST = 12000
HIGHEST = 32000
LOOPBACK = '127.0.0.1'
CLAIMS = Path(f'/tmp/dcn-lab-ports-{os.getuid()}')
_LISTEN = '0A'


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback."""
    with contextlib.closing(socket.socket()) as probe:
        # As servers do; otherwise connections that were closed a moment
        # ago (TIME_WAIT) would count as a port in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose(count: int, owner: Path, taken: Iterable[int] = ()) -> int:
    """Claim `count` neighbouring free ports; give the first.

    :param owner: the directory of the lab; when it is gone, so is the claim
    :param taken: ports that are not to be chosen, claimed or not
    """
    with _claims() as claims:
        used = {*taken, *(int(claim.name) for claim in claims.glob('[0-9]*'))}
        # At random: other programs look for free ports, too.
        for _ in range(1000):
            first = random.randrange(LOWEST, HIGHEST - count + 1)
            block = range(first, first + count)
            if used.isdisjoint(block) and all(map(is_free, block)):
                for port in block:
                    (claims / str(port)).symlink_to(owner)
                return first
    raise errors.LabError(
        f'no {count} free ports in a row on {LOOPBACK} between {LOWEST} and '
        f'{HIGHEST}: end some of the programs that listen there, or take '
        'labs away (tools/lab down --purge)'
    )


def give_back() -> None:
    """End the claims of labs that are gone, before others have their paths."""
    with _claims():
        pass


@contextlib.contextmanager
def _claims() -> Iterator[Path]:
    """Give the directory of claims, for us alone and with those that hold."""
    files.private_directory(CLAIMS)
    with (CLAIMS / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for claim in CLAIMS.glob('[0-9]*'):
            if not claim.exists():
                claim.unlink()
        yield CLAIMS


def holder(port: int) -> str:
    """Name the process that listens on a port, as far as one can see."""
    inodes = {
        fields[9]
        for fields in _listening()
        if int(fields[1].rpartition(':')[2], 16) == port
    }
    for link in Path('/proc').glob('[0-9]*/fd/*'):
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.startswith('socket:[') and target[8:-1] in inodes:
                pid = link.parts[2]
                name = Path('/proc', pid, 'comm').read_text().strip()
                return f'pid {pid} ({name})'
    return 'another program'


def _listening() -> list[list[str]]:
    lines: list[str] = []
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        with contextlib.suppress(OSError):
            lines += Path(table).read_text().splitlines()[1:]
    entries = [line.split() for line in lines]
    return [fields for fields in entries if fields[3] == _LISTEN]
