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
"""dcn-distributor bootstrap keys: issue, rotate and revoke cephx keys."""

import argparse
from collections.abc import Callable
import os
from pathlib import Path
import sys
import time

from cliff import command
from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import authorities
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

EPILOG = f"""\
Without --apply nothing is changed. What is issued is kept in --state, so a
second run changes nothing; no secret is shown. A cluster that can be asked
(deploy.ceph.admin_conf) makes its keys itself; for others they are made
here, for the deployment tool to import ('bootstrap render').

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap keys
  dcn-distributor bootstrap keys --site dcn1 --apply"""

ROTATE_EPILOG = f"""\
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

Save = Callable[[rings.Known], None]

COLUMNS = ('Site', 'Entity', 'For', 'To do')


class Keys(lister.Lister):  # type: ignore[misc]
    """List the keys that all clusters need, and issue those that lack."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        bootstrapping.add_files(parser)
        bootstrapping.add_site(parser)
        bootstrapping.add_apply(parser)
        parser.add_argument(
            '--narrow',
            action='store_true',
            help='take caps away that an entity has besides; others who use '
            'it may need them',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the table; say if a cluster could not be worked on."""
        self._failed: list[str] = []
        super().run(parsed_args)
        if not self._failed:
            return cli.DONE
        self.app.stderr.write('\n'.join([*self._failed, '']))
        return cli.PARTLY_DONE

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError if nothing can be done at all."""
        cloud = bootstrapping.load(self.app, parsed_args)
        state = state_file.StateFile(parsed_args.state)
        chosen = bootstrapping.chosen(cloud, parsed_args)
        rows: list[tuple[str, ...]] = []
        with bootstrapping.held(state, parsed_args.apply):
            state.load()
            for site in chosen:
                # One cluster that is away is no reason to leave the others.
                try:
                    rows += reconcile(
                        cloud,
                        site,
                        state,
                        parsed_args.apply,
                        is_narrow=parsed_args.narrow,
                    )
                except exceptions.DistributorError as exc:
                    if len(chosen) == 1:
                        raise
                    self._failed.append(str(exc))
                    rows.append((site.name, '', '', 'FAILED, see below'))
        return COLUMNS, rows


def reconcile(
    cloud: stacks.Cloud,
    site: stacks.Site,
    state: state_file.StateFile,
    is_applied: bool,
    *,
    is_narrow: bool = False,
) -> list[tuple[str, ...]]:
    """Look at one cluster; change it if that is wanted. Give table rows.

    Raises ConfigError, ClusterUnavailable, AccessDenied.
    """
    wanted = grants.of_cluster(cloud, site)
    ring = state.load()
    known = ring.of(site.name)
    if not wanted and not known.entities:
        return []
    with bootstrapping.authority(cloud, ring, site) as authority:
        key_type = keys.choose_type(site, authority)
        changes = keys.work_out(
            site, wanted, known, authority, is_narrow=is_narrow
        )
        if is_applied:
            for change in keys.due(changes):
                known = keys.apply(
                    change, known, authority, _make_secret, key_type
                )
                # What was done is kept before the next is begun.
                state.save(ring.replacing(site.name, known))
            if authority is not None:
                known = keys.facts(known, authority)
                state.save(ring.replacing(site.name, known))
    return [
        (
            site.name,
            change.entity,
            change.grant.purpose,
            _told(change, is_applied),
        )
        for change in changes
    ]


def _told(change: keys.Change, is_applied: bool) -> str:
    done = 'done: ' if is_applied and change.is_due else ''
    detail = f': {change.detail}' if change.detail else ''
    return f'{done}{change.action.value}{detail}'


def _make_secret(key_type: cephx.KeyType) -> cephx.Secret:
    return cephx.make_secret(
        key_type, os.urandom(key_type.key_bytes), int(time.time())
    )


class Take(command.Command):  # type: ignore[misc]
    """Keep the secrets of a keyring that somebody else has made."""

    _epilog = f"""\
For clusters that nobody here may change: their administrator makes the
entities that 'bootstrap keys' names, and hands over a keyring.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap keys take ceph.client.openstack.keyring \\
      --site central"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the keyring and the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'keyring', metavar='KEYRING', help='a file, or - for the input'
        )
        bootstrapping.add_files(parser)
        parser.add_argument(
            '--site', metavar='SITE', required=True, help='whose cluster'
        )
        parser.add_argument(
            '--replace',
            action='store_true',
            help='forget another secret that was issued before',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError."""
        cloud = bootstrapping.load(self.app, parsed_args)
        parsed_args.site = [parsed_args.site]
        site = bootstrapping.chosen(cloud, parsed_args)[0]
        given = _read_keyring(parsed_args.keyring)
        state = state_file.StateFile(parsed_args.state)
        with state.held():
            ring = state.load()
            _check_strangers(ring, site, given)
            known, taken = keys.take(
                grants.of_cluster(cloud, site),
                ring.of(site.name),
                given,
                may_replace=parsed_args.replace,
            )
            state.save(ring.replacing(site.name, known))
        self.app.stdout.write(f'{site.name}: {", ".join(taken)} kept\n')
        return cli.DONE


def _check_strangers(
    ring: rings.Ring, site: stacks.Site, given: tuple[cephx.Entity, ...]
) -> None:
    """Raise ConfigError if a secret is one of another cluster."""
    for other, known in ring.clusters.items():
        theirs = {entity.secret for entity in known.entities.values()}
        for entity in given:
            if other != site.name and entity.secret in theirs:
                raise exceptions.ConfigError(
                    f'{site.name}: this secret of {entity.name} is that of '
                    f'the cluster of {other}: give the keyring of this one'
                )


def _read_keyring(path: str) -> tuple[cephx.Entity, ...]:
    """Read one. Raises ConfigError, which does not tell secrets."""
    try:
        text = (
            sys.stdin.read()
            if path == '-'
            else Path(path).read_text(encoding='utf-8')
        )
        return cephx.parse_keyring(text)
    except (OSError, UnicodeError) as exc:
        raise exceptions.ConfigError(f'{path}: cannot be read: {exc}') from exc
    except ValueError as exc:
        raise exceptions.ConfigError(f'{path}: {exc}') from exc


class _OneEntity(command.Command):  # type: ignore[misc]
    """A command about one entity of one cluster."""

    _epilog = ROTATE_EPILOG
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
        parser.add_argument(
            '--site', metavar='SITE', required=True, help='whose cluster'
        )
        bootstrapping.add_apply(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError, ClusterUnavailable, AccessDenied."""
        cloud = bootstrapping.load(self.app, parsed_args)
        parsed_args.site = [parsed_args.site]
        site = bootstrapping.chosen(cloud, parsed_args)[0]
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
                known = self.change(
                    cloud,
                    grant,
                    known,
                    bootstrapping.needed(site, authority),
                    lambda known: state.save(ring.replacing(site.name, known)),
                )
            state.save(ring.replacing(site.name, known))
        self.app.stdout.write(f'{site.name}: {self.told(grant, known)}\n')
        return cli.DONE

    def names(
        self, grant: grants.Grant, known: rings.Known
    ) -> tuple[str, ...]:
        """Name the entities that something happens to."""
        return (keys.current(grant, known),)

    def change(
        self,
        cloud: stacks.Cloud,
        grant: grants.Grant,
        known: rings.Known,
        authority: authorities.Authority,
        save: Save,
    ) -> rings.Known:
        """Do it; give what is to be saved then."""
        raise NotImplementedError

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say what was done."""
        raise NotImplementedError


class Rotate(_OneEntity):
    """Make a successor of a key; the old one serves on until 'retire'."""

    what = 'make a successor of'

    def change(
        self,
        cloud: stacks.Cloud,
        grant: grants.Grant,
        known: rings.Known,
        authority: authorities.Authority,
        save: Save,
    ) -> rings.Known:
        """Have it made."""
        if grant.user != cloud.user:
            raise exceptions.ConfigError(
                f'{grant.entity} is the agent, which connects as cluster.user '
                'says: give it another name there, then keys --apply, render, '
                "restart the agent, and 'bootstrap keys revoke "
                f"{grant.entity}'"
            )
        site = cloud.site(grant.site)
        key_type = keys.choose_type(site, authority)
        known = keys.choose_successor(grant, known, authority)
        save(known)
        return keys.rotate(grant, known, authority, key_type)

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

    def change(
        self,
        cloud: stacks.Cloud,
        grant: grants.Grant,
        known: rings.Known,
        authority: authorities.Authority,
        save: Save,
    ) -> rings.Known:
        """Revoke them."""
        return keys.retire(grant, known, authority)

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

    def change(
        self,
        cloud: stacks.Cloud,
        grant: grants.Grant,
        known: rings.Known,
        authority: authorities.Authority,
        save: Save,
    ) -> rings.Known:
        """Revoke it; first nobody may issue it again."""
        name = keys.current(grant, known)
        known = keys.give_up(grant, known)
        save(known)
        authority.remove(name)
        return keys.retire(grant, known, authority)

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
