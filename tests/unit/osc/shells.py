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
"""The part of openstackclient's application that the plugin uses."""

import argparse
import sys
from typing import Any

from dcn_distributor.osc import plugin


class Cloud:
    """A region as clouds.yaml has it; nothing special for images."""

    def get_region_name(self, service_type: str) -> str | None:
        """See openstack.config.cloud_region."""
        return 'here'

    def get_interface(self, service_type: str) -> str | None:
        """See openstack.config.cloud_region."""
        return 'public'

    def get_endpoint(self, service_type: str) -> str | None:
        """See openstack.config.cloud_region."""
        return None


class Login:
    """Somebody's session."""

    def __init__(self, session: Any) -> None:
        self.session = session


class Shell:
    """Runs one command as openstackclient does, once it is logged in."""

    def __init__(self, *options: str, session: Any = None) -> None:
        parser = plugin.build_option_parser(argparse.ArgumentParser())
        parser.add_argument('--debug', action='store_true')
        self.options = parser.parse_args(options)
        self.stdout = sys.stdout
        self.stderr = sys.stderr
        self.cloud = Cloud()
        self.client_manager = Login(session)

    def run(self, factory: Any, *argv: str) -> int:
        """Make the command and run it; return the exit code."""
        command = factory(self, self.options)
        parser = command.get_parser('openstack')
        return int(command.run(parser.parse_args(argv)))
