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
"""From samples to figures: medians, ratios, what a link carried. Pure."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import itertools
import statistics

# While data flows: from when this part of it has passed to when all but
# this part has. What comes before and after are calls, not data.
_EDGE = 0.01

# The bound of a copy over a link: this much of what the data takes
# at the rate of the link, and so many round trips.
_SHARE = 1.08
_ROUND_TRIPS = 80


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Some numbers in three."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> 'Summary':
        """Sum up; there must be at least one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


@dataclasses.dataclass(frozen=True, slots=True)
class Aim:
    """A figure that is to be at most, or at least, what was aimed at."""

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ''

    @property
    def is_met(self) -> bool:
        """True if it is."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        limits = [
            f'{words} {limit:.2f}{self.unit}'
            for words, limit in (
                ('at most', self.at_most),
                ('at least', self.at_least),
            )
            if limit is not None
        ]
        told = f'{self.what}: {self.value:.2f}{self.unit}'
        if not limits:
            return told
        verdict = 'met' if self.is_met else 'NOT MET'
        return f'{told} (aim: {", ".join(limits)}: {verdict})'


def bound_s(data_bytes: int, mbit_s: float, rtt_ms: float) -> float:
    """How long a copy over a link may take, in seconds."""
    data_s = data_bytes / bytes_per_s(mbit_s)
    return _SHARE * data_s + _ROUND_TRIPS * rtt_ms / 1000


def bytes_per_s(mbit_s: float) -> float:
    """What a link of so many Mbit/s carries."""
    return mbit_s * 1e6 / 8


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """What passed a link while data flowed."""

    seconds: float
    carried_bytes: float

    @property
    def bytes_per_s(self) -> float:
        """The rate."""
        return self.carried_bytes / self.seconds if self.seconds else 0.0


def flow(samples: Sequence[tuple[float, int]]) -> Flow:
    """Cut what a counter showed to the time in which data flowed.

    `samples` are seconds and bytes, both ascending; what the counter showed
    first counts as nothing.
    """
    if len(samples) < 2:
        return Flow(0.0, 0.0)
    first_bytes = samples[0][1]
    total_bytes = samples[-1][1] - first_bytes
    begin_bytes = first_bytes + _EDGE * total_bytes
    end_bytes = first_bytes + (1 - _EDGE) * total_bytes
    seconds = _when(samples, end_bytes) - _when(samples, begin_bytes)
    return Flow(seconds, end_bytes - begin_bytes)


def _when(samples: Sequence[tuple[float, int]], level: float) -> float:
    """Find when a counter reached a level, between two samples."""
    for before, after in itertools.pairwise(samples):
        if after[1] >= level:
            if after[1] == before[1]:
                return before[0]
            part = (level - before[1]) / (after[1] - before[1])
            return before[0] + max(0.0, part) * (after[0] - before[0])
    return samples[-1][0]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Set rows in columns, the first row being the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    ]
    return '\n'.join(lines)
