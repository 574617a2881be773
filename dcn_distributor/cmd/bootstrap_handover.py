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
"""dcn-distributor bootstrap keys rotate, retire, revoke."""

import argparse
from collections.abc import Callable
import dataclasses

from cliff import command

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import handover
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import authorities
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

EPILOG = f"""\
The successor has the next number behind its name and the same caps. Then
'bootstrap render' for ceph and bring the keyrings, which have both keys, to
the hosts; then for glance, restart glance-api, and 'bootstrap keys retire'.
Until then both serve, so nobody is locked out. A user that Nova and Cinder
share, as openstack, is also that of running instances and attached volumes:
they have to be moved or started anew before the old one is retired.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap keys rotate client.glance --site dcn0 --apply
  dcn-distributor bootstrap keys retire client.glance --site dcn0 --apply"""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One entity, and what it takes to change it.

    :ivar save: keeps what is known, before the next step is begun
    """

    cloud: stacks.Cloud
    grant: grants.Grant
    known: rings.Known
    authority: authorities.Authority
    save: Callable[[rings.Known], None]


class _OneEntity(command.Command):  # type: ignore[misc]
    """A command about one entity of one cluster."""

    _epilog = EPILOG
    what = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the entity and the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'entity',
            metavar='ENTITY',
            help="as 'bootstrap keys' lists it, such as client.glance",
        )
        bootstrapping.add_files(parser)
        bootstrapping.add_cluster(parser)
        bootstrapping.add_apply(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError, ClusterUnavailable, AccessDenied."""
        cloud = bootstrapping.load(self.app, parsed_args)
        site = bootstrapping.site_of(cloud, parsed_args.site)
        state = state_file.StateFile(parsed_args.state)
        with bootstrapping.held(state, parsed_args.apply):
            ring = state.load()
            known = ring.of(site.name)
            grant = _grant(cloud, site, known, parsed_args.entity)
            if not parsed_args.apply:
                names = self.names(grant, known) or ('nobody',)
                self.app.stdout.write(
                    f'{site.name}: would {self.what} {", ".join(names)}; '
                    '--apply does it\n'
                )
                return cli.DONE
            with bootstrapping.authority(cloud, ring, site) as authority:
                case = Case(
                    cloud,
                    grant,
                    known,
                    bootstrapping.needed(site, authority),
                    lambda known: state.save(ring.replacing(site.name, known)),
                )
                known = self.change(case)
            state.save(ring.replacing(site.name, known))
        self.app.stdout.write(f'{site.name}: {self.told(grant, known)}\n')
        return cli.DONE

    def names(
        self, grant: grants.Grant, known: rings.Known
    ) -> tuple[str, ...]:
        """Name the entities that something happens to."""
        return (keys.current(grant, known),)

    def change(self, case: Case) -> rings.Known:
        """Do it; give what is to be saved then."""
        raise NotImplementedError

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say what was done."""
        raise NotImplementedError


class Rotate(_OneEntity):
    """Make a successor of a key; the old one serves on until 'retire'."""

    what = 'make a successor of'

    def change(self, case: Case) -> rings.Known:
        """Have it made."""
        grant = case.grant
        if grant.user != case.cloud.user:
            raise exceptions.ConfigError(
                f'{grant.entity} is the agent, which connects as cluster.user '
                'says: give it another name there, then keys --apply, render, '
                "restart the agent, and 'bootstrap keys revoke "
                f"{grant.entity}'"
            )
        site = case.cloud.site(grant.site)
        key_type = keys.choose_type(site, case.authority)
        known = handover.choose_successor(grant, case.known, case.authority)
        case.save(known)
        return handover.rotate(grant, known, case.authority, key_type)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say what comes next."""
        (old,) = known.retiring[grant.entity]
        return (
            f'{keys.current(grant, known)} takes the place of {old.name}; now '
            "'bootstrap render' for ceph, then for glance, bring the files "
            "to the hosts, restart, and 'bootstrap keys retire'"
        )


class Retire(_OneEntity):
    """Revoke the keys that successors have taken the place of."""

    what = 'revoke'

    def names(
        self, grant: grants.Grant, known: rings.Known
    ) -> tuple[str, ...]:
        """Name those that wait for it."""
        waiting = known.retiring.get(grant.entity, ())
        return tuple(entity.name for entity in waiting)

    def change(self, case: Case) -> rings.Known:
        """Revoke them."""
        return handover.retire(case.grant, case.known, case.authority)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say who is left."""
        return f'only {keys.current(grant, known)} is left'


class Revoke(_OneEntity):
    """Revoke a key for good, with all that ever took its place."""

    what = 'revoke'

    def names(
        self, grant: grants.Grant, known: rings.Known
    ) -> tuple[str, ...]:
        """Name all."""
        waiting = known.retiring.get(grant.entity, ())
        old = tuple(entity.name for entity in waiting)
        return (*old, keys.current(grant, known))

    def change(self, case: Case) -> rings.Known:
        """Revoke it; first nobody may issue it again."""
        known = handover.give_up(case.grant, case.known)
        case.save(known)
        case.authority.remove(keys.current(case.grant, case.known))
        return handover.retire(case.grant, known, case.authority)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say that it is gone."""
        return (
            f'{grant.entity} is revoked: connections that stand last until '
            "their tickets end, an hour at most; 'bootstrap keys --apply' "
            'issues it anew if it is needed'
        )


def _grant(
    cloud: stacks.Cloud, site: stacks.Site, known: rings.Known, entity: str
) -> grants.Grant:
    of_cluster = grants.of_cluster(cloud, site)
    former = [
        keys.former(site, name) for name in (*known.entities, *known.retiring)
    ]
    for grant in (*of_cluster, *former):
        if entity in (grant.entity, keys.current(grant, known)):
            return grant
    names = ', '.join(grant.entity for grant in of_cluster) or 'none'
    raise exceptions.ConfigError(
        f'{entity}: no key of the cluster of {site.name}; those are: {names}'
    )
