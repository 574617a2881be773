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
"""Several ways to do the same, measured in turn.

In a round each has its turn, so that whatever changes in the machine over
the minutes hits them all alike.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import sys
from typing import Any
from typing import Protocol

from benchmarks import figures
from benchmarks import machine

_SETTLE_S = 10.0

Samples = Mapping[str, Sequence['Sample']]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One copy: its seconds, and what was used of the machine for it.

    Processor time and memory are those of the client that copies: the
    clusters' servers, which all have to use, are not in it.
    """

    seconds: float
    cpu_s: float
    peak_mib: float
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Contestant(Protocol):
    """A way to copy."""

    name: str

    def run(self) -> Sample:
        """Copy once, and measure it."""
        ...

    def clean(self) -> None:
        """Remove the copy, unmeasured."""
        ...


def hold(
    contestants: Sequence[Contestant],
    rounds: int,
    fewer: Mapping[str, int] | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> dict[str, list[Sample]]:
    """Hold so many rounds; those that `fewer` names take part in less."""
    samples: dict[str, list[Sample]] = {one.name: [] for one in contestants}
    for number in range(rounds):
        for one in contestants:
            if number >= (fewer or {}).get(one.name, rounds):
                continue
            machine.settle(_SETTLE_S)
            sample = one.run()
            samples[one.name].append(sample)
            say(
                f'  round {number + 1} of {rounds}: {one.name}: '
                f'{sample.seconds:.2f} s'
            )
            one.clean()
    return {name: taken for name, taken in samples.items() if taken}


def rows(samples: Samples, size_bytes: int) -> list[list[str]]:
    """Make a table: median, lowest and highest, and what else was used."""
    head = ['', 'seconds', 'lowest', 'highest', 'n', 'CPU s/GiB', 'MiB']
    made = [head]
    for name, taken in samples.items():
        time = figures.Summary.of(one.seconds for one in taken)
        cpu = median(taken, lambda one: one.cpu_s) * 2**30 / size_bytes
        peak = max(one.peak_mib for one in taken)
        made.append(
            [
                name,
                f'{time.median:.2f}',
                f'{time.low:.2f}',
                f'{time.high:.2f}',
                f'{len(taken)}',
                f'{cpu:.2f}',
                f'{peak:.0f}',
            ]
        )
    return made


def median(
    taken: Sequence[Sample],
    what: Callable[[Sample], float] = lambda one: one.seconds,
) -> float:
    """The median of the seconds, or of something else."""
    return figures.Summary.of(map(what, taken)).median


def ratio(samples: Samples, one: str, other: str) -> float:
    """How many times as long one takes as the other."""
    return median(samples[one]) / median(samples[other])
