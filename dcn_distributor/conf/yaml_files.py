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
"""YAML files as trees of nodes that know their line and column.

The language is YAML 1.2 without what a configuration file does not need and
an attacker does: aliases, anchors, tags and further documents are refused
where they stand, before anything is expanded. A scalar stays the text that
was written (``no``, ``1.10`` and ``2026-01-01`` are no traps), and only what
YAML calls null is nothing. What the keys mean is for conf.schema to say.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import errno
import os
import stat

import ruamel.yaml
from ruamel.yaml import error as yaml_error
from ruamel.yaml import events

from dcn_distributor import exceptions
from dcn_distributor.core import text

# Room for 5,000 sites, which take about a second to read.
LARGEST_BYTES = 1 << 20
MOST_VALUES = 50_000
DEEPEST = 24
MOST_PROBLEMS = 100

_NULLS = frozenset(('', '~', 'null', 'Null', 'NULL'))

Location = tuple[str | int, ...]


class Nothing:
    """The value of a key after which nothing is written."""

    def __repr__(self) -> str:
        return 'nothing'


NOTHING = Nothing()

Plain = str | Nothing | list['Plain'] | dict[str, 'Plain']


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it stands; lines and columns count from one.

    `text_column` is where the first character of a text stands, if the rest
    of it follows letter by letter; None otherwise.
    """

    line: int
    column: int
    content: 'str | Nothing | Sequence[Node] | Mapping[str, Entry]'
    text_column: int | None = None

    def plain(self) -> Plain:
        """Return the value without positions."""
        if isinstance(self.content, (str, Nothing)):
            return self.content
        if isinstance(self.content, Mapping):
            return {k: e.value.plain() for k, e in self.content.items()}
        return [item.plain() for item in self.content]

    def __str__(self) -> str:
        """Say what was found, in a message."""
        if isinstance(self.content, str):
            return text.quote(self.content)
        if isinstance(self.content, Nothing):
            return 'nothing'
        return 'a mapping' if isinstance(self.content, Mapping) else 'a list'


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping and its value."""

    key: Node
    value: Node


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, and where."""

    line: int
    column: int
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A file that could be read, with what is wrong in it already."""

    path: str
    root: Node
    problems: tuple[Problem, ...]

    def find(self, location: Location) -> Entry:
        """Return the entry at a path of keys and indices.

        Parts that lead nowhere are passed over, so that the place nearest
        to what is meant is found. For what is no mapping's entry, the value
        stands for the key, too.
        """
        entry = Entry(self.root, self.root)
        for part in location:
            content = entry.value.content
            if isinstance(content, Mapping) and part in content:
                entry = content[str(part)]
            elif isinstance(part, int) and isinstance(content, (list, tuple)):
                entry = Entry(content[part], content[part])
        return entry

    def line(self, location: Location) -> str:
        """Name the place of a key as ``FILE:LINE``."""
        return f'{printable(self.path)}:{self.find(location).key.line}'


def error(path: str, problems: Sequence[Problem]) -> exceptions.ConfigError:
    """Make one error of many problems, in their order in the file.

    Of several at one place only the first is told: the others follow from
    it.
    """
    first: dict[tuple[int, int], Problem] = {}
    for problem in problems:
        first.setdefault((problem.line, problem.column), problem)
    lines = [
        f'{printable(path)}:{p.line}:{p.column}: {p.message}'
        for p in sorted(first.values())
    ]
    if len(lines) > MOST_PROBLEMS:
        more = f'{printable(path)}: and {len(lines) - MOST_PROBLEMS} more'
        lines[MOST_PROBLEMS:] = [more]
    return exceptions.ConfigError(*lines)


def read(path: str) -> Document:
    """Read and parse a file.

    Raises ConfigError if there is no telling what the file holds; duplicate
    keys, anchors and tags become problems of the document.
    """
    source = _decode(path, _read_bytes(path))
    builder = _Builder(source)
    try:
        for event in _events(source):
            builder.take(event)
    except _Unreadable as exc:
        raise error(path, [*builder.problems, exc.problem]) from None
    if builder.root is None:
        raise exceptions.ConfigError(
            f"{printable(path)}:1:1: the file is empty, expected 'version: 1' "
            'to begin with'
        )
    return Document(path, builder.root, tuple(builder.problems))


def printable(path: str) -> str:
    """Write a path as it is, if no character of it can do harm."""
    return path if path.isprintable() else repr(path)


class _Unreadable(Exception):
    """The rest of the file cannot be understood."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(line, column, message)


def _read_bytes(path: str) -> bytes:
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise exceptions.ConfigError(
                f'{printable(path)}: not a regular file'
            )
        with open(path, 'rb') as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        if isinstance(exc, OSError) and exc.errno == errno.ENOENT:
            reason = 'no such file'
        raise exceptions.ConfigError(
            f'{printable(path)}: cannot be read: {reason}'
        ) from exc
    if len(content) > LARGEST_BYTES:
        raise exceptions.ConfigError(
            f'{printable(path)}: larger than {LARGEST_BYTES} bytes'
        )
    return content


def _decode(path: str, content: bytes) -> str:
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as exc:
        before = content[: exc.start].decode('utf-8', 'replace')
        line = before.count('\n') + 1
        column = len(before) - (before.rfind('\n') + 1) + 1
        raise exceptions.ConfigError(
            f'{printable(path)}:{line}:{column}: byte '
            f'0x{content[exc.start]:02x} is not UTF-8'
        ) from None


