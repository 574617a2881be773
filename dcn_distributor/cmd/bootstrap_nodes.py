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
"""dcn-distributor bootstrap nodes: tag the machines of every role."""

import argparse
from pathlib import Path
import sys

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import ironic
from dcn_distributor.bootstrap import nodes
from dcn_distributor.bootstrap import runs
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli

EPILOG = f"""\
A machine that sites.yaml names gets the capability node:NUMBER-TAG-INDEX,
which the scheduler hints of its stack ask for; what else it has stays. One
that is as it should be is left alone. Nothing is changed if any name is
unknown, any machine is busy, or any tag is taken.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap nodes
  dcn-distributor bootstrap nodes --apply
  openstack baremetal node list --long -f json |
      dcn-distributor bootstrap nodes --from -"""

COLUMNS = ('Node', 'Before', 'After')


class Nodes(lister.Lister):  # type: ignore[misc]
    """List which machines have to be tagged, or tag them."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        bootstrapping.add_files(parser)
        bootstrapping.add_apply(parser)
        parser.add_argument(
            '--from',
            dest='printed',
            metavar='FILE',
            help='what "openstack baremetal node list --long -f json" has '
            'printed, instead of running it; - for the standard input',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError with all that is in the way."""
        cloud = bootstrapping.load(self.app, parsed_args)
        found = ironic.parse(_printed(parsed_args.printed))
        changes = nodes.work_out(cloud, found)
        if parsed_args.apply:
            for change in changes:
                runs.read(change.argv)
                self.app.stderr.write(f'{change.node}: tagged\n')
        return COLUMNS, [
            (
                change.node,
                nodes.write_capabilities(change.before),
                nodes.write_capabilities(change.after),
            )
            for change in changes
        ]


def _printed(path: str | None) -> str:
    """Give what the bare metal service says. Raises ConfigError."""
    if path is None:
        return runs.read(ironic.LIST)
    if path == '-':
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeError) as exc:
        raise exceptions.ConfigError(f'{path}: cannot be read: {exc}') from exc
