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
"""A wide-area link to a site, as a value: its shape and its addresses."""

from collections.abc import Iterable
import dataclasses
import ipaddress
from pathlib import Path
import random
import re

from lab import errors

# Reserved for measuring networks (RFC 2544), so in use nowhere else. Each
# link takes four addresses, the smallest network with two ends.
_NETWORK = ipaddress.IPv4Network('198.18.0.0/15')
_ADDRESSES = 4
PREFIX_LENGTH = 30
_MOST_RTT_MS = 10_000
_MOST_MBIT_S = 10_000
_SHAPE = re.compile(r'(\d+(?:\.\d+)?)ms,(\d+(?:\.\d+)?)([MG])bit')


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """How long and how wide it is; the same in both directions."""

    rtt_ms: float
    mbit_s: float

    @classmethod
    def parse(cls, text: str) -> 'Link':
        """Take it from a command line: ``50ms,1Gbit``."""
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise errors.LabError(
                f'{text!r} is no link: expected the round trip and the rate, '
                'as in 50ms,1Gbit or 200ms,100Mbit'
            )
        rtt, rate, unit = found.groups()
        return cls(float(rtt), float(rate) * (1000 if unit == 'G' else 1))

    def check(self) -> None:
        """Refuse what no packet would get through."""
        if not 0 <= self.rtt_ms <= _MOST_RTT_MS:
            raise errors.LabError(
                f'a round trip of {self.rtt_ms:g} ms: expected 0 to '
                f'{_MOST_RTT_MS}'
            )
        if not 1 <= self.mbit_s <= _MOST_MBIT_S:
            raise errors.LabError(
                f'a rate of {self.mbit_s:g} Mbit/s: expected 1 to '
                f'{_MOST_MBIT_S}'
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """The names and addresses of a link's two ends.

    The near end is where everything else is. The far end, and the site's
    cluster with it, is in a network namespace.
    """

    number: int
    namespace: str
    far_device: str = 'wan'

    @property
    def near_device(self) -> str:
        """Its number makes it unique on the machine."""
        return _near_device(self.number)

    @property
    def near_address(self) -> str:
        """Where the clients of the cluster come from."""
        return str(_NETWORK[self.number * _ADDRESSES + 1])

    @property
    def far_address(self) -> str:
        """Where the cluster listens."""
        return str(_NETWORK[self.number * _ADDRESSES + 2])


def choose_number(taken: Iterable[int]) -> int:
    """Find a network that no lab on this machine uses at the moment.

    At random, like the ports: two labs that choose at the same time, or one
    that is down meanwhile, most likely do not meet.
    """
    used = set(taken)
    for _ in range(1000):
        number = random.randrange(_NETWORK.num_addresses // _ADDRESSES)
        device = Path('/sys/class/net', _near_device(number))
        if number not in used and not device.exists():
            return number
    raise errors.LabError(f'no free network for a link in {_NETWORK}')


def namespace_prefix(identity: str) -> str:
    """Give what the namespaces of one lab are called, without the site."""
    return f'dcn-lab-{identity}-'


def _near_device(number: int) -> str:
    return f'dcn-lab{number}'
