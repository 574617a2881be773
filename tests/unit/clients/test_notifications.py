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
"""What comes in from the bus, however odd, names an image or is counted."""

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.clients.bus import notifications
from tests.fakes import clock as clocks

IMAGE = 'b2173dd3-7ad6-4362-baa6-a68bce3565cb'


class Heard:
    """An endpoint, and what it made of what it got."""

    def __init__(self):
        self.images = []
        self.counts = notifications.Counts()
        self.notes = []
        self._hints = notifications.Hints(
            self.images.append,
            self.counts,
            lambda *note: self.notes.append(note),
        )

    def take(
        self, event_type, payload, priority='info', asked=None, metadata=None
    ):
        """Deliver one event as oslo.messaging does."""
        getattr(self._hints, priority)(
            asked, 'image.localhost', event_type, payload, metadata
        )
        return self


@pytest.mark.parametrize(
    'event_type',
    ['image.update', 'image.activate', 'image.upload', 'image.delete'],
)
def test_an_event_of_an_image_names_it(event_type):
    heard = Heard().take(event_type, {'id': IMAGE, 'status': 'whatever'})

    assert heard.images == [IMAGE]
    assert heard.counts[notifications.HANDLED] == 1


@pytest.mark.parametrize(
    ('asked', 'metadata', 'note'),
    [
        pytest.param(
            {},
            {'message_id': 'b2-17', 'timestamp': '2026-11-21 22:00:00.5'},
            ('b2-17', 1795298400.5),
            id='as Glance sends it',
        ),
        pytest.param(
            {'request_id': 'req-1'},
            {'message_id': 'b2-17', 'timestamp': '2026-11-21 22:00:00'},
            ('req-1', 1795298400.0),
            id='with the id of a request',
        ),
        pytest.param(
            {'request_id': 'a\nforged line'},
            {'message_id': 'b2-17', 'timestamp': 'noon'},
            ('b2-17', None),
            id='with what may not be logged',
        ),
    ],
)
def test_an_event_leaves_a_trace(asked, metadata, note):
    heard = Heard()

    heard.take('image.update', {'id': IMAGE}, asked=asked, metadata=metadata)

    assert heard.notes == [(IMAGE, *note)]


@pytest.mark.parametrize('metadata', [{}, None, {'message_id': 7}])
def test_an_event_without_an_id_gets_one(metadata):
    heard = Heard()

    heard.take('image.update', {'id': IMAGE}, asked=None, metadata=metadata)

    ((_, trace, happened_s),) = heard.notes
    assert trace.startswith('req-')
    assert happened_s is None


def test_events_are_counted_by_types_that_are_known():
    heard = Heard()

    heard.take('image.update', {'id': IMAGE})
    heard.take('image.delete', {})
    heard.take('any.type\u2028whatever', {})
    heard.take(['no text'], {})

    by_type = heard.counts.by_type()
    assert {key: n for key, n in by_type.items() if n} == {
        ('image.update', 'handled'): 1,
        ('image.delete', 'malformed'): 1,
        ('other', 'ignored'): 1,
        ('other', 'malformed'): 1,
    }
    assert len(by_type) == 15


@pytest.mark.parametrize(
    ('event_type', 'payload', 'result'),
    [
        pytest.param('image.send', {'id': IMAGE}, 'ignored', id='a download'),
        pytest.param('task.run', {'id': IMAGE}, 'ignored', id='a task'),
        pytest.param(
            'compute.instance.update', {'id': IMAGE}, 'ignored', id="nova's"
        ),
        pytest.param(None, {'id': IMAGE}, 'malformed', id='no event type'),
        pytest.param(['image.update'], {}, 'malformed', id='type is a list'),
        pytest.param(
            'image.upload', 'it failed', 'ignored', id='text of a failure'
        ),
        pytest.param('image.update', None, 'malformed', id='no payload'),
        pytest.param('image.update', [IMAGE], 'malformed', id='a list'),
        pytest.param('image.update', {}, 'malformed', id='no id'),
        pytest.param(
            'image.update', {'id': 7}, 'malformed', id='id is a number'
        ),
        pytest.param(
            'image.update', {'id': 'my-image'}, 'malformed', id='id no UUID'
        ),
        pytest.param(
            'image.update',
            {'id': '../../v2/images'},
            'malformed',
            id='id is a path',
        ),
        pytest.param(
            'image.update',
            {'id': f'{IMAGE}\nINFO all is well'},
            'malformed',
            id='id with a line of log',
        ),
        pytest.param(
            'image.update',
            {'id': '{' + IMAGE[:-2] + '}'},
            'malformed',
            id='a UUID in another form',
        ),
    ],
)
def test_what_is_none_of_ours_is_counted_only(event_type, payload, result):
    heard = Heard().take(event_type, payload)

    assert heard.images == []
    assert heard.counts[result] == 1


def test_a_failed_upload_at_error_is_taken_in():
    heard = Heard().take('image.upload', 'Store is full', priority='error')

    assert heard.images == []
    assert heard.counts[notifications.IGNORED] == 1


def test_ten_mebibytes_of_payload_cost_nothing_more():
    payload = {'id': IMAGE, 'properties': {'x': 'x' * 10 * 2**20}}

    heard = Heard().take('image.update', payload)

    assert heard.images == [IMAGE]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.just('id'), inner)
    ),
)
event_types = st.sampled_from(['image.update', 'image.delete']) | anything


@given(event_types, anything, st.sampled_from(['info', 'error']))
def test_nothing_that_comes_in_raises(event_type, payload, priority):
    heard = Heard().take(event_type, payload, priority)

    assert heard.images == []


@given(st.text())
def test_an_image_id_is_a_uuid_or_nothing(text):
    found = notifications.as_image_id(text)

    assert found is None or found == text.lower()


def test_a_malformed_event_is_logged_once_and_only_for_those_who_debug(
    caplog,
):
    caplog.set_level('DEBUG')

    Heard().take('image.update', {'id': 'my-image'})

    records = [r for r in caplog.records if 'alformed' in r.getMessage()]
    assert [r.levelno for r in records] == [logging.DEBUG]


def test_what_oslo_messaging_cannot_read_is_counted_not_shouted(caplog):
    caplog.set_level('DEBUG')
    counts = notifications.Counts()
    name = 'oslo_messaging._drivers.impl_rabbit'
    quiet = notifications.Undecodable(counts)
    logging.getLogger(name).addFilter(quiet)
    try:
        try:
            b'\xff'.decode('utf-8')
        except UnicodeDecodeError:
            logging.getLogger(name).exception(
                'Failed to process message ... skipping it.'
            )
        logging.getLogger(name).error('The broker is gone')
    finally:
        logging.getLogger(name).removeFilter(quiet)

    assert counts[notifications.MALFORMED] == 1
    shouted = [r.getMessage() for r in caplog.records if r.levelno >= 30]
    assert shouted == ['The broker is gone']
    assert sys.exc_info() == (None, None, None)


def test_a_short_loss_of_the_bus_is_none():
    clock = clocks.Clock()
    lost: list[bool] = []
    hearing = notifications.Hearing(lambda: 'lost' if lost else None, clock)
    lost = [True]

    assert hearing.is_good()
    clock.advance(4.0)
    assert hearing.is_good()
    clock.advance(2.0)
    assert not hearing.is_good()

    lost = []
    assert hearing.is_good()
