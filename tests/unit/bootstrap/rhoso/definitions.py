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
"""CustomResourceDefinitions, and what an API server does with a document.

It fills in defaults, and refuses what the schema does not allow or, asked to
be strict, does not know. What is here are the parts of OpenAPI 3 that
structural schemas have (kubernetes.io/docs: Extend the Kubernetes API with
CustomResourceDefinitions, Specifying a structural schema). The rules in CEL
(x-kubernetes-validations) are not tried.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import functools
import os
from pathlib import Path
import re

import pytest
import yaml

FOLDER = os.environ.get('DCN_CRDS')
needed = pytest.mark.skipif(
    FOLDER is None,
    reason='DCN_CRDS does not name a folder with CustomResourceDefinitions',
)

_TYPES = {
    'string': str,
    'integer': int,
    'number': (int, float),
    'boolean': bool,
    'array': list,
    'object': dict,
}
_ANYTHING = 'x-kubernetes-preserve-unknown-fields'
_EITHER = 'x-kubernetes-int-or-string'


@functools.cache
def schemas(folder: str) -> Mapping[tuple[str, str], dict]:
    """Read those of a folder, by apiVersion and kind."""
    found = {}
    for path in sorted(Path(folder).glob('*.yaml')):
        definition = yaml.load(path.read_text(), yaml.CSafeLoader)
        spec = definition['spec']
        for version in spec['versions']:
            name = f'{spec["group"]}/{version["name"]}'
            schema = version['schema']['openAPIV3Schema']
            found[name, spec['names']['kind']] = schema
    return found


def complaints(document: dict) -> list[str]:
    """Say what an API server would, of a kind that is defined there."""
    assert FOLDER is not None
    schema = schemas(FOLDER)[document['apiVersion'], document['kind']]
    return list(validate(schema, filled(schema, document), 'document'))


def filled(schema: dict, value: object) -> object:
    """Give a value with the defaults that it leaves out."""
    if isinstance(value, list):
        return [filled(schema.get('items', {}), each) for each in value]
    if not isinstance(value, dict):
        return value
    known = schema.get('properties', {})
    others = schema.get('additionalProperties')
    others = others if isinstance(others, dict) else {}
    whole = {
        name: of['default'] for name, of in known.items() if 'default' in of
    } | value
    return {
        name: filled(known.get(name, others), each)
        for name, each in whole.items()
    }


def validate(schema: dict, value: object, at: str) -> Iterator[str]:
    """Say what a schema does not allow in a value."""
    if schema.get(_EITHER):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield f'{at}: {value!r} is neither a number nor a text'
            return
    elif 'type' in schema and not _is(schema['type'], value):
        yield f'{at}: {value!r} is not of type {schema["type"]}'
        return
    if 'enum' in schema and value not in schema['enum']:
        yield f'{at}: {value!r} is not one of {schema["enum"]}'
    if isinstance(value, str):
        yield from _text(schema, value, at)
    elif isinstance(value, dict):
        yield from _object(schema, value, at)
    elif isinstance(value, list):
        yield from _list(schema, value, at)
    elif not isinstance(value, bool):
        yield from _number(schema, value, at)


def _is(name: str, value: object) -> bool:
    is_bool = isinstance(value, bool)
    return isinstance(value, _TYPES[name]) and is_bool == (name == 'boolean')


def _text(schema: dict, value: str, at: str) -> Iterator[str]:
    if 'pattern' in schema and not re.search(schema['pattern'], value):
        yield f'{at}: {value!r} does not match {schema["pattern"]}'
    yield from _size(schema, len(value), 'Length', at)


def _number(schema: dict, value: float, at: str) -> Iterator[str]:
    if value < schema.get('minimum', value):
        yield f'{at}: {value} is less than {schema["minimum"]}'
    if value > schema.get('maximum', value):
        yield f'{at}: {value} is more than {schema["maximum"]}'


def _list(schema: dict, value: list, at: str) -> Iterator[str]:
    yield from _size(schema, len(value), 'Items', at)
    for index, each in enumerate(value):
        yield from validate(schema.get('items', {}), each, f'{at}[{index}]')


def _object(schema: dict, value: dict, at: str) -> Iterator[str]:
    yield from _size(schema, len(value), 'Properties', at)
    for name in schema.get('required', ()):
        if name not in value:
            yield f'{at}.{name} is required'
    known = schema.get('properties', {})
    others = schema.get('additionalProperties')
    # Metadata is the API server's own, and not described.
    is_free = schema.get(_ANYTHING) or at == 'document.metadata'
    for name, each in value.items():
        if name in known:
            yield from validate(known[name], each, f'{at}.{name}')
        elif isinstance(others, dict):
            yield from validate(others, each, f'{at}.{name}')
        elif not is_free:
            yield f'{at}.{name} is unknown'


def _size(schema: dict, size: int, of: str, at: str) -> Iterator[str]:
    if size < schema.get(f'min{of}', size):
        yield f'{at}: {size} is less than {schema[f"min{of}"]}'
    if size > schema.get(f'max{of}', size):
        yield f'{at}: {size} is more than {schema[f"max{of}"]}'
