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
"""Links and taints, as sites.yaml has them."""

import datetime
import re
from typing import Annotated
from typing import Literal

import pydantic

from dcn_distributor.conf import schema
from dcn_distributor.conf import windows
from dcn_distributor.core import links
from dcn_distributor.core import rates
from dcn_distributor.core import text

_COST = re.compile(r'[0-9]{1,9}(?:\.[0-9]{1,9})?')
_TRANSFERS = re.compile('[1-9][0-9]{0,3}')


def _cost(written: object) -> float:
    if not isinstance(written, str) or not _COST.fullmatch(written):
        raise text.Malformed(
            'expected a number that is 0 or more, such as 10 or 2.5, found '
            f'{schema.found(written)}'
        )
    return float(written)


def _transfers(written: object) -> int:
    if not isinstance(written, str) or not _TRANSFERS.fullmatch(written):
        raise text.Malformed(
            f'expected a number from 1 to 9999, found {schema.found(written)}'
        )
    return int(written)


def _moment(written: str) -> float:
    """Read a moment in the format of ISO 8601, which tells its zone."""
    example = 'such as 2026-12-01T06:00Z'
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.datetime.fromisoformat(
            re.sub('Z$', '+00:00', written)
        )
        is_absolute = moment.tzinfo is not None
        end = moment.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        raise text.Malformed(
            f'expected a date and time {example}, found {text.quote(written)}'
        )
    if not is_absolute:
        raise text.Malformed(
            f'expected a time with its zone {example} or '
            f'2026-12-01T07:00+01:00, found {text.quote(written)}'
        )
    return end.timestamp()


_Cost = Annotated[float, pydantic.PlainValidator(_cost)]
_Rate = Annotated[float, schema.parsed(rates.parse)]
_Transfers = Annotated[int, pydantic.PlainValidator(_transfers)]
_Moment = Annotated[float, schema.parsed(_moment)]
_Windows = Annotated[
    list[windows.Window], pydantic.AfterValidator(schema.at_least_one)
]
LinkName = Annotated[str, schema.named('a link')]
TaintKey = Annotated[str, schema.named('a taint')]


class CentralLink(schema.Model):
    """The link of central: nothing is copied to there."""

    misplaced = dict.fromkeys(
        ('rate', 'transfers', 'windows'),
        'it stands in the links of edge sites',
    )

    cost: _Cost = 0.0


class Link(schema.Model):
    """A link, of one site or of several."""

    misplaced = dict.fromkeys(
        ('days', 'from', 'to', 'tz'), "it stands in 'windows'"
    )

    cost: _Cost = links.DEFAULT_COST
    rate: _Rate | None = None
    transfers: _Transfers | None = None
    windows: _Windows = []

    def to_core(self, name: str) -> links.Link:
        """Make a link of what the file says."""
        return links.Link(
            name,
            self.cost,
            self.rate,
            self.transfers,
            tuple(window.to_core() for window in self.windows),
        )


class Taint(schema.Model):
    """Why a site gets no copies for now."""

    key: TaintKey
    effect: Literal['no-new', 'drain']
    until: _Moment | None = None

    def to_core(self) -> links.Taint:
        """Make a taint of what the file says."""
        return links.Taint(self.key, links.Effect(self.effect), self.until)


def _form(value: object) -> str:
    return '<shared>' if isinstance(value, str) else '<own>'


# The name of a shared link, or a link of the site's own.
SiteLink = Annotated[
    Annotated[str, pydantic.Tag('<shared>')]
    | Annotated[Link, pydantic.Tag('<own>')],
    pydantic.Discriminator(_form),
]
