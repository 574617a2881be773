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
"""What is going to happen, drawn from a seed before anything begins.

The same seed gives the same plan. What comes of it may differ: how long a
server takes to come back is not ours to say.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import random

MIB = 2**20
NO_SITE = 'none'
_PIECE = MIB // 4
_LARGE = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What an image says of itself that matters to policies."""

    is_public: bool
    zone: str
    way: str
    bans: str = NO_SITE
    is_active: bool = True

    def sites(self, edges: Sequence[str]) -> frozenset[str]:
        """Tell where policies() want it: our own reading of them."""
        wanted = set(edges) if self.is_public else {self.zone} & set(edges)
        return frozenset(wanted - {self.bans})

    @property
    def properties(self) -> dict[str, str]:
        """What its owner writes to it."""
        return {
            'visibility': 'public' if self.is_public else 'private',
            'chaos_zone': self.zone,
            'chaos_way': self.way,
            'chaos_bans': self.bans,
        }


STREAM, IMPORT = 'stream', 'import'
_ENGINES = {STREAM: 'rbd-stream', IMPORT: 'auto'}


def policies(edges: Sequence[str]) -> str:
    """Write placement.yaml."""
    lines = ['version: 1', 'policies:']
    for way, engine in _ENGINES.items():
        lines += [
            f'  public-{way}:',
            '    match:',
            '      visibility: [public]',
            f'      properties: {{chaos_way: {way}}}',
            '    sites: all',
            f'    transfer: {{engine: {engine}}}',
        ]
        for site in edges:
            lines += [
                f'  {site}-{way}:',
                '    match:',
                f'      properties: {{chaos_way: {way}, chaos_zone: {site}}}',
                f'    sites: [{site}]',
                f'    transfer: {{engine: {engine}}}',
            ]
    for site in edges:
        lines += [
            f'  ban-{site}:',
            '    deny: true',
            f'    match: {{properties: {{chaos_bans: {site}}}}}',
            f'    sites: [{site}]',
        ]
    return '\n'.join(lines) + '\n'


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What an image's owner does at a moment; None is to delete it."""

    at_s: float
    wish: Wish | None


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """An image from its upload to its end, if it has one."""

    number: int
    seed: int
    size_mib: int
    born_s: float
    first: Wish
    steps: tuple[Step, ...]

    def content(self) -> bytes:
        """Make its bytes: some of it zeros."""
        chance = random.Random(f'{self.seed}/content/{self.number}')
        return b''.join(
            bytes(_PIECE)
            if chance.random() < 0.3
            else chance.randbytes(_PIECE)
            for _ in range(self.size_mib * MIB // _PIECE)
        )


def lives(
    seed: int, count: int, edges: Sequence[str], duration_s: float
) -> list[Life]:
    """Draw the images."""
    return [
        _life(random.Random(f'{seed}/image/{n}'), seed, n, edges, duration_s)
        for n in range(count)
    ]


def _life(
    chance: random.Random,
    seed: int,
    number: int,
    edges: Sequence[str],
    duration_s: float,
) -> Life:
    born_s = chance.uniform(0.0, duration_s * 0.85)
    first = Wish(
        is_public=chance.random() < 0.7,
        zone=chance.choice([*edges, NO_SITE]),
        way=chance.choice(list(_ENGINES)),
    )
    return Life(
        number,
        seed,
        _LARGE if chance.random() < 0.05 else chance.randint(1, 16),
        born_s,
        first,
        tuple(_steps(chance, first, edges, born_s, duration_s)),
    )


def _steps(
    chance: random.Random,
    wish: Wish,
    edges: Sequence[str],
    born_s: float,
    duration_s: float,
) -> Iterator[Step]:
    count = chance.choice([0, 0, 1, 1, 2, 3])
    for at_s in sorted(
        chance.uniform(born_s, duration_s) for _ in range(count)
    ):
        wish = _changed(chance, wish, edges)
        yield Step(at_s, wish)
    fate = chance.random()
    if fate < 0.15:
        # While it is copied, most likely.
        yield Step(born_s + chance.uniform(0.5, 6.0), None)
    elif fate < 0.3:
        yield Step(chance.uniform(born_s, duration_s), None)


def _changed(chance: random.Random, wish: Wish, edges: Sequence[str]) -> Wish:
    what = chance.choice(['visibility', 'zone', 'bans', 'status'])
    if what == 'visibility':
        return dataclasses.replace(wish, is_public=not wish.is_public)
    if what == 'zone':
        zone = chance.choice([*edges, NO_SITE])
        return dataclasses.replace(wish, zone=zone)
    if what == 'bans':
        bans = chance.choice([*edges, NO_SITE])
        return dataclasses.replace(wish, bans=bans)
    return dataclasses.replace(wish, is_active=not wish.is_active)


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """From how many seconds to how many."""

    least_s: float
    most_s: float

    def draw(self, chance: random.Random) -> float:
        """Draw one of them."""
        return chance.uniform(self.least_s, self.most_s)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What may fail as one: never two of its members at once.

    :ivar faults: what may happen to it, by names that faults.py knows
    """

    members: tuple[str, ...]
    faults: tuple[str, ...]
    well: Span
    ill: Span


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What happens to whom, and for how long."""

    at_s: float
    member: str
    kind: str
    lasts_s: float


def targets(agents: Sequence[str], edges: Sequence[str]) -> dict[str, Target]:
    """Give what may fail, by name."""
    return {
        **{
            name: Target(
                (name,),
                ('kill', 'freeze', 'restart'),
                Span(10, 40),
                Span(1, 20),
            )
            for name in agents
        },
        'rabbitmq': Target(
            ('rabbitmq-1', 'rabbitmq-2', 'rabbitmq-3'),
            ('kill', 'freeze'),
            Span(15, 50),
            Span(2, 25),
        ),
        'etcd': Target(
            ('etcd',), ('kill', 'freeze'), Span(20, 60), Span(1, 15)
        ),
        'glance': Target(
            ('glance',),
            ('kill', 'freeze', 'restart'),
            Span(20, 60),
            Span(1, 8),
        ),
        'keystone': Target(
            ('keystone',), ('kill', 'freeze'), Span(30, 90), Span(1, 8)
        ),
        **{
            f'ceph-{site}': Target(
                (f'ceph-{site}',),
                ('kill osd', 'kill mon', 'freeze'),
                Span(20, 60),
                Span(2, 20),
            )
            for site in edges
        },
        'ceph-central': Target(
            ('ceph-central',),
            ('kill osd', 'freeze'),
            Span(30, 90),
            Span(1, 12),
        ),
    }


def faults(
    seed: int, all_targets: Mapping[str, Target], duration_s: float
) -> dict[str, list[Fault]]:
    """Draw what happens to each target, in the order of time."""
    return {
        name: list(
            _faults(random.Random(f'{seed}/{name}'), target, duration_s)
        )
        for name, target in all_targets.items()
    }


def _faults(
    chance: random.Random, target: Target, duration_s: float
) -> Iterator[Fault]:
    at_s = chance.uniform(0.0, target.well.most_s)
    while at_s < duration_s:
        lasts_s = target.ill.draw(chance)
        yield Fault(
            at_s,
            chance.choice(target.members),
            chance.choice(target.faults),
            lasts_s,
        )
        at_s += lasts_s + target.well.draw(chance)
