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
"""dcn-distributor: the operators' command line.

One module of this package for every command, as a command of cliff. Here is
what all have in common: the configuration, and what becomes of errors.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import difflib
import gc
import importlib.metadata
import io
import logging
import os
import sys
import traceback
from typing import TextIO
from typing import TYPE_CHECKING

from cliff import app
from cliff import commandmanager
from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor import exceptions

if TYPE_CHECKING:
    from dcn_distributor.core import ports

PROGRAM = 'dcn-distributor'
DEFAULT_FILE = '/etc/dcn_distributor/dcn_distributor.conf'

DONE = 0
FAILED = 1
USAGE = 2
PARTLY_DONE = 3
INTERRUPTED = 130
BROKEN_PIPE = 141

# What is imported when it is run, or its help asked for.
COMMANDS = {
    'bootstrap adopt': 'dcn_distributor.cmd.bootstrap_adopt:Adopt',
    'bootstrap apply': 'dcn_distributor.cmd.bootstrap_plan:Apply',
    'bootstrap keys': 'dcn_distributor.cmd.bootstrap_keys:Keys',
    'bootstrap keys retire': 'dcn_distributor.cmd.bootstrap_handover:Retire',
    'bootstrap keys revoke': 'dcn_distributor.cmd.bootstrap_handover:Revoke',
    'bootstrap keys rotate': 'dcn_distributor.cmd.bootstrap_handover:Rotate',
    'bootstrap keys take': 'dcn_distributor.cmd.bootstrap_keys_take:Take',
    'bootstrap nodes': 'dcn_distributor.cmd.bootstrap_nodes:Nodes',
    'bootstrap plan': 'dcn_distributor.cmd.bootstrap_plan:Plan',
    'bootstrap remove': 'dcn_distributor.cmd.bootstrap_remove:Remove',
    'bootstrap render': 'dcn_distributor.cmd.bootstrap_render:Render',
    'bootstrap verify': 'dcn_distributor.cmd.bootstrap_verify:Verify',
    'clean': 'dcn_distributor.cmd.clean:Clean',
    'complete': 'dcn_distributor.cmd.complete:Complete',
    'copy': 'dcn_distributor.cmd.copy:Copy',
    'explain': 'dcn_distributor.cmd.explain:Explain',
    'hold': 'dcn_distributor.cmd.pauses:Hold',
    'pause': 'dcn_distributor.cmd.pauses:Pause',
    'pauses': 'dcn_distributor.cmd.pauses:Pauses',
    'plan': 'dcn_distributor.cmd.plan:Plan',
    'release': 'dcn_distributor.cmd.pauses:Release',
    'resume': 'dcn_distributor.cmd.pauses:Resume',
    'resync': 'dcn_distributor.cmd.resync:Resync',
    'status': 'dcn_distributor.cmd.status:Status',
    'validate': 'dcn_distributor.cmd.validate:Validate',
    'verify': 'dcn_distributor.cmd.verify:Verify',
}

EXIT_CODES = """\
exit codes:
  0  done
  1  failed
  2  wrong usage, or something wrong in the configuration
  3  partly done"""

DESCRIPTION = """\
Brings Glance images to the sites of a distributed cloud.

