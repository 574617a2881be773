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
"""The transfer windows of a link, as sites.yaml has them."""

from collections.abc import Iterator
import datetime
import functools
import re
from typing import Annotated
import zoneinfo

import pydantic

from dcn_distributor.conf import schema
from dcn_distributor.core import text
from dcn_distributor.core import windows

_TIME = re.compile('(?:[01][0-9]|2[0-3]):[0-5][0-9]')
_DAYS = ('daily', *windows.DAY_NAMES)

# These are on some hosts, and are what the host makes of them.
_NO_ZONES = frozenset(('localtime', 'Factory'))


def _days(written: str) -> frozenset[int]:
    """Read ``mon-fri``, ``sat,sun``, ``fri-mon`` or ``daily``."""
    days: set[int] = set()
    offset = 0
    for part in written.split(','):
        days.update(_range(part, offset))
        offset += len(part) + 1
    return frozenset(days)


def _range(written: str, offset: int) -> Iterator[int]:
    if written.strip() == 'daily':
        yield from windows.EVERY_DAY
        return
    begin, dash, end = written.partition('-')
    first = _day(begin, offset)
    last = _day(end, offset + len(begin) + 1) if dash else first
    for ahead in range((last - first) % 7 + 1):
        yield (first + ahead) % 7


def _day(written: str, offset: int) -> int:
    name = written.strip()
    if name not in windows.DAY_NAMES:
        raise text.Malformed(
            'expected days such as mon-fri, sat or daily, found '
            f'{text.quote(name)}{schema.did_you_mean(name, _DAYS)}',
            offset,
        )
    return windows.DAY_NAMES.index(name)


def _time(written: str) -> datetime.time:
    if not _TIME.fullmatch(written):
        hint = f'0{written}'
        hint = f"; did you mean '{hint}'?" if _TIME.fullmatch(hint) else ''
        raise text.Malformed(
            'expected a time from 00:00 to 23:59 (as the end also 24:00), '
            f'found {text.quote(written)}{hint}'
        )
    return datetime.time.fromisoformat(written)


def _end(written: str) -> datetime.time:
    return _time('00:00' if written == '24:00' else written)


@functools.cache
def _zones() -> frozenset[str]:
    """Name all time zones, which takes a look at each one's file."""
    return frozenset(zoneinfo.available_timezones() - _NO_ZONES)


def _zone(name: str) -> zoneinfo.ZoneInfo:
    if name not in _zones():
        raise text.Malformed(
            'expected the IANA name of a time zone, such as Europe/Oslo, '
            f'found {text.quote(name)}'
            f'{schema.did_you_mean(name, sorted(_zones()))}'
        )
    return zoneinfo.ZoneInfo(name)


_Days = Annotated[frozenset[int], schema.parsed(_days)]
_Time = Annotated[datetime.time, schema.parsed(_time)]
_End = Annotated[datetime.time, schema.parsed(_end)]
_Zone = Annotated[zoneinfo.ZoneInfo, schema.parsed(_zone)]


class Window(schema.Model):
    """When copies may cross, by the clock of a zone."""

    days: schema.OneOrMore[_Days] = (windows.EVERY_DAY,)
    from_: _Time = pydantic.Field(alias='from')
    to: _End
    tz: _Zone = zoneinfo.ZoneInfo('UTC')

    def to_core(self) -> windows.Window:
        """Make a window of what the file says."""
        return windows.Window(
            frozenset().union(*self.days), self.from_, self.to, self.tz
        )
