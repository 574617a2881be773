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
"""INI as Ceph writes and reads it: ceph.conf and keyrings.

A name may have spaces or underscores, a value may stand in quotes, and a line
goes on after a backslash. Even in quotes Ceph takes ``#`` and ``;`` for the
beginning of a comment, unless they are escaped, but does not escape them
itself (tried with ceph-authtool 16.2.15).
"""

import re

_SECTION = re.compile(r'\[([^\]]+)\]\s*(?:[#;].*)?')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:[#;].*)?')
_ESCAPED = re.compile(r'\\(["\\#;])')
_TO_ESCAPE = re.compile(r'["\\#;]')
_COMMENT = re.compile(r'(?<!\\)[#;]')
_CONTINUED = re.compile(r'\\\n')


def parse(content: str, kind: str) -> dict[str, dict[str, str]]:
    """Give the options of each section, names with single spaces.

    Raises ValueError for a line that is none of a `kind`, without its text,
    which may be secret.
    """
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    number = 1
    for line, lines in _lines(content):
        section = _SECTION.fullmatch(line)
        if section:
            current = sections.setdefault(section.group(1).strip(), {})
        elif line and line[0] not in '#;':
            name, is_there, written = line.partition('=')
            value = _unquote(written.strip())
            if not is_there or current is None or value is None:
                raise ValueError(f'line {number} is not one of a {kind}')
            current[' '.join(name.replace('_', ' ').split())] = value
        number += lines
    return sections


def quote(value: str) -> str:
    """Write a value in quotes; a line cannot go on in the next."""
    escaped = _TO_ESCAPE.sub(r'\\\g<0>', value)
    return '"' + ' '.join(escaped.splitlines()) + '"'


def _lines(content: str) -> list[tuple[str, int]]:
    """Give whole lines, and how many each was written on."""
    marked = _CONTINUED.sub('\0', content)
    return [
        (line.replace('\0', '').strip(), 1 + line.count('\0'))
        for line in marked.splitlines()
    ]


def _unquote(written: str) -> str | None:
    """Give a value without quotes and comment; None if quotes are left."""
    if not written.startswith('"'):
        plain = _COMMENT.split(written, maxsplit=1)[0].strip()
        return _ESCAPED.sub(r'\1', plain)
    found = _QUOTED.fullmatch(written)
    return _ESCAPED.sub(r'\1', found.group(1)) if found else None
