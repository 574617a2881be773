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
"""The lines that the documentation tells an operator to type."""

from pathlib import Path
import re
import textwrap

_TOP = Path(__file__).resolve().parent.parent.parent
_BLOCK = re.compile(
    r'^\.\. code-block:: console\n   :name: (\S+)\n\n((?:   .*\n|\n)+)',
    re.MULTILINE,
)
_PROMPT = re.compile('^# ', re.MULTILINE)


def read(page: str) -> dict[str, str]:
    """Read the blocks of a page that have a name, as scripts for a shell."""
    text = (_TOP / 'doc' / 'source' / page).read_text()
    return {
        match[1]: _PROMPT.sub('', textwrap.dedent(match[2]).strip()) + '\n'
        for match in _BLOCK.finditer(text)
    }
