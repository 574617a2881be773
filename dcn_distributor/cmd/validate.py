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
"""dcn-distributor validate: check sites.yaml and placement.yaml."""

import argparse

from cliff import command

from dcn_distributor.cmd import cli
from dcn_distributor.cmd import drafts

EPILOG = f"""\
Every problem is one line on stderr, FILE:LINE:COLUMN: and what is wrong;
doubtful is what can have no effect, or names a ceph.conf that this host
cannot read, FILE:LINE: warning: and why. Nothing is asked of Glance or of
a cluster: whether they are as told, the agent looks at start.

{cli.EXIT_CODES}

examples:
  dcn-distributor validate
  dcn-distributor validate --strict --sites sites.yaml \\
      --placement placement.yaml"""


class Validate(command.Command):  # type: ignore[misc]
    """Check sites.yaml and placement.yaml, and list all that is wrong."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the files, which by default the configuration names."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--sites', metavar='FILE', help='instead of sites_file'
        )
        parser.add_argument(
            '--placement', metavar='FILE', help='instead of placement_file'
        )
        parser.add_argument(
            '--strict',
            action='store_true',
            help='exit with 2 for warnings, too',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError with the problems of both files."""
        sites_file, placement_file = parsed_args.sites, parsed_args.placement
        if not (sites_file and placement_file):
            _, settings = self.app.read_configuration()
            sites_file = sites_file or settings.sites_file
            placement_file = placement_file or settings.placement_file
        policy_set, doubts = drafts.load(sites_file, placement_file)
        warnings = (*doubts, *policy_set.warnings())
        for warning in warnings:
            self.app.stderr.write(f'{warning}\n')
        self.app.stdout.write(
            f'{_count(len(policy_set.sites), "site", "sites")}, '
            f'{_count(len(policy_set.policies), "policy", "policies")}, '
            f'{_count(len(warnings), "warning", "warnings")}\n'
        )
        return cli.USAGE if warnings and parsed_args.strict else cli.DONE


def _count(number: int, singular: str, plural: str) -> str:
    return f'{number} {singular if number == 1 else plural}'