def _events(source: str) -> Iterator[events.Event]:
    """Yield ruamel.yaml's events, and what it raises as _Unreadable."""
    try:
        yield from ruamel.yaml.YAML(typ='safe', pure=True).parse(source)
    except yaml_error.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise _Unreadable(
            line + 1, column + 1, _syntax_message(exc, source, line, column)
        ) from None
    except yaml_error.YAMLError as exc:
        # ruamel's ReaderError has only an index and a character.
        index = getattr(exc, 'position', 0)
        line = source.count('\n', 0, index)
        column = index - (source.rfind('\n', 0, index) + 1)
        raise _Unreadable(
            line + 1, column + 1, f'{source[index]!r} is not allowed in YAML'
        ) from None
    except (ValueError, OverflowError, RecursionError) as exc:
        # NOTE: the scanner lets these through for some malformed escapes
        # ("\UFFFFFFFF") and directives.
        raise _Unreadable(1, 1, f'not valid YAML: {exc}') from None


def _syntax_message(
    exc: yaml_error.MarkedYAMLError, source: str, line: int, column: int
) -> str:
    lines = source.splitlines()
    row = lines[line] if line < len(lines) else ''
    if '\t' in row[: column + 1] and not row[:column].strip():
        return 'found a tab, expected spaces: YAML indents with spaces only'
    message = f'not valid YAML: {exc.problem}'
    if exc.context:
        message += f', {exc.context}'
        if exc.context_mark and exc.context_mark.line != line:
            message += f' that begins on line {exc.context_mark.line + 1}'
    return f'{message}{_syntax_hint(exc)}'


def _syntax_hint(exc: yaml_error.MarkedYAMLError) -> str:
    told = f'{exc.problem} {exc.context}'
    if 'cannot start any token' in told or 'block scalar' in told:
        return '; put a text that begins with one of >|*&!%@` in quotes'
    if 'scanning an alias' in told:
        return "; put a text that holds '*' in quotes"
    if 'mapping values are not allowed' in told:
        return "; is the line indented as the one before, and ': ' in quotes?"
    return ''


@dataclasses.dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    line: int
    column: int
    content: 'list[Node] | dict[str, Entry]'
    key: Node | None = None


class _Builder:
    """Makes nodes of events, without recursion."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: list[_Open] = []
        self._documents = 0
        self._values = 0
        self.root: Node | None = None
        self.problems: list[Problem] = []

    def take(self, event: events.Event) -> None:
        """Take the next event. Raises _Unreadable to stop."""
        if isinstance(event, events.NodeEvent):
            self._refuse_references(event)
        if isinstance(event, events.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(event, 'a second document begins, expected one')
        elif isinstance(event, events.AliasEvent):
            self._add(self._node(event, NOTHING))
        elif isinstance(event, events.ScalarEvent):
            self._add(self._scalar(event))
        elif isinstance(event, events.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, events.CollectionEndEvent):
            ended = self._open.pop()
            self._add(Node(ended.line, ended.column, ended.content))

    def _refuse_references(self, event: events.NodeEvent) -> None:
        if isinstance(event, events.AliasEvent):
            self._refuse(
                event,
                f'aliases are not allowed; if this is a text, put it in '
                f"quotes: '*{event.anchor}'",
            )
        elif event.anchor is not None:
            self._refuse(event, f"anchors are not allowed: '&{event.anchor}'")
        elif getattr(event, 'ctag', None) is not None:
            self._refuse(
                event,
                'tags are not allowed; if this is a text that begins with '
                "'!', put it in quotes",
            )

    def _refuse(self, event: events.Event, message: str) -> None:
        mark = event.start_mark
        self._tell(mark.line + 1, mark.column + 1, message)

    def _tell(self, line: int, column: int, message: str) -> None:
        if len(self.problems) == MOST_PROBLEMS - 1:
            raise _Unreadable(
                line, column, 'too many problems, the rest is not read'
            )
        self.problems.append(Problem(line, column, message))

    def _stop(self, event: events.Event, message: str) -> None:
        mark = event.start_mark
        raise _Unreadable(mark.line + 1, mark.column + 1, message)

    def _node(self, event: events.Event, content: str | Nothing) -> Node:
        mark = event.start_mark
        return Node(mark.line + 1, mark.column + 1, content)

    def _scalar(self, event: events.ScalarEvent) -> Node:
        if event.style is None and event.value in _NULLS:
            # What is not there has no place but its key's.
            key = self._open[-1].key if self._open else None
            if key is not None:
                return Node(key.line, key.column, NOTHING)
            return self._node(event, NOTHING)
        mark = event.start_mark
        skipped = 0 if event.style is None else 1
        start = mark.index + skipped
        verbatim = (
            event.style not in ('|', '>')
            and self._source[start : start + len(event.value)] == event.value
        )
        return Node(
            mark.line + 1,
            mark.column + 1,
            event.value,
            mark.column + 1 + skipped if verbatim else None,
        )

    def _begin(self, event: events.CollectionStartEvent) -> None:
        if len(self._open) == DEEPEST:
            self._stop(event, f'nested deeper than {DEEPEST} levels')
        mark = event.start_mark
        is_mapping = isinstance(event, events.MappingStartEvent)
        self._open.append(
            _Open(mark.line + 1, mark.column + 1, {} if is_mapping else [])
        )

    def _add(self, node: Node) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _Unreadable(
                node.line, node.column, f'more than {MOST_VALUES} values'
            )
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.content, list):
            parent.content.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            self._add_entry(parent.content, parent.key, node)
            parent.key = None

    def _add_entry(
        self, content: dict[str, Entry], key: Node, value: Node
    ) -> None:
        if not isinstance(key.content, str):
            message = f'expected a text as key, found {key}'
        elif key.content in content:
            first = content[key.content].key.line
            message = f'duplicate key {key}, first on line {first}'
        else:
            content[key.content] = Entry(key, value)
            return
        self._tell(key.line, key.column, message)
