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
"""Tags of machines: what is changed, what is kept, what is refused."""

import contextlib
import dataclasses
import json

import hypothesis
from hypothesis import strategies
import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import ironic
from dcn_distributor.bootstrap import nodes
from tests.unit.bootstrap import samples

CLOUD = samples.load('multi-ceph')
# The map of the scripts that this takes over from.
TAGS = {
    'oc0-controller-0': '0-controller-0',
    'oc0-controller-1': '0-controller-1',
    'oc0-controller-2': '0-controller-2',
    'oc0-ceph-0': '0-ceph-0',
    'oc0-ceph-1': '0-dcn-hci-0',
    'oc0-ceph-2': '0-dcn-hci-scaleup-0',
    'oc0-ceph-3': '1-dcn-hci-0',
    'oc0-ceph-4': '1-dcn-hci-scaleup-0',
}
STATES = (
    'enroll',
    'manageable',
    'available',
    'active',
    'deploying',
    'wait call-back',
    'clean failed',
    'error',
)


class BareMetal:
    """A bare metal service: runs what the command line would do there."""

    def __init__(self, machines):
        self.machines = {machine['name']: machine for machine in machines}

    def run(self, argv):
        """Do what a command line says."""
        *command, name, option, assignment = argv
        assert command == ['openstack', 'baremetal', 'node', 'set']
        assert option == '--property'
        # As ironicclient's args_array_to_patch: JSON if it can be.
        key, value = assignment.split('=', 1)
        with contextlib.suppress(ValueError):
            value = json.loads(value)
        self.machines[name]['properties'][key] = value

    def list(self):
        """Print all machines."""
        return json.dumps(list(self.machines.values()))

    def apply(self, cloud=CLOUD):
        """Make all changes that are due."""
        for change in nodes.work_out(cloud, ironic.parse(self.list())):
            self.run(change.argv)


def machine(name, capabilities='', state='available', **fields):
    return {
        'name': name,
        'uuid': f'uuid-of-{name}',
        'provision_state': state,
        'maintenance': False,
        'instance_uuid': None,
        'properties': {'capabilities': capabilities, 'cpus': '4'},
        **fields,
    }


def node(name, state='available', **capabilities):
    return nodes.Node(name, f'uuid-of-{name}', state, capabilities)


def machines(*changed):
    """List those of the sample, some of which are otherwise."""
    by_name = {name: node(name) for name in TAGS}
    return [*(by_name | {n.name: n for n in changed}).values()]


def problems(found, cloud=CLOUD):
    with pytest.raises(exceptions.ConfigError) as raised:
        nodes.work_out(cloud, found)
    return raised.value.problems


def test_all_machines_are_tagged_and_boot_from_their_disk():
    service = BareMetal(machine(name) for name in TAGS)

    service.apply()

    assert {
        name: found['properties'] for name, found in service.machines.items()
    } == {
        name: {
            'capabilities': f'node:{tag},boot_option:local',
            'cpus': '4',
        }
        for name, tag in TAGS.items()
    }


def test_second_run_changes_nothing():
    service = BareMetal(machine(name) for name in TAGS)
    service.apply()

    again = nodes.work_out(CLOUD, ironic.parse(service.list()))

    assert again == ()


def test_other_capabilities_are_kept():
    service = BareMetal(
        machine(name, 'profile:x,boot_mode:uefi,boot_option:netboot')
        for name in TAGS
    )

    service.apply()

    [found] = [
        n for n in ironic.parse(service.list()) if n.name == 'oc0-ceph-0'
    ]
    assert found.capabilities == {
        'node': '0-ceph-0',
        'boot_option': 'local',
        'profile': 'x',
        'boot_mode': 'uefi',
    }


