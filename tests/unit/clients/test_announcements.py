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
"""What the agent tells others on the bus, and that it never waits for them."""

import contextlib
import logging
import socket

from oslo_config import cfg
import pytest

from dcn_distributor.clients.bus import announcements
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import transitions
from tests import waiting
from tests.fakes import images as fake_images

# Not before ours, which keeps it from loading eventlet.
oslo_messaging = announcements.oslo_messaging

SITE = sites.Site(sites.SiteName('oslo'), images.StoreId('dcn0'), {})


def event(state=placements.State.COPYING, failure=None, site=SITE, **told):
    """Make what happened to an image at a site."""
    attributes = {
        'at_s': 1.0,
        'store': images.StoreId('dcn0'),
        'state': state,
        'engine': 'rbd-stream',
        'seconds': 2.0004,
        'reason': 'because',
        'trace': 'req-7',
        'attempt': 3,
        'failure': failure,
    }
    return transitions.Event(
        transitions.Transition(**{**attributes, **told}),
        fake_images.image(),
        site,
        'everywhere',
        transitions.Traffic(images.StoreId('central'), 17),
    )


class Reader:
    """Hears notifications as a service beside the agent would."""

    def __init__(self):
        self.heard = []

    def info(self, context, publisher_id, event_type, payload, metadata):
        """Take one; oslo.messaging calls this by priority."""
        self.heard.append((publisher_id, event_type, payload))

    error = info


def configuration(transport_url):
    """Make a configuration of its own with this bus."""
    conf = cfg.ConfigOpts()
    conf([], project='test', default_config_files=[])
    oslo_messaging.get_notification_transport(conf, transport_url)
    conf.set_override('transport_url', transport_url)
    return conf


@contextlib.contextmanager
def announcer(transport_url, topics=('notifications',)):
    """Have one send, until the end."""
    made = announcements.Announcer(
        configuration(transport_url), topics, 'ctl-0'
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def reader():
    """Listen on a bus in memory."""
    endpoint = Reader()
    listener = oslo_messaging.get_notification_listener(
        oslo_messaging.get_notification_transport(configuration('fake://')),
        [
            oslo_messaging.Target(
                exchange=announcements.EXCHANGE, topic='notifications'
            )
        ],
        [endpoint],
        executor='threading',
    )
    listener.start()
    yield endpoint
    listener.stop()
    listener.wait()


def test_what_becomes_of_a_copy_is_told_to_whoever_listens(reader):
    failed = observing.Attempt.PUT_OFF
    with announcer('fake://') as tells:
        tells.note(event())
        tells.note(event(placements.State.VERIFIED))
        tells.note(event(placements.State.FAILED, failed))
        waiting.until('all are heard', lambda: len(reader.heard) == 3)

    assert {told[1] for told in reader.heard} == {
        'image.distribution.copy.start',
        'image.distribution.copy.end',
        'image.distribution.copy.error',
    }
    publisher, _, payload = next(
        told for told in reader.heard if told[1].endswith('.error')
    )
    assert publisher == 'image.distribution.ctl-0'
    assert payload == {
        'version': '1.0',
        'agent': 'ctl-0',
        'image_id': fake_images.ID,
        'image_name': 'rhel-9-base',
        'size_bytes': 2**30,
        'site': 'oslo',
        'store': 'dcn0',
        'link': 'oslo',
        'policy': 'everywhere',
        'state': 'failed',
        'engine': 'rbd-stream',
        'source': 'central',
        'sent_bytes': 17,
        'seconds': 2.0,
        'attempt': 3,
        'error': 'put_off',
        'reason': 'because',
        'trace_id': 'req-7',
    }
    assert not tells.lost


@pytest.mark.parametrize(
    ('state', 'error'),
    [
        (placements.State.COPYING, None),
        (placements.State.PRESENT, None),
        (placements.State.VERIFIED, None),
        (placements.State.ABSENT, 'broken_off'),
    ],
)
def test_only_what_is_no_error_has_none(state, error):
    payload = announcements.payload(event(state), 'ctl-0')

    assert payload['error'] == error


def test_a_store_whose_site_is_gone_is_told_without_one():
    payload = announcements.payload(event(site=None), 'ctl-0')

    assert payload['store'] == 'dcn0'
    assert payload['site'] is payload['link'] is None


@pytest.fixture
def closed_port():
    """Give a port that nothing listens on, and nobody else takes."""
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        yield bound.getsockname()[1]


def test_a_bus_that_is_away_is_warned_of_once_and_all_losses_count(
    closed_port, caplog
):
    with announcer(f'rabbit://u:secret@127.0.0.1:{closed_port}/') as tells:
        for _ in range(3):
            tells.note(event())
        waiting.until('all are given up', lambda: tells.lost == 3)

    told = [r for r in caplog.records if r.levelno >= logging.WARNING]
    ours = [r for r in told if r.name == announcements.__name__]
    assert [r.levelname for r in ours] == ['WARNING']
    # oslo.messaging's own lines on each of them are not among these.
    assert told == ours
    assert 'secret' not in caplog.text


def test_it_ends_at_once_though_much_waits_for_a_bus_that_is_away(closed_port):
    with announcer(f'rabbit://u:p@127.0.0.1:{closed_port}/') as tells:
        tells.note(event())
        waiting.until('one is given up', lambda: tells.lost)
        for _ in range(500):
            tells.note(event())

    assert tells.lost == 501


def test_what_comes_before_the_start_is_kept_within_bounds():
    tells = announcements.Announcer(
        configuration('fake://'), ['notifications'], 'ctl-0'
    )

    for _ in range(2000):
        tells.note(event())

    assert tells.lost == 1000


def test_without_a_topic_nothing_is_sent_nor_lost(reader):
    with announcer('fake://', topics=()) as silent, announcer('fake://') as it:
        for _ in range(2000):
            silent.note(event(reason='unheard'))
        it.note(event())
        waiting.until('one is heard', lambda: reader.heard)

    assert [told[2]['reason'] for told in reader.heard] == ['because']
    assert not silent.lost
