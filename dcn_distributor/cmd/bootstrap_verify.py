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
"""dcn-distributor bootstrap verify: try what was brought up."""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import functools
import os
import threading
import time

from cliff import lister
from oslo_config import cfg

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import copy_trials
from dcn_distributor.bootstrap import trials
from dcn_distributor.bootstrap import verification
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import rings
from dcn_distributor.core import sizes
from dcn_distributor.core import stacks

CHECKS = ('glance', 'keys', 'copies')
COLUMNS = ('Check', 'Site', 'Result', 'Detail')

EPILOG = f"""\
checks:
  glance  each glance-api has the stores and import methods it should have
  keys    each site's keys open its own cluster and central's (create,
          write, read, list and remove an image in every pool), and its own
          key opens no other cluster
  copies  a small image gets to central and every site, with the same
          bytes and a protected snapshot; it is removed again

Needs [glance] in the configuration, as the agent; deploy.glance.url of a
site, if it is there, instead of the endpoint in Keystone's catalogue.
Clusters are asked from this host, with each key by itself.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap verify
  dcn-distributor bootstrap verify --check keys --site dcn1 -f json"""

_PAUSE_S = 0.5
_RANDOM_BYTES = 1 << 20


class Verify(lister.Lister):  # type: ignore[misc]
    """Check stores, keys and copies of what was brought up."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        bootstrapping.add_files(parser)
        bootstrapping.add_site(parser)
        parser.add_argument(
            '--check',
            choices=CHECKS,
            action='append',
            default=[],
            help='only this one; may be repeated',
        )
        parser.add_argument(
            '--size',
            type=_size,
            default=8 << 20,
            metavar='SIZE',
            help='of the image that is copied (default: 8MiB)',
        )
        parser.add_argument(
            '--timeout',
            type=float,
            default=300.0,
            metavar='SECONDS',
            help='how long a copy may take (default: 300)',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the table; fail if anything in it has failed."""
        self._failed = 0
        super().run(parsed_args)
        if self._failed:
            self.app.stderr.write(f'{self._failed} failed\n')
        return cli.FAILED if self._failed else cli.DONE

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError."""
        ring = bootstrapping.ring_of(parsed_args)
        cloud = bootstrapping.resolved(
            bootstrapping.load(self.app, parsed_args), ring
        )
        rows: list[tuple[str, ...]] = []
        for finding in self._findings(cloud, ring, parsed_args):
            result = 'ok' if finding.is_good else 'FAILED'
            self._failed += not finding.is_good
            rows.append(
                (finding.check, finding.subject, result, finding.detail)
            )
            self._tell(finding)
        return COLUMNS, rows

    def _findings(
        self,
        cloud: stacks.Cloud,
        ring: rings.Ring,
        parsed_args: argparse.Namespace,
    ) -> Iterator[trials.Finding]:
        # It imports all that an agent is made of.
        from dcn_distributor import app

        checks = parsed_args.check or CHECKS
        chosen = bootstrapping.chosen(cloud, parsed_args)
        keys = app.key_trials()
        if 'keys' in checks:
            yield from verification.pairs(cloud, ring, chosen, keys)
        if not {'glance', 'copies'} & set(checks):
            return
        around = trials.Surroundings(
            keys,
            self._connector(),
            functools.partial(_waiter, parsed_args.timeout),
        )
        if 'glance' in checks:
            yield from verification.glances(cloud, chosen, around)
        if 'copies' in checks:
            yield from copy_trials.copies(
                cloud, ring, chosen, around, _data(parsed_args.size)
            )

    def _connector(self) -> Callable[[stacks.Site], trials.Glance]:
        # They take long to be imported, and need not for --help.
        from dcn_distributor.clients import glance
        from dcn_distributor.clients import glance_trials

        conf: cfg.ConfigOpts
        conf, _ = self.app.read_configuration(glance.register_opts)

        def connect(site: stacks.Site) -> trials.Glance:
            return glance_trials.connect(conf, site.glance.url)

        return connect

    def _tell(self, finding: trials.Finding) -> None:
        """Say how far it is, to somebody who waits at a terminal."""
        if self.app.stderr.isatty():
            result = 'ok' if finding.is_good else 'FAILED'
            self.app.stderr.write(
                f'{finding.check} {finding.subject}: {result}\n'
            )


def _waiter(timeout_s: float) -> Callable[[], None]:
    """Make what waits between two looks, for so long in all."""
    end_s = time.monotonic() + timeout_s
    pause = threading.Event()

    def wait() -> None:
        if time.monotonic() >= end_s:
            raise StopIteration
        # Nothing sets it: Glance has no word for 'done'.
        pause.wait(_PAUSE_S)

    return wait


def _data(size_bytes: int) -> bytes:
    """Make an image: random at first, then zeros, as images are."""
    random = os.urandom(min(size_bytes, _RANDOM_BYTES))
    return random.ljust(size_bytes, b'\0')


def _size(text: str) -> int:
    try:
        return sizes.parse_size(text)
    except (exceptions.DistributorError, ValueError) as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
