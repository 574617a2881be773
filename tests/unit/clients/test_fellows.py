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
"""Agents tell each other of images and of words, on a bus in this process."""

import logging
import threading
import uuid

from oslo_config import cfg
import pytest

from dcn_distributor.clients.bus import fellows
from dcn_distributor.clients.bus import rpc
from dcn_distributor.clients.bus import server
from dcn_distributor.core import pauses
from tests import waiting

# oslo.messaging will know threads only, and then needs not be told.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using the 'executor' argument:DeprecationWarning"
)

WORD = pauses.Word(pauses.Kind.SITE, 'dcn0', True, 'alice', 1.0)
LATER = pauses.Word(pauses.Kind.SITE, 'dcn1', True, 'bob', 2.0)


class Agent:
    """One that only notes what its fellows tell it."""

    def __init__(self, conf, host):
        self.looked_at = []
        self.heard = []
        self.words = []
        self.fellows = fellows.Fellows(conf, host, lambda: self.words)
        self._server = server.Server(conf, host, None, self, self.fellows)

    def start(self):
        """Listen first, then speak."""
        self._server.start()
        self.fellows.start()

    def stop(self):
        """Leave nothing behind."""
        self.fellows.stop()
        self._server.stop()

    def look_at(self, image_id):
        """See server.Fellow."""
        self.looked_at.append(image_id)

    def hear(self, words):
        """See server.Fellow."""
        self.heard.extend(words)


def configuration(tmp_path, url):
    file = tmp_path / 'agent.conf'
    file.write_text(
        f'[DEFAULT]\ntransport_url = {url}\n'
        '[oslo_messaging_rabbit]\nrabbit_retry_interval = 1\n'
    )
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)])
    return conf


@pytest.fixture
def agents(tmp_path):
    conf = configuration(tmp_path, 'fake://')
    agents = [Agent(conf, f'ctl-{n}') for n in range(3)]
    for agent in agents:
        agent.start()
    yield agents
    # oslo.messaging takes a second to leave a poll: all at once.
    stopping = [threading.Thread(target=agent.stop) for agent in agents]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def ids(count):
    return [str(uuid.uuid4()) for _ in range(count)]


def test_all_others_look_at_what_one_passes_on_and_itself_does_not(agents):
    image_ids = ids(3)

    for image_id in image_ids:
        agents[0].fellows.pass_on(image_id)

    for other in agents[1:]:
        waiting.until(
            'the others look',
            lambda other=other: sorted(other.looked_at) == sorted(image_ids),
        )
    assert agents[0].looked_at == []


def test_what_comes_in_together_is_passed_on_once(agents):
    first, second = ids(2)

    for _ in range(50):
        agents[0].fellows.pass_on(first)
    agents[0].fellows.pass_on(second)
    waiting.until('it arrives', lambda: second in agents[1].looked_at)

    assert agents[1].looked_at.count(first) < 10


def test_a_burst_larger_than_one_message_arrives(agents):
    image_ids = ids(1200)

    for image_id in image_ids:
        agents[0].fellows.pass_on(image_id)

    waiting.until(
        'all arrive', lambda: set(agents[2].looked_at) == set(image_ids)
    )


def test_words_are_told_at_once_and_at_the_start(agents, tmp_path):
    agents[0].words = [WORD]

    agents[0].fellows.tell()

    waiting.until('the others hear', lambda: WORD in agents[2].heard)
    late = Agent(configuration(tmp_path, 'fake://'), 'ctl-9')
    late.words = [LATER]
    late.start()
    waiting.until('they hear of others', lambda: LATER in agents[2].heard)
    late.stop()


def test_who_comes_late_is_told_all_words(agents, tmp_path):
    agents[0].words = [WORD]
    late = Agent(configuration(tmp_path, 'fake://'), 'ctl-9')

    late.start()

    waiting.until('it hears', lambda: WORD in late.heard)
    late.stop()


def test_what_is_no_image_and_no_word_is_passed_over(agents, tmp_path):
    # Not at the top: clients.bus sees to how it is imported.
    import oslo_messaging

    conf = configuration(tmp_path, 'fake://')
    target = oslo_messaging.Target(
        exchange=rpc.EXCHANGE, topic=rpc.TOPIC, version='1.2', fanout=True
    )
    client = rpc.make_client(rpc.open_transport(conf), target)
    (image_id,) = ids(1)

    for told in (None, ['x', 7, image_id], {'a': 1}):
        client.cast({}, 'look_at', image_ids=told, sender='stranger')
    for told in (None, ['x', pauses.plain(WORD)], {'a': 1}):
        client.cast({}, 'hear', words=told, sender='stranger')

    waiting.until('the word arrives', lambda: WORD in agents[1].heard)
    waiting.until('the id arrives', lambda: agents[1].looked_at == [image_id])


def test_a_bus_that_is_down_holds_nobody_up(tmp_path, caplog):
    url = 'rabbit://nobody:secret@127.0.0.1:1/'
    lonely = fellows.Fellows(configuration(tmp_path, url), 'ctl-0', list)

    with caplog.at_level(logging.WARNING):
        for image_id in range(30_000):
            lonely.pass_on(image_id)
        lonely.start()
        waiting.until('it is tried', lambda: 'nor of words' in caplog.text)
        for _ in range(3):
            lonely.pass_on('another')
            lonely.tell()
    lonely.stop()

    told = [r.msg for r in caplog.records if r.name.endswith('fellows')]
    assert len(told) == len(set(told)) == 2
    assert 'resyncs will find' in told[0]
    assert 'secret' not in caplog.text


def test_who_has_no_fellows_tells_nobody():
    nobody = fellows.Nobody()

    nobody.start()
    nobody.pass_on('x')
    nobody.tell()
    nobody.stop()
