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
"""What the schemas of the YAML files share: types, and words for errors.

pydantic finds what is wrong and on which path of keys. The words are ours,
as is the way from such a path to a line and a column.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Sized
import difflib
import re
import typing
from typing import Annotated
from typing import Any
from typing import ClassVar
from typing import TypeVar

import pydantic
import pydantic_core

from dcn_distributor.conf import yaml_files
from dcn_distributor.core import text

_Item = TypeVar('_Item')
_Sized = TypeVar('_Sized', bound=Sized)
_Model = TypeVar('_Model', bound='Model')

_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?')

_EXPECTED = {
    'dict_type': 'a mapping',
    'list_type': 'a list',
    'model_type': 'a mapping',
    'string_type': 'a text',
    'tuple_type': 'a value or a list of values',
}


class Model(pydantic.BaseModel):
    """A mapping with known keys, and no others.

    `misplaced` has hints for keys that are wrong here, but known elsewhere.
    """

    misplaced: ClassVar[Mapping[str, str]] = {}
    model_config = pydantic.ConfigDict(extra='forbid', frozen=True)


def validate(
    document: yaml_files.Document,
    model: type[_Model],
    context: Mapping[str, object],
) -> _Model:
    """Return the file's content as `model`.

    Validators find `context` in their ValidationInfo. Raises ConfigError
    with all problems, those of the document included.
    """
    problems = list(document.problems)
    try:
        validated = model.model_validate(
            document.root.plain(), context=dict(context)
        )
    except pydantic.ValidationError as exc:
        problems += [
            _problem(document, model, details) for details in exc.errors()
        ]
    if problems:
        raise yaml_files.error(document.path, problems)
    return validated


def problem_at(
    document: yaml_files.Document,
    location: yaml_files.Location,
    message: str,
) -> yaml_files.Problem:
    """Make a problem of the value at a path of keys."""
    node = document.find(location).value
    return yaml_files.Problem(node.line, node.column, message)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a suggestion for a near-miss, or nothing."""
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f"; did you mean '{by_lower[near[0]]}'?" if near else ''


def _as_tuple(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_bool(value: object) -> bool:
    if value in ('true', 'false'):
        return value == 'true'
    raise text.Malformed(f'expected true or false, found {found(value)}')


def found(value: object) -> str:
    """Say what was found in the place of something else."""
    if isinstance(value, str):
        return text.quote(value)
    if isinstance(value, yaml_files.Nothing):
        return 'nothing'
    return 'a mapping' if isinstance(value, Mapping) else 'a list'


def not_blank(value: str) -> str:
    """Return the text. Raises Malformed if it is empty or only spaces."""
    if not value.strip():
        raise text.Malformed(f'expected a text, found {text.quote(value)}')
    return value


def at_least_one(values: _Sized) -> _Sized:
    """Return the values. Raises Malformed if there are none."""
    if not values:
        raise text.Malformed('expected at least one value, found none')
    return values


def parsed(parse: Callable[[str], Any]) -> pydantic.PlainValidator:
    """Read a text by a grammar; `parse` raises Malformed."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            raise text.Malformed(f'expected a text, found {found(value)}')
        return parse(value)

    return pydantic.PlainValidator(validate)


def named(what: str) -> pydantic.AfterValidator:
    """Check what people choose as the name of something."""

    def check(name: str) -> str:
        if not _NAME.fullmatch(name):
            raise text.Malformed(
                f'{text.quote(name)} is no name for {what}: expected 1 to 63 '
                "letters, digits, '.', '_' or '-', with a letter or digit at "
                'both ends'
            )
        return name

    return pydantic.AfterValidator(check)


Text = Annotated[str, pydantic.AfterValidator(not_blank)]
Boolean = Annotated[bool, pydantic.BeforeValidator(_as_bool)]
OneOrMore = Annotated[
    tuple[_Item, ...],
    pydantic.AfterValidator(at_least_one),
    pydantic.BeforeValidator(_as_tuple),
]


def _problem(
    document: yaml_files.Document,
    model: type[Model],
    details: pydantic_core.ErrorDetails,
) -> yaml_files.Problem:
    location = details['loc']
    entry = document.find(location)
    node = entry.value
    if details['type'] == 'extra_forbidden':
        node = entry.key
        message = _unknown_key(entry, _model_at(model, location[:-1]))
    elif details['type'] == 'missing':
        node = entry.key
        message = f"key '{location[-1]}' is missing"
    else:
        if location[-1:] == ('[key]',):
            node = entry.key
        message = _message(details, node)
    offset = _offset(details)
    if offset and node.text_column is not None:
        return yaml_files.Problem(
            node.line, node.text_column + offset, message
        )
    if offset:
        message += f' (character {offset + 1} of the text)'
    return yaml_files.Problem(node.line, node.column, message)


def _offset(details: pydantic_core.ErrorDetails) -> int:
    error = details.get('ctx', {}).get('error')
    return error.offset if isinstance(error, text.Malformed) else 0


def _message(
    details: pydantic_core.ErrorDetails, node: yaml_files.Node
) -> str:
    kind = details['type']
    context: Mapping[str, Any] = details.get('ctx', {})
    if kind == 'value_error':
        return str(context['error'])
    if kind == 'literal_error':
        return _not_one_of(node, context['expected'])
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f'{details["msg"]}, found {node}'
    return f'expected {expected}, found {node}'


def _not_one_of(node: yaml_files.Node, expected: str) -> str:
    # pydantic has put the values into words: "'a', 'b' or 'c'".
    words = [w for w in expected.split("'") if w not in ('', ', ', ' or ')]
    hint = ''
    if isinstance(node.content, str):
        hint = did_you_mean(node.content, words)
    return f'expected {expected}, found {node}{hint}'


def _unknown_key(entry: yaml_files.Entry, model: type[Model]) -> str:
    key = str(entry.key.content)
    known = [f.alias or n for n, f in model.model_fields.items()]
    hint = did_you_mean(key, known)
    if key in model.misplaced:
        hint = f'; {model.misplaced[key]}'
    elif not hint and isinstance(entry.value.content, yaml_files.Nothing):
        hint = '; put a text that holds a comma in quotes'
    return f'unknown key {entry.key}{hint} (known here: {", ".join(known)})'


def _model_at(
    model: type[Model], location: yaml_files.Location
) -> type[Model]:
    """Return the model of the mapping at a path of keys."""
    parts = iter(location)
    for part in parts:
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                model = _model_in(field.annotation) or model
                if typing.get_origin(field.annotation) is dict:
                    next(parts, None)
                break
    return model


def _model_in(annotation: object) -> type[Model] | None:
    """Find the model in an annotation such as ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for argument in typing.get_args(annotation):
        model = _model_in(argument)
        if model is not None:
            return model
    return None
