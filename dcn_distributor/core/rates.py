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
"""Rates of transfers: ``200Mbit`` or ``25MiB``, each for one second."""

import decimal
import re

from dcn_distributor.core import text

# Bytes per second. Bits are the unit of links, and decimal.
UNITS: dict[str, int] = {
    **{f'{prefix}bit': 1000**n // 8 for n, prefix in enumerate('kMG', 1)},
    **{f'{prefix}B': 1000**n for n, prefix in enumerate('kMG', 1)},
    **{f'{prefix}iB': 1024**n for n, prefix in enumerate('KMG', 1)},
}

# A slower transfer is rather a mistake of the unit.
LEAST_BYTES_S = 1000

_RATE = re.compile(
    r'\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([^\s/]*)(/s)?\s*', re.ASCII
)
_EXAMPLE = "write for example '200Mbit' or '25MiB'"


def parse(written: str) -> float:
    """Parse a rate into bytes per second.

    Raises text.Malformed, with the offset.
    """
    match = _RATE.fullmatch(written)
    if match is None:
        raise text.Malformed(
            f'expected a rate, found {text.quote(written)}; {_EXAMPLE}'
        )
    number, unit, _ = match.groups()
    if not unit:
        raise text.Malformed(
            f'expected a unit after {number}: {", ".join(UNITS)}',
            match.start(2),
        )
    rate_bytes_s = float(decimal.Decimal(number) * _unit(unit, match.start(2)))
    if rate_bytes_s < LEAST_BYTES_S:
        raise text.Malformed(
            f'expected at least {show(LEAST_BYTES_S)}, found '
            f'{text.quote(written)}'
        )
    return rate_bytes_s


def show(rate_bytes_s: float) -> str:
    """Write a rate for people: ``200Mbit/s``, exactly or about.

    Of the exact ways the plainest: few digits behind the point, bits before
    bytes, a short number. parse() reads it.
    """
    ways = [_in(unit, rate_bytes_s) for unit in UNITS]
    exact = [
        way for way in ways if float(way[0]) * UNITS[way[1]] == rate_bytes_s
    ]
    about = next((w for w in ways[2::-1] if float(w[0]) >= 1), ways[0])
    number, unit = min(exact, key=_effort) if exact else about
    return f'{number}{unit}/s'


def _in(unit: str, rate_bytes_s: float) -> tuple[str, str]:
    number = f'{rate_bytes_s / UNITS[unit]:.3f}'
    return number.rstrip('0').rstrip('.'), unit


def _effort(way: tuple[str, str]) -> tuple[int, bool, int]:
    """Say how hard it is to read a number with its unit."""
    number, unit = way
    _, _, decimals = number.partition('.')
    return len(decimals), not unit.endswith('bit'), len(number)


def _unit(unit: str, offset: int) -> int:
    if unit in UNITS:
        return UNITS[unit]
    near = _near(unit)
    hint = f"; did you mean '{near}'?" if near else ''
    raise text.Malformed(
        f'unknown unit {text.quote(unit)}, expected one of '
        f'{", ".join(UNITS)}{hint}',
        offset,
    )


def _near(unit: str) -> str | None:
    """Return the unit that is probably meant.

    A small b stands for bits: 'Mb' and 'Mbps' are no 'MB'.
    """
    bits = re.fullmatch('([kKmMgG])b(?:ps|its?)?', unit)
    if bits:
        prefix = bits[1].lower() if bits[1] in 'kK' else bits[1].upper()
        return f'{prefix}bit'
    names = {name.lower(): name for name in UNITS}
    return names.get(unit.lower())
