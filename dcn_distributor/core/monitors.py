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
"""Addresses of Ceph monitors, as ``mon host`` of ceph.conf has them.

One is an address, an address with a port, or a list in brackets of those of
both protocols: ``[v2:ADDRESS:PORT,v1:ADDRESS:PORT]``, in which the monitors
themselves print a nonce, too (``/0``). An IPv6 address with a port stands in
brackets of its own (ceph: msg/msg_types.cc entity_addr_t::parse).
"""

import ipaddress
import re

from dcn_distributor.core import text

# One word of a list: brackets hold commas, and in them are others for IPv6.
_WORD = re.compile(r'(?:[^\s,;\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])+', re.ASCII)
_BETWEEN = re.compile(r'[\s,;]*')
_PART = re.compile(r'v[12]:(?P<rest>.+)')
_WITH_PORT = re.compile(
    r'(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})'
    r'(?:/[0-9]{1,10})?'
)
_IN_BRACKETS = re.compile(r'\[([^\[\]]+)\]')


def check(address: str) -> str:
    """Return the address of one monitor. Raises Malformed if it is none."""
    if address.startswith('[v') and address.endswith(']'):
        parts = [_PART.fullmatch(p) for p in address[1:-1].split(',')]
        is_one = all(p is not None and _is_address(p['rest']) for p in parts)
    else:
        is_one = _is_address(address)
    if not is_one:
        raise text.Malformed(
            'expected the address of a monitor, such as 172.16.11.45, '
            '[fd00::45]:3300 or [v2:172.16.11.45:3300,v1:172.16.11.45:6789], '
            f'found {text.quote(address)}'
        )
    return address


def split(mon_host: str) -> tuple[str, ...]:
    """Part a ``mon host`` into monitors, at commas, semicolons or spaces.

    Raises Malformed for what is no address, and if there is none.
    """
    found = []
    end = 0
    for word in _WORD.finditer(mon_host):
        if not _BETWEEN.fullmatch(mon_host, end, word.start()):
            break
        found.append(_bracketed(re.sub(r'\s', '', word.group())))
        end = word.end()
    if not found or not _BETWEEN.fullmatch(mon_host, end):
        raise text.Malformed(
            'expected addresses of monitors, parted by commas, found '
            f'{text.quote(mon_host)}'
        )
    return tuple(check(address) for address in found)


def _bracketed(address: str) -> str:
    # ``v2:172.16.11.45:3300`` by itself means the same as in brackets.
    return f'[{address}]' if _PART.fullmatch(address) else address


def _is_address(written: str) -> bool:
    found = _WITH_PORT.fullmatch(written)
    if found:
        version, address = (
            (6, found['v6']) if found['v6'] else (4, found['v4'])
        )
        is_port = 0 < int(found['port']) < 1 << 16
        return is_port and _is_ip(address, (version,))
    in_brackets = _IN_BRACKETS.fullmatch(written)
    if in_brackets:
        return _is_ip(in_brackets.group(1), (6,))
    return _is_ip(written, (4, 6))


def _is_ip(address: str, versions: tuple[int, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # Ceph knows no scopes such as fe80::1%eth0.
    return found.version in versions and '%' not in address
