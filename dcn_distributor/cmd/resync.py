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
"""dcn-distributor resync: have an agent look at images again."""

import argparse

from cliff import command

from dcn_distributor.cmd import cli
from dcn_distributor.cmd import hearsay
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import images

EPILOG = """\
An agent looks at all images by itself every resync_interval, and at each
that changes. This makes it look now, and try again what had failed for good
or waits for its next try's time. Ids and names are looked up in Glance
first; without any, the agent looks at all images. Where there are several
agents, all are asked.

exit codes:
  0  an agent has taken it; see its log, or status, for what comes of it
  1  failed: no agent answers, no answer from Glance, or no such image
  2  wrong usage (several images have that name), or something wrong in the
     configuration
  3  some agents have taken it, others do not answer

examples:
  dcn-distributor resync
  dcn-distributor resync cirros 0b4f3cb5-31b3-4c3b-a4a5-9a5f1bd4a1f9"""


class Resync(command.Command):  # type: ignore[misc]
    """Have a running agent look at images again, now."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the images."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'images', metavar='IMAGE', nargs='*', help='ids or unique names'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Look the images up, and ask."""
        world = self.open_world(self.app)
        ids: dict[images.ImageId, None] = {}
        for word in parsed_args.images:
            found = worlds.find_one(world.images, word)
            if isinstance(found, str):
                self.app.stderr.write(f'{self.app.NAME}: {found}\n')
                return cli.USAGE
            ids[found.id] = None
        answer = world.agent.resync(tuple(ids))
        hosts = hearsay.hosts(answer)
        verb = 'looks' if len(hosts) == 1 else 'look'
        what = rendering.count(len(ids), 'image') if ids else 'all images'
        self.app.stdout.write(
            f'The {rendering.on_hosts(hosts)} {verb} at {what} now.\n'
        )
        silent = hearsay.silent(answer)
        for name in silent:
            self.app.stderr.write(
                f'The agent on {rendering.printable(name)} does not answer; '
                'it may not have heard.\n'
            )
        return cli.PARTLY_DONE if silent else cli.DONE
