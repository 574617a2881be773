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
"""Sphinx directives that show what a program says by --help, as it is.

::

    .. program-help:: dcn_distributor.cmd.cli validate

runs ``python -m dcn_distributor.cmd.cli validate --help``, and ::

    .. program-commands:: dcn_distributor.cmd.cli

gives each command that the module has in COMMANDS a section with its help. A
program that fails is an error of the documentation.

cliff's autoprogram-cliff would do that for commands that are entry points,
which ours are not, and takes the text below the options for reStructuredText.
"""

import functools
import importlib
import os
import subprocess
import sys

from docutils import nodes
from docutils.parsers.rst import Directive


@functools.cache
def help_of(*words):
    """Return what `python -m` of these words says by --help.

    Raises CalledProcessError.
    """
    return subprocess.run(
        [sys.executable, '-m', *words, '--help'],
        env={**os.environ, 'COLUMNS': '80', 'NO_COLOR': '1'},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


class ProgramHelp(Directive):
    """See the module."""

    required_arguments = 1
    optional_arguments = 9

    def run(self):
        """Run the program; return its output as a literal block."""
        return [self.block(*self.arguments)]

    def block(self, *words):
        """Return the help of a command as a literal block."""
        try:
            told = help_of(*words)
        except subprocess.CalledProcessError as exc:
            raise self.error(
                f'{" ".join(words)} failed: {exc.stderr}'
            ) from exc
        return nodes.literal_block(told, told, language='text')


class ProgramCommands(ProgramHelp):
    """See the module."""

    optional_arguments = 0

    def run(self):
        """Make a section for each command."""
        [module] = self.arguments
        commands = importlib.import_module(module).COMMANDS
        return [self.section(module, name) for name in sorted(commands)]

    def section(self, module, name):
        """Make the section of one command."""
        section = nodes.section('', nodes.title(text=name))
        section['names'].append(nodes.fully_normalize_name(name))
        self.state.document.note_implicit_target(section, section)
        section += self.block(module, *name.split())
        return section


def setup(app):
    """Tell Sphinx of the directive."""
    app.add_directive('program-help', ProgramHelp)
    app.add_directive('program-commands', ProgramCommands)
    return {'parallel_read_safe': True}