def test_change_tells_before_and_after():
    tagged = [
        node(name, node=tag, boot_option='local')
        for name, tag in TAGS.items()
        if name != 'oc0-ceph-0'
    ]

    changes = nodes.work_out(CLOUD, [*tagged, node('oc0-ceph-0', node='old')])

    assert changes == (
        nodes.Change(
            'oc0-ceph-0',
            {'node': 'old'},
            {'node': '0-ceph-0', 'boot_option': 'local'},
        ),
    )


def test_tags_may_be_exchanged():
    service = BareMetal(machine(name) for name in TAGS)
    service.apply()
    one, other = (
        service.machines[name]['properties']
        for name in ('oc0-ceph-1', 'oc0-ceph-3')
    )
    one['capabilities'], other['capabilities'] = (
        other['capabilities'],
        one['capabilities'],
    )

    service.apply()

    assert {n.name: n.tag for n in ironic.parse(service.list())} == TAGS


def test_machines_of_others_are_left_alone():
    found = [*machines(), node('spare', 'active', node='7-ceph-0')]

    changes = nodes.work_out(CLOUD, found)

    assert {change.node for change in changes} == set(TAGS)


def test_deployed_machine_with_its_tag_is_left_alone():
    found = machines(node('oc0-ceph-0', 'active', node='0-ceph-0'))

    changes = nodes.work_out(CLOUD, found)

    assert 'oc0-ceph-0' not in {change.node for change in changes}


def test_roles_that_name_no_machines_tag_none():
    [stack] = CLOUD.central.stacks
    roles = tuple(dataclasses.replace(role, nodes=()) for role in stack.roles)
    cloud = samples.with_site(
        CLOUD,
        'central',
        stacks=(dataclasses.replace(stack, roles=roles),),
    )

    changes = nodes.work_out(cloud, machines())

    assert {change.node[:8] for change in changes} == {'oc0-ceph'}


def test_machine_may_be_named_by_its_uuid():
    [stack] = CLOUD.site('dcn0').stacks
    first, second = stack.roles
    named = dataclasses.replace(first, nodes=('uuid-of-oc0-ceph-1',))
    cloud = samples.with_site(
        CLOUD,
        'dcn0',
        stacks=(dataclasses.replace(stack, roles=(named, second)),),
    )

    changes = nodes.work_out(cloud, machines())

    assert 'oc0-ceph-1' in {change.node for change in changes}


def test_all_that_is_wrong_is_told_at_once():
    found = machines(
        node('oc0-ceph-0', 'active', node='7-ceph-0'),
        node('oc0-ceph-1', 'enroll'),
        node('oc0-ceph-2', 'clean wait'),
        dataclasses.replace(node('oc0-ceph-3'), is_in_maintenance=True),
        dataclasses.replace(node('oc0-controller-0'), instance='some-uuid'),
        node('spare', node='0-controller-1', profile='x'),
    )
    found = [n for n in found if n.name != 'oc0-ceph-4']

    told = problems(found)

    expected = {
        'oc0-ceph-4': 'the bare metal service has no such node',
        'oc0-ceph-0': "'active' as 7-ceph-0: remove it from its stack first",
        'oc0-ceph-1': "run 'openstack baremetal node manage oc0-ceph-1'",
        'oc0-ceph-2': "it is 'clean wait': wait until it is available",
        'oc0-ceph-3': 'node maintenance unset oc0-ceph-3',
        'oc0-controller-0': 'reserved for instance some-uuid',
        'oc0-controller-1': "'openstack baremetal node set spare --property "
        "capabilities=profile:x'",
    }
    assert len(told) == len(expected)
    for name, words in expected.items():
        [problem] = [p for p in told if p.startswith(f'{name} (stack ')]
        assert words in problem


def test_one_machine_by_name_and_uuid_is_refused():
    [stack] = CLOUD.site('dcn0').stacks
    first, second = stack.roles
    named = dataclasses.replace(second, nodes=('uuid-of-oc0-ceph-1',))
    cloud = samples.with_site(
        CLOUD,
        'dcn0',
        stacks=(dataclasses.replace(stack, roles=(first, named)),),
    )

    [problem] = problems(machines(), cloud)

    assert 'is the same machine as oc0-ceph-1' in problem


