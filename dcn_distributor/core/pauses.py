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
"""Word of operators that something is to rest: a site, a link, and so on.

Every agent keeps all of them, and tells the others. Of two words on the same
thing the later counts, so it does not matter in what order they are heard,
or how often.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import enum
import math
from types import MappingProxyType

from dcn_distributor.core import text


class Kind(enum.Enum):
    """What can rest. An image is *held*, all else is *paused*."""

    SITE = 'site'
    LINK = 'link'
    POLICY = 'policy'
    IMAGE = 'image'


Key = tuple[Kind, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """The last word on one thing.

    :ivar name: the site's, link's or policy's; the image's id
    :ivar rests: False once it was told to go on
    :ivar by: who said so
    :ivar at_s: when, in seconds since the epoch
    :ivar why: in the operator's own words; may be empty
    """

    kind: Kind
    name: str
    rests: bool
    by: str
    at_s: float
    why: str = ''

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.kind, self.name

    def reason(self) -> str:
        """Say it, as a reason why a copy waits."""
        verb = 'held' if self.kind is Kind.IMAGE else 'paused'
        why = f': {text.quote(self.why)}' if self.why else ''
        name, by = text.show(self.name), text.show(self.by)
        return (
            f'{self.kind.value} {name} {verb} by {by} since '
            f'{text.moment(self.at_s)}{why}'
        )

    def _precedence(self) -> tuple[float, bool, str, str]:
        """What settles which of two words is the last, on any agent."""
        return self.at_s, self.rests, self.by, self.why


@dataclasses.dataclass(frozen=True, slots=True)
class Pauses:
    """All last words, those to go on included."""

    words: Mapping[Key, Word] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    def __iter__(self) -> Iterator[Word]:
        """What rests now, in the order it was said."""
        return iter(
            sorted(
                (word for word in self.words.values() if word.rests),
                key=lambda word: (word.at_s, word.kind.value, word.name),
            )
        )

    def of(self, kind: Kind, name: str) -> Word | None:
        """The word by which something rests, None if it does not."""
        word = self.words.get((kind, name))
        return word if word is not None and word.rests else None

    def policies(self) -> frozenset[str]:
        """The policies that are paused."""
        return frozenset(
            word.name
            for word in self.words.values()
            if word.rests and word.kind is Kind.POLICY
        )

    def merged(self, heard: Iterable[Word]) -> 'Pauses':
        """Take in what was heard; the same object if nothing is new."""
        words = dict(self.words)
        for word in heard:
            known = words.get(word.key)
            if known is None or known._precedence() < word._precedence():
                words[word.key] = word
        if words == self.words:
            return self
        return Pauses(MappingProxyType(words))

    def without_old(self, before_s: float) -> 'Pauses':
        """Forget words to go on from before a moment: all have heard them."""
        kept = {
            key: word
            for key, word in self.words.items()
            if word.rests or word.at_s >= before_s
        }
        return Pauses(MappingProxyType(kept))


NONE = Pauses()


def plain(word: Word) -> dict[str, object]:
    """Make a word of what crosses the bus and stands in a file."""
    return {
        'kind': word.kind.value,
        'name': word.name,
        'rests': word.rests,
        'by': word.by,
        'at_s': word.at_s,
        'why': word.why,
    }


def from_plain(value: object) -> Word | None:
    """Read what plain() made; None if it is something else."""
    if not isinstance(value, Mapping):
        return None
    try:
        word = Word(
            Kind(value['kind']),
            value['name'],
            value['rests'],
            value['by'],
            float(value['at_s']),
            value.get('why', ''),
        )
    except (KeyError, TypeError, ValueError):
        return None
    texts = (word.name, word.by, word.why)
    if not all(isinstance(one, str) for one in texts):
        return None
    is_sound = isinstance(word.rests, bool) and math.isfinite(word.at_s)
    return word if is_sound else None
