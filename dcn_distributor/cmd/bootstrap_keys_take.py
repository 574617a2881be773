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
"""dcn-distributor bootstrap keys take: keep what others have issued."""

import argparse
from pathlib import Path
import sys

from cliff import command

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import keys
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


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
        bootstrapping.add_cluster(parser)
        parser.add_argument(
            '--replace',
            action='store_true',
            help='forget another secret that was issued before',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError."""
        cloud = bootstrapping.load(self.app, parsed_args)
        site = bootstrapping.site_of(cloud, parsed_args.site)
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
