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
"""Keys: what is wanted against what was issued, and what clusters have.

Where a cluster can be asked, it makes its keys itself, and what it has is
believed; where it cannot, as before it is deployed, secrets are made here, for
the deployment tool to import. Either way they are kept, and a second run
changes nothing.

A key is rotated by a successor: an entity with the next number behind its
name and the same caps. Both serve until the files with the new one are on all
hosts; then the old one is revoked. An entity has one key only, so to replace
that would lock out whoever has the old one (ceph: `auth get-or-create-pending`
is not there before 17).
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import enum
import re

from dcn_distributor import exceptions
from dcn_distributor.core import authorities
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

_NUMBER = re.compile(r'-r([1-9][0-9]*)')

MakeSecret = Callable[[cephx.KeyType], cephx.Secret]


class Action(enum.Enum):
    """What is to be done for one entity, in words."""

    NONE = 'as it should be'
    CREATE = 'have the cluster make it'
    MAKE = 'make a secret, to be imported when the cluster is deployed'
    ADOPT = 'keep the secret that the cluster has'
    IMPORT = 'import the secret that was issued'
    SET_CAPS = 'give it the caps it should have'
    RENEW = 'keep the secret that the cluster has instead of the issued one'


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One entity of one cluster, and what is to be done.

    :ivar entity: as the cluster calls it; that of the grant, or a successor
    """

    grant: grants.Grant
    entity: str
    action: Action

    @property
    def is_due(self) -> bool:
        """Whether there is something to do."""
        return self.action is not Action.NONE


def current(grant: grants.Grant, known: rings.Known) -> str:
    """Give the name of the entity that serves a grant now."""
    issued = known.entities.get(grant.entity)
    return grant.entity if issued is None else issued.name


def work_out(
    site: stacks.Site,
    wanted: tuple[grants.Grant, ...],
    known: rings.Known,
    authority: authorities.Authority | None,
) -> tuple[Change, ...]:
    """Say what is to be done at one cluster; it is only read.

    `authority` is None if it cannot be asked. Raises ConfigError for what
    only a person can settle, and what Authority raises.
    """
    changes = [
        Change(grant, name, _action(site, grant, known, authority))
        for grant in wanted
        for name in [current(grant, known)]
    ]
    return tuple(changes)


def _action(
    site: stacks.Site,
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority | None,
) -> Action:
    issued = known.entities.get(grant.entity)
    if authority is None:
        if issued is not None:
            return Action.NONE
        if site.ceph is not None and site.ceph.is_external:
            raise exceptions.ConfigError(
                f'{site.name}: the cluster is external, and there is no '
                f'secret of {grant.entity}: have its administrator make it, '
                "and give its keyring to 'bootstrap keys take'; or name a "
                'ceph.conf with a key of client.admin in '
                'deploy.ceph.admin_conf'
            )
        return Action.MAKE
    found = authority.find(current(grant, known))
    if found is None:
        return Action.CREATE if issued is None else Action.IMPORT
    if issued is None:
        return Action.ADOPT
    if found.secret != issued.secret:
        return Action.RENEW
    if not cephx.same_caps(found.caps, grant.caps):
        return Action.SET_CAPS
    return Action.NONE


def apply(
    change: Change,
    known: rings.Known,
    authority: authorities.Authority | None,
    make_secret: MakeSecret,
    key_type: cephx.KeyType | None,
) -> rings.Known:
    """Do it; give what is known then, to be kept at once.

    Safe to do again after it was cut off at any step. Raises ConfigError and
    what Authority raises.
    """
    grant = change.grant
    issued = known.entities.get(grant.entity)
    if change.action is Action.NONE:
        return known
    if authority is None:
        secret = make_secret(key_type or cephx.KeyType.AES)
        entity = cephx.Entity(grant.entity, secret, grant.caps)
        return known.with_entity(entity)
    if change.action is Action.CREATE:
        entity = authority.create(grant.entity, grant.caps, key_type)
        return known.with_entity(entity, grant.entity)
    if change.action is Action.IMPORT and issued is not None:
        authority.put(dataclasses.replace(issued, caps=grant.caps))
        return known
    if change.action in (Action.ADOPT, Action.RENEW):
        found = authority.find(change.entity)
        if found is None:
            raise exceptions.ConfigError(
                f'{grant.site}: {change.entity} went as it was looked at; '
                'try again'
            )
        known = known.with_entity(found, grant.entity)
        if cephx.same_caps(found.caps, grant.caps):
            return known
    authority.set_caps(change.entity, grant.caps)
    return known


