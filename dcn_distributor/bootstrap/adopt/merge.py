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
"""Make sites.yaml and the state of bootstrap of what sources told.

A cluster's site has its name, but for that of central, which the caller
knows. Several sources may tell of one cluster: they must not contradict each
other, and of what they write differently, as monitors, the first is taken.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import sites_text
from dcn_distributor.core import cephx
from dcn_distributor.core import rings
from dcn_distributor.core import sites

AGENT = 'dcn-distributor'
# What no site can be called (conf.sites).
_RESERVED = ('all', sites.CENTRAL)
_IMAGES = 'images'
# Of Cinder and Nova, as deployment tools call them.
_OTHER_POOLS = ('volumes', 'vms')
_POOL = re.compile(r'\bpool[= ]\s*"?([A-Za-z0-9._-]+)')
# The successors of a rotated key have a number behind the user's name.
_NUMBER = re.compile(r'-r([1-9][0-9]*)\Z')
_DIGITS = re.compile(r'([0-9]+)')


@dataclasses.dataclass(frozen=True, slots=True)
class Choices:
    """What no source can tell.

    :ivar central: the name of central's cluster
    :ivar store: the id of central's store; None for the cluster's name
    :ivar user: of Glance at all clusters; None if it is the only one there
    :ivar pool: of Glance, where no source names it; None for ``images``
    """

    central: str
    store: str | None = None
    user: str | None = None
    pool: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Adopted:
    """A cloud that was taken over.

    :ivar sites: the text of a sites.yaml
    :ivar ring: the secrets, which are not in that
    """

    sites: str
    ring: rings.Ring


def merge(
    findings_of_all: Iterable[findings.Found], choices: Choices
) -> Adopted:
    """Put together what was found. Raises ConfigError with all problems."""
    problems: list[str] = []
    clusters = _clusters(findings_of_all, problems)
    problems += _names(clusters, choices)
    problems += _shared(clusters)
    user = _user(clusters, choices, problems)
    pools = {
        found.cluster: _pools(found, user, choices, problems)
        for found in clusters
    }
    if problems:
        raise exceptions.ConfigError(*problems)
    ring = rings.Ring({_site(f, choices): _known(f, user) for f in clusters})
    described = tuple(
        sites_text.Cluster(
            _site(found, choices),
            found.cluster,
            found.fsid,
            found.monitors,
            pools[found.cluster],
            found.is_external,
        )
        for found in sorted(clusters, key=lambda f: _order(f, choices))
    )
    store = choices.store or choices.central
    return Adopted(sites_text.write(described, user, store), ring)


def _site(found: findings.Found, choices: Choices) -> sites.SiteName:
    is_central = found.cluster == choices.central
    return sites.CENTRAL if is_central else sites.SiteName(found.cluster)


def _order(
    found: findings.Found, choices: Choices
) -> tuple[bool, list[tuple[int, str]]]:
    """Central first, and dcn2 before dcn10."""
    parts = _DIGITS.split(found.cluster)
    return found.cluster != choices.central, [
        (int(part), '') if part.isdigit() else (-1, part) for part in parts
    ]


def _clusters(
    found: Iterable[findings.Found], problems: list[str]
) -> tuple[findings.Found, ...]:
    """Give one for each cluster."""
    merged: dict[str, findings.Found] = {}
    for each in found:
        first = merged.get(each.cluster)
        merged[each.cluster] = (
            each if first is None else _join(first, each, problems)
        )
    return tuple(merged.values())


def _join(
    first: findings.Found, other: findings.Found, problems: list[str]
) -> findings.Found:
    advice = 'leave out the source that is out of date'
    if first.fsid != other.fsid:
        problems.append(
            f'{other.source}: cluster {other.cluster} has fsid {other.fsid}, '
            f'and in {first.source} {first.fsid}: {advice}, or give one of '
            'two clusters another name'
        )
    if first.pool and other.pool and first.pool != other.pool:
        problems.append(
            f'{other.source}: Glance has pool {other.pool} of cluster '
            f'{other.cluster}, and in {first.source} {first.pool}: {advice}'
        )
    entities = {entity.name: entity for entity in first.entities}
    for entity in other.entities:
        known = entities.setdefault(entity.name, entity)
        if known.secret != entity.secret:
            problems.append(
                f'{other.source}: {entity.name} of cluster {other.cluster} '
                f'has another key than in {first.source}: {advice}; '
                f"'ceph auth get {entity.name}' prints the one that holds"
            )
        if not known.caps:
            entities[entity.name] = entity
    return dataclasses.replace(
        first,
        entities=tuple(entities.values()),
        pool=first.pool or other.pool,
        is_external=first.is_external or other.is_external,
    )


def _names(
    clusters: Iterable[findings.Found], choices: Choices
) -> Iterator[str]:
    names = [found.cluster for found in clusters]
    if choices.central not in names:
        yield (
            f'no source tells of a cluster {choices.central}, which is to be '
            f"central's; there are: {', '.join(names) or 'none'}"
        )
    for found in clusters:
        if found.cluster in _RESERVED and found.cluster != choices.central:
            yield (
                f'{found.source}: no site can be called {found.cluster}, as '
                'its cluster is: give that another name in this source'
            )


def _shared(clusters: Iterable[findings.Found]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for found in clusters:
        for claim in (f'fsid {found.fsid}', *found.monitors):
            owner = owners.setdefault(claim, found.cluster)
            if owner != found.cluster:
                yield (
                    f'{found.source}: cluster {found.cluster} has {claim}, '
                    f'as {owner} has: leave out one of them, if they are the '
                    'same, or correct the source that is wrong'
                )


def _users(found: findings.Found) -> Mapping[str, cephx.Entity]:
    """Give the users of a cluster; of a rotated key, its last successor."""
    users: dict[str, tuple[int, cephx.Entity]] = {}
    for entity in found.entities:
        number = _NUMBER.search(entity.user)
        name = _NUMBER.sub('', entity.user)
        numbered = (int(number[1]) if number else 0, entity)
        users[name] = max(
            users.get(name, numbered), numbered, key=lambda pair: pair[0]
        )
    return {name: entity for name, (_, entity) in users.items()}


def _user(
    clusters: Iterable[findings.Found], choices: Choices, problems: list[str]
) -> str:
    """Find the user that Glance has everywhere."""
    users = {found.cluster: set(_users(found)) - {AGENT} for found in clusters}
    common = set.intersection(*users.values()) if users else set()
    if choices.user is not None:
        problems += [
            f'cluster {cluster} has no user {choices.user}: add its key to '
            f'the sources; there are: {", ".join(sorted(names)) or "none"}'
            for cluster, names in users.items()
            if choices.user not in names
        ]
        return choices.user
    if len(common) != 1:
        listed = '; '.join(
            f'{cluster}: {", ".join(sorted(names)) or "none"}'
            for cluster, names in users.items()
        )
        problems.append(
            'name the user that Glance has at all clusters: '
            f'{"several" if common else "none"} could be it ({listed})'
        )
        return ''
    return common.pop()


def _pools(
    found: findings.Found,
    user: str,
    choices: Choices,
    problems: list[str],
) -> tuple[str, ...]:
    """Give the pools that Glance's user may use, that of Glance first.

    () if nothing says anything else than the default.
    """
    entity = _users(found).get(user)
    osd = entity.caps.get('osd', '') if entity is not None else ''
    allowed = tuple(dict.fromkeys(_POOL.findall(osd)))
    pool = found.pool or choices.pool
    if pool is None and len(allowed) == 1:
        [pool] = allowed
    pool = pool or _IMAGES
    if allowed and pool not in allowed:
        problems.append(
            f'{found.source}: client.{user} of cluster {found.cluster} may '
            f'use {", ".join(allowed)}, and not {pool}: name the pool of '
            'Glance'
        )
    if not allowed:
        return () if pool == _IMAGES else (pool, *_OTHER_POOLS)
    return (pool, *(other for other in allowed if other != pool))


def _known(found: findings.Found, user: str) -> rings.Known:
    known = rings.Known(found.fsid, found.monitors)
    users = _users(found)
    for name in (user, AGENT):
        if name in users:
            known = known.with_entity(users[name], f'client.{name}')
    return known
