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
"""openstack image distribution show: at which sites one image is.

dcn-distributor has no such command: its status takes any number of images.
In ``openstack`` a list has many objects and show has one.
"""

import argparse

from dcn_distributor.cmd import status

EPILOG = """\
A line for each site where the image is wanted or present; --all has the
others, too. 'dcn-distributor status --help' tells what the states are, and
'dcn-distributor explain' why they are so.

exit codes:
  0  all wanted copies of the image at these sites are present
  1  failed: no answer from Glance, or no such image
  2  wrong usage, or something wrong in the configuration
  3  some wanted copy is missing or under way

examples:
  openstack image distribution show cirros
  openstack image distribution show cirros --site dcn17 -f json"""


class Show(status.Status):
    """Show at which sites one image is, a line for each."""

    _epilog = EPILOG

    def add_images(self, parser: argparse.ArgumentParser) -> None:
        """Add the image."""
        parser.add_argument(
            'images', metavar='IMAGE', nargs=1, help='id or name'
        )
        parser.set_defaults(long=True)
