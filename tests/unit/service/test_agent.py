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
"""The agent with its threads, before a Glance in memory."""

import dataclasses
import threading
import time

import pytest

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor.app import agent as agent_app
from dcn_distributor.clients import groups
from dcn_distributor.clients import systemd
from dcn_distributor.clients.bus import notifications
from dcn_distributor.conf import coordination
from dcn_distributor.conf import metrics
from dcn_distributor.core import choosing
from dcn_distributor.core import retry
from dcn_distributor.core import transfers
from dcn_distributor.service import sights
from tests import waiting
from tests.fakes import glance as fake_glance
from tests.fakes import observer as fake_observer
from tests.fakes import streams as fake_streams
from tests.unit.service import world as worlds

BOTH = {'dcn0', 'dcn1'}
SITES = 'version: 1\ncentral: {store: central}\nsites: {dcn0: {}, dcn1: {}}\n'
PUBLIC = (
    'version: 1\n'
    'policies: {all: {match: {visibility: [public]}, sites: all}}\n'
)
SOON = retry.Backoff(base_s=0.1, cap_s=1.0)
NOTHING = 'version: 1\npolicies: {}\n'


class Ear:
    """Hears nothing; may take as long to open as a bus that is down.

    May also never close, like a bus that was lost, or refuse to open.
    """

    def __init__(self, opens=True, closes=True, refusals=0):
        self.stopped = threading.Event()
        self.opened = threading.Event()
        self._lets_open = threading.Event()
        self._lets_close = threading.Event()
        self._refusals = refusals
        if opens:
            self._lets_open.set()
        if closes:
            self._lets_close.set()

    def start(self):
        """Open, or wait for that."""
        if self._refusals:
            self._refusals -= 1
            raise OSError('refused')
        self._lets_open.wait()
        self.opened.set()

    def stop(self):
        """Close, or wait for that."""
        self.stopped.set()
        self._lets_close.wait()

    def let_go(self):
        """Let whoever waits go on."""
        self._lets_open.set()
        self._lets_close.set()


class Service:
    """An agent, its files, and a Glance whose imports the test ends."""

    def __init__(self, directory, placement, has_streams, backoff):
        self.has_streams = has_streams
        self.placement_file = directory / 'placement.yaml'
        self.placement_file.write_text(placement)
        self.sites_file = directory / 'sites.yaml'
        self.sites_file.write_text(SITES)
        self.glance = fake_glance.FakeGlance(
            ('central', 'dcn0', 'dcn1'), time.time
        )
        settings = configuration.Settings(
            host='controller-1',
            group=coordination.Coordination('', 30.0),
            state_dir=str(directory),
            sites_file=str(directory / 'sites.yaml'),
            placement_file=str(self.placement_file),
            topic='topic',
            notification_topics=(),
            workers=4,
            resync_interval_s=3600.0,
            limits=dataclasses.replace(worlds.LIMITS, backoff=backoff),
            choice=choosing.Options(),
            remove_orphans=False,
            streaming=transfers.Tuning(),
            metrics=metrics.Address('127.0.0.1', 0),
        )
        self.streams = None
        self.observer = fake_observer.Observer()
        built = agent_app.build_agent(
            settings,
            app.rule_reader(settings)(),
            self.glance,
            self._make_streams,
            lambda on_change: groups.Alone('controller-1'),
            notifications.Counts(),
            systemd.Systemd({}),
            self.observer,
            lambda: None,
            [],
        )
        self.agent, self.answers = built.agent, built.answers
        self.parts = built.parts
        self.ear = Ear()

    def _make_streams(self, wake, wake_all):
        if self.has_streams:
            self.wake_all = wake_all
            self.streams = fake_streams.FakeStreams(
                self.glance, time.time, wake, set()
            )
        return self.streams

    def start(self):
        """Start the agent."""
        self.agent.start([self.ear])

    def wait_for_import(self, image_id):
        """Wait until the agent has asked, then let Glance do it."""
        waiting.until(
            'the import is asked for',
            lambda: image_id in {i.image_id for i in self.glance.running},
        )
        assert self.glance.finish(image_id)

    def wait_for_refusal(self, image_id):
        """Wait until it is refused for good; return the reason."""

        def refusal():
            setbacks = self.answers.remembered()['setbacks']
            told = setbacks.get(image_id, {}).get('dcn0', {'next_try_s': 0.0})
            return told['next_try_s'] is None and told['reason']

        return waiting.until('it is refused', refusal)

    def stores(self, image_id):
        """The edge stores that hold it."""
        return set(self.glance.get(image_id).stores) - {'central'}


