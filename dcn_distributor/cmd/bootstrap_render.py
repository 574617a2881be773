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
"""dcn-distributor bootstrap render: write the files of a deployment tool."""

import argparse

from cliff import command

from dcn_distributor.bootstrap import ceph_files
from dcn_distributor.bootstrap import glance_files
from dcn_distributor.bootstrap import output
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import procedures
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

TARGETS = ('ceph', 'glance', 'tripleo', 'rhoso')

EPILOG = f"""\
targets:
  ceph     SITE/etc/ceph for the hosts of each site, and the agent's
  glance   SITE/glance-api.conf.d for each site's glance-api
  tripleo  the environment files, key files and scripts of each stack
  rhoso    the Secrets and parts of custom resources for Kubernetes

The same input gives the same bytes. Files that hold a secret can be read by
their owner only, and --diff tells of them only that they differ.

{cli.EXIT_CODES}
With --diff it is 1 if anything differs.

examples:
  dcn-distributor bootstrap render --target ceph --out files
  dcn-distributor bootstrap render --target glance --out files --diff"""


class Render(command.Command):  # type: ignore[misc]
    """Write the files of a deployment tool from sites.yaml and the keys."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        bootstrapping.add_files(parser)
        parser.add_argument(
            '--target', choices=TARGETS, required=True, help='for which tool'
        )
        parser.add_argument(
            '--out', metavar='DIR', required=True, help='where to'
        )
        bootstrapping.add_etc(parser)
        bootstrapping.add_release(parser)
        parser.add_argument(
            '--diff',
            action='store_true',
            help='show what would change, and write nothing',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError."""
        ring = bootstrapping.ring_of(parsed_args)
        cloud = bootstrapping.load(self.app, parsed_args)
        files = render(
            parsed_args.target,
            bootstrapping.resolved(cloud, ring),
            ring,
            etc=parsed_args.etc,
            release=parsed_args.release,
        )
        compared = output.compare(files, parsed_args.out)
        if parsed_args.diff:
            lines = [line for each in compared for line in each.diff()]
            self.app.stdout.write(''.join(lines))
            return cli.FAILED if lines else cli.DONE
        written = output.write(compared, parsed_args.out)
        for file in written:
            self.app.stdout.write(f'{parsed_args.out}/{file.path}\n')
        self.app.stderr.write(
            f'{len(written)} written, {len(files) - len(written)} as they '
            'were\n'
        )
        return cli.DONE


def render(
    target: str,
    cloud: stacks.Cloud,
    ring: rings.Ring,
    *,
    etc: str = '/etc/ceph',
    release: procedures.Release = bootstrapping.RELEASES[0],
) -> tuple[renderings.File, ...]:
    """Render all files of one target. Raises ConfigError.

    `etc` is for ceph and glance, `release` for tripleo.
    """
    if target == 'ceph':
        return ceph_files.render(cloud, ring, etc)
    if target == 'glance':
        return glance_files.render(cloud, ring, etc)
    # ruamel.yaml takes its time.
    if target == 'tripleo':
        from dcn_distributor.bootstrap import tripleo

        return tripleo.render(cloud, ring, release)
    from dcn_distributor.bootstrap import rhoso

    return rhoso.render(cloud, ring)