def take(
    wanted: tuple[grants.Grant, ...],
    known: rings.Known,
    given: tuple[cephx.Entity, ...],
) -> tuple[rings.Known, tuple[str, ...]]:
    """Keep what somebody else has issued; say which entities those are.

    Of what is given only that is kept which is wanted. Raises ConfigError if
    nothing is.
    """
    taken = []
    for grant in wanted:
        for entity in given:
            if entity.name == current(grant, known):
                kept = dataclasses.replace(entity, caps=grant.caps)
                known = known.with_entity(kept, grant.entity)
                taken.append(entity.name)
    if not taken:
        names = ', '.join(entity.name for entity in given) or 'nobody'
        needed = ', '.join(current(grant, known) for grant in wanted)
        raise exceptions.ConfigError(
            f'the keyring has the keys of {names}, and needed are those of '
            f'{needed}'
        )
    return known, tuple(taken)


def successor(name: str) -> str:
    """Give the name of the entity that takes another's place."""
    found = _NUMBER.search(name, name.rfind('-r'))
    if found is None or found.end() != len(name):
        return f'{name}-r1'
    return f'{name[: found.start()]}-r{int(found[1]) + 1}'


def rotate(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
    key_type: cephx.KeyType | None,
) -> rings.Known:
    """Have a successor made; the old one goes on until retire().

    Done again before that, it gives the same successor. Raises ConfigError
    if the entity was never issued, and what Authority raises.
    """
    issued = known.entities.get(grant.entity)
    if issued is None:
        raise exceptions.ConfigError(
            f'{grant.site}: {grant.entity} has no secret yet: there is '
            "nothing to rotate; 'bootstrap keys' makes it"
        )
    waiting = _waiting(grant, known)
    if waiting:
        raise exceptions.ConfigError(
            f'{grant.site}: {", ".join(waiting)} still has to be revoked: '
            f'bring {issued.name} to the hosts, then retire the old one'
        )
    name = successor(issued.name)
    while _is_strange(authority.find(name), grant):
        name = successor(name)
    made = authority.create(name, grant.caps, key_type)
    known = known.with_entity(made, grant.entity)
    return dataclasses.replace(known, retiring=(*known.retiring, issued.name))


def _is_strange(found: cephx.Entity | None, grant: grants.Grant) -> bool:
    """Tell whether a name is taken, and not by a rotation cut off."""
    return found is not None and not cephx.same_caps(found.caps, grant.caps)


def retire(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
) -> rings.Known:
    """Revoke those whose place others have taken; safe to do again."""
    for name in _waiting(grant, known):
        authority.remove(name)
    gone = frozenset(_waiting(grant, known))
    return dataclasses.replace(
        known,
        retiring=tuple(name for name in known.retiring if name not in gone),
    )


def revoke(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
) -> rings.Known:
    """Revoke a grant with all that ever served it; safe to do again."""
    known = retire(grant, known, authority)
    authority.remove(current(grant, known))
    return known.without_entity(grant.entity)


def _waiting(grant: grants.Grant, known: rings.Known) -> tuple[str, ...]:
    """Name those entities of a grant that are to be revoked."""
    return tuple(
        name
        for name in known.retiring
        if name == grant.entity or _is_successor(name, grant.entity)
    )


def _is_successor(name: str, of: str) -> bool:
    rest = name.removeprefix(of)
    return rest != name and _NUMBER.fullmatch(rest) is not None


def facts(known: rings.Known, authority: authorities.Authority) -> rings.Known:
    """Take over what a cluster says of itself. Raises what it raises."""
    return dataclasses.replace(
        known, fsid=authority.fsid, monitors=authority.monitors
    )


def choose_type(
    site: stacks.Site, authority: authorities.Authority | None
) -> cephx.KeyType | None:
    """Choose the type of a cluster's new keys. Raises ConfigError.

    None to leave it to the cluster.
    """
    asked = None if site.ceph is None else site.ceph.key_type
    if authority is None or asked is None:
        return asked
    if asked not in authority.key_types:
        taken = ', '.join(each.word for each in authority.key_types)
        raise exceptions.ConfigError(
            f'{site.name}: the cluster takes keys of type {taken}, and '
            f'deploy.ceph.key_type asks for {asked.word}'
        )
    return asked


def due(changes: tuple[Change, ...]) -> Iterator[Change]:
    """Give those that have something to do."""
    return (change for change in changes if change.is_due)
