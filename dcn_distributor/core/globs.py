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
r"""Patterns of image names: fnmatch's, and braces.

``*`` stands for any characters, ``/``, a leading dot and line ends included;
``?`` for one; ``[abc]``, ``[a-z]`` and ``[!abc]`` for one of (or none of) a
set; ``{a,b}`` for either; ``{1..9}`` for a range. To mean such a character
itself, put it in brackets; a brace or comma takes a ``\`` before it instead.
The case of letters matters, and a pattern has to fit the whole name.

The expressions that fnmatch makes need time linear in the name for each star:
names are for others to choose. What braces may expand to is limited when the
pattern is read.
"""

from collections.abc import Iterable
import dataclasses
import fnmatch
import re

import bracex

from dcn_distributor.core import text

LONGEST = 1024
MOST_ALTERNATIVES = 256
DEEPEST_BRACES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Glob:
    """A pattern as it was written, and what its braces stand for."""

    written: str
    alternatives: tuple[str, ...]


def parse(written: str) -> Glob:
    """Expand the braces. Raises text.Malformed, with the offset."""
    if not written:
        raise text.Malformed('expected a pattern, found nothing')
    if len(written) > LONGEST:
        raise text.Malformed(
            f'a pattern may have {LONGEST} characters, this has {len(written)}'
        )
    _check_braces(written)
    try:
        alternatives = bracex.expand(
            written, keep_escapes=False, limit=MOST_ALTERNATIVES
        )
        for alternative in alternatives:
            re.compile(fnmatch.translate(alternative))
    except re.error as exc:  # pragma: no cover (Python 3.10: [z-a])
        raise text.Malformed(
            f'{text.quote(written)} is no pattern: {exc}'
        ) from None
    except bracex.ExpansionLimitException:
        raise text.Malformed(
            f'the braces of {text.quote(written)} stand for more than '
            f'{MOST_ALTERNATIVES} patterns'
        ) from None
    return Glob(written, tuple(dict.fromkeys(alternatives)))


def compile_all(globs: Iterable[Glob]) -> re.Pattern[str]:
    """Make one expression that fully matches what any of them matches."""
    translated = (
        fnmatch.translate(alternative)
        for glob in globs
        for alternative in glob.alternatives
    )
    return re.compile('|'.join(dict.fromkeys(translated)))


def _check_braces(written: str) -> None:
    opened: list[int] = []
    escaped = False
    for offset, character in enumerate(written):
        if escaped:
            _check_escape(character, offset)
            escaped = False
        elif character == '\\':
            escaped = True
        elif character == '{':
            opened.append(offset)
        elif character == '}':
            if not opened:
                raise text.Malformed("'}' without '{' before it", offset)
            opened.pop()
        if len(opened) > DEEPEST_BRACES:
            raise text.Malformed(
                f'braces nest deeper than {DEEPEST_BRACES}', offset
            )
    if opened:
        raise text.Malformed("'{' without '}' after it", opened[-1])


def _check_escape(character: str, offset: int) -> None:
    if character not in '{},\\':
        raise text.Malformed(
            'a backslash goes before a brace or comma; put '
            f'{text.quote(character)} in brackets instead',
            offset,
        )
