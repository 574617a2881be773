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
"""YAML as TripleO reads it: written from values."""

from collections.abc import Mapping
import io
import re
from typing import cast

import ruamel.yaml
from ruamel.yaml import scalarstring

Value = object
"""What YAML holds: str, int, bool, and mappings and sequences of them."""

# TripleO reads YAML 1.1 (PyYAML): there `no` and `on` are booleans, 1:30 is
# a number and so is 0600, and ruamel.yaml, which writes 1.2, quotes none.
_PLAIN = re.compile(r'[A-Za-z][A-Za-z0-9_]*(?::{1,2}[A-Za-z][A-Za-z0-9_]*)*')
_WORDS = frozenset(
    ('y', 'n', 'yes', 'no', 'on', 'off', 'true', 'false', 'null')
)


def environment(
    parameters: Mapping[str, Value],
    services: Mapping[str, str] | None = None,
) -> str:
    """Write an environment file of Heat.

    :param services: what the resource registry has for them
    """
    document: dict[str, Value] = {}
    if services:
        document['resource_registry'] = services
    document['parameter_defaults'] = parameters
    return dump(document)


def dump(document: Value) -> str:
    """Write a document, keys in their order, all texts in quotes."""
    yaml = ruamel.yaml.YAML()
    yaml.explicit_start = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    # One value that stands in two places is written twice.
    yaml.representer.ignore_aliases = lambda _: True
    written = io.StringIO()
    yaml.dump(_marked(document), written)
    return written.getvalue()


def _marked(value: Value) -> Value:
    if isinstance(value, str):
        return scalarstring.DoubleQuotedScalarString(value)
    if isinstance(value, Mapping):
        return {_key(key): _marked(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(each) for each in value]
    return value


def _key(key: str) -> str:
    if _PLAIN.fullmatch(key) and key.lower() not in _WORDS:
        return key
    return cast(str, scalarstring.DoubleQuotedScalarString(key))
