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
"""Keys that take the place of others, and keys that go.

A key is rotated by a successor: an entity with the next number behind its
name and the same caps. Both serve until the files with the new one are on all
hosts; then the old one is revoked. An entity has one key only, so to replace
that would lock out whoever has the old one (ceph: `auth get-or-create-pending`
is not there before 17).
"""

from collections.abc import Mapping
import dataclasses
import re
from typing import TypeVar

from dcn_distributor import exceptions
from dcn_distributor.core import authorities
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings

_Value = TypeVar('_Value')

_NUMBER = re.compile(r'-r([1-9][0-9]*)')


def successor(name: str) -> str:
    """Give the name of the entity that takes another's place."""
    found = _NUMBER.search(name, name.rfind('-r'))
    if found is None or found.end() != len(name):
        return f'{name}-r1'
    return f'{name[: found.start()]}-r{int(found[1]) + 1}'


def choose_successor(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
) -> rings.Known:
    """Choose the name of a successor; to be kept before it is made.

    So that one which is there already, whoever has its secret, is never
    taken for ours. Raises ConfigError if the entity was never issued, or the
    one before it still waits to be revoked, and what Authority raises.
    """
    issued = known.entities.get(grant.entity)
    if issued is None:
        raise exceptions.ConfigError(
            f'{grant.site}: {grant.entity} has no secret yet: there is '
            "nothing to rotate; 'bootstrap keys' makes it"
        )
    waiting = known.retiring.get(grant.entity, ())
    if waiting:
        names = ', '.join(entity.name for entity in waiting)
        raise exceptions.ConfigError(
            f'{grant.site}: {names} still has to be revoked: bring '
            f'{issued.name} to the hosts, then retire the old one'
        )
    if grant.entity in known.successors:
        return known
    name = successor(issued.name)
    while authority.find(name) is not None:
        name = successor(name)
    return dataclasses.replace(
        known, successors={**known.successors, grant.entity: name}
    )


def rotate(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
    key_type: cephx.KeyType | None,
) -> rings.Known:
    """Have the successor made that was chosen; the old one goes on.

    Done again after it was cut off, it gives the same successor. Raises
    KeyError if none was chosen, and what Authority raises.
    """
    old = known.entities[grant.entity]
    caps = cephx.join_caps(old.caps, grant.caps)
    made = authority.create(known.successors[grant.entity], caps, key_type)
    return dataclasses.replace(
        known.with_entity(made, grant.entity),
        retiring={**known.retiring, grant.entity: (old,)},
        successors=_without(known.successors, grant.entity),
    )


def retire(
    grant: grants.Grant,
    known: rings.Known,
    authority: authorities.Authority,
) -> rings.Known:
    """Revoke those whose place others have taken; safe to do again."""
    for entity in known.retiring.get(grant.entity, ()):
        authority.remove(entity.name)
    return dataclasses.replace(
        known, retiring=_without(known.retiring, grant.entity)
    )


def give_up(grant: grants.Grant, known: rings.Known) -> rings.Known:
    """Have nobody use a grant's entities any more; then retire() them.

    To be kept before that: what is revoked must never be issued again.
    """
    gone = known.retiring.get(grant.entity, ())
    issued = known.entities.get(grant.entity)
    if issued is not None:
        gone = (*gone, issued)
    return dataclasses.replace(
        known.without_entity(grant.entity),
        retiring={**known.retiring, grant.entity: gone},
        successors=_without(known.successors, grant.entity),
    )


def _without(by_grant: Mapping[str, _Value], entity: str) -> dict[str, _Value]:
    return {name: of for name, of in by_grant.items() if name != entity}
