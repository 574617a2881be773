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
"""A Sphinx directive that shows what a program says by --help, as it is.

::

    .. program-help:: dcn_distributor.cmd.cli validate

runs ``python -m dcn_distributor.cmd.cli validate --help``. A program that
fails is an error of the documentation.
"""

import os
import subprocess
import sys

from docutils import nodes
from docutils.parsers.rst import Directive


class ProgramHelp(Directive):
    """See the module."""

    required_arguments = 1
    optional_arguments = 9

    def run(self):
        """Run the program; return its output as a literal block."""
        command = [sys.executable, '-m', *self.arguments, '--help']
        environment = {**os.environ, 'COLUMNS': '80', 'NO_COLOR': '1'}
        ran = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ran.returncode:
            raise self.error(f'{" ".join(command)} failed: {ran.stderr}')
        return [nodes.literal_block(ran.stdout, ran.stdout, language='text')]


def setup(app):
    """Tell Sphinx of the directive."""
    app.add_directive('program-help', ProgramHelp)
    return {'parallel_read_safe': True}
