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
"""Placements that changed: what is logged, remembered and told of each.

The words of a timeline cross the bus between agents and commands, of other
releases too: what is not as expected is left out.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from types import MappingProxyType
from typing import Any

from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import transfers


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """One image in one store, whose state changed.

    :ivar at_s: when, in seconds since the epoch
    :ivar seconds: since its copy began
    :ivar attempt: which try this is, counted from 1; failures in a row count
    :ivar failure: of which kind it is, if it is one
    :ivar trace: which event led to it
    """

    at_s: float
    store: images.StoreId
    state: placements.State
    engine: str
    seconds: float
    reason: str
    trace: str
    attempt: int = 1
    failure: observing.Attempt | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of a stream: where it reads from, and what it sent."""

    source: images.StoreId | None = None
    sent_bytes: int | None = None


UNKNOWN = Traffic()


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A transition, and what there is to know beside it.

    :ivar site: None of a store whose site was taken out of sites.yaml
    :ivar policy: the one that settled that the copy is wanted
    """

    transition: Transition
    image: images.Image
    site: sites.Site | None
    policy: str | None
    traffic: Traffic


# Is told of each placement that changed. It MUST return at once, and never
# raise; any thread may call it.
Hearer = Callable[[Event], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline: what an agent saw happen.

    :ivar host: the agent
    :ivar sent_bytes: what a stream had sent, None if that is not known
    :ivar error: of which kind a failure was
    """

    host: str
    at_s: float
    state: str
    engine: str
    seconds: float
    reason: str
    attempt: int
    error: str | None
    trace: str
    sent_bytes: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """What agents saw happen to one image.

    :ivar entries: by store, the oldest first
    :ivar since_s: since when each agent has seen all, in seconds since the
        epoch
    :ivar forgotten: how many of each store it had no room for, by store
    """

    entries: Mapping[images.StoreId, Sequence[Entry]] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    since_s: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    forgotten: Mapping[images.StoreId, int] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )


NO_TIMELINE = Timeline()


def traffic(
    reports: Iterable[transfers.Report], store: images.StoreId
) -> Traffic:
    """Read off an image's streams what is known of the one to a store."""
    for report in reports:
        for lane in report.lanes:
            if lane.store == store:
                return Traffic(report.source, lane.sent_bytes)
    return UNKNOWN


def entry(host: str, event: Event) -> Entry:
    """Make the line of what happened."""
    transition = event.transition
    return Entry(
        host,
        transition.at_s,
        transition.state.value,
        transition.engine,
        transition.seconds,
        transition.reason,
        transition.attempt,
        transition.failure and transition.failure.value,
        transition.trace,
        event.traffic.sent_bytes,
    )


def plain(timeline: Timeline) -> dict[str, object]:
    """Make a timeline of plain values, for the bus."""
    return {
        'since_s': dict(timeline.since_s),
        'forgotten': dict(timeline.forgotten),
        'entries': {
            store: [dataclasses.asdict(one) for one in entries]
            for store, entries in timeline.entries.items()
        },
    }


def from_plain(answer: Mapping[str, object]) -> Timeline:
    """Read what plain() gave."""
    entries = {
        images.StoreId(store): tuple(
            entry
            for value in (told if isinstance(told, list | tuple) else ())
            if (entry := _entry(value)) is not None
        )
        for store, told in _items(answer.get('entries'))
    }
    return Timeline(
        MappingProxyType({s: some for s, some in entries.items() if some}),
        MappingProxyType(
            {
                host: float(since_s)
                for host, since_s in _items(answer.get('since_s'))
                if isinstance(since_s, int | float)
            }
        ),
        MappingProxyType(
            {
                images.StoreId(store): count
                for store, count in _items(answer.get('forgotten'))
                if isinstance(count, int)
            }
        ),
    )


def merged(timelines: Sequence[Timeline]) -> Timeline:
    """Make one of those of several agents, in whatever order they come.

    A link may have moved: then two agents saw something of one store.
    """
    entries: dict[images.StoreId, list[Entry]] = {}
    forgotten: dict[images.StoreId, int] = {}
    since_s: dict[str, float] = {}
    for timeline in timelines:
        for store, some in timeline.entries.items():
            entries.setdefault(store, []).extend(some)
        for store, count in timeline.forgotten.items():
            forgotten[store] = forgotten.get(store, 0) + count
        for host, started_s in timeline.since_s.items():
            since_s[host] = max(started_s, since_s.get(host, started_s))
    return Timeline(
        MappingProxyType(
            {
                store: tuple(sorted(entries[store], key=_order))
                for store in sorted(entries)
            }
        ),
        MappingProxyType(dict(sorted(since_s.items()))),
        MappingProxyType(dict(sorted(forgotten.items()))),
    )


def _order(one: Entry) -> tuple[float, str, str]:
    return one.at_s, one.host, repr(one)


def _entry(value: object) -> Entry | None:
    if not isinstance(value, Mapping):
        return None
    told: dict[str, Any] = {
        name: value.get(name)
        for name, kind in _KINDS.items()
        if isinstance(value.get(name), kind)
    }
    return Entry(**told) if len(told) == len(_KINDS) else None


# A bool is an int to isinstance(); none is sent.
_KINDS: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {
        'host': str,
        'at_s': (int, float),
        'state': str,
        'engine': str,
        'seconds': (int, float),
        'reason': str,
        'attempt': int,
        'error': (str, type(None)),
        'trace': str,
        'sent_bytes': (int, type(None)),
    }
)


def _items(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, Mapping):
        return []
    return [(k, v) for k, v in value.items() if isinstance(k, str)]
