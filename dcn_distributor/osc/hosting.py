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
"""Runs a command of dcn-distributor within `openstack`.

The command is the same, and so are its exit codes. What differs is where its
application comes from: Glance is asked with the session that ``openstack``
has opened, and the configuration is the one that its options name.
"""

import argparse
import atexit
from collections.abc import Callable
from collections.abc import Mapping
import logging
import os
import re
import sys
import traceback
from typing import Any
from typing import Protocol
from typing import TextIO

from cliff import command
from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.core import ports
from dcn_distributor.osc import plugin

PROGRAM = 'openstack'

# How the texts of a command name another one, or itself.
_MENTION = re.compile(
    rf'\b{cli.PROGRAM} ({"|".join(sorted(cli.COMMANDS, reverse=True))})\b'
)


class Shell(Protocol):
    """What is used here of openstackclient's application.

    :ivar cloud: the region of clouds.yaml, with the options over it
    :ivar client_manager: has the session, once somebody is logged in
    """

    options: argparse.Namespace
    stdout: TextIO
    stderr: TextIO
    cloud: Any
    client_manager: Any


class Application:
    """`cmd.applications.Application`, within ``openstack``.

    :param spelling: by which words a command's factory is reached here
    """

    NAME = PROGRAM

    def __init__(self, shell: Shell, spelling: Mapping[str, str]) -> None:
        self._shell = shell
        self._spelling = spelling
        self.stdout = shell.stdout
        self.stderr = shell.stderr
        self.options = shell.options

    def config_files(self) -> list[str] | None:
        """Return the files that option or environment name, if any."""
        named: list[str] | None = self.options.dcn_config_file
        if named:
            return named
        value = os.environ.get(plugin.CONFIG_VARIABLE, '')
        return [name for name in value.split(os.pathsep) if name] or None

    def read_configuration(
        self, *register: Callable[[cfg.ConfigOpts], None]
    ) -> tuple[cfg.ConfigOpts, configuration.Settings]:
        """Read the files of config_files, or else those of the CLI."""
        return cli.read_configuration(self.config_files(), register)

    def connect_images(self, conf: cfg.ConfigOpts) -> ports.Images:
        """Connect to the Glance of the cloud, as who is logged in."""
        from dcn_distributor.clients import glance_sessions

        cloud = self._shell.cloud
        return glance_sessions.connect(
            conf,
            glance_sessions.Access(
                session=self._shell.client_manager.session,
                region_name=cloud.get_region_name('image'),
                interface=cloud.get_interface('image'),
                endpoint=cloud.get_endpoint('image'),
            ),
        )

    def spelled(self, name: str) -> str:
        """Say how a command is called here; by its own name if it is not."""
        words = self._spelling.get(cli.COMMANDS[name])
        return (
            f'{cli.PROGRAM} {name}' if words is None else f'{PROGRAM} {words}'
        )


class Hosted(command.Command):  # type: ignore[misc]
    """A command of ours, as ``openstack`` wants one.

    :param factory: the class of the command.
    :param needs_auth: whether ``openstack`` has to log in first.
    """

    def __init__(
        self,
        shell: Shell,
        options: argparse.Namespace | None,
        factory: Callable[[Application, Any], Any],
        spelling: Mapping[str, str],
        needs_auth: bool,
    ) -> None:
        super().__init__(shell, options)
        self.auth_required = needs_auth
        self._application = Application(shell, spelling)
        self._command = factory(self._application, options)
        self._description = self._command.get_description()
        self._epilog = _MENTION.sub(
            lambda found: self._application.spelled(found[1]),
            self._command.get_epilog(),
        )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Take the command's, with its epilog in the words of here."""
        parser: argparse.ArgumentParser = self._command.get_parser(prog_name)
        parser.epilog = self.get_epilog()
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Run it; return the exit code it would have alone.

        What is no error of ours is for ``openstack`` to tell.
        """
        try:
            code = int(self._command.run(parsed_args) or cli.DONE)
        except exceptions.DistributorError as exc:
            if self._application.options.debug:
                traceback.print_exception(exc, file=self.stderr)
            code = cli.tell(exc, PROGRAM, self.stderr)
            if isinstance(exc, exceptions.ConfigError):
                self.stderr.write(self._where_from())
        if 'rados' in sys.modules:
            atexit.register(_leave, code)
        return code

    @property
    def stderr(self) -> TextIO:
        """Where errors are told."""
        return self._application.stderr

    def _where_from(self) -> str:
        """Say which configuration was wrong, and how to name another."""
        files = self._application.config_files() or cli.default_files()
        another = f'{plugin.CONFIG_OPTION} or {plugin.CONFIG_VARIABLE}'
        if files:
            return (
                f'{PROGRAM}: the configuration was {", ".join(files)}; '
                f'{another} names another\n'
            )
        return (
            f'{PROGRAM}: there is no {cli.DEFAULT_FILE}; {another} names a '
            'copy of it, which names sites.yaml and placement.yaml\n'
        )


def _leave(code: int) -> None:
    """End the process at once; see cmd.cli.main."""
    logging.shutdown()
    cli.leave(code)
