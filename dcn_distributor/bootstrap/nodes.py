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
"""Tags of machines: what the bare metal service has against what is wanted.

A machine's capability ``node`` says which node of which role it becomes:
``NUMBER-TAG-INDEX``, which the scheduler hints of a stack ask for
(``<Role>SchedulerHints: {'capabilities:node': 'NUMBER-TAG-%index%'}``). Ironic
keeps all capabilities in one property, so that all others have to be written
again with it. Nobody is asked and nothing is changed here.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import stacks

TAG = 'node'
# From its own disk after it was deployed.
_BOOT = ('boot_option', 'local')
# Machines that nobody uses (ironic: common/states.py).
_FREE = ('available', 'manageable')
_ACTIVE = 'active'
_SET = ('openstack', 'baremetal', 'node', 'set')

Capabilities = Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A machine, as the bare metal service knows it.

    :ivar name: its UUID if it was given no name
    :ivar instance: the UUID of what is deployed on it, or shall be
    """

    name: str
    uuid: str
    provision_state: str
    capabilities: Capabilities
    is_in_maintenance: bool = False
    instance: str | None = None

    @property
    def tag(self) -> str | None:
        """What it is tagged with."""
        return self.capabilities.get(TAG)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """The capabilities of one machine, before and after."""

    node: str
    before: Capabilities
    after: Capabilities

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line that makes it."""
        return _set(self.node, self.after)


@dataclasses.dataclass(frozen=True, slots=True)
class _Wish:
    """A machine that sites.yaml names, and its tag.

    :ivar where: who names it
    """

    name: str
    tag: str
    where: str


def parse_capabilities(text: str) -> Capabilities:
    """Read ``KEY:VALUE,KEY:VALUE``. Raises ValueError for anything else."""
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(','))):
        key, is_there, value = part.partition(':')
        if not is_there or not key:
            raise ValueError(f"expected KEY:VALUE, found '{part}'")
        if key in found:
            raise ValueError(f"'{key}' is there twice")
        found[key] = value
    return found


def write_capabilities(capabilities: Capabilities) -> str:
    """Write them as Ironic keeps them."""
    return ','.join(f'{key}:{value}' for key, value in capabilities.items())


def work_out(cloud: stacks.Cloud, found: Iterable[Node]) -> tuple[Change, ...]:
    """Compare all machines with all that sites.yaml names.

    A machine that is as it should be is left alone, whatever it is doing.
    Raises ConfigError with everything that keeps any from being tagged.
    """
    nodes = tuple(found)
    by_name = {node.uuid: node for node in nodes}
    by_name |= {node.name: node for node in nodes}
    wishes = tuple(_wishes(cloud))
    problems = [
        *_unknown(wishes, by_name),
        *_named_twice(wishes, by_name),
        *_busy(wishes, by_name),
        *_taken(wishes, by_name, nodes),
    ]
    if problems:
        raise exceptions.ConfigError(*problems)
    return tuple(
        Change(node.name, node.capabilities, _wanted(node, wish))
        for wish in wishes
        if _is_due(node := by_name[wish.name], wish)
    )


def _wishes(cloud: stacks.Cloud) -> Iterator[_Wish]:
    for _, stack in cloud.stacks():
        for role in stack.roles:
            # Roles without names take any machine that is tagged for them.
            for name, tag in zip(role.nodes, stack.tags(role), strict=False):
                yield _Wish(name, tag, f'stack {stack.name}, role {role.name}')


def _wanted(node: Node, wish: _Wish) -> Capabilities:
    boot, local = _BOOT
    first = {TAG: wish.tag, boot: local}
    rest = {k: v for k, v in node.capabilities.items() if k not in first}
    return first | rest


def _is_due(node: Node, wish: _Wish) -> bool:
    if node.provision_state == _ACTIVE and node.tag == wish.tag:
        # How it boots was decided when it was deployed.
        return False
    return dict(node.capabilities) != _wanted(node, wish)


def _unknown(
    wishes: Iterable[_Wish], by_name: Mapping[str, Node]
) -> Iterator[str]:
    for wish in wishes:
        if wish.name not in by_name:
            yield (
                f'{wish.name} ({wish.where}): the bare metal service has no '
                'such node: correct the name in sites.yaml, or enroll the '
                "machine with 'openstack baremetal node create'"
            )


def _named_twice(
    wishes: Iterable[_Wish], by_name: Mapping[str, Node]
) -> Iterator[str]:
    first: dict[str, _Wish] = {}
    for wish in wishes:
        node = by_name.get(wish.name)
        if node is None:
            continue
        other = first.setdefault(node.uuid, wish)
        if other is not wish:
            yield (
                f'{wish.name} ({wish.where}): is the same machine as '
                f'{other.name} ({other.where}): name another one in sites.yaml'
            )


def _busy(
    wishes: Iterable[_Wish], by_name: Mapping[str, Node]
) -> Iterator[str]:
    for wish in wishes:
        node = by_name.get(wish.name)
        if node is None or not _is_due(node, wish):
            continue
        where = f'{wish.name} ({wish.where})'
        if node.provision_state not in _FREE:
            yield (
                f'{where}: cannot become {wish.tag}: it is '
                f'{_doing(node)}: {_way_out(node)}'
            )
        elif node.instance is not None:
            yield (
                f'{where}: cannot become {wish.tag}: it is reserved for '
                f'instance {node.instance}: delete that, or name another '
                'machine in sites.yaml'
            )
        elif node.is_in_maintenance:
            yield (
                f'{where}: cannot become {wish.tag}: it is in maintenance: '
                'when it is repaired, run '
                f"'openstack baremetal node maintenance unset {node.name}'"
            )


def _doing(node: Node) -> str:
    state = f"'{node.provision_state}'"
    return state if node.tag is None else f'{state} as {node.tag}'


def _way_out(node: Node) -> str:
    if node.provision_state == 'enroll':
        return f"run 'openstack baremetal node manage {node.name}' first"
    if node.provision_state == _ACTIVE:
        return 'remove it from its stack first, or name another machine'
    return (
        'wait until it is available, look why it is not with '
        f"'openstack baremetal node show {node.name}', or name another machine"
    )


def _taken(
    wishes: Iterable[_Wish],
    by_name: Mapping[str, Node],
    nodes: Iterable[Node],
) -> Iterator[str]:
    ours = {by_name[w.name].uuid for w in wishes if w.name in by_name}
    wanted = {wish.tag: wish for wish in wishes}
    for node in nodes:
        wish = wanted.get(node.tag) if node.tag else None
        if wish is None or node.uuid in ours:
            continue
        rest = {k: v for k, v in node.capabilities.items() if k != TAG}
        yield (
            f'{wish.name} ({wish.where}): {node.name} has its tag {wish.tag} '
            'already, and both would be taken for one: free the tag with '
            f"'{' '.join(_set(node.name, rest))}', or name {node.name} in "
            'sites.yaml'
        )


def _set(name: str, capabilities: Capabilities) -> tuple[str, ...]:
    written = write_capabilities(capabilities)
    return (*_SET, name, '--property', f'capabilities={written}')
