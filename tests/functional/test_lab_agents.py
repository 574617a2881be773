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
"""A lab with several agents, etcd and a RabbitMQ cluster."""

from collections.abc import Iterator
import configparser
import contextlib
from pathlib import Path
from typing import Any

import amqp
import kombu
from oslo_config import cfg
import pytest

from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.clients.bus import control
from lab import deployment
from lab import errors
from lab import http
from lab import processes
from tests import lab_views
from tests import waiting
from tests.integration import publishers

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

AGENTS = ('agent-1', 'agent-2', 'agent-3')
NODES = ('rabbitmq-1', 'rabbitmq-2', 'rabbitmq-3')


@pytest.fixture(scope='module')
def lab(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[deployment.Lab]:
    """Return a lab of our own: these tests kill its servers."""
    one = deployment.Lab(
        tmp_path_factory.mktemp('lab') / 'l',
        sites=('edge',),
        agents=len(AGENTS),
        rabbitmq_nodes=len(NODES),
    )
    one.up()
    yield one
    one.down(purge=True)


@pytest.fixture(autouse=True)
def _healthy(lab: deployment.Lab) -> Iterator[None]:
    """Let no test hand a broken lab to the next."""
    yield
    if not all(status.is_healthy for status in lab.status()):
        lab.up()


def agent_answers(lab: deployment.Lab) -> bool:
    """Ask whichever agent hears it, over the cluster."""
    conf = cfg.ConfigOpts()
    configuration.register_opts(conf)
    configuration.read(conf, [], [str(lab.agent_conf)])
    with contextlib.suppress(exceptions.BusUnavailable):
        return 'events' in control.Client(conf, timeout_s=3.0).remembered()
    return False


def ask_etcd(lab: deployment.Lab, what: str, **body: str) -> dict[str, Any]:
    """Ask by HTTP, as tooz does; keys and values are in base64."""
    scheme, _, place = lab.coordination_url.partition('://')
    assert scheme == 'etcd3+http'
    answer = http.request('POST', f'http://{place}/v3/kv/{what}', body=body)
    assert answer.status == 200, answer
    return answer.json()


@contextlib.contextmanager
def publisher(url: str) -> Iterator[publishers.Publisher]:
    """Give one on a topic of our own, whose queue is declared."""
    made = publishers.Publisher(url, 'lab_agents', 'quorum')
    try:
        made.declare()
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def emptied(url: str) -> Iterator[None]:
    """Leave nothing on that topic, whatever comes of the test."""
    try:
        yield
    finally:
        with publisher(url) as one:
            one.purge()


def url_of(lab: deployment.Lab, node: str) -> str:
    """Give the URL of one node alone."""
    port = dict(lab.service(node).status().ports)['server']
    password = lab.state.passwords['rabbitmq']
    return f'rabbit://openstack:{password}@127.0.0.1:{port}/'


def announced(lab: deployment.Lab, node: str) -> list[str]:
    """Take what Glance announced to others, from one node of the cluster.

    Nothing more comes while the queue has no leader: for a moment after a
    node was lost the others ask that one.
    """
    found: list[str] = []
    url = url_of(lab, node).replace('rabbit://', 'amqp://', 1)
    nodedown = contextlib.suppress(amqp.exceptions.InternalError)
    with kombu.Connection(url) as connection, nodedown:
        queue = connection.channel().basic_get
        while message := queue('notifications.info', no_ack=True):
            found.append(str(message.body))
    return found


def test_all_services_are_healthy(lab: deployment.Lab) -> None:
    statuses = lab.status()

    assert {s.name for s in statuses} == {
        'rabbitmq-epmd',
        *NODES,
        'keystone',
        'ceph-central',
        'ceph-edge',
        'glance',
        'etcd',
        *AGENTS,
    }
    assert [s for s in statuses if not s.is_healthy] == []


def test_each_agent_has_a_name_and_files_of_its_own(
    lab: deployment.Lab,
) -> None:
    environment = lab.environment()
    confs = environment['LAB_AGENT_CONFS'].split()
    parsers = [configparser.RawConfigParser() for _ in confs]
    for parser, path in zip(parsers, confs, strict=True):
        parser.read(path)

    assert confs[0] == environment['LAB_AGENT_CONF']
    assert [p['DEFAULT']['host'] for p in parsers] == list(AGENTS)
    directories = {p['agent']['state_dir'] for p in parsers}
    assert len(directories) == len(AGENTS)
    assert all(Path(d).stat().st_mode & 0o777 == 0o700 for d in directories)
    assert {p['coordination']['backend_url'] for p in parsers} == {
        environment['LAB_COORDINATION_URL']
    }
    for name in AGENTS:
        assert 'Agent started' in lab.state.log(name).read_text()


def test_up_leaves_running_services_alone(lab: deployment.Lab) -> None:
    before = [(s.name, s.pids, s.ports) for s in lab.status()]
    again = deployment.Lab(lab.directory)
    again.up()

    assert [(s.name, s.pids, s.ports) for s in again.status()] == before


def test_every_port_is_on_loopback(lab: deployment.Lab) -> None:
    owners = processes.marked(lab_views.identity(lab))
    listening = lab_views.listening(owners)

    wanted = {port for s in lab.status() for _, port in s.ports}
    assert wanted <= {port for _, port in listening}
    assert {address for address, _ in listening} <= {'127.0.0.1', '::1'}


def test_no_secret_is_an_argument_or_in_a_log(lab: deployment.Lab) -> None:
    secrets = lab_views.secrets_of(lab)
    cookie = lab.directory / 'rabbitmq-epmd' / '.erlang.cookie'
    secrets.append(cookie.read_bytes())

    assert cookie.stat().st_mode & 0o777 == 0o400
    assert lab_views.places_with(lab, secrets) == []


def test_what_etcd_holds_outlives_its_end(lab: deployment.Lab) -> None:
    ask_etcd(lab, 'put', key='bWVtYmVy', value='c29tZWJvZHk=')

    lab.service('etcd').kill()
    assert lab_views.states(lab)['etcd'] == 'dead'
    lab.service('etcd').start()

    found = ask_etcd(lab, 'range', key='bWVtYmVy')['kvs']
    assert [one['value'] for one in found] == ['c29tZWJvZHk=']


@pytest.mark.parametrize('name', ['etcd', 'agent-2'])
def test_a_frozen_service_is_so_until_thawed(
    lab: deployment.Lab, name: str
) -> None:
    service = lab.service(name)
    before = service.pids()
    service.freeze()
    assert service.status().state == 'frozen'

    service.thaw()

    waiting.until('it is well', lambda: service.status().is_healthy)
    assert service.pids() == before


def test_agents_that_are_killed_or_stopped_start_again(
    lab: deployment.Lab,
) -> None:
    lab.service('agent-1').kill()
    lab.service('agent-3').stop()
    states = lab_views.states(lab)

    assert states['agent-1'] == 'dead'
    assert states['agent-2'] == 'running'
    assert states['agent-3'] == 'stopped'
    assert 'Agent stopped' in lab.state.log('agent-3').read_text()

    lab.up()
    assert set(lab_views.states(lab).values()) == {'running'}


@pytest.mark.parametrize('node', ['rabbitmq-1', 'rabbitmq-3'])
def test_the_bus_survives_the_loss_of_any_one_node(
    lab: deployment.Lab, node: str
) -> None:
    others = [name for name in NODES if name != node]
    with emptied(url_of(lab, others[0])):
        with publisher(url_of(lab, node)) as one:
            one.send('image.create', {'id': 'kept'})
        lab.service(node).kill()

        # What came by the lost node is there, and Glance and agents go on.
        with publisher(url_of(lab, others[0])) as other:
            waiting.until('it is kept', lambda: other.waiting() == 1)
        waiting.until('an agent answers', lambda: agent_answers(lab))
        image_id = lab_views.create_image(lab, f'without {node}')
        waiting.until(
            'it is announced',
            lambda: any(image_id in t for t in announced(lab, others[1])),
        )

        lab.service(node).start()
        with publisher(url_of(lab, node)) as back:
            assert back.waiting() == 1


def test_a_node_that_was_given_up_is_one_of_them_once_thawed(
    lab: deployment.Lab,
) -> None:
    log = lab.state.log('rabbitmq-1')
    words = "node 'rabbit-2@localhost' down: net_tick_timeout"
    before = log.read_text().count(words)

    lab.service('rabbitmq-2').freeze()
    waiting.until(
        'the others give it up', lambda: log.read_text().count(words) > before
    )
    lab.service('rabbitmq-2').thaw()

    assert lab.service('rabbitmq-2').status().is_healthy
    with emptied(url_of(lab, 'rabbitmq-1')):
        with publisher(url_of(lab, 'rabbitmq-1')) as one:
            one.send('image.create', {'id': 'heard'})
        with publisher(url_of(lab, 'rabbitmq-2')) as back:
            waiting.until('it is heard', lambda: back.waiting() == 1)


def test_other_numbers_are_refused(lab: deployment.Lab) -> None:
    with pytest.raises(errors.LabError, match='--rabbitmq-nodes 3, not 1'):
        deployment.Lab(lab.directory, rabbitmq_nodes=1).up()
    with pytest.raises(errors.LabError, match='has 3 agents'):
        deployment.Lab(lab.directory, agents=2).up()


def test_what_was_down_comes_up_as_it_was_and_grows(
    lab: deployment.Lab,
) -> None:
    before = {s.name: s.ports for s in lab.status()}
    lab.down()
    assert processes.marked(lab_views.identity(lab)) == []

    again = deployment.Lab(lab.directory, agents=4)
    again.up()

    assert {s.name: s.ports for s in again.status()} == {
        **before,
        'agent-4': (),
    }
    assert [s for s in again.status() if not s.is_healthy] == []
