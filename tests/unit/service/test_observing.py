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
"""What the agent tells of its work, and what can be seen of it."""

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.service import health
from dcn_distributor.service import progress
from dcn_distributor.service import sent_bytes
from dcn_distributor.service import traces as all_traces
from dcn_distributor.service import watched_images
from tests.fakes import clock as fake_clock
from tests.fakes import glance as fake_glance
from tests.fakes import images as fake_images
from tests.unit.service import world as worlds

Attempt = observing.Attempt
STREAMS = choosing.Options(engines=(choosing.RBD_STREAM,))


def test_a_copy_that_arrives_is_told_with_its_bytes():
    world = worlds.World()
    world.add('image', size_bytes=2**30)

    world.run()

    assert world.observer.attempts == {
        ('dcn0', Attempt.ARRIVED): 1,
        ('dcn1', Attempt.ARRIVED): 1,
    }
    assert world.observer.arrivals == [(choosing.COPY_IMAGE, 2**30)] * 2
    assert world.witness.sent.read([]) == {
        ('dcn0', choosing.COPY_IMAGE): 2**30,
        ('dcn1', choosing.COPY_IMAGE): 2**30,
    }


def test_of_several_agents_the_one_that_has_the_link_tells(caplog):
    caplog.set_level('INFO')
    world = worlds.World()
    world.told_by_others = {'dcn1'}
    world.add()

    world.run()

    assert world.observer.attempts == {('dcn0', Attempt.ARRIVED): 1}
    assert len(world.observer.arrivals) == 1
    assert 'store=dcn0' in caplog.text
    assert 'store=dcn1' not in caplog.text


def test_a_store_that_fails_is_told_each_time_it_is_tried():
    world = worlds.World(names=['dcn0'])
    world.glance.fail('dcn0')
    world.add()

    world.run(300)

    told = world.observer.attempts
    tries = len(world.glance.imports)
    assert tries > 1
    assert told['dcn0', Attempt.FAILED] in (tries - 1, tries)
    assert sum(told.values()) == told['dcn0', Attempt.FAILED]


def test_a_copy_that_is_not_the_image_is_told_as_a_flaw():
    world = worlds.World(names=['dcn0'], options=STREAMS)
    world.streams.damage('dcn0')
    world.add()

    world.run(60)

    assert ('dcn0', observing.Flaw.COPY) in world.observer.flaws


# -- traces


@pytest.fixture
def traces():
    made = iter(f'made-{number}' for number in range(100_000))
    return all_traces.Traces(lambda: next(made))


def test_a_trace_stays_that_of_the_event_that_led_to_the_look(traces):
    traces.note('one', 'first', 1.0)
    traces.note('one', 'second', 2.0)

    assert traces.take('one') == all_traces.Event('second', 2.0)
    traces.note('one', 'third', 3.0)
    assert traces.of('one') == 'second'
    assert traces.take('one') == all_traces.Event('third', 3.0)
    assert traces.take('one') is None
    assert traces.of('one') == 'third'


def test_what_no_event_led_to_has_a_trace_of_its_own(traces):
    assert traces.take('one') is None
    assert traces.of('one') == traces.of('one') != traces.of('two')


def test_traces_of_any_number_of_images_take_bounded_room(traces):
    traces.note('first', 'event', 1.0)
    traces.take('first')
    for number in range(10_000):
        traces.of(f'image-{number}')

    assert traces.of('first') != 'event'
    assert traces.of('image-9999') == traces.of('image-9999')


def test_log_lines_of_a_placement_lead_to_the_event(caplog):
    caplog.set_level('INFO')
    world = worlds.World(names=['dcn0'])
    image_id = world.add()
    world.witness.traces.note(image_id, 'event-7', 1.0)
    world.witness.traces.take(image_id)

    world.run()

    told = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith('placement')
    ]
    assert len(told) == 2
    assert all(' trace=event-7 ' in line for line in told)


# -- bytes


