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
"""The page on decisions has every reason that a copy waits for."""

import ast
from pathlib import Path
import re

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
PACKAGE = TOP / 'dcn_distributor'
PAGE = TOP / 'doc' / 'source' / 'understand.rst'

# Where reasons are worded, by module; and in which functions, or in all.
WORDED = {
    'core/gates.py': None,
    'core/planner.py': None,
    'core/rooms.py': None,
    'core/choosing.py': None,
    'core/pauses.py': ['reason'],
    'core/links.py': ['__str__'],
    'core/windows.py': ['describe_opening'],
    'core/placements.py': ['_missing', '_waiting'],
    'clients/groups.py': ['problem'],
    'service/gatekeeper.py': ['_whose'],
}

# Told by describe_opening() where nothing waits.
NO_REASONS = ('window is open',)


def test_page_has_every_reason_of_the_code():
    told = literals(PAGE.read_text())

    missing = [
        f'{where}: {text}'
        for where, text in worded()
        if not any(re.search(pattern(text), literal) for literal in told)
    ]

    assert missing == [], (
        f'Add to a table of {PAGE.relative_to(TOP)}, with a word in capitals '
        'for each %s:\n' + '\n'.join(missing)
    )


@pytest.mark.parametrize(
    'literal',
    [
        literal
        for row in re.findall(
            r'^   \* - (``.*?)\n     - ',
            PAGE.read_text(),
            re.MULTILINE | re.DOTALL,
        )
        for literal in re.findall(r'``(.+?)``', ' '.join(row.split()))
    ],
)
def test_every_reason_of_the_page_is_in_the_code(literal):
    assert any(re.search(pattern(text), literal) for _, text in worded())


def literals(page):
    return [
        ' '.join(literal.split())
        for literal in re.findall(r'``(.+?)``', page, re.DOTALL)
    ]


def pattern(text):
    return '.+'.join(re.escape(part) for part in text.split('%s'))


def worded():
    """Read the texts of the code that are sentences, or parts of them."""
    for name, functions in WORDED.items():
        tree = ast.parse((PACKAGE / name).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (
                functions is None or node.name in functions
            ):
                yield from (
                    (f'{name}:{text.lineno}', words(text))
                    for text in texts_of(node)
                    if is_sentence(words(text))
                )


def texts_of(function):
    """Find the texts but the docstring, an f-string as one."""
    body = function.body[ast.get_docstring(function) is not None :]
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            yield node
        else:
            waiting += ast.iter_child_nodes(node)


def words(node):
    if isinstance(node, ast.Constant):
        return node.value
    return ''.join(
        part.value if isinstance(part, ast.Constant) else '%s'
        for part in node.values
    ).strip(' ,;')


def is_sentence(text):
    has_words = re.search('[a-z]{3}', text) is not None
    return has_words and ' ' in text and text not in NO_REASONS
