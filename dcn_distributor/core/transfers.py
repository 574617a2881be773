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
"""What a copy by rbd-stream is to do, how far it is, and what came of it."""

from collections.abc import Mapping
import dataclasses
import enum
from types import MappingProxyType

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites


class Verify(enum.Enum):
    """How a copy is proven before it is announced.

    FULL: the hash Glance recorded is that of the bytes as read, and what the
    target's OSDs compute at rest is that of the bytes sent. CHECKSUM: only
    the latter. SIZE: neither, the sizes agree.
    """

    FULL = 'full'
    CHECKSUM = 'checksum'
    SIZE = 'size'


class SourceChoice(enum.Enum):
    """Which site with a copy is read: central if it can, or the nearest."""

    CENTRAL = 'central'
    NEAREST = 'nearest'


class EngineChoice(enum.Enum):
    """Which engine a policy asks for."""

    AUTO = 'auto'
    COPY_IMAGE = 'copy-image'
    RBD_STREAM = 'rbd-stream'


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """What the policies say of how an image travels to a site.

    None leaves it to the configuration. `rate_bytes_s` limits one transfer,
    to all of its targets together.
    """

    engine: EngineChoice | None = None
    source: SourceChoice | None = None
    verify: Verify | None = None
    rate_bytes_s: float | None = None

    def filled_from(self, others: 'Wishes') -> 'Wishes':
        """Return these, and those of `others` where these say nothing."""
        return Wishes(
            self.engine or others.engine,
            self.source or others.source,
            self.verify or others.verify,
            self.rate_bytes_s or others.rate_bytes_s,
        )


NO_WISHES = Wishes()


@dataclasses.dataclass(frozen=True, slots=True)
class Tuning:
    """How rbd-stream works, where no policy wishes otherwise.

    The options of [rbd_stream] set it, and their help tells what for; the
    defaults here are theirs.

    :ivar chunk_bytes: what is read, written and compared at a time; a power
        of two
    :ivar window_bytes: how much may be under way to one target
    :ivar patience_s: how long the others wait for a target that is slow
    :ivar rate_bytes_s: the limit of one transfer, to all of its targets
        together; None for none
    :ivar connections: to each site's cluster
    :ivar timeout_s: how long a cluster may leave a call unanswered
    :ivar transfers: how many may run at once
    """

    chunk_bytes: int = 4 << 20
    window_bytes: int = 24 << 20
    patience_s: float = 2.0
    rate_bytes_s: float | None = None
    verify: Verify = Verify.FULL
    source: SourceChoice = SourceChoice.CENTRAL
    connections: int = 4
    timeout_s: float = 15.0
    transfers: int = 2


class Phase(enum.Enum):
    """What one target is at. The last three are ends."""

    PREPARING = 'preparing'
    COPYING = 'copying'
    PUBLISHING = 'publishing'
    REGISTERING = 'registering'
    DONE = 'done'
    FAILED = 'failed'
    CANCELLED = 'cancelled'

    @property
    def is_end(self) -> bool:
        """True if nothing follows."""
        return self in (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


@dataclasses.dataclass(frozen=True, slots=True)
class Damage:
    """A chunk that was not as it should be at rest, or at a site.

    `name` is that of the RADOS object, `offset` counts from the begin of
    the image, in bytes.
    """

    name: str
    offset: int
    length: int
    is_repaired: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """How far one target is. Bytes count the image's own, once each.

    `settled_bytes` need no more work: sent and verified, zero, or found in
    place. It is the sum of these; `sent_bytes` counts what crossed the link,
    repairs included. `rate_bytes_s` is of the last seconds. `seconds` tells
    how long each phase took.
    """

    site: sites.SiteName
    store: images.StoreId
    phase: Phase
    settled_bytes: int = 0
    sent_bytes: int = 0
    zero_bytes: int = 0
    resumed_bytes: int = 0
    rate_bytes_s: float = 0.0
    eta_s: float | None = None
    damages: tuple[Damage, ...] = ()
    notes: tuple[str, ...] = ()
    error: exceptions.DistributorError | None = None
    seconds: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One transfer at one moment. Times are in seconds since the epoch.

    `read_bytes` is what was read from the source. `ended_s` is None while
    it runs. `failed_source` is the source's store if it began to be read and
    failed, or is not the image (`is_source_false`): the lanes that it ended
    have an error that says so.
    """

    image_id: images.ImageId
    size_bytes: int
    source: images.StoreId | None
    verify: Verify
    started_s: float
    ended_s: float | None
    read_bytes: int
    lanes: tuple[Lane, ...]
    failed_source: images.StoreId | None = None
    is_source_false: bool = False
