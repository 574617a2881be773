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
r"""Label selectors: which sites, by their labels. The grammar is Kubernetes'.

::

    selector    = requirement *( "," requirement )          all must hold
    requirement = KEY                                        has the label
                | "!" KEY                                    lacks it
                | KEY ( "=" | "==" | "!=" ) VALUE
                | KEY ( "in" | "notin" ) "(" VALUE *( "," VALUE ) ")"

As in Kubernetes, ``!=`` and ``notin`` hold for a site without the label. KEY
and VALUE are words of letters, digits and ``_ . / : + @ -``, which is also
what a label may consist of.
"""

from collections.abc import Mapping
import dataclasses
import re

from dcn_distributor.core import text

LABEL = re.compile(r'[\w./:+@-]+')
LABEL_LENGTH = 253

_TOKEN = re.compile(r'\s*(?:([\w./:+@-]+)|(==|!=|[=!(),]))')
_END = 'the end'


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label.

    Holds if the label's value is one of `values` (any value, if these are
    empty), or if it is not, when `negated`.
    """

    key: str
    values: frozenset[str]
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a site with these labels meets it."""
        value = labels.get(self.key)
        if value is None:
            return self.negated
        return (not self.values or value in self.values) != self.negated


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """What `parse` makes of a text: all requirements must hold."""

    written: str
    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a site with these labels is selected."""
        return all(r.holds(labels) for r in self.requirements)


def parse(written: str) -> Selector:
    """Parse a selector. Raises text.Malformed, with the offset."""
    parser = _Parser(written)
    requirements = [parser.requirement()]
    while not parser.at_end:
        parser.expect(',')
        requirements.append(parser.requirement())
    return Selector(written, tuple(requirements))


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    value: str
    offset: int
    is_word: bool

    def __str__(self) -> str:
        return self.value if self.value == _END else text.quote(self.value)


def _tokens(written: str) -> list[_Token]:
    tokens = []
    offset = 0
    end = len(written.rstrip())
    while offset < end:
        match = _TOKEN.match(written, offset)
        if match is None:
            offset += len(written[offset:]) - len(written[offset:].lstrip())
            raise text.Malformed(
                f'unexpected {text.quote(written[offset])} in a selector; '
                "write 'k=v', 'k!=v', 'k in (a, b)', 'k notin (a, b)', 'k' "
                "or '!k'",
                offset,
            )
        group = match.lastindex or 0
        tokens.append(
            _Token(match[group], match.start(group), is_word=group == 1)
        )
        offset = match.end()
    tokens.append(_Token(_END, end, is_word=False))
    return tokens


class _Parser:
    """A position in the tokens of one selector."""

    def __init__(self, written: str) -> None:
        self._tokens = _tokens(written)
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._next.value == _END and not self._next.is_word

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._next
        if not self.at_end:
            self._position += 1
        return token

    def _takes(self, value: str) -> bool:
        if self.at_end or self._next.value != value:
            return False
        self._take()
        return True

    def _word(self, what: str) -> str:
        token = self._take()
        if not token.is_word:
            raise text.Malformed(
                f'expected {what}, found {token}', token.offset
            )
        return token.value

    def expect(self, value: str) -> None:
        token = self._take()
        if token.value != value:
            hint = ''
            if token.value == 'not' and not self.at_end:
                hint = "; did you mean 'notin'?"
            raise text.Malformed(
                f'expected {text.quote(value)}, found {token}{hint}',
                token.offset,
            )

    def requirement(self) -> Requirement:
        if self._takes('!'):
            return Requirement(self._word('a label'), frozenset(), True)
        key = self._word('a label')
        for operator in ('=', '==', '!='):
            if self._takes(operator):
                value = frozenset((self._word('a value'),))
                return Requirement(key, value, operator == '!=')
        for operator in ('in', 'notin'):
            if self._takes(operator):
                return Requirement(key, self._values(), operator == 'notin')
        return Requirement(key, frozenset(), False)

    def _values(self) -> frozenset[str]:
        self.expect('(')
        values = {self._word('a value')}
        while self._takes(','):
            values.add(self._word('a value'))
        self.expect(')')
        return frozenset(values)
