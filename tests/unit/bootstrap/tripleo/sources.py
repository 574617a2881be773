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
"""TripleO's own source archives, for the tests that feed them.

Unpacked side by side in the directory $DCN_TRIPLEO_TEMPLATES; tests are
skipped where that is not set.
"""

import ast
import os
from pathlib import Path
from typing import Any

import pytest

_VARIABLE = 'DCN_TRIPLEO_TEMPLATES'

needed = pytest.mark.skipif(
    _VARIABLE not in os.environ,
    reason=f'{_VARIABLE} names no directory with the sources of TripleO',
)

# The last release of ussuri, and the last of all.
TEMPLATES = {
    'ussuri': 'tripleo-heat-templates-12.4.6',
    'xena': 'tripleo-heat-templates-18.0.0',
}
CLIENTS = {
    'ussuri': 'python-tripleoclient-13.4.6',
    'xena': 'python-tripleoclient-20.0.0',
}
ANSIBLE = 'tripleo-ansible-6.0.0/tripleo_ansible'


def directory(name: str) -> Path:
    """One of the archives, or a directory in it."""
    found = Path(os.environ[_VARIABLE]) / name
    assert found.is_dir(), f'{found} is not there'
    return found


def definitions(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Run a module without its imports, which need all of TripleO.

    :param given: what its functions use of those
    """
    tree = ast.parse(path.read_text())
    tree.body = [
        each
        for each in tree.body
        if not isinstance(each, ast.Import | ast.ImportFrom)
    ]
    names = dict(given)
    exec(compile(tree, str(path), 'exec'), names)
    return names
