#!/usr/bin/env python3
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
"""The house rules that ruff, mypy and import-linter do not know.

Usage: tools/gates.py

Reads every .py file of the checkout that git knows or would add, and prints
what breaks a rule as FILE:LINE: MESSAGE. Exit code 1 if anything does. The
rules, and why they are what they are, stand in doc/source/contributor.rst.
"""

import ast
from collections.abc import Iterator
import dataclasses
from pathlib import Path
import re
import subprocess
import sys

FUNCTION_LINES = 60
FILE_LINES = 450
PATCHES_PER_1000_LINES = 2.0
LICENCE = '# Licensed under the Apache License, Version 2.0'

FORBIDDEN_NAMES = re.compile(r'Manager|Helper|Util|Handler|Base|Mixin')
GLOBAL_CONF = re.compile(r'^CONF\b|= cfg\.(CONF|ConfigOpts\(\))$')
PATCHING = re.compile(
    r'(^|\.)(mock|mocker)\.patch(\.\w+)?$|^patch(\.\w+)?$'
    r'|^monkeypatch\.(set|del)(attr|item)$'
)

Problem = tuple[int, str]


@dataclasses.dataclass(frozen=True)
class Source:
    """One file, parsed. `part` is the directory it lies in at the top."""

    path: str
    text: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The first directory of the path."""
        return self.path.partition('/')[0]

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.text.count('\n')


def licence(source: Source) -> Iterator[Problem]:
    """Every file says under which licence it is."""
    if LICENCE not in source.text[:300]:
        yield 1, 'no licence header'


def file_length(source: Source) -> Iterator[Problem]:
    """A file fits in a head."""
    if source.part in ('dcn_distributor', 'lab') and source.lines > FILE_LINES:
        yield 1, f'{source.lines} lines, at most {FILE_LINES}'


def function_length(source: Source) -> Iterator[Problem]:
    """A function fits on a screen."""
    if source.part == 'tests':
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield (
                    node.lineno,
                    f'{node.name}() has {length} lines, '
                    f'at most {FUNCTION_LINES}',
                )


def global_conf(source: Source) -> Iterator[Problem]:
    """No module holds a configuration of its own."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and GLOBAL_CONF.search(
            ast.unparse(node)
        ):
            yield node.lineno, 'a configuration bound at module level'


def sleeping(source: Source) -> Iterator[Problem]:
    """Whoever waits, waits for something."""
    if source.part not in ('dcn_distributor', 'tests'):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.ImportFrom) and (
            ast.unparse(node) in ('time.sleep', 'from time import sleep')
        ):
            yield node.lineno, 'time.sleep: wait for an event or a condition'


def names(source: Source) -> Iterator[Problem]:
    """A class is called by what it does."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            found = FORBIDDEN_NAMES.search(node.name)
            if found and not _is_foreign(node):
                yield (
                    node.lineno,
                    f'class {node.name}: {found[0]!r} says nothing about it',
                )


def _is_foreign(node: ast.ClassDef) -> bool:
    """Tell whether the word comes from a foreign class it is derived from.

    A ``BaseHTTPRequestHandler`` of one's own is a handler to all readers.
    """
    foreign = [ast.unparse(b) for b in node.bases if '.' in ast.unparse(b)]
    return any(FORBIDDEN_NAMES.search(base) for base in foreign)


RULES = (
    licence,
    file_length,
    function_length,
    global_conf,
    sleeping,
    names,
)


def patches(sources: list[Source]) -> Iterator[str]:
    """Few patches in the tests: these are all, if they are too many."""
    tests = [s for s in sources if s.part == 'tests']
    found = [
        f'{source.path}:{node.lineno}: a patch'
        for source in tests
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and PATCHING.search(ast.unparse(node.func))
    ]
    allowed = sum(s.lines for s in tests) * PATCHES_PER_1000_LINES / 1000
    if len(found) > allowed:
        yield from found
        yield (
            f'tests: {len(found)} patches, at most {allowed:.0f} '
            f'({PATCHES_PER_1000_LINES:g} in 1000 lines of tests)'
        )


def read(root: Path) -> list[Source]:
    """Read and parse what git knows or would add."""
    command = 'git ls-files -z --cached --others --exclude-standard -- *.py'
    listed = subprocess.run(
        command.split(), cwd=root, check=True, capture_output=True, text=True
    )
    sources = []
    for path in sorted(filter(None, listed.stdout.split('\0'))):
        if (root / path).is_file():
            text = (root / path).read_text(encoding='utf-8')
            sources.append(Source(path, text, ast.parse(text, path)))
    return sources


def main() -> int:
    """Check everything; give the exit code."""
    sources = read(Path(__file__).resolve().parent.parent)
    problems = [
        f'{source.path}:{line}: {message}'
        for source in sources
        for rule in RULES
        for line, message in rule(source)
    ]
    problems += patches(sources)
    for problem in problems:
        print(problem)
    print(f'gates: {len(sources)} files, {len(problems)} problems')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
