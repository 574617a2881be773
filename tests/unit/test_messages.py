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
"""The page of messages has what the code logs at WARNING and above."""

import ast
import dataclasses
from pathlib import Path
import re

TOP = Path(__file__).resolve().parent.parent.parent
PACKAGE = TOP / 'dcn_distributor'
PAGE = TOP / 'doc' / 'source' / 'messages.rst'

# How a call is told on the page. exception() logs at ERROR, with a traceback.
LEVELS = {
    'warning': 'Warning',
    'error': 'Error',
    'exception': 'Error',
    'critical': 'Critical',
}
# As in '%s', '%(site)s', '%.0f'.
PLACEHOLDER = re.compile(r'%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[a-z]')


@dataclasses.dataclass(frozen=True, order=True)
class Message:
    """What is logged; `where` is FILE:LINE."""

    text: str
    level: str
    where: str = dataclasses.field(compare=False)

    def is_told_by(self, entry: 'Message') -> bool:
        """True if the text of an entry is this, with words in capitals."""
        parts = [re.escape(part) for part in PLACEHOLDER.split(self.text)]
        pattern = r'[A-Z]+(?: [A-Z]+)*'.join(parts)
        return entry.level == self.level and (
            re.fullmatch(pattern, entry.text) is not None
        )

    def __str__(self) -> str:
        return f'{self.where}: ``{self.text}`` ({self.level})'


def logged():
    """Read from the code what it logs."""
    return [
        message
        for path in sorted(PACKAGE.rglob('*.py'))
        for message in logged_by(path)
    ]


def logged_by(path):
    tree = ast.parse(path.read_text())
    loggers = set(names_of_loggers(tree))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in loggers
        ):
            where = f'{path.relative_to(TOP)}:{node.lineno}'
            yield from message_of(node, where)


def names_of_loggers(tree):
    """Find NAME = ...getLogger(...)."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func).endswith('getLogger')
        ):
            yield from (ast.unparse(target) for target in node.targets)


def message_of(call, where):
    if call.func.attr in LEVELS:
        yield Message(
            literal(call.args[0], where), LEVELS[call.func.attr], where
        )
    elif call.func.attr == 'log':
        level = ast.unparse(call.args[0])
        for method, name in LEVELS.items():
            if method != 'exception' and method.upper() in level:
                yield Message(literal(call.args[1], where), name, where)


def literal(node, where):
    assert isinstance(node, ast.Constant), f'{where}: the text is no literal'
    return node.value


def told():
    """Read the page: a text, and below it, indented, level and meaning."""
    page = PAGE.read_text()
    return [
        Message(
            ' '.join(match['text'].split()),
            match['level'],
            f'{PAGE.name}:{page.count(chr(10), 0, match.start()) + 1}',
        )
        for match in re.finditer(
            r'^``(?P<text>[^`]+)``\n\n  (?P<level>\w+)\. ', page, re.MULTILINE
        )
    ]


def test_page_has_every_message_of_the_code():
    entries = told()

    missing = [
        f'{message}'
        for message in logged()
        if not any(map(message.is_told_by, entries))
    ]

    assert missing == [], (
        f'Add to {PAGE.relative_to(TOP)}, with words in capitals for each %s; '
        'then an empty line; then, indented by two, the level with a full '
        'stop, the meaning and the remedy:\n' + '\n'.join(missing)
    )


def test_page_has_no_message_that_the_code_has_not():
    messages = logged()

    stale = [
        f'{entry}'
        for entry in told()
        if not any(message.is_told_by(entry) for message in messages)
    ]

    assert stale == [], (
        'No code logs these any more, or at another level; mend or remove '
        'them:\n' + '\n'.join(stale)
    )


def test_every_text_in_the_left_margin_is_an_entry():
    texts = re.findall(r'^``', PAGE.read_text(), re.MULTILINE)

    assert len(told()) == len(texts) > 0


def test_no_message_is_told_twice():
    texts = [entry.text for entry in told()]

    assert sorted(texts) == sorted(set(texts))
