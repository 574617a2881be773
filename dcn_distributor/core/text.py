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
"""How values read in sentences: safely quoted, and of bounded length.

Names of images are their owners' to choose: newlines, escape sequences and
right-to-left marks must not reach a terminal or a log as they are.
"""

from collections.abc import Iterable
import datetime
import re

_PLAIN = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9_./:+-]*[A-Za-z0-9_+-])?')
_LONGEST = 80
_MOST_LISTED = 4


class Malformed(ValueError):
    """A text is not what its grammar asks for.

    :ivar offset: index of the character in the text that is wrong.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def quote(value: str) -> str:
    """Quote as Python does, cut after 80 characters.

    repr() escapes everything that str.isprintable() refuses: control
    characters, line separators, bidirectional marks and lone surrogates.
    """
    if len(value) > _LONGEST:
        return f'{value[:_LONGEST]!r}...'
    return repr(value)


def show(value: str) -> str:
    """Write a plain word as it is, and quote everything else."""
    if len(value) <= _LONGEST and _PLAIN.fullmatch(value):
        return value
    return quote(value)


def join(values: Iterable[str], conjunction: str) -> str:
    """Join as ``a, b or c``; of many, the first ones and a count."""
    shown = list(values)
    if len(shown) > _MOST_LISTED:
        rest = len(shown) - _MOST_LISTED + 1
        shown[_MOST_LISTED - 1 :] = [f'{rest} more']
    if len(shown) < 2:
        return ''.join(shown)
    return f'{", ".join(shown[:-1])} {conjunction} {shown[-1]}'


def moment(at_s: float) -> str:
    """Write a moment, in seconds since the epoch, to the minute."""
    at = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc)
    return f'{at:%Y-%m-%d %H:%M} UTC'
