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
"""Asking an agent over RPC, on a bus inside this process."""

import threading

from kombu import exceptions as kombu_exceptions
from oslo_config import cfg
import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients.bus import control
from dcn_distributor.clients.bus import fellows
from dcn_distributor.clients.bus import rpc
from dcn_distributor.clients.bus import server
from tests import waiting

# oslo.messaging will know threads only, and then needs not be told.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using the 'executor' argument:DeprecationWarning"
)


class Agent:
    """An agent that notes what it is asked."""

    def __init__(self, host='ctl-0'):
        self.host = host
        self.asked = []
        self.looked_at = []
        self.heard = []
        self.has_image = threading.Event()
        self.has_image.set()

    def resync(self, image_ids):
        """See control.Agent."""
        self.asked.append(image_ids)
        return {'host': self.host, 'looking_at': len(image_ids) or None}

    def remembered(self):
        """See control.Agent."""
        return {'host': self.host, 'setbacks': {}, 'troubles': {}}

    def transfers(self):
        """See control.Agent."""
        return {'host': self.host, 'transfers': []}

    def routes(self, image_id):
        """See control.Agent."""
        assert self.has_image.wait(60.0)
        return {'host': self.host, 'routes': {'dcn0': {'engine': None}}}

    def copy(self, image_id, site_names, engine):
        """See control.Agent."""
        self.asked.append((image_id, site_names, engine))
        assert self.has_image.wait(60.0)
        return {'host': self.host, 'accepted': site_names, 'refused': {}}

    def who(self):
        """See control.Agent."""
        return {'host': self.host, 'members': [self.host]}

    def timeline(self, image_id):
        """See control.Agent."""
        self.asked.append(image_id)
        return {'host': self.host, 'since_s': {self.host: 1.0}}

    def rest(self, kind, name, rests, by, why):
        """See control.Agent."""
        self.asked.append((kind, name, rests, by, why))
        return {'host': self.host, 'refused': None, 'is_new': True}

    def look_at(self, image_id):
        """See server.Fellow."""
        self.looked_at.append(image_id)

    def hear(self, words):
        """See server.Fellow."""
        self.heard.extend(words)


class OldEndpoint:
    """What an agent of the first release answers to."""

    def __init__(self, target):
        self.target = target

    def remembered(self, context):
        """Tell what the first release told."""
        return {'host': 'old', 'setbacks': {}, 'troubles': {}}


@pytest.fixture
def conf(tmp_path):
    # The whole configuration is our own: cfg.CONF has nothing to do with it.
    file = tmp_path / 'agent.conf'
    file.write_text('[DEFAULT]\ntransport_url = fake://\n')
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)])
    return conf


@pytest.fixture
def agent(conf):
    agent = Agent()
    ear = server.Server(conf, 'ctl-0', agent, agent, NOBODY)
    ear.start()
    yield agent
    ear.stop()


NOBODY = fellows.Nobody()
IMAGE_ID = '3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11'


