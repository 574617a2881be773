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
"""dcn-distributor bootstrap keys: issue what all clusters need."""

import argparse
import os
import time

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
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
