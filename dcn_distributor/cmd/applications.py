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
"""What the operators' commands need of the program that runs them.

dcn-distributor is one such program; the plugin of ``openstack`` is another.
"""

import argparse
from collections.abc import Callable
from typing import Protocol
from typing import TextIO

from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor.core import ports


class Application(Protocol):
    """A program that runs commands.

    :ivar NAME: how it calls itself when it tells of something wrong
    :ivar options: its own, of which ``debug`` is read
    """

    NAME: str
    stdout: TextIO
    stderr: TextIO
    options: argparse.Namespace

    def read_configuration(
        self, *register: Callable[[cfg.ConfigOpts], None]
    ) -> tuple[cfg.ConfigOpts, configuration.Settings]:
        """Read the configuration, with more options by `register`.

        MUST raise ConfigError for one that is wrong.
        """

    def connect_images(self, conf: cfg.ConfigOpts) -> ports.Images:
        """Connect to Glance with whatever credentials the program has.

        MUST send nothing yet. MAY raise ConfigError.
        """

    def spelled(self, name: str) -> str:
        """Say what to type for a command of cli.COMMANDS."""
