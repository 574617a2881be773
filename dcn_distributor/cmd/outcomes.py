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
"""What became of an order of copies, as a table and as records."""

from collections.abc import Sequence
import dataclasses

from dcn_distributor.cmd import orders
from dcn_distributor.cmd import rendering
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import transfers

RECORD = (
    'image_id',
    'site',
    'store',
    'state',
    'engine',
    'source',
    'verify',
    'size_bytes',
    'read_bytes',
    'sent_bytes',
    'zero_bytes',
    'resumed_bytes',
    'seconds',
    'total_seconds',
    'mib_s',
    'notes',
    'error',
)
TABLE = (
    'Site',
    'State',
    'Engine',
    'Verify',
    'Sent',
    'Zeros',
    'Resumed',
    'Seconds',
    'MiB/s',
    'Notes',
)

_MIB = 2**20
_COPYING = transfers.Phase.COPYING.value


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one site's copy."""

    image: images.Image
    standing: orders.Standing

    @property
    def lane(self) -> transfers.Lane | None:
        """Its part in the stream, if it was a stream that served it.

        Or tried to: where nothing else did, that tells how far it came.
        """
        if self.standing.engine == choosing.COPY_IMAGE:
            return None
        return self.standing.lane

    @property
    def total_s(self) -> float | None:
        """How long it took: by the stream's own clock if there was one."""
        if self.lane is not None:
            return sum(self.lane.seconds.values())
        return self.standing.waited_s if self.standing.engine else None

    @property
    def mib_s(self) -> float | None:
        """How fast it was, None where there is nothing to tell it by."""
        if self.lane is not None:
            done_bytes = self.lane.sent_bytes
            took_s = self.lane.seconds.get(_COPYING)
        else:
            done_bytes, took_s = self.image.size_bytes or 0, self.total_s
        return done_bytes / _MIB / took_s if done_bytes and took_s else None

    @property
    def error(self) -> str | None:
        """Why the copy is not there, None if it is."""
        is_there = self.standing.state is orders.State.PRESENT
        return None if is_there else self.standing.reason or None

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is worth knowing."""
        there_before = self.standing.reason if self.error is None else ''
        told = () if self.lane is None else self.lane.notes
        return (there_before, *told) if there_before else told

    def for_people(self) -> Sequence[str]:
        """Write the line of a table."""
        standing, lane, rate = self.standing, self.lane, self.mib_s
        report = standing.report if lane is not None else None
        sizes = (
            ('', '', '')
            if lane is None
            else map(
                rendering.size,
                (lane.sent_bytes, lane.zero_bytes, lane.resumed_bytes),
            )
        )
        is_bad = standing.state in (
            orders.State.FAILED,
            orders.State.REFUSED,
        )
        return (
            standing.site.name,
            standing.state.value.upper() if is_bad else standing.state.value,
            standing.engine or '',
            '' if report is None else report.verify.value,
            *sizes,
            '' if self.total_s is None else f'{self.total_s:.1f}',
            '' if rate is None else f'{rate:.1f}',
            '\n'.join(
                map(
                    rendering.printable,
                    filter(None, [self.error, *self.notes]),
                )
            ),
        )

    def for_programs(self, is_json: bool) -> Sequence[object]:
        """Write a record; with `is_json` for a format that has structure."""
        standing, lane = self.standing, self.lane
        report = standing.report if lane is not None else None
        seconds = {} if lane is None else dict(lane.seconds)
        return (
            self.image.id,
            standing.site.name,
            standing.site.store,
            standing.state.value,
            standing.engine,
            None if report is None else report.source,
            None if report is None else report.verify.value,
            self.image.size_bytes,
            None if report is None else report.read_bytes,
            None if lane is None else lane.sent_bytes,
            None if lane is None else lane.zero_bytes,
            None if lane is None else lane.resumed_bytes,
            seconds if is_json else _flat(seconds),
            self.total_s,
            self.mib_s,
            [*self.notes] if is_json else _escaped('; '.join(self.notes)),
            self.error if is_json else _escaped(self.error),
        )


def _flat(seconds: dict[str, float]) -> str:
    return ', '.join(f'{phase} {s:.3f}' for phase, s in seconds.items())


def _escaped(value: str | None) -> str | None:
    return None if value is None else rendering.printable(value)
