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
"""Conditions on an image: the `match` blocks of policies.

A block holds if all its conditions do. Every condition says what it expects,
and what it found in an image, in the words of the policy file. What is
unknown of an image (its size, its formats) fits no condition on it.
"""

from collections.abc import Iterable
import dataclasses
import re
from typing import Literal
from typing import Protocol

from dcn_distributor.core import globs
from dcn_distributor.core import images
from dcn_distributor.core import sizes
from dcn_distributor.core import text

NOTHING = 'nothing'


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """What one condition found in one image."""

    field: str
    expected: str
    found: str
    holds: bool

    def __str__(self) -> str:
        return f'{self.field}: expected {self.expected}, found {self.found}'


class Condition(Protocol):
    """One key of a match block, or one property of it."""

    @property
    def field(self) -> str:
        """The key in the policy file."""
        ...

    @property
    def expected(self) -> str:
        """What the policy asks for, for people."""
        ...

    def holds(self, image: images.Image) -> bool:
        """Tell whether the image is what the policy asks for."""
        ...

    def found(self, image: images.Image) -> str:
        """Say what the image has instead, for people."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class OneOf:
    """A field has one of some values, letter by letter."""

    field: Literal['visibility', 'owner', 'disk_format', 'container_format']
    values: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The values, in the order of the file."""
        return text.join(map(text.show, self.values), 'or')

    def holds(self, image: images.Image) -> bool:
        """Tell whether the field's value is among them."""
        return getattr(image, self.field) in self.values

    def found(self, image: images.Image) -> str:
        """Say which value the field has."""
        value = getattr(image, self.field)
        return text.show(value) if value else NOTHING


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """The image is (or is not) hidden or protected."""

    field: Literal['hidden', 'protected']
    value: bool

    @property
    def expected(self) -> str:
        """The value as YAML writes it."""
        return _written(self.value)

    def holds(self, image: images.Image) -> bool:
        """Tell whether the flag is as expected."""
        return self._of(image) == self.value

    def found(self, image: images.Image) -> str:
        """Say how the flag is."""
        return _written(self._of(image))

    def _of(self, image: images.Image) -> bool:
        if self.field == 'hidden':
            return image.is_hidden
        return image.is_protected


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """The name fits one of some patterns."""

    patterns: tuple[globs.Glob, ...]
    field: str = dataclasses.field(default='name', init=False)
    _compiled: re.Pattern[str] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, '_compiled', globs.compile_all(self.patterns))

    @property
    def expected(self) -> str:
        """The patterns, in the order of the file."""
        return text.join((text.quote(p.written) for p in self.patterns), 'or')

    def holds(self, image: images.Image) -> bool:
        """Tell whether the whole name fits."""
        return self._compiled.match(image.name) is not None

    def found(self, image: images.Image) -> str:
        """Quote the name."""
        return text.quote(image.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Tags:
    """The image has all of some tags, and maybe others."""

    tags: frozenset[str]
    field: str = dataclasses.field(default='tags', init=False)

    @property
    def expected(self) -> str:
        """The tags, sorted."""
        return text.join(map(text.show, sorted(self.tags)), 'and')

    def holds(self, image: images.Image) -> bool:
        """Tell whether none is missing."""
        return self.tags <= image.tags

    def found(self, image: images.Image) -> str:
        """Say which tags the image has."""
        if not image.tags:
            return 'no tags'
        return text.join(map(text.show, sorted(image.tags)), 'and')


@dataclasses.dataclass(frozen=True, slots=True)
class Property:
    """A property has one of some values; any value, if there are none."""

    key: str
    values: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The key, below the file's key `properties`."""
        return f'property {text.show(self.key)}'

    @property
    def expected(self) -> str:
        """The values, in the order of the file."""
        if not self.values:
            return 'any value'
        return text.join(map(text.show, self.values), 'or')

    def holds(self, image: images.Image) -> bool:
        """Tell whether the image has the property so."""
        value = image.properties.get(self.key)
        if value is None:
            return False
        return not self.values or value in self.values

    def found(self, image: images.Image) -> str:
        """Say which value the property has."""
        value = image.properties.get(self.key)
        return 'no such property' if value is None else text.show(value)


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """The size of the image's data fits all of some comparisons."""

    comparisons: tuple[sizes.Comparison, ...]
    field: str = dataclasses.field(default='size', init=False)

    @property
    def expected(self) -> str:
        """The comparisons, as they were written."""
        return text.join((c.written for c in self.comparisons), 'and')

    def holds(self, image: images.Image) -> bool:
        """Tell whether it fits; an unknown size does not."""
        size = image.size_bytes
        if size is None:
            return False
        return all(c.holds(size) for c in self.comparisons)

    def found(self, image: images.Image) -> str:
        """Write the size."""
        if image.size_bytes is None:
            return 'an unknown size'
        return sizes.show(image.size_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """A block does not hold."""

    block: 'Block'
    field: str = dataclasses.field(default='not', init=False)

    @property
    def expected(self) -> str:
        """The block, in brackets."""
        return f'({self.block})'

    def holds(self, image: images.Image) -> bool:
        """Tell whether the block does not hold."""
        return not self.block.holds(image)

    def found(self, image: images.Image) -> str:
        """Say what the image has, of that which the block asks for."""
        return _found(self.block.check(image))


@dataclasses.dataclass(frozen=True, slots=True)
class Any:
    """At least one of some blocks holds."""

    blocks: tuple['Block', ...]
    field: str = dataclasses.field(default='any', init=False)

    @property
    def expected(self) -> str:
        """The blocks, in brackets."""
        return text.join((f'({block})' for block in self.blocks), 'or')

    def holds(self, image: images.Image) -> bool:
        """Tell whether one holds."""
        return any(block.holds(image) for block in self.blocks)

    def found(self, image: images.Image) -> str:
        """Say what the image has that made blocks hold, or all fail."""
        holds = self.holds(image)
        return _found(
            check
            for block in self.blocks
            if block.holds(image) == holds
            for check in block.check(image)
            if check.holds == holds
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Conditions that must all hold. An empty block holds for every image."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        if not self.conditions:
            return 'every image'
        return ', '.join(f'{c.field} {c.expected}' for c in self.conditions)

    def holds(self, image: images.Image) -> bool:
        """Tell whether all conditions hold; stops at the first that fails."""
        for condition in self.conditions:  # noqa: SIM110 (all() is slower)
            if not condition.holds(image):
                return False
        return True

    def check(self, image: images.Image) -> tuple[Check, ...]:
        """Say of every condition what it found."""
        return tuple(
            Check(c.field, c.expected, c.found(image), c.holds(image))
            for c in self.conditions
        )


def _found(checks: Iterable[Check]) -> str:
    found = dict.fromkeys(f'{check.field} {check.found}' for check in checks)
    return text.join(found, 'and') or 'an image'


def _written(flag: bool) -> str:
    return 'true' if flag else 'false'
