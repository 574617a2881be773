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
"""What is told of placements that change, from a copy's begin to its end."""

from dcn_distributor.core import choosing
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import transfers
from tests.unit.service import world as worlds

State = placements.State
STREAMS = choosing.Options(engines=(choosing.RBD_STREAM,))


def told(world, store='dcn0'):
    """Give what was told of one store."""
    return [e for e in world.events if e.transition.store == store]


def states(world, store='dcn0'):
    """Name the states that a store went through."""
    return [event.transition.state for event in told(world, store)]


def test_a_copy_is_told_of_when_it_begins_and_when_it_is_there():
    world = worlds.World(names=['dcn0'])
    world.add('image', size_bytes=2**30)

    world.run()

    begun, arrived = told(world)
    assert states(world) == [State.COPYING, State.PRESENT]
    assert begun.site.name == arrived.site.name == 'dcn0'
    assert begun.policy == arrived.policy == 'all'
    assert begun.transition.attempt == arrived.transition.attempt == 1
    assert arrived.transition.at_s - begun.transition.at_s == (
        arrived.transition.seconds
    )
    assert arrived.image.name == 'image'


def test_a_failure_is_told_with_its_kind_and_the_number_of_the_try():
    world = worlds.World(names=['dcn0'])
    world.glance.fail('dcn0')
    world.add()

    world.run(120)

    failures = [e.transition for e in told(world) if e.transition.failure]
    assert len(failures) > 1
    assert {t.failure for t in failures} == {observing.Attempt.FAILED}
    assert [t.attempt for t in failures] == [*range(1, len(failures) + 1)]
    # What comes after a failure is the try that may mend it.
    begun = [
        e.transition.attempt
        for e in told(world)
        if e.transition.state is State.COPYING
    ]
    assert begun == [*range(1, len(begun) + 1)]


def test_what_a_stream_sent_and_where_it_read_is_told_with_its_end():
    world = worlds.World(names=['dcn0'], options=STREAMS)
    image_id = world.add('image', size_bytes=2**30)
    world.run(1)
    assert world.streams.running == (image_id,)

    world.run(60)

    assert states(world)[-1] is State.VERIFIED
    arrived = told(world)[-1]
    assert arrived.traffic.source == 'central'
    assert arrived.traffic.sent_bytes is not None


def test_a_stream_that_is_broken_off_is_told_as_absent_and_no_failure():
    world = worlds.World(names=['dcn0'], options=STREAMS)
    world.streams.hang('dcn0')
    world.add()
    world.run(20)
    world.say(worlds.pauses.Kind.SITE, 'dcn0')

    world.run(20)

    ended = told(world)[-1].transition
    assert ended.state is State.ABSENT
    assert ended.failure is None


def test_nothing_is_told_of_a_link_that_another_agent_has():
    world = worlds.World(names=['dcn0', 'dcn1'])
    world.told_by_others.add('dcn1')
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == {'dcn0', 'dcn1'}
    assert states(world, 'dcn0') == [State.COPYING, State.PRESENT]
    assert not told(world, 'dcn1')
    assert set(world.journal.timeline(image_id).entries) == {'dcn0'}


def test_the_journal_has_what_was_told():
    world = worlds.World(names=['dcn0'], options=STREAMS)
    image_id = world.add()

    world.run()

    entries = world.journal.timeline(image_id).entries['dcn0']
    assert [entry.state for entry in entries] == ['copying', 'verified']
    assert entries[-1].engine == transfers.EngineChoice.RBD_STREAM.value
    assert entries[0].trace == entries[1].trace == 'req-none'