def report(sent, started_s=1.0, store='dcn0'):
    return transfers.Report(
        image_id=fake_images.ID,
        size_bytes=100,
        source=images.StoreId('central'),
        verify=transfers.Verify.FULL,
        started_s=started_s,
        ended_s=None,
        read_bytes=sent,
        lanes=(
            transfers.Lane(
                sites.SiteName(store),
                images.StoreId(store),
                transfers.Phase.COPYING,
                sent_bytes=sent,
            ),
        ),
    )


def test_bytes_of_a_stream_count_once_while_they_go():
    sent = sent_bytes.SentBytes()
    turn = ('dcn0', choosing.RBD_STREAM)

    assert sent.read([report(10)])[turn] == 10
    assert sent.read([report(10)])[turn] == 10
    assert sent.read([report(35)])[turn] == 35
    assert sent.read([report(30)])[turn] == 35
    assert sent.read([report(35), report(5, started_s=2.0)])[turn] == 40
    assert sent.read([])[turn] == 40


# -- Glance


class Glance(fake_glance.FakeGlance):
    """Raises what it is told to, in place of its first page."""

    def __init__(self):
        super().__init__(('central',), fake_clock.Clock())
        self.error = None

    def list(self):
        """See core.ports.Images."""
        if self.error is not None:
            raise self.error
        yield from super().list()

    def copy_to_stores(self, image_id, stores):
        """See core.ports.Images."""
        raise exceptions.AccessDenied('a policy')


def test_glance_is_silent_until_it_answers_again():
    glance = Glance()
    watched = watched_images.WatchedImages(glance)
    assert watched.silence is None

    glance.error = exceptions.GlanceUnavailable('no answer')
    with pytest.raises(exceptions.GlanceUnavailable):
        list(watched.list())
    assert watched.silence == 'no answer'

    with pytest.raises(exceptions.ImageNotFound):
        watched.get(fake_images.ID)
    assert watched.silence is None


def test_glance_that_lets_us_read_nothing_is_silent_to_us():
    glance = Glance()
    glance.error = exceptions.AccessDenied('wrong password')
    watched = watched_images.WatchedImages(glance)

    with pytest.raises(exceptions.AccessDenied):
        list(watched.list())

    assert watched.silence == 'wrong password'


def test_glance_that_denies_one_request_has_answered():
    watched = watched_images.WatchedImages(Glance())

    with pytest.raises(exceptions.AccessDenied):
        watched.copy_to_stores(fake_images.ID, ['dcn0'])

    assert watched.silence is None


# -- health


class Body:
    """What health goes by, as tests set it."""

    def __init__(self, patience_s=None):
        self.clock = fake_clock.Clock()
        self.progress = progress.Progress(self.clock)
        self.has_looked = True
        self.deafness = None
        self.silence = None
        self.health = health.Health(
            self.progress,
            patience_s,
            lambda: self.has_looked,
            lambda: self.deafness,
            lambda: self.silence,
        )

    def failed(self, checks):
        """The names of those that are not good."""
        return [check.name for check in checks if not check.is_good]


@pytest.mark.parametrize(
    ('patience_s', 'limit_s'), [(None, 450.0), (40.0, 20.0)]
)
def test_it_is_healthy_while_work_gets_on(patience_s, limit_s):
    body = Body(patience_s)
    with body.progress.working('the look at an image'):
        body.clock.advance(limit_s)
        assert body.failed(body.health.healthy()) == []
        body.clock.advance(1.0)
        checks = body.health.healthy()
        assert body.failed(checks) == ['work']
        assert 'the look at an image' in checks[0].reason
        assert body.failed(body.health.ready()) == ['work']

    assert body.failed(body.health.healthy()) == []


@pytest.mark.parametrize(
    ('attribute', 'value', 'name'),
    [
        ('has_looked', False, 'resync'),
        ('deafness', 'the bus was lost', 'bus'),
        ('silence', 'no answer', 'glance'),
    ],
)
def test_it_is_healthy_but_not_ready_for_want_of_others(
    attribute, value, name
):
    body = Body()
    assert body.failed(body.health.ready()) == []

    setattr(body, attribute, value)

    assert body.failed(body.health.ready()) == [name]
    assert body.failed(body.health.healthy()) == []
