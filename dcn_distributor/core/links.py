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
"""Links: the wide-area links that sites hang on. Taints keep copies away."""

import dataclasses
import datetime
import enum

from dcn_distributor.core import windows

DEFAULT_COST = 10.0

_Windows = tuple[windows.Window, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A wide-area link, of one site or of several. None means no limit.

    :ivar cost: of a byte, in any unit; less is nearer
    :ivar rate_bytes_s: for all that the engine rbd-stream sends over it
    :ivar transfers: how many copies may be under way on it; each image to
        each site is one
    :ivar windows: when copies may cross it; always if there are none
    """

    name: str
    cost: float = DEFAULT_COST
    rate_bytes_s: float | None = None
    transfers: int | None = None
    windows: _Windows = ()


class Effect(enum.Enum):
    """What a taint does: no copy begins; or streams are broken off, too."""

    NO_NEW = 'no-new'
    DRAIN = 'drain'


@dataclasses.dataclass(frozen=True, slots=True)
class Taint:
    """Why a site gets no copies for now, unless a policy tolerates the key.

    :ivar until_s: when it ends, in seconds since the epoch; None for never
    """

    key: str
    effect: Effect
    until_s: float | None = None

    def is_active(self, now: float) -> bool:
        """Tell whether it counts now."""
        return self.until_s is None or now < self.until_s

    def __str__(self) -> str:
        """Say what a copy waits for."""
        if self.until_s is None:
            return f'tainted {self.key}'
        end = datetime.datetime.fromtimestamp(
            self.until_s, datetime.timezone.utc
        )
        return f'tainted {self.key} until {end:%Y-%m-%d %H:%M} UTC'
