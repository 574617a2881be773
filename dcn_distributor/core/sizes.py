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
"""Sizes such as ``4MiB``, and comparisons: ``<=40GiB``, ``>1GiB, <=40GiB``."""

from collections.abc import Sequence
import dataclasses
import decimal
import math
import operator
import re

from dcn_distributor.core import text

UNITS: dict[str, int] = {
    'B': 1,
    **{f'{prefix}B': 1000**n for n, prefix in enumerate('kMGTP', 1)},
    **{f'{prefix}iB': 1024**n for n, prefix in enumerate('KMGTP', 1)},
}

_OPERATORS = {
    '<': operator.lt,
    '<=': operator.le,
    '>': operator.gt,
    '>=': operator.ge,
    '=': operator.eq,
}
_COMPARISON = re.compile(
    r'\s*(<=|>=|==|<|>|=)?\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)?\s*([^\s,]*)\s*'
)
_SIZE = re.compile(r'\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(\S*)\s*', re.ASCII)
_EXAMPLE = "write for example '<=40GiB', or '>1GiB, <=40GiB' for a range"


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """``<=40GiB`` as an operator and a number of bytes."""

    operator: str
    limit_bytes: decimal.Decimal
    written: str

    def holds(self, size_bytes: int) -> bool:
        """Compare a size in bytes."""
        return bool(_OPERATORS[self.operator](size_bytes, self.limit_bytes))


def parse(written: str) -> tuple[Comparison, ...]:
    """Parse comparisons, all of which must hold, divided by commas.

    Raises text.Malformed, with the offset.
    """
    comparisons = []
    offset = 0
    for part in written.split(','):
        comparisons.append(_comparison(part, offset))
        offset += len(part) + 1
    check_satisfiable(comparisons)
    return tuple(comparisons)


def check_satisfiable(comparisons: Sequence[Comparison]) -> None:
    """Raise text.Malformed if no size fits all of them."""
    candidates = {0}
    for comparison in comparisons:
        limit = math.floor(comparison.limit_bytes)
        candidates |= {max(0, limit - 1), limit, limit + 1}
    if not any(all(c.holds(n) for c in comparisons) for n in candidates):
        raise text.Malformed(
            f'no size is {text.join((c.written for c in comparisons), "and")}'
        )


def parse_size(written: str) -> int:
    """Parse one size into bytes. Raises text.Malformed, with the offset."""
    match = _SIZE.fullmatch(written)
    if match is None:
        raise text.Malformed(
            f"expected a size such as '4MiB', found {text.quote(written)}"
        )
    number, unit = match.groups()
    size = decimal.Decimal(number) * _unit(unit, match.start(2))
    if size != int(size):
        raise text.Malformed(
            f'expected whole bytes, found {text.quote(written)}'
        )
    return int(size)


def write(size_bytes: int) -> str:
    """Write a size exactly, and as short as that can be; see parse_size()."""
    for unit in ('PiB', 'TiB', 'GiB', 'MiB', 'KiB'):
        if size_bytes and size_bytes % UNITS[unit] == 0:
            return f'{size_bytes // UNITS[unit]}{unit}'
    return f'{size_bytes}B'


def show(size_bytes: int) -> str:
    """Write a size for people: ``1.5GiB``, exactly or about."""
    for unit in ('PiB', 'TiB', 'GiB', 'MiB', 'KiB'):
        if size_bytes >= UNITS[unit]:
            value = f'{size_bytes / UNITS[unit]:.2f}'.rstrip('0').rstrip('.')
            return f'{value}{unit} ({size_bytes} bytes)'
    return f'{size_bytes} bytes'


def _comparison(part: str, offset: int) -> Comparison:
    match = _COMPARISON.fullmatch(part)
    if match is None or not match[2]:
        raise text.Malformed(
            f'expected a comparison, found {text.quote(part.strip())}; '
            f'{_EXAMPLE}',
            offset,
        )
    sign, number, unit = match.groups()
    if not sign:
        raise text.Malformed(
            f'expected <, <=, >, >= or = before {text.quote(part.strip())}',
            offset + match.start(2),
        )
    limit = decimal.Decimal(number) * _unit(unit, offset + match.start(3))
    sign = '=' if sign == '==' else sign
    return Comparison(sign, limit, f'{sign}{number}{unit}')


def _unit(unit: str, offset: int) -> int:
    if not unit:
        return 1
    if unit in UNITS:
        return UNITS[unit]
    names = {name.lower(): name for name in UNITS}
    names |= {name[:-1].lower(): name for name in UNITS if len(name) > 1}
    near = names.get(unit.lower())
    hint = f"; did you mean '{near}'?" if near else ''
    raise text.Malformed(
        f'unknown unit {text.quote(unit)}, expected one of '
        f'{", ".join(UNITS)}{hint}',
        offset,
    )
