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
"""Durations such as ``6h`` or ``90min``."""

import decimal
import re

from dcn_distributor.core import text

UNITS: dict[str, int] = {
    's': 1,
    'min': 60,
    'h': 3600,
    'd': 86_400,
    'w': 7 * 86_400,
}

_DURATION = re.compile(
    r'\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(\S*)\s*', re.ASCII
)


def parse(written: str) -> float:
    """Parse a duration into seconds, more than none.

    Raises text.Malformed, with the offset.
    """
    match = _DURATION.fullmatch(written)
    if match is None:
        raise text.Malformed(
            f"expected a duration such as '6h', found {text.quote(written)}"
        )
    number, unit = match.groups()
    if unit not in UNITS:
        near = next((u for u in UNITS if unit.lower().startswith(u[0])), None)
        hint = f"; did you mean '{near}'?" if near else ''
        found = text.quote(unit) if unit else 'none'
        raise text.Malformed(
            f'expected a unit of time, one of {", ".join(UNITS)}, found '
            f'{found}{hint}',
            match.start(2),
        )
    duration_s = float(decimal.Decimal(number) * UNITS[unit])
    if not duration_s:
        raise text.Malformed(
            f'expected more than no time, found {text.quote(written)}'
        )
    return duration_s
