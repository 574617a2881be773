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
"""Documents for Kubernetes, and how they are written.

Kubernetes reads YAML 1.1, in which a site called ``no`` is a boolean and one
called ``1e5`` a number: what could pass for one of them is quoted.
"""

from collections.abc import Mapping
import io
import re

import ruamel.yaml
from ruamel.yaml import scalarstring

Document = dict[str, object]

_NO_STRING = re.compile(
    r'(?:y|n|yes|no|on|off|true|false|null|~)|[-+.0-9].*|', re.IGNORECASE
)
# Nothing of ours is so long that a line break would make it easier to read,
# and base64 must not get any.
_WIDTH = 1 << 20


def resource(
    api_version: str, kind: str, namespace: str, name: str, **rest: object
) -> Document:
    """Make a resource; `rest` is what it has beside its metadata."""
    return {
        'apiVersion': api_version,
        'kind': kind,
        'metadata': {'name': name, 'namespace': namespace},
        **rest,
    }


def write(document: Document) -> str:
    """Write one as YAML, in its own order; texts of many lines as such."""
    yaml = ruamel.yaml.YAML()
    yaml.default_flow_style = False
    yaml.explicit_start = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_quoted(document), stream)
    return stream.getvalue()


def _quoted(value: object) -> object:
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(each) for each in value]
    if not isinstance(value, str):
        return value
    if '\n' in value:
        return scalarstring.LiteralScalarString(value)
    if _NO_STRING.fullmatch(value):
        return scalarstring.SingleQuotedScalarString(value)
    return value