'dcn-distributor COMMAND --help' says more of a command."""


class Cli(app.App):  # type: ignore[misc]
    """The application, without cliff's interactive shell."""

    NAME = PROGRAM
    LOG = logging.getLogger(__name__)
    # cliff counts from 0 for warnings only; its default shows INFO, too.
    DEFAULT_VERBOSE_LEVEL = 0

    def __init__(self) -> None:
        super().__init__(
            description=DESCRIPTION,
            version=importlib.metadata.version('dcn_distributor'),
            command_manager=_commands(),
            deferred_help=True,
        )
        # cliff has put a `complete` of its own over ours.
        self.command_manager.commands.update(_commands().commands)

    def build_option_parser(
        self, description: str, version: str
    ) -> argparse.ArgumentParser:
        """Add the options that every command has."""
        parser: argparse.ArgumentParser = super().build_option_parser(
            description,
            version,
            {
                'prog': self.NAME,
                'epilog': EXIT_CODES,
                'formatter_class': argparse.RawDescriptionHelpFormatter,
                # An abbreviation could stand for a command's own option.
                'allow_abbrev': False,
            },
        )
        parser.add_argument(
            '--config-file',
            action='append',
            metavar='FILE',
            help='A configuration file; may be repeated, later ones win. '
            f'Default: {DEFAULT_FILE}, if it exists.',
        )
        return parser

    def read_configuration(
        self, *register: Callable[[cfg.ConfigOpts], None]
    ) -> tuple[cfg.ConfigOpts, configuration.Settings]:
        """Read the files of --config-file, for a command.

        `register` are functions that add options of clients. Raises
        ConfigError.
        """
        return read_configuration(self.options.config_file, register)

    def connect_images(self, conf: cfg.ConfigOpts) -> 'ports.Images':
        """Connect to Glance as [glance] says. Raises ConfigError."""
        from dcn_distributor.clients import glance

        return glance.connect(conf)

    def spelled(self, name: str) -> str:
        """Say what to type for a command."""
        return f'{self.NAME} {name}'

    def run(self, argv: Sequence[str]) -> int:
        """Run one command; return the exit code, whatever happens.

        Wrong arguments and --help exit by themselves, with 2 and 0.
        """
        self.options = argparse.Namespace(debug='--debug' in argv)
        try:
            result = self._run(argv)
            self.stdout.flush()
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # Python would flush stdout once more at exit, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        except Exception as exc:
            return self._report(exc)
        return result

    def run_subcommand(self, argv: Sequence[str]) -> int:
        """Run the command that `argv` begins with, its errors not caught."""
        try:
            factory, name, arguments = self.command_manager.find_command(argv)
        except ValueError:
            self.parser.error(self._unknown(argv))
        command = factory(self, self.options)
        parser = command.get_parser(f'{self.NAME} {name}')
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parsed = parser.parse_args(arguments)
        return int(command.run(parsed) or DONE)

    def _run(self, argv: Sequence[str]) -> int:
        self.options, rest = self.parser.parse_known_args(argv)
        self.configure_logging()
        if rest[:1] == ['help']:
            del rest[0]
            self.options.deferred_help = True
        if not rest:
            self.print_help_if_requested()
            self.parser.error('a command is missing; --help lists them')
        if self.options.deferred_help:
            rest.append('--help')
        return self.run_subcommand(rest)

    def _unknown(self, argv: Sequence[str]) -> str:
        word = argv[0]
        if word.startswith('-'):
            return f'unrecognized option {word!r}'
        commands = self.command_manager.commands
        parts = sorted(
            name.removeprefix(f'{word} ')
            for name in commands
            if name.startswith(f'{word} ')
        )
        if parts:
            return f'{word!r} is followed by one of: {", ".join(parts)}'
        near = difflib.get_close_matches(word, commands)
        hint = f'; did you mean {near[0]!r}?' if near else ''
        return f'unknown command {word!r}{hint}'

    def _report(self, exc: Exception) -> int:
        """Print an error; return the exit code it stands for."""
        if self.options.debug:
            traceback.print_exception(exc, file=self.stderr)
        if isinstance(exc, exceptions.DistributorError):
            return tell(exc, self.NAME, self.stderr)
        message = f'unexpected {type(exc).__name__}: {exc}'
        if not self.options.debug:
            message += ' (--debug shows where)'
        self.stderr.write(f'{self.NAME}: {_safe(message)}\n')
        return FAILED


def tell(exc: exceptions.DistributorError, name: str, stderr: TextIO) -> int:
    """Write an error of ours; return the exit code it stands for.

    Problems of a configuration say themselves where they are; of all else
    `name` is the program that tells.
    """
    if isinstance(exc, exceptions.ConfigError):
        stderr.write(f'{_safe(str(exc))}\n')
        return USAGE
    stderr.write(f'{name}: {_safe(str(exc))}\n')
    return FAILED


def read_configuration(
    files: Sequence[str] | None,
    register: Sequence[Callable[[cfg.ConfigOpts], None]],
) -> tuple[cfg.ConfigOpts, configuration.Settings]:
    """Read `files`, or else those of default_files. Raises ConfigError."""
    conf = cfg.ConfigOpts()
    for function in (configuration.register_opts, *register):
        function(conf)
    return conf, configuration.read(conf, [], files, PROGRAM)


def default_files() -> list[str]:
    """Find the files that are read if none is named."""
    found: list[str] = cfg.find_config_files(configuration.PROJECT, PROGRAM)
    return found


def leave(code: int) -> None:
    """End the process at once, with what was written out.

    Threads of librados that still connect, or wait for a cluster that hangs,
    would take the process down with them at a regular end.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _commands() -> commandmanager.CommandManager:
    """Name the commands; cliff imports one when it is needed."""
    manager = commandmanager.CommandManager(None)
    for name, factory in COMMANDS.items():
        manager.commands[name] = importlib.metadata.EntryPoint(
            name, factory, 'dcn_distributor.cli'
        )
    return manager


def _safe(message: str) -> str:
    """Escape what could do harm on a terminal, but keep the lines."""
    return '\n'.join(
        ''.join(c if c.isprintable() else repr(c)[1:-1] for c in line)
        for line in message.split('\n')
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter is no reason to fail.
            stream.reconfigure(errors='backslashreplace')
    # Commands make many values and no cycles; looking for these in all that a
    # large cloud's images take is a third of the time otherwise.
    gc.set_threshold(100_000, 50, 100)
    code = Cli().run(sys.argv[1:] if argv is None else list(argv))
    if 'rados' in sys.modules:
        leave(code)
    return code


if __name__ == '__main__':
    sys.exit(main())