@pytest.fixture
def make_service(tmp_path):
    made = []
    before = {*threading.enumerate()}

    def make(placement=PUBLIC, has_streams=False, backoff=SOON):
        made.append(Service(tmp_path, placement, has_streams, backoff))
        return made[-1]

    yield make
    for service in made:
        service.ear.let_go()
        service.agent.stop(60.0)
    waiting.until(
        'all of its threads end',
        lambda: before.issuperset(threading.enumerate()),
    )


def test_what_is_there_at_the_start_is_found(make_service):
    service = make_service()
    image_id = service.glance.add().id

    service.start()
    service.wait_for_import(image_id)

    assert service.stores(image_id) == BOTH


def test_a_hint_leads_to_a_copy_at_once(make_service):
    service = make_service()
    service.start()
    image_id = service.glance.add().id

    service.agent.look_at(image_id)
    service.wait_for_import(image_id)

    assert service.stores(image_id) == BOTH


def test_new_policies_are_applied_to_what_is_there(make_service):
    service = make_service(NOTHING)
    image_id = service.glance.add().id
    service.start()

    service.placement_file.write_text(PUBLIC)
    service.agent.reload(None)
    service.wait_for_import(image_id)

    assert service.stores(image_id) == BOTH


def test_broken_policies_leave_the_old_ones_in_force(make_service):
    service = make_service()
    service.start()

    service.placement_file.write_text('policies: [')
    service.agent.reload(None)
    image_id = service.glance.add().id
    service.agent.look_at(image_id)
    service.wait_for_import(image_id)

    assert service.stores(image_id) == BOTH


def test_a_resync_asked_for_tries_again_what_had_failed_for_good(
    make_service,
):
    service = make_service()
    image_id = service.glance.add(disk_format=None).id
    service.start()

    assert 'format' in service.wait_for_refusal(image_id)

    service.glance.change(image_id, disk_format='raw')
    answer = service.answers.resync([])
    service.wait_for_import(image_id)

    assert answer['looking_at'] is None
    assert service.stores(image_id) == BOTH


def test_a_resync_lifts_the_pause_of_a_store_that_failed(make_service):
    service = make_service(backoff=retry.Backoff(base_s=600.0, cap_s=3600.0))
    service.glance.fail('dcn0')
    image_id = service.glance.add().id
    service.start()
    service.wait_for_import(image_id)
    service.agent.look_at(image_id)
    waiting.until(
        'the store is in trouble',
        lambda: service.answers.remembered()['troubles'],
    )
    service.glance.heal()

    service.answers.resync([])
    service.wait_for_import(image_id)

    assert service.glance.get(image_id).stores >= BOTH


def test_an_outage_at_the_start_ends_by_itself(make_service):
    service = make_service()
    image_id = service.glance.add().id
    service.glance.go_down(calls=1)

    service.start()
    service.wait_for_import(image_id)

    assert service.stores(image_id) == BOTH


def test_work_goes_on_while_the_bus_is_out_of_reach(make_service):
    service = make_service()
    service.ear = Ear(opens=False)
    image_id = service.glance.add().id

    service.start()
    service.wait_for_import(image_id)
    service.agent.stop(60.0)

    assert service.stores(image_id) == BOTH
    assert service.ear.stopped.is_set()


def test_a_lost_bus_and_a_look_that_hangs_are_left_behind(make_service):
    service = make_service()
    service.ear = Ear(closes=False)
    service.start()
    image_id = service.glance.add().id

    with service.glance.hung():
        service.agent.look_at(image_id)
        waiting.until(
            'the look begins', lambda: service.answers.remembered()['looks']
        )
        service.agent.stop(0.5)

    assert service.ear.stopped.is_set()


def test_a_bus_that_refuses_is_tried_again(make_service, caplog):
    service = make_service()
    service.ear = Ear(refusals=2)

    service.start()

    assert service.ear.opened.wait(30)
    assert caplog.text.count('cannot be listened to') == 2


def test_looks_and_events_are_counted(make_service):
    service = make_service(NOTHING)
    service.start()
    image_id = service.glance.add().id

    service.agent.look_at(image_id)

    waiting.until(
        'the look', lambda: service.answers.remembered()['looks'] == 1
    )
    assert service.answers.remembered()['events'] == {
        'handled': 0,
        'ignored': 0,
        'malformed': 0,
    }


