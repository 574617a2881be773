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
import os
from pathlib import Path
import sys
import time
from typing import Any

from cliff import command
from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
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
'bootstrap render', bring the files to the hosts, restart what uses them,
and 'bootstrap keys retire'. Until then both serve, so nobody is locked out.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap keys rotate client.glance --site dcn0 --apply
  dcn-distributor bootstrap keys retire client.glance --site dcn0 --apply"""

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
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError, ClusterUnavailable, AccessDenied."""
        cloud = bootstrapping.load(self.app, parsed_args)
        state = state_file.StateFile(parsed_args.state)
        rows: list[tuple[str, ...]] = []
        with bootstrapping.held(state, parsed_args.apply):
            for site in bootstrapping.chosen(cloud, parsed_args):
                rows += reconcile(cloud, site, state, parsed_args.apply)
        return COLUMNS, rows


def reconcile(
    cloud: stacks.Cloud,
    site: stacks.Site,
    state: state_file.StateFile,
    is_applied: bool,
) -> list[tuple[str, ...]]:
    """Look at one cluster; change it if that is wanted. Give table rows.

    Raises ConfigError, ClusterUnavailable, AccessDenied.
    """
    wanted = grants.of_cluster(cloud, site)
    if not wanted:
        return []
    with bootstrapping.authority(site) as authority:
        ring = state.load()
        known = ring.of(site.name)
        if authority is not None:
            known = keys.facts(known, authority)
            rings.resolve(cloud, ring.replacing(site.name, known))
        key_type = keys.choose_type(site, authority)
        changes = keys.work_out(site, wanted, known, authority)
        if is_applied:
            state.save(ring.replacing(site.name, known))
            for change in keys.due(changes):
                known = keys.apply(
                    change, known, authority, _make_secret, key_type
                )
                # What was done is kept before the next is begun.
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
    return f'{done}{change.action.value}'


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
            known, taken = keys.take(
                grants.of_cluster(cloud, site), ring.of(site.name), given
            )
            state.save(ring.replacing(site.name, known))
        self.app.stdout.write(f'{site.name}: {", ".join(taken)} kept\n')
        return cli.DONE


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
                self.app.stdout.write(
                    f'{site.name}: would {self.what} '
                    f'{keys.current(grant, known)}; --apply does it\n'
                )
                return cli.DONE
            with bootstrapping.authority(site) as authority:
                known = self.change(
                    site,
                    grant,
                    known,
                    bootstrapping.needed(site, authority),
                )
            state.save(ring.replacing(site.name, known))
        self.app.stdout.write(f'{site.name}: {self.told(grant, known)}\n')
        return cli.DONE

    def change(
        self,
        site: stacks.Site,
        grant: grants.Grant,
        known: rings.Known,
        authority: Any,
    ) -> rings.Known:
        """Do it."""
        raise NotImplementedError

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say what was done."""
        raise NotImplementedError


class Rotate(_OneEntity):
    """Make a successor of a key; the old one serves on until 'retire'."""

    what = 'make a successor of'

    def change(
        self,
        site: stacks.Site,
        grant: grants.Grant,
        known: rings.Known,
        authority: Any,
    ) -> rings.Known:
        """Have it made."""
        key_type = keys.choose_type(site, authority)
        return keys.rotate(grant, known, authority, key_type)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say what comes next."""
        return (
            f'{keys.current(grant, known)} takes the place of '
            f"{known.retiring[-1]}; now 'bootstrap render', bring the files "
            "to the hosts, and 'bootstrap keys retire'"
        )


class Retire(_OneEntity):
    """Revoke the keys that successors have taken the place of."""

    what = 'revoke what was replaced by'

    def change(
        self,
        site: stacks.Site,
        grant: grants.Grant,
        known: rings.Known,
        authority: Any,
    ) -> rings.Known:
        """Revoke them."""
        return keys.retire(grant, known, authority)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say who is left."""
        return f'only {keys.current(grant, known)} is left'


class Revoke(_OneEntity):
    """Revoke a key for good, with all that ever took its place."""

    what = 'revoke'

    def change(
        self,
        site: stacks.Site,
        grant: grants.Grant,
        known: rings.Known,
        authority: Any,
    ) -> rings.Known:
        """Revoke it."""
        return keys.revoke(grant, known, authority)

    def told(self, grant: grants.Grant, known: rings.Known) -> str:
        """Say that it is gone."""
        return (
            f'{grant.entity} is revoked: connections that stand last until '
            "their tickets end, an hour at most; 'bootstrap keys --apply' "
            'would issue it again'
        )


def _grant(
    cloud: stacks.Cloud, site: stacks.Site, known: rings.Known, entity: str
) -> grants.Grant:
    of_cluster = grants.of_cluster(cloud, site)
    for grant in of_cluster:
        if entity in (grant.entity, keys.current(grant, known)):
            return grant
    names = ', '.join(grant.entity for grant in of_cluster) or 'none'
    raise exceptions.ConfigError(
        f'{entity}: no key of the cluster of {site.name}; those are: {names}'
    )
