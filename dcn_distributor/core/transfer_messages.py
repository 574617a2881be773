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
"""Reports of transfers as plain values, to cross the bus and back.

Errors cross as the name of their class and their text. Whoever reads a
message may be of another release than who wrote it: what is not as expected
is left out.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers

Plain = dict[str, Any]


def plain(report: transfers.Report) -> Plain:
    """Write a report as values that JSON has."""
    return {
        'image_id': report.image_id,
        'size_bytes': report.size_bytes,
        'source': report.source,
        'verify': report.verify.value,
        'started_s': report.started_s,
        'ended_s': report.ended_s,
        'read_bytes': report.read_bytes,
        'lanes': [_plain_lane(lane) for lane in report.lanes],
    }


def from_plain(value: object) -> transfers.Report | None:
    """Read a report back; None if that is none."""
    if not isinstance(value, Mapping):
        return None
    lanes = value.get('lanes')
    source = value.get('source')
    ended_s = value.get('ended_s')
    try:
        return transfers.Report(
            image_id=images.ImageId(str(value['image_id'])),
            size_bytes=int(value['size_bytes']),
            source=None if source is None else images.StoreId(str(source)),
            verify=transfers.Verify(value['verify']),
            started_s=float(value['started_s']),
            ended_s=None if ended_s is None else float(ended_s),
            read_bytes=int(value['read_bytes']),
            lanes=tuple(
                lane
                for told in (lanes if isinstance(lanes, list) else [])
                if (lane := _lane(told)) is not None
            ),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _plain_lane(lane: transfers.Lane) -> Plain:
    return {
        'site': lane.site,
        'store': lane.store,
        'phase': lane.phase.value,
        'settled_bytes': lane.settled_bytes,
        'sent_bytes': lane.sent_bytes,
        'zero_bytes': lane.zero_bytes,
        'resumed_bytes': lane.resumed_bytes,
        'rate_bytes_s': lane.rate_bytes_s,
        'eta_s': lane.eta_s,
        'damages': [
            {
                'name': damage.name,
                'offset': damage.offset,
                'length': damage.length,
                'is_repaired': damage.is_repaired,
            }
            for damage in lane.damages
        ],
        'notes': list(lane.notes),
        'error': None
        if lane.error is None
        else {'class': type(lane.error).__name__, 'text': str(lane.error)},
        'seconds': dict(lane.seconds),
    }


def _lane(value: object) -> transfers.Lane | None:
    if not isinstance(value, Mapping):
        return None
    eta_s = value.get('eta_s')
    seconds = value.get('seconds')
    try:
        return transfers.Lane(
            site=sites.SiteName(str(value['site'])),
            store=images.StoreId(str(value['store'])),
            phase=transfers.Phase(value['phase']),
            settled_bytes=int(value['settled_bytes']),
            sent_bytes=int(value['sent_bytes']),
            zero_bytes=int(value['zero_bytes']),
            resumed_bytes=int(value['resumed_bytes']),
            rate_bytes_s=float(value['rate_bytes_s']),
            eta_s=None if eta_s is None else float(eta_s),
            damages=_damages(value.get('damages')),
            notes=_texts(value.get('notes')),
            error=_error(value.get('error')),
            seconds=MappingProxyType(
                {
                    str(phase): float(length_s)
                    for phase, length_s in dict(seconds or {}).items()
                }
            ),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _damages(value: object) -> tuple[transfers.Damage, ...]:
    return tuple(
        transfers.Damage(
            name=str(told['name']),
            offset=int(told['offset']),
            length=int(told['length']),
            is_repaired=bool(told['is_repaired']),
        )
        for told in (value if isinstance(value, list) else [])
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _error(value: object) -> exceptions.DistributorError | None:
    """Make an error again, of the nearest class that is known here."""
    if not isinstance(value, Mapping):
        return None
    text = str(value.get('text'))
    found = getattr(exceptions, str(value.get('class')), None)
    if isinstance(found, type) and issubclass(
        found, exceptions.DistributorError
    ):
        return found(text)
    return exceptions.DistributorError(text)
