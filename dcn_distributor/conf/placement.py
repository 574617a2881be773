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
"""placement.yaml: which images go to which sites."""

from collections.abc import Iterator
import itertools
import re
from typing import Annotated
from typing import Any
from typing import ClassVar
from typing import Literal
from typing import TypeVar

import pydantic

from dcn_distributor.conf import links
from dcn_distributor.conf import schema
from dcn_distributor.conf import yaml_files
from dcn_distributor.core import durations
from dcn_distributor.core import globs
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import rates
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import sizes
from dcn_distributor.core import text
from dcn_distributor.core import transfers

_Value = TypeVar('_Value')

_HIGHEST_PRIORITY = 1_000_000

# Glance does not let these be properties, and keeps os_glance_* to itself.
_NO_PROPERTIES = frozenset(
    (
        *('checksum', 'container_format', 'created_at', 'direct_url'),
        *('disk_format', 'file', 'id', 'locations', 'min_disk', 'min_ram'),
        *('name', 'os_hash_algo', 'os_hash_value', 'os_hidden', 'owner'),
        *('protected', 'schema', 'self', 'size', 'status', 'stores', 'tags'),
        *('updated_at', 'virtual_size', 'visibility'),
    )
)


def load(path: str, all_sites: sites.Sites) -> policies.PolicySet:
    """Read placement.yaml, for these sites.

    Raises ConfigError with everything wrong in it.
    """
    document = yaml_files.read(path)
    names = [site.name for site in all_sites]
    file = schema.validate(document, _File, {'sites': names})
    return policies.PolicySet(
        [
            policy.to_core(name, document.line(('policies', name)))
            for name, policy in file.policies.items()
        ],
        all_sites,
    )


def check(path: str) -> None:
    """Read placement.yaml without knowing the sites; raise as load does."""
    schema.validate(yaml_files.read(path), _File, {})


def _known_site(name: str, info: pydantic.ValidationInfo) -> sites.SiteName:
    known = (info.context or {}).get('sites')
    if known is not None and name not in known:
        raise text.Malformed(
            f'no site {text.quote(name)} in sites.yaml'
            f'{schema.did_you_mean(name, known)}'
        )
    return sites.SiteName(name)


def _property_key(key: str) -> str:
    if key in _NO_PROPERTIES or key.startswith('os_glance_'):
        raise text.Malformed(
            f'{text.quote(key)} is no property in Glance, so no image would '
            'match'
        )
    return schema.not_blank(key)


def _property_values(
    value: object, handler: pydantic.ValidatorFunctionWrapHandler
) -> tuple[str, ...]:
    """Make of ``exists`` no values, which stands for any.

    A property that has the value 'exists' is matched by ``[exists]``.
    """
    if value == 'exists':
        return ()
    values: tuple[str, ...] = handler(value)
    return values


_Ranges = tuple[tuple[sizes.Comparison, ...], ...]


def _flat(ranges: _Ranges) -> tuple[sizes.Comparison, ...]:
    return tuple(itertools.chain.from_iterable(ranges))


def _satisfiable(ranges: _Ranges) -> _Ranges:
    sizes.check_satisfiable(_flat(ranges))
    return ranges


def _not_empty(block: '_Block') -> '_Block':
    if not block.to_core().conditions:
        raise text.Malformed('expected at least one condition')
    return block


def _priority(written: str) -> int:
    if re.fullmatch('[+-]?[0-9]{1,7}', written):
        priority = int(written)
        if abs(priority) <= _HIGHEST_PRIORITY:
            return priority
    raise text.Malformed(
        f'expected a whole number from {-_HIGHEST_PRIORITY} to '
        f'{_HIGHEST_PRIORITY}, found {text.quote(written)}'
    )


def _form(value: object) -> str | None:
    """Tell which of the three forms of `sites` a value has."""
    if isinstance(value, list):
        return '<names>'
    if isinstance(value, dict):
        return '<labels>'
    return '<all>'


def _all(value: object, info: pydantic.ValidationInfo) -> policies.AllSites:
    if value == 'all':
        return policies.AllSites()
    hint = ''
    if isinstance(value, str):
        if value in (info.context or {}).get('sites', ()):
            hint = f'; did you mean [{value}]?'
        elif re.search(r'[=!(]', value):
            hint = f'; did you mean {{labels: "{value}"}}?'
        hint = hint if value.isprintable() else ''
    raise text.Malformed(
        'expected all, a list of site names or {labels: SELECTOR}, found '
        f'{schema.found(value)}{hint}'
    )


_Glob = Annotated[globs.Glob, schema.parsed(globs.parse)]
_Comparisons = Annotated[
    tuple[sizes.Comparison, ...], schema.parsed(sizes.parse)
]
_Selector = Annotated[selectors.Selector, schema.parsed(selectors.parse)]
_Priority = Annotated[int, schema.parsed(_priority)]
_PolicyName = Annotated[str, schema.named('a policy')]
_PropertyKey = Annotated[str, pydantic.AfterValidator(_property_key)]
_PropertyValues = Annotated[
    schema.OneOrMore[schema.Text], pydantic.WrapValidator(_property_values)
]
_KnownSite = Annotated[str, pydantic.AfterValidator(_known_site)]
_Size = Annotated[
    schema.OneOrMore[_Comparisons], pydantic.AfterValidator(_satisfiable)
]
_Visibility = Literal['public', 'shared', 'community', 'private']