def test_an_image_that_was_deleted_unheard_is_forgotten(make_service):
    service = make_service()
    image_id = service.glance.add(disk_format=None).id
    service.start()
    service.wait_for_refusal(image_id)
    waiting.until(
        'the last look', lambda: service.answers.remembered()['looks'] == 3
    )

    service.glance.delete(image_id)
    service.answers.resync([])

    waiting.until(
        'it is forgotten', lambda: not service.answers.remembered()['setbacks']
    )


BY_STREAM = (
    'version: 1\n'
    'policies: {all: {match: {}, sites: all, '
    'transfer: {engine: rbd-stream}}}\n'
)


def stream(service, image_id):
    """Wait until an image is streamed, and let that end."""
    waiting.until(
        'the stream begins', lambda: image_id in service.streams.running
    )
    service.streams.finish()


def test_a_stream_that_ends_has_its_image_looked_at_at_once(make_service):
    service = make_service(BY_STREAM, has_streams=True)
    service.start()
    image_id = service.glance.add().id

    service.agent.look_at(image_id)
    stream(service, image_id)

    waiting.until(
        'the copies are booked',
        lambda: (
            service.answers.remembered()['verified'].get(image_id)
            == ['dcn0', 'dcn1']
        ),
    )
    (told,) = service.answers.transfers()['transfers']
    assert {lane['phase'] for lane in told['lanes']} == {'done'}


def test_streams_are_broken_off_when_the_agent_stops(make_service):
    service = make_service(BY_STREAM, has_streams=True)
    image_id = service.glance.add().id
    service.start()
    waiting.until('the stream begins', lambda: service.streams.running)

    service.agent.stop(60.0)

    assert not service.streams.running
    assert service.stores(image_id) == set()


def test_a_reload_gives_streams_their_rate_and_their_sites(make_service):
    service = make_service(has_streams=True)
    service.start()
    assert len(service.streams.sites) == 2

    service.sites_file.write_text(SITES.replace('dcn1: {}', 'dcn2: {}'))
    service.agent.reload(5e6)

    assert service.streams.rate_bytes_s == 5e6
    assert [site.name for site in service.streams.sites] == ['dcn0', 'dcn2']


def test_broken_sites_leave_streams_the_old_ones(make_service):
    service = make_service(has_streams=True)
    service.start()

    service.sites_file.write_text('sites: [')
    service.agent.reload(5e6)

    assert [site.name for site in service.streams.sites] == ['dcn0', 'dcn1']


def test_a_site_that_became_fit_gets_what_waited_for_it(make_service):
    service = make_service(BY_STREAM, has_streams=True)
    service.streams.obstructed['dcn0'] = ('no caps',)
    image_id = service.glance.add().id
    service.start()
    stream(service, image_id)
    waiting.until('dcn1 has it', lambda: service.stores(image_id) == {'dcn1'})

    service.streams.heal()
    service.wake_all()
    stream(service, image_id)

    waiting.until('dcn0 has it', lambda: service.stores(image_id) == BOTH)


def test_each_resync_has_leftovers_swept(make_service):
    service = make_service(NOTHING, has_streams=True)

    service.start()

    waiting.until('a sweep', lambda: service.streams.sweeps)


def test_an_order_needs_no_policy(make_service):
    service = make_service(NOTHING, has_streams=True)
    service.start()
    image_id = service.glance.add().id

    answer = service.answers.copy(image_id, ['dcn1'], 'rbd-stream')
    stream(service, image_id)

    assert answer['accepted'] == ['dcn1']
    waiting.until('dcn1 has it', lambda: service.stores(image_id) == {'dcn1'})
    waiting.until(
        'the order is done', lambda: not service.answers.remembered()['orders']
    )


@pytest.mark.parametrize(
    ('sites', 'engine', 'reason'),
    [
        (['dcn0'], None, 'already there'),
        (['dcn7'], None, 'no site dcn7'),
        (['dcn1'], 'rsync', 'no engine rsync'),
        (['dcn1'], 'rbd-stream', 'its caps are too narrow'),
    ],
)
def test_an_order_in_vain_is_refused(make_service, sites, engine, reason):
    service = make_service(NOTHING, has_streams=True)
    service.streams.obstructed['dcn1'] = ('its caps are too narrow',)
    service.start()
    image_id = service.glance.add(stores=frozenset({'central', 'dcn0'})).id

    answer = service.answers.copy(image_id, sites, engine)

    assert answer['accepted'] == []
    assert reason in answer['refused'][sites[0]]
    assert not service.answers.remembered()['orders']


