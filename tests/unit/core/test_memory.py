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
"""What an agent told is read, whatever its release."""

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import images
from dcn_distributor.core import memory as memories
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers

NOW = 10_000.0
IMAGE_ID = images.ImageId('3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11')
TOLD = {'failures': 3, 'reason': 'no space', 'next_try_s': NOW + 60}

words = st.text(max_size=5)
junk = st.recursive(
    st.none() | st.booleans() | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
    ),
)
answers = st.dictionaries(
    st.sampled_from(
        [
            'host',
            'setbacks',
            'troubles',
            'verified',
            'obstacles',
            'transfers',
            'routes',
            'orders',
            'links',
            'pauses',
            'members',
            'problem',
            'sites',
            'silent',
        ]
    ),
    junk,
)


def a_report(ended_s=None):
    lanes = (
        transfers.Lane('site0', 'dcn0', transfers.Phase.COPYING, 7),
        transfers.Lane('site1', 'dcn1', transfers.Phase.DONE, 9),
    )
    return transfers.Report(
        IMAGE_ID, 9, 'central', transfers.Verify.FULL, NOW, ended_s, 9, lanes
    )


def test_what_an_agent_remembers_is_read():
    memory = memories.remembered(
        {
            'host': 'host',
            'setbacks': {IMAGE_ID: {'dcn0': TOLD}},
            'troubles': {'dcn1': {**TOLD, 'next_try_s': None}},
            'verified': {IMAGE_ID: ['dcn2']},
            'obstacles': {'dcn3': ['no caps'], 'dcn4': []},
        }
    )

    assert memory.host == 'host'
    setback = memory.of(IMAGE_ID)['dcn0']
    assert (setback.failures, setback.reason) == (3, 'no space')
    assert setback.next_try_s == NOW + 60
    assert memory.troubles['dcn1'].is_permanent
    assert memory.verified_of(IMAGE_ID) == {'dcn2'}
    assert memory.obstacles == {'dcn3': ('no caps',)}
    assert memory.knows(IMAGE_ID)
    assert not memory.knows(images.ImageId('other'))


def test_of_streams_those_count_that_are_under_way():
    wire = [transfer_messages.plain(a_report())]

    memory = memories.with_transfers(memories.NOTHING, {'transfers': wire})

    streams = memory.streams_of(IMAGE_ID)
    assert set(streams) == {'dcn0'}
    assert streams['dcn0'].source == 'central'
    assert streams['dcn0'].lane.settled_bytes == 7

    wire = [transfer_messages.plain(a_report(ended_s=NOW))]
    memory = memories.with_transfers(memory, {'transfers': wire})
    assert not memory.streams_of(IMAGE_ID)


def test_streams_of_one_image_are_put_together():
    [lane] = (x for x in a_report().lanes if x.store == 'dcn0')
    other = dataclasses.replace(lane, store='dcn2', settled_bytes=5)
    reports = [
        a_report(),
        dataclasses.replace(a_report(), source='dcn1', lanes=(other,)),
        a_report(ended_s=NOW),
    ]
    wire = [transfer_messages.plain(report) for report in reports]

    memory = memories.with_transfers(memories.NOTHING, {'transfers': wire})

    streams = memory.streams_of(IMAGE_ID)
    assert {store: one.source for store, one in streams.items()} == {
        'dcn0': 'central',
        'dcn2': 'dcn1',
    }
    assert streams['dcn2'].lane.settled_bytes == 5


def test_routes_are_read():
    routes = memories.routes(
        {
            'routes': {
                'dcn0': {'engine': None, 'reason': 'no caps', 'waits': None},
                'dcn1': {'engine': 'rbd-stream', 'reason': 'so', 'waits': 'x'},
            }
        }
    )

    assert routes == {
        'dcn0': memories.Route(None, 'no caps', None),
        'dcn1': memories.Route('rbd-stream', 'so', 'x'),
    }


@given(answers)
def test_an_answer_of_another_release_does_no_harm(answer):
    memory = memories.with_transfers(memories.remembered(answer), answer)
    memory = memories.with_roster(memory, answer)
    routes = memories.routes(answer)

    assert isinstance(memory.host, str)
    assert all(isinstance(store, str) for store in memory.troubles)
    assert not memory.streams
    assert all(isinstance(route.reason, str) for route in routes.values())


@given(answers)
def test_junk_beside_what_is_good_costs_that_nothing(answer):
    told = json.loads(json.dumps({IMAGE_ID: {'dcn0': TOLD, 'dcn1': None}}))

    memory = memories.remembered({**answer, 'setbacks': told})

    assert set(memory.of(IMAGE_ID)) == {'dcn0'}