_words = strategies.text('abcdefghij0123456789_-', min_size=1, max_size=8)
_capabilities = strategies.dictionaries(
    strategies.one_of(
        strategies.sampled_from(('node', 'boot_option', 'profile')), _words
    ),
    strategies.one_of(strategies.sampled_from(sorted(TAGS.values())), _words),
    max_size=4,
)


@hypothesis.given(_capabilities)
def test_capabilities_are_read_as_they_are_written(capabilities):
    written = nodes.write_capabilities(capabilities)

    assert nodes.parse_capabilities(written) == capabilities


@hypothesis.given(
    strategies.lists(
        strategies.tuples(_capabilities, strategies.sampled_from(STATES)),
        min_size=len(TAGS) + 1,
        max_size=len(TAGS) + 1,
    )
)
def test_whatever_was_there_tags_end_up_right_or_nothing_is_touched(drawn):
    before = [
        machine(name, nodes.write_capabilities(capabilities), state)
        for name, (capabilities, state) in zip(
            (*TAGS, 'spare'), drawn, strict=True
        )
    ]
    service = BareMetal(before)
    told = service.list()

    try:
        service.apply()
    except exceptions.ConfigError:
        assert service.list() == told
        return

    found = {n.name: n for n in ironic.parse(service.list())}
    assert {name: found[name].tag for name in TAGS} == TAGS
    assert found['spare'].tag not in TAGS.values()
    assert nodes.work_out(CLOUD, found.values()) == ()
    for name, (capabilities, _) in zip(TAGS, drawn, strict=False):
        kept = capabilities.keys() - {'node', 'boot_option'}
        assert {k: found[name].capabilities[k] for k in kept} == {
            k: capabilities[k] for k in kept
        }


def test_titles_of_older_clients_are_understood():
    printed = json.dumps(
        [
            {
                'UUID': 'u',
                'Name': None,
                'Provisioning State': 'available',
                'Maintenance': True,
                'Instance UUID': 'i',
                'Properties': {'capabilities': 'node:0-ceph-0, a:b:c'},
            }
        ]
    )

    assert ironic.parse(printed) == (
        nodes.Node(
            'u', 'u', 'available', {'node': '0-ceph-0', 'a': 'b:c'}, True, 'i'
        ),
    )


def test_one_machine_that_is_shown_is_understood():
    shown = machine('a', 'node:x', chassis_uuid='', traits=[])

    assert ironic.parse(json.dumps(shown)) == (node('a', node='x'),)


@pytest.mark.parametrize(
    ('printed', 'words'),
    [
        ('+---+', "is not JSON: run it with '-f json'"),
        ('[1]', 'machine 1: expected a mapping'),
        ('[{"name": "a"}]', "machine a: 'uuid' is missing"),
        (
            json.dumps([machine('a', properties='capabilities=x')]),
            "machine a: expected 'properties' as a mapping",
        ),
        (
            json.dumps([machine('a', 'local')]),
            "the property 'capabilities': expected KEY:VALUE, found 'local'",
        ),
        (
            json.dumps([machine('a', 'node:x,node:y')]),
            "'node' is there twice",
        ),
        (
            json.dumps([machine('a', ['node:x'])]),
            "expected the property 'capabilities' as one text",
        ),
    ],
)
def test_what_is_no_list_of_machines_is_refused(printed, words):
    with pytest.raises(exceptions.ConfigError) as raised:
        ironic.parse(printed)

    [problem] = raised.value.problems
    assert words in problem


def test_all_machines_that_are_not_understood_are_told():
    printed = json.dumps([machine('a', 'x'), machine('b'), machine('c', 'y')])

    with pytest.raises(exceptions.ConfigError) as raised:
        ironic.parse(printed)

    assert [p.split(': ')[1] for p in raised.value.problems] == [
        'machine a',
        'machine c',
    ]