def test_an_order_for_no_image_is_refused(make_service):
    service = make_service(NOTHING)
    service.start()
    image_id = service.glance.add(status='queued').id

    queued = service.answers.copy(image_id, ['dcn0'], None)
    service.glance.delete(image_id)
    gone = service.answers.copy(image_id, ['dcn0', 'dcn1'], None)

    assert 'queued' in queued['refused']['dcn0']
    assert set(gone['refused']) == BOTH
    assert gone['accepted'] == []


def test_routes_tell_the_engine_and_what_it_waits_for(make_service):
    service = make_service(BY_STREAM, has_streams=True)
    service.streams.obstructed['dcn1'] = ('its caps are too narrow',)
    image_id = service.glance.add().id

    told = service.answers.routes(image_id)['routes']

    assert told['dcn0']['engine'] == 'rbd-stream'
    assert told['dcn0']['waits'] is None
    assert told['dcn1']['engine'] is None
    assert 'its caps are too narrow' in told['dcn1']['reason']

    service.start()
    waiting.until('the stream begins', lambda: service.streams.running)
    told = service.answers.routes(image_id)['routes']
    assert told['dcn0']['reason'] == 'the policies ask for rbd-stream'
    assert told['dcn0']['waits'] is None

    service.placement_file.write_text(BY_STREAM.replace('rbd-stream', 'auto'))
    service.agent.reload(None)
    told = service.answers.routes(image_id)['routes']
    assert told['dcn0']['engine'] == 'rbd-stream'
    # What had it begin, whatever would be chosen now.
    assert told['dcn0']['reason'] == 'the policies ask for rbd-stream'


def test_obstacles_are_told_of_sites_that_have_clusters(make_service):
    service = make_service(NOTHING, has_streams=True)
    cluster = 'cluster: {conf: /c, user: u, pool: images}'
    service.sites_file.write_text(
        SITES.replace('dcn1: {}', f'dcn1: {{{cluster}}}')
    )
    service.start()
    service.agent.reload(None)

    service.streams.obstructed = {'dcn0': ('no',), 'dcn1': ('no caps',)}

    assert service.answers.remembered()['obstacles'] == {'dcn1': ['no caps']}


def test_how_it_stands_can_be_seen(make_service):
    service = make_service()
    image_id = service.glance.add('image').id
    happened_s = time.time() - 5.0
    service.parts.witness.traces.note(image_id, 'event-1', happened_s)
    service.start()
    waiting.until(
        'the import is asked for',
        lambda: image_id in {i.image_id for i in service.glance.running},
    )

    standing = waiting.until(
        'it is booked',
        lambda: (
            now
            if sum((now := sights.standing(service.parts)).active.values())
            else None
        ),
    )

    assert standing.active == {'dcn0': 1, 'dcn1': 1}
    assert standing.reachable == {'dcn0': True, 'dcn1': True}
    assert not standing.is_refused
    report = sights.report(service.parts)
    assert (
        'copy-image to dcn0, dcn1' in report['Under way']['copies'][image_id]
    )
    assert report['Queue']['looks at images since the start'] >= 1
    waiting.until('the look is told', lambda: service.observer.looks)
    assert 5.0 <= service.observer.lags[0] < 60.0
    census = waiting.until(
        'all is counted', lambda: sights.standing(service.parts).census
    )
    assert census.desired == {'dcn0': 1, 'dcn1': 1}


def test_policies_that_are_refused_are_seen_until_they_are_put_right(
    make_service,
):
    service = make_service()
    service.start()

    service.placement_file.write_text('[oops')
    service.agent.reload(None)
    assert sights.standing(service.parts).is_refused
    service.placement_file.write_text(PUBLIC)
    service.agent.reload(None)

    standing = sights.standing(service.parts)
    assert (standing.is_refused, standing.load_errors) == (False, 1)


def test_a_site_with_a_cluster_that_does_not_answer_is_not_reachable(
    make_service,
):
    service = make_service(has_streams=True)
    service.sites_file.write_text(
        'version: 1\ncentral: {store: central}\nsites:\n'
        '  dcn0: {cluster: {conf: /etc/ceph/dcn0.conf}}\n  dcn1: {}\n'
    )
    service.start()
    service.agent.reload(None)

    gone = choosing.Passing('no answer')
    service.streams.obstructed = {'dcn0': (gone,), 'dcn1': (gone,)}

    reachable = sights.standing(service.parts).reachable
    assert reachable == {'dcn0': False, 'dcn1': True}
