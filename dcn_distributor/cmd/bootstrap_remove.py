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
"""dcn-distributor bootstrap remove: take a site out of the cloud."""

import argparse
import dataclasses
import shlex

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import farewell
from dcn_distributor.bootstrap import handover
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import rings
from dcn_distributor.core import sites
from dcn_distributor.core import stacks

EPILOG = f"""\
Without --apply it lists all steps, in order, while the site still stands in
sites.yaml. With --apply it does its own one, as soon as central's Glance has
forgotten the site's store: the keys of the site's cluster are revoked, where
deploy.ceph.admin_conf of --sites still names it, and their secrets forgotten.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap remove dcn1
  dcn-distributor bootstrap remove dcn1 --sites sites.yaml.before --apply"""

COLUMNS = ('Step', 'What', 'Command')


class Remove(lister.Lister):  # type: ignore[misc]
    """List what to take out where, in order; or revoke a site's keys."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('site', metavar='SITE', help='an edge site')
        bootstrapping.add_files(parser)
        bootstrapping.add_apply(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError, NotAnOrphan while central needs the site."""
        cloud = bootstrapping.load(self.app, parsed_args)
        site = _edge(cloud, parsed_args.site)
        if parsed_args.apply:
            self._revoke(cloud, site, parsed_args)
        return COLUMNS, [
            (step.name, step.why, shlex.join(step.argv))
            for step in farewell.order(cloud, site)
        ]

    def _revoke(
        self,
        cloud: stacks.Cloud,
        site: stacks.Site,
        parsed_args: argparse.Namespace,
    ) -> None:
        if site.has_store:
            self._check_unneeded(site)
        state = state_file.StateFile(parsed_args.state)
        with bootstrapping.held(state, True):
            ring = state.load()
            with bootstrapping.authority(cloud, ring, site) as authority:
                known = ring.of(site.name)
                for name in (*known.entities, *known.retiring):
                    known = handover.give_up(keys.former(site, name), known)
                state.save(ring.replacing(site.name, known))
                for name in tuple(known.retiring):
                    if authority is not None:
                        grant = keys.former(site, name)
                        known = handover.retire(grant, known, authority)
            left = {s: k for s, k in ring.clusters.items() if s != site.name}
            state.save(dataclasses.replace(ring, clusters=left))
        if authority is None and ring.of(site.name) != rings.Known():
            self.app.stderr.write(
                f'{site.name}: its secrets are forgotten here, but nobody '
                'here may revoke them in its cluster\n'
            )

    def _check_unneeded(self, site: stacks.Site) -> None:
        """Raise NotAnOrphan while central's Glance has the store."""
        # They take long to be imported, and need not for --help.
        from dcn_distributor.clients import glance

        conf, _ = self.app.read_configuration(glance.register_opts)
        images = glance.connect(conf)
        try:
            has_store = site.store in images.stores()
        finally:
            images.close()
        if has_store:
            raise exceptions.NotAnOrphan(
                f"{site.name}: central's Glance still has the store "
                f'{site.store}: without its key central could neither read '
                'nor delete what is there. First do the steps before this '
                f"one; 'bootstrap remove {site.name}' lists them"
            )


def _edge(cloud: stacks.Cloud, name: str) -> stacks.Site:
    if name == sites.CENTRAL:
        raise exceptions.ConfigError(
            'central cannot be removed: all other sites need it'
        )
    for site in cloud.edges:
        if site.name == name:
            return site
    raise exceptions.ConfigError(
        f'{name}: there is no such edge site in this file; if it was taken '
        'out already, give the file of before with --sites'
    )