def test_what_an_agent_remembers(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.remembered()['host'] == 'ctl-0'


def test_what_happened_to_an_image(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.timeline(IMAGE_ID)['since_s'] == {'ctl-0': 1.0}
    assert client.timeline('no id') == {'host': 'ctl-0'}
    assert agent.asked == [IMAGE_ID]


def test_resync_of_all_and_of_some(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.resync([])['looking_at'] is None
    assert client.resync([IMAGE_ID])['looking_at'] == 1
    assert agent.asked == [[], [IMAGE_ID]]


def test_what_is_no_id_is_not_looked_at(conf, agent):
    assert control.Client(conf, 5.0).resync(['x'])['looking_at'] == 0
    assert agent.asked == []


def test_no_agent_is_bus_unavailable(conf):
    with pytest.raises(exceptions.BusUnavailable, match='no agent answered'):
        control.Client(conf, 0.1).remembered()


def test_what_is_streamed_and_which_way_images_go(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.transfers()['transfers'] == []
    assert client.routes(IMAGE_ID)['routes'] == {'dcn0': {'engine': None}}


@pytest.mark.parametrize('engine', [None, 'rbd-stream'])
def test_an_order_reaches_the_agent_as_it_was_given(conf, agent, engine):
    answer = control.Client(conf, 5.0).copy(IMAGE_ID, ['dcn0'], engine)

    assert answer['accepted'] == ['dcn0']
    assert agent.asked == [(IMAGE_ID, ['dcn0'], engine)]


def test_an_order_for_what_is_no_id_is_refused(conf, agent):
    client = control.Client(conf, 5.0)

    assert set(client.copy('x', ['dcn0'], None)['refused']) == {'dcn0'}
    assert client.routes('x')['routes'] == {}
    assert agent.asked == []


def test_an_agent_that_asks_glance_is_waited_for_longer(conf, agent):
    client = control.Client(conf, 0.5, 60.0)
    agent.has_image.clear()
    answering = threading.Timer(2.0, agent.has_image.set)
    answering.start()

    answer = client.copy(IMAGE_ID, ['dcn0'], None)

    assert answer['accepted'] == ['dcn0']
    agent.has_image.clear()
    with pytest.raises(exceptions.BusUnavailable, match=r'within 0\.2 s'):
        control.Client(conf, 0.1, 0.2).routes(IMAGE_ID)
    agent.has_image.set()


def test_calls_that_wait_for_glance_hold_up_no_others(conf, agent):
    agent.has_image.clear()
    client = control.Client(conf, 10.0, 60.0)
    asking = [
        threading.Thread(target=client.copy, args=[IMAGE_ID, ['dcn0'], None])
        for _ in range(5)
    ]
    for thread in asking:
        thread.start()
    waiting.until('all have asked', lambda: len(agent.asked) == len(asking))

    assert client.remembered()['host'] == 'ctl-0'

    agent.has_image.set()
    for thread in asking:
        thread.join()


@pytest.fixture
def old_agent(conf):
    # Not at the top: clients.bus sees to how it is imported.
    import oslo_messaging

    ear = oslo_messaging.get_rpc_server(
        oslo_messaging.get_rpc_transport(conf),
        oslo_messaging.Target(
            exchange=rpc.EXCHANGE, topic=rpc.TOPIC, server='old'
        ),
        [OldEndpoint(oslo_messaging.Target(version='1.0'))],
        executor='threading',
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )
    ear.start()
    yield
    ear.stop()
    ear.wait()


def test_an_old_agent_answers_what_it_can(conf, old_agent):
    client = control.Client(conf, 5.0)

    assert client.remembered()['host'] == 'old'
    with pytest.raises(exceptions.AgentTooOld, match='too old'):
        client.transfers()
    with pytest.raises(exceptions.AgentTooOld):
        client.who()


def test_each_agent_can_be_asked_by_its_name(conf, agent):
    other = Agent('ctl-1')
    ear = server.Server(conf, 'ctl-1', other, other, NOBODY)
    ear.start()
    client = control.Client(conf, 5.0)

    hosts = {client.at(name).who()['host'] for name in ('ctl-0', 'ctl-1')}

    ear.stop()
    assert hosts == {'ctl-0', 'ctl-1'}
    with pytest.raises(exceptions.BusUnavailable, match='on ctl-9 does not'):
        control.Client(conf, 0.1).at('ctl-9').who()


def test_a_word_to_rest_reaches_the_agent_as_it_was_given(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.rest('site', 'dcn0', True, 'alice', 'why')['is_new']
    assert agent.asked == [('site', 'dcn0', True, 'alice', 'why')]


def test_a_word_that_is_none_is_refused(conf, agent):
    client = control.Client(conf, 5.0)

    assert client.rest('site', 'dcn0', 'yes', 'alice', '')['refused']
    assert agent.asked == []


class _Dead:
    """What oslo.messaging gives when all hosts of a bus are down."""

    def call(self, context, method, **arguments):
        """Fail as kombu does, which oslo.messaging lets through."""
        raise kombu_exceptions.OperationalError('[Errno 111] refused')


def test_a_bus_whose_hosts_are_all_down_cannot_be_used(conf, monkeypatch):
    monkeypatch.setattr(rpc, 'make_client', lambda *_, **__: _Dead())

    with pytest.raises(exceptions.BusUnavailable, match='cannot be used'):
        control.Client(conf, 3.0, 3.0).remembered()
