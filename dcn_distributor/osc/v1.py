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
"""Which commands `openstack` has of us, and how they are called there.

setup.cfg has a line for each in the group ``openstack.image_distribution.v1``.
Every start of ``openstack`` loads all that is named there, whatever its
command is: this module imports nothing, and a command only when it is made.
"""

import argparse
import dataclasses
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcn_distributor.osc import hosting

OBJECT = 'image distribution'


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One command, as the entry point that cliff calls to make it.

    :ivar words: what follows ``openstack image distribution``
    :ivar factory: module and class, as in cmd.cli.COMMANDS
    :ivar needs_auth: whether ``openstack`` has to log in first
    """

    words: str
    factory: str
    needs_auth: bool = True

    def __call__(
        self,
        shell: 'hosting.Shell',
        options: argparse.Namespace | None,
    ) -> 'hosting.Hosted':
        """Import the command, and make it."""
        from dcn_distributor.osc import hosting

        return hosting.Hosted(
            shell,
            options,
            pkgutil.resolve_name(self.factory),
            spelling(),
            self.needs_auth,
        )


clean = Command('clean', 'dcn_distributor.cmd.clean:Clean')
copy = Command('copy', 'dcn_distributor.cmd.copy:Copy')
explain = Command('explain', 'dcn_distributor.cmd.explain:Explain')
hold = Command('hold', 'dcn_distributor.cmd.pauses:Hold')
overview = Command('list', 'dcn_distributor.cmd.status:Status')
pause = Command('pause', 'dcn_distributor.cmd.pauses:Pause')
pauses = Command('pause list', 'dcn_distributor.cmd.pauses:Pauses')
plan = Command('plan', 'dcn_distributor.cmd.plan:Plan')
release = Command('release', 'dcn_distributor.cmd.pauses:Release')
resume = Command('resume', 'dcn_distributor.cmd.pauses:Resume')
resync = Command('resync', 'dcn_distributor.cmd.resync:Resync')
show = Command('show', 'dcn_distributor.osc.show:Show')
validate = Command('validate', 'dcn_distributor.cmd.validate:Validate', False)
verify = Command('verify', 'dcn_distributor.cmd.verify:Verify')


def spelling() -> dict[str, str]:
    """Tell by which command here a factory is reached."""
    return {
        command.factory: f'{OBJECT} {command.words}'
        for command in globals().values()
        if isinstance(command, Command)
    }
