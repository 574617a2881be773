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
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import enum

from dcn_distributor import exceptions
from dcn_distributor.core import authorities
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

MakeSecret = Callable[[cephx.KeyType], cephx.Secret]


class Action(enum.Enum):
    """What is to be done for one entity, in words."""

    NONE = 'as it should be'
    CREATE = 'have the cluster make it'
    MAKE = 'make a secret, to be imported when the cluster is deployed'
    ADOPT = 'keep the secret that the cluster has'
    IMPORT = 'import the secret that was issued'
    RENEW = 'keep the secret that the cluster has instead of the issued one'
    SET_CAPS = 'change its caps'
    MORE_CAPS = 'nothing: it has more caps than needed; --narrow takes them'
    GONE = (
        'nothing: it was issued, and is gone from the cluster; revoke it '
        'here, too, and it is made anew'
    )
    UNWANTED = "nothing: nobody needs it any more; 'keys revoke' removes it"


_NOT_DUE = frozenset(
    (Action.NONE, Action.MORE_CAPS, Action.GONE, Action.UNWANTED)
)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One entity of one cluster, and what is to be done.

    :ivar entity: as the cluster calls it; that of the grant, or a successor
    :ivar caps: what it may do afterwards
    :ivar detail: what changes, in words
    """

    grant: grants.Grant
    entity: str
    action: Action
    caps: cephx.Caps
    detail: str = ''

    @property
    def is_due(self) -> bool:
        """Whether there is something to do."""
        return self.action not in _NOT_DUE


def current(grant: grants.Grant, known: rings.Known) -> str:
    """Give the name of the entity that serves a grant now."""
    issued = known.entities.get(grant.entity)
    return grant.entity if issued is None else issued.name


def work_out(
    site: stacks.Site,
    wanted: tuple[grants.Grant, ...],
    known: rings.Known,
    authority: authorities.Authority | None,
    *,
    is_narrow: bool = False,
) -> tuple[Change, ...]:
    """Say what is to be done at one cluster; it is only read.

    `authority` is None if it cannot be asked. Caps that an entity has besides
    are left to it unless `is_narrow`: others may use it. Raises ConfigError
    for what only a person can settle, and what Authority raises.
    """
    changes: list[Change] = []
    for grant in wanted:
        if authority is None:
            action = _alone(site, grant, known)
            name = current(grant, known)
            changes.append(Change(grant, name, action, grant.caps))
        else:
            changes += _compared(site, grant, known, authority, is_narrow)
    return (*changes, *_unwanted(site, wanted, known))


def _alone(
    site: stacks.Site, grant: grants.Grant, known: rings.Known
) -> Action:
    """Decide where the cluster cannot be asked. Raises ConfigError."""
    if grant.entity in known.entities:
        return Action.NONE
    if site.ceph is not None and site.ceph.is_external:
        raise exceptions.ConfigError(
            f'{site.name}: the cluster is external, and there is no secret '
            f'of {grant.entity}: have its administrator make it, and give '
            "its keyring to 'bootstrap keys take'; or name a ceph.conf with "
            'a key of client.admin in deploy.ceph.admin_conf'
        )
    return Action.MAKE


def _compared(
    site: stacks.Site,
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
    is_narrow: bool,
) -> list[Change]:
    name = current(grant, known)
    issued = known.entities.get(grant.entity)
    found = authority.find(name)
    if found is None:
        action = Action.CREATE
        if issued is not None:
            # One that no cluster has ever seen was made ahead for this one.
            action = Action.IMPORT if known.fsid is None else Action.GONE
        return [Change(grant, name, action, grant.caps)]
    _check_type(site, found)
    changes = []
    if issued is None:
        changes.append(Change(grant, name, Action.ADOPT, found.caps))
    elif issued.secret != found.secret:
        changes.append(Change(grant, name, Action.RENEW, found.caps))
    changes += _caps_change(grant, found, is_narrow)
    return changes or [Change(grant, name, Action.NONE, found.caps)]


def _caps_change(
    grant: grants.Grant, found: cephx.Entity, is_narrow: bool
) -> list[Change]:
    joined = cephx.join_caps(found.caps, grant.caps)
    wanted = grant.caps if is_narrow else joined
    if not cephx.same_caps(found.caps, wanted):
        detail = (
            f'from {cephx.show_caps(found.caps)} to {cephx.show_caps(wanted)}'
        )
        action = Action.SET_CAPS
    elif not cephx.same_caps(found.caps, grant.caps):
        detail = f'needed are {cephx.show_caps(grant.caps)}'
        action = Action.MORE_CAPS
    else:
        return []
    return [Change(grant, found.name, action, wanted, detail)]


def _check_type(site: stacks.Site, found: cephx.Entity) -> None:
    asked = None if site.ceph is None else site.ceph.key_type
    if asked is not None and found.secret.key_type is not asked:
        raise exceptions.ConfigError(
            f'{site.name}: {found.name} has a key of type '
            f'{found.secret.key_type.word}, and deploy.ceph.key_type asks for '
            f'{asked.word}: rotate it, or correct sites.yaml'
        )


def _unwanted(
    site: stacks.Site, wanted: tuple[grants.Grant, ...], known: rings.Known
) -> Iterator[Change]:
    """Name what was issued once for who does not need it any more."""
    for name in (*known.entities, *known.retiring):
        if all(grant.entity != name for grant in wanted):
            grant = former(site, name)
            entity = current(grant, known)
            yield Change(grant, entity, Action.UNWANTED, {})


def former(site: stacks.Site, entity: str) -> grants.Grant:
    """Give the grant of an entity that nobody needs any more."""
    return grants.Grant(site.name, entity, {}, (), 'nobody')


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
    if not change.is_due:
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
    if change.action is Action.SET_CAPS:
        authority.set_caps(change.entity, change.caps)
    found = authority.find(change.entity)
    if found is None:
        raise exceptions.ConfigError(
            f'{grant.site}: {change.entity} went as it was looked at; try '
            'again'
        )
    return known.with_entity(found, grant.entity)


def take(
    wanted: tuple[grants.Grant, ...],
    known: rings.Known,
    given: tuple[cephx.Entity, ...],
    *,
    may_replace: bool = False,
) -> tuple[rings.Known, tuple[str, ...]]:
    """Keep what somebody else has issued; say which entities those are.

    Of what is given only that is kept which is wanted. Raises ConfigError if
    nothing is, and if another secret was issued, unless it may be replaced.
    """
    taken = []
    for grant in wanted:
        issued = known.entities.get(grant.entity)
        for entity in given:
            if entity.name != current(grant, known):
                continue
            is_other = issued is not None and issued.secret != entity.secret
            if is_other and not may_replace:
                raise exceptions.ConfigError(
                    f'{grant.site}: another secret of {entity.name} was '
                    'issued already; --replace forgets that one'
                )
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
