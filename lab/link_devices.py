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
"""The TUN devices and the namespace of a link, by the program ip.

The devices outlive the loop between them: while it is not there they have no
carrier, so packets are lost, as in a cut cable, and connections live on. The
alias of the near device tells whose it is.
"""

import os
from pathlib import Path
import subprocess

from lab import errors
from lab import link
from lab import processes

_NAMESPACES = Path('/run/netns')
_DEVICES = Path('/sys/class/net')
_TUN = Path('/dev/net/tun')
_TIMEOUT_S = 20


def check(network: link.Network) -> None:
    """Find what would keep the link from being made."""
    _program()
    if os.geteuid() != 0:
        raise errors.LabError(
            'a link needs network devices and a namespace, which only root '
            'can make: run this as root, or the lab without --link'
        )
    if not _TUN.exists():
        raise errors.LabError(
            f'{_TUN} is not there: load the kernel module tun, or let this '
            'container have the device; or run the lab without --link'
        )
    owner = _owner(network.near_device)
    if owner not in (None, network.namespace):
        raise errors.LabError(
            f'the network device {network.near_device} belongs to another '
            f'lab ({owner}): take that one down, or this one away '
            '(tools/lab down --purge) to have new addresses chosen'
        )


def make(network: link.Network) -> None:
    """Make what is missing, and leave what is there as it is."""
    inside = ('-n', network.namespace)
    if not (_NAMESPACES / network.namespace).exists():
        _ip('netns', 'add', network.namespace)
    _ip(*inside, 'link', 'set', 'lo', 'up')
    if network.far_device not in _ip(*inside, '-br', 'link').split():
        _add(network.far_device, inside)
    _put_up(network.far_device, network.far_address, inside)
    if _owner(network.near_device) is None:
        _add(network.near_device)
        alias = ('alias', network.namespace)
        _ip('link', 'set', network.near_device, *alias)
    _put_up(network.near_device, network.near_address)


def remove(identity: str) -> None:
    """Remove all devices and namespaces of a lab, also of a killed one."""
    prefix = link.namespace_prefix(identity)
    for device in _DEVICES.iterdir():
        if (_owner(device.name) or '').startswith(prefix):
            _ip('link', 'del', device.name)
    if not _NAMESPACES.exists():
        return
    for namespace in _NAMESPACES.iterdir():
        if namespace.name.startswith(prefix):
            _ip('netns', 'del', namespace.name)


def enter(network: link.Network) -> tuple[str, ...]:
    """Give what to put before a command that shall run at the far end."""
    return (_program(), 'netns', 'exec', network.namespace)


def _add(device: str, where: tuple[str, ...] = ()) -> None:
    """Make one end, which stays when the loop does not."""
    _ip(*where, 'tuntap', 'add', device, 'mode', 'tun', 'vnet_hdr')


def _put_up(device: str, address: str, where: tuple[str, ...] = ()) -> None:
    # No address for IPv6: the kernel would talk to its neighbours.
    _ip(*where, 'link', 'set', device, 'addrgenmode', 'none')
    full = f'{address}/{link.PREFIX_LENGTH}'
    _ip(*where, 'address', 'replace', full, 'dev', device)
    _ip(*where, 'link', 'set', device, 'up')


def _owner(device: str) -> str | None:
    """Give the alias of a device; None if there is no such device."""
    try:
        return (_DEVICES / device / 'ifalias').read_text().strip()
    except OSError:
        return None


def _program() -> str:
    return processes.find_program('ip', 'iproute2')


def _ip(*words: str) -> str:
    done = subprocess.run(
        [_program(), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise errors.LabError(
            f'ip {" ".join(words)} failed: {done.stderr.strip()}'
        )
    return done.stdout