class _Block(schema.Model):
    """A match block. What is not asked for is empty."""

    visibility: schema.OneOrMore[_Visibility] = ()
    name: schema.OneOrMore[_Glob] = ()
    owner: schema.OneOrMore[schema.Text] = ()
    tags: schema.OneOrMore[schema.Text] = ()
    properties: Annotated[
        dict[_PropertyKey, _PropertyValues],
        pydantic.AfterValidator(schema.at_least_one),
    ] = {}
    disk_format: schema.OneOrMore[schema.Text] = ()
    container_format: schema.OneOrMore[schema.Text] = ()
    size: _Size = ()
    hidden: schema.Boolean | None = None
    protected: schema.Boolean | None = None
    any_: Annotated[
        list['_NestedBlock'], pydantic.AfterValidator(schema.at_least_one)
    ] = pydantic.Field([], alias='any')
    not_: '_NestedBlock | None' = pydantic.Field(None, alias='not')

    def to_core(self) -> matching.Block:
        """Make conditions, those that cost least to test first."""
        return matching.Block(
            (*self._fields(), *self._contents(), *self._blocks())
        )

    def _fields(self) -> Iterator[matching.Condition]:
        if self.visibility:
            yield matching.OneOf('visibility', self.visibility)
        if self.hidden is not None:
            yield matching.Flag('hidden', self.hidden)
        if self.protected is not None:
            yield matching.Flag('protected', self.protected)
        if self.disk_format:
            yield matching.OneOf('disk_format', self.disk_format)
        if self.container_format:
            yield matching.OneOf('container_format', self.container_format)
        if self.owner:
            yield matching.OneOf('owner', self.owner)

    def _contents(self) -> Iterator[matching.Condition]:
        if self.tags:
            yield matching.Tags(frozenset(self.tags))
        for key, values in self.properties.items():
            yield matching.Property(key, values)
        if self.size:
            yield matching.Size(_flat(self.size))
        if self.name:
            yield matching.Name(self.name)

    def _blocks(self) -> Iterator[matching.Condition]:
        if self.any_:
            yield matching.Any(tuple(b.to_core() for b in self.any_))
        if self.not_ is not None:
            yield matching.Not(self.not_.to_core())


_NestedBlock = Annotated[_Block, pydantic.AfterValidator(_not_empty)]


class _Labels(schema.Model):
    misplaced = {'exclude': "it stands beside 'sites'"}

    labels: _Selector


class _Transfer(schema.Model):
    engine: Literal['auto', 'copy-image', 'rbd-stream'] | None = None
    source: Literal['central', 'nearest'] | None = None
    verify: Literal['full', 'checksum', 'size'] | None = None
    rate: Annotated[float, schema.parsed(rates.parse)] | None = None

    def to_core(self) -> transfers.Wishes:
        """Make wishes of what the file says."""
        return transfers.Wishes(
            self.engine and transfers.EngineChoice(self.engine),
            self.source and transfers.SourceChoice(self.source),
            self.verify and transfers.Verify(self.verify),
            self.rate,
        )


def _wishful(transfer: _Transfer) -> _Transfer:
    """Refuse a block that has no effect."""
    if not transfer.model_fields_set:
        raise text.Malformed('expected at least one key, found none')
    return transfer


class _When(schema.Model):
    deadline: Annotated[float, schema.parsed(durations.parse)]


def _placing(value: _Value, info: pydantic.ValidationInfo) -> _Value:
    """Refuse of a deny policy what only copies can have."""
    if info.data.get('deny'):
        raise text.Malformed(
            f'a deny policy sends nothing anywhere, so it has no '
            f'{info.field_name}'
        )
    return value


class _Policy(schema.Model):
    misplaced: ClassVar = {
        **dict.fromkeys(_Transfer.model_fields, "it stands in 'transfer'"),
        **dict.fromkeys(_When.model_fields, "it stands in 'when'"),
    }

    match: _Block
    sites: Annotated[
        Annotated[Any, pydantic.PlainValidator(_all), pydantic.Tag('<all>')]
        | Annotated[schema.OneOrMore[_KnownSite], pydantic.Tag('<names>')]
        | Annotated[_Labels, pydantic.Tag('<labels>')],
        pydantic.Discriminator(_form),
    ]
    exclude: schema.OneOrMore[_KnownSite] = ()
    deny: schema.Boolean = False
    priority: _Priority = 0
    transfer: (
        Annotated[
            _Transfer,
            pydantic.AfterValidator(_wishful),
            pydantic.AfterValidator(_placing),
        ]
        | None
    ) = None
    tolerate: Annotated[
        schema.OneOrMore[links.TaintKey], pydantic.AfterValidator(_placing)
    ] = ()
    when: Annotated[_When, pydantic.AfterValidator(_placing)] | None = None

    def to_core(self, name: str, origin: str) -> policies.Policy:
        """Make a policy of what the file says."""
        return policies.Policy(
            name,
            self.match.to_core(),
            self._selection(),
            exclude=frozenset(map(sites.SiteName, self.exclude)),
            deny=self.deny,
            priority=self.priority,
            origin=origin,
            wishes=(
                self.transfer.to_core()
                if self.transfer
                else transfers.NO_WISHES
            ),
            tolerates=frozenset(self.tolerate),
            deadline_s=self.when.deadline if self.when else None,
        )

    def _selection(self) -> policies.Selection:
        if isinstance(self.sites, _Labels):
            return policies.LabelledSites(self.sites.labels)
        if isinstance(self.sites, tuple):
            return policies.NamedSites(
                frozenset(map(sites.SiteName, self.sites))
            )
        return policies.AllSites()


class _File(schema.Model):
    version: Literal['1']
    policies: dict[_PolicyName, _Policy]
