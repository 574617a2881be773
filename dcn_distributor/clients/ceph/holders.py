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
"""Who holds a claim: how a process is told from others, and if it lives.

The holder of a lock gives a word with it, the cookie: the identity of its
process, a slash, and what tells its claims apart.
"""

import os
from pathlib import Path
import socket


def identity_of_process() -> str:
    """Describe this process so that others can tell whether it lives."""
    boot, namespace = _this_machine()
    pid = os.getpid()
    started = _start_time(pid)
    return f'{socket.gethostname()}/{boot}/{namespace}/{pid}/{started}'


def _this_machine() -> tuple[str, str]:
    boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    return boot, os.readlink('/proc/self/ns/pid')


def _start_time(pid: int) -> str:
    """Read when a process started, in ticks since boot.

    Raises ProcessLookupError if it is gone, PermissionError if it is not and
    does not say.
    """
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        # Those of other users may be hidden (proc(5): hidepid), as in a
        # service with ProtectProc=. This tells them from none.
        os.kill(pid, 0)
        raise PermissionError(f'process {pid} is hidden') from None
    # The name before it is in parentheses, and may contain any of them.
    return stat.rpartition(')')[2].split()[19]


def is_dead(cookie: str) -> bool:
    """Tell whether the holder was a process of this machine and is gone.

    False where that cannot be told from here.
    """
    _, *parts = cookie.split('/')
    if len(parts) != 5:
        return False
    boot, namespace, pid, started, _ = parts
    if (boot, namespace) != _this_machine() or not pid.isdigit():
        return False
    try:
        return _start_time(int(pid)) != started
    except ProcessLookupError:
        return True
    except PermissionError:
        return False


def describe(cookie: str) -> str:
    """Say in words who holds a claim."""
    host, *parts = cookie.split('/')
    if len(parts) != 5:
        return f'another agent ({cookie.rpartition("/")[0]})'
    return f'process {parts[2]} on {host}'
