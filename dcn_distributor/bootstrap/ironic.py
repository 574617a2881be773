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
"""What the bare metal service has, from what its own command prints.

``openstack baremetal node list`` prints a list, with the fields' names as
keys, or with their titles (python-ironicclient before 5: osc/v1/
baremetal_node.py ListBaremetalNode); ``node show`` prints one machine.
"""

from collections.abc import Mapping
import json

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import nodes
from dcn_distributor.core import text

# Fields by name: '--long' would bring secrets of power management, too.
LIST = (
    'openstack',
    'baremetal',
    'node',
    'list',
    '--fields',
    'name',
    'uuid',
    'provision_state',
    'maintenance',
    'instance_uuid',
    'properties',
    '-f',
    'json',
)
_COMMAND = "'openstack baremetal node list'"
_TITLES = {
    'name': 'Name',
    'uuid': 'UUID',
    'provision_state': 'Provisioning State',
    'maintenance': 'Maintenance',
    'instance_uuid': 'Instance UUID',
    'properties': 'Properties',
}


def parse(printed: str) -> tuple[nodes.Node, ...]:
    """Read what LIST, ``list --long -f json`` or ``show -f json`` printed.

    Raises ConfigError with all that cannot be understood.
    """
    try:
        content = json.loads(printed)
    except ValueError:
        raise exceptions.ConfigError(
            f"{_COMMAND}: the output is not JSON: run it with '-f json'"
        ) from None
    listed = content if isinstance(content, list) else [content]
    found = []
    problems = []
    for number, raw in enumerate(listed, 1):
        try:
            found.append(_node(raw))
        except ValueError as exc:
            problems.append(f'{_COMMAND}: {_called(raw, number)}: {exc}')
    if problems:
        raise exceptions.ConfigError(*problems)
    return tuple(found)


def _node(raw: object) -> nodes.Node:
    if not isinstance(raw, Mapping):
        raise text.Malformed('expected a mapping of fields')
    uuid = _text(raw, 'uuid')
    properties = _field(raw, 'properties')
    if not isinstance(properties, Mapping):
        raise text.Malformed(
            "expected 'properties' as a mapping: list machines with '--long' "
            "or '--fields', as JSON"
        )
    return nodes.Node(
        _optional(raw, 'name') or uuid,
        uuid,
        _text(raw, 'provision_state'),
        _capabilities(properties),
        _field(raw, 'maintenance') in (True, 'True', 'true'),
        _optional(raw, 'instance_uuid'),
    )


def _capabilities(properties: Mapping[str, object]) -> nodes.Capabilities:
    written = properties.get('capabilities') or ''
    if not isinstance(written, str):
        raise text.Malformed(
            "expected the property 'capabilities' as one text, such as "
            "'node:0-ceph-0,boot_option:local'"
        )
    try:
        return nodes.parse_capabilities(written)
    except ValueError as exc:
        raise text.Malformed(f"the property 'capabilities': {exc}") from None


def _field(raw: Mapping[str, object], name: str) -> object:
    return raw.get(name, raw.get(_TITLES[name]))


def _optional(raw: Mapping[str, object], name: str) -> str | None:
    found = _field(raw, name)
    return found if isinstance(found, str) and found else None


def _text(raw: Mapping[str, object], name: str) -> str:
    found = _optional(raw, name)
    if found is None:
        raise text.Malformed(
            f"'{name}' is missing: list machines with '--long', or with "
            f"'--fields' and it"
        )
    return found


def _called(raw: object, number: int) -> str:
    name = _optional(raw, 'name') if isinstance(raw, Mapping) else None
    return f'machine {text.show(name)}' if name else f'machine {number}'
