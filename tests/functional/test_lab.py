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
"""A lab comes up, heals, obeys and goes away without a trace."""

import collections
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import shlex
import socket
import subprocess

import pytest
import rados

from lab import admin_socket
from lab import deployment
from lab import errors
from lab import http
from lab import ports
from lab import processes
from lab import rados_options
from lab import state as lab_state
from tests import lab_views

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope='module')
def lab(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[deployment.Lab]:
    """Return a lab of our own: these tests kill its servers."""
    one = deployment.Lab(tmp_path_factory.mktemp('lab') / 'l', sites=('edge',))
    one.up()
    yield one
    one.down(purge=True)


@pytest.fixture(autouse=True)
def _healthy(lab: deployment.Lab) -> Iterator[None]:
    """Let no test hand a broken lab to the next."""
    yield
    lab.up()


def has_image(lab: deployment.Lab, image_id: str) -> bool:
    answer = http.request(
        'GET',
        f'{lab.glance_url}/v2/images/{image_id}',
        headers={'X-Auth-Token': lab.credentials('demo').token()},
    )
    return answer.status == 200


def test_all_services_are_healthy(lab: deployment.Lab) -> None:
    statuses = lab.status()

    assert {s.name for s in statuses} == {
        'rabbitmq',
        'keystone',
        'glance',
        'ceph-central',
        'ceph-edge',
    }
    assert [s for s in statuses if not s.is_healthy] == []


def test_up_leaves_running_services_alone(lab: deployment.Lab) -> None:
    before = [(s.name, s.pids, s.ports) for s in lab.status()]
    again = deployment.Lab(lab.directory)
    again.up()

    assert [(s.name, s.pids, s.ports) for s in again.status()] == before


def test_up_writes_the_same_sites_again(lab: deployment.Lab) -> None:
    before = lab.sites_file.read_text()
    deployment.Lab(lab.directory).up()

    assert lab.sites_file.read_text() == before


def test_up_heals_what_was_killed_and_keeps_its_data(
    lab: deployment.Lab,
) -> None:
    image_id = lab_views.create_image(lab, 'kept')
    for name in ('glance', 'ceph-edge', 'rabbitmq'):
        lab.service(name).kill()

    assert lab.service('glance').pids() == ()
    assert lab_views.states(lab) == {
        'rabbitmq': 'dead',
        'keystone': 'running',
        'glance': 'dead',
        'ceph-central': 'running',
        'ceph-edge': 'dead',
    }

    lab.up()

    assert set(lab_views.states(lab).values()) == {'running'}
    assert has_image(lab, image_id)


def test_a_killed_part_of_a_service_is_dead_and_healed(
    lab: deployment.Lab,
) -> None:
    pids = dict(lab.service('ceph-edge').status().pids)
    processes.kill(f'{lab_views.identity(lab)}ceph-edge/osd')
    status = lab.service('ceph-edge').status()

    assert status.state == 'dead'
    assert status.health == 'not running: osd'

    lab.service('ceph-edge').start()

    healed = lab.service('ceph-edge').status()
    assert healed.is_healthy
    assert dict(healed.pids)['mon'] == pids['mon']
    assert dict(healed.pids)['osd'] != pids['osd']


def test_stopped_is_not_dead_and_starts_again(lab: deployment.Lab) -> None:
    lab.service('keystone').stop()

    assert lab.service('keystone').status().state == 'stopped'

    lab.service('keystone').start()

    assert lab.service('keystone').status().is_healthy


def test_a_frozen_service_does_not_answer_until_thawed(
    lab: deployment.Lab,
) -> None:
    glance = lab.service('glance')
    glance.freeze()

    assert glance.status().state == 'frozen'
    with pytest.raises(TimeoutError):
        http.request('GET', f'{lab.glance_url}/versions', timeout_s=1)

    glance.thaw()

    assert glance.status().is_healthy


def test_what_does_not_run_cannot_be_frozen(lab: deployment.Lab) -> None:
    lab.service('keystone').stop()

    with pytest.raises(errors.LabError, match='does not run'):
        lab.service('keystone').freeze()


def test_an_unknown_service_is_refused_with_the_known(
    lab: deployment.Lab,
) -> None:
    with pytest.raises(errors.LabError, match='ceph-edge'):
        lab.service('ceph-mars')


def test_another_flavour_of_glance_is_refused(lab: deployment.Lab) -> None:
    with pytest.raises(errors.LabError, match='down --purge'):
        deployment.Lab(lab.directory, glance='debian').up()


def test_another_topology_is_refused(lab: deployment.Lab) -> None:
    sample = lab_state.TOP / 'etc/dcn_distributor/sites-multi-ceph.yaml.sample'
    with pytest.raises(errors.LabError, match='not like'):
        deployment.Lab(lab.directory, like=sample).up()


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('a: [', 'cannot be read'),
        ('[]', 'expected a sites.yaml'),
        ('{central: {}, sites: []}', 'expected a sites.yaml'),
        ('{central: {}, sites: {dcn0: }}', 'expected a sites.yaml'),
        ('{central: {}, sites: {Dcn0: {}}}', 'no name for a site'),
    ],
)
def test_what_is_no_sites_yaml_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / 'sites.yaml'
    path.write_text(text)
    with pytest.raises(errors.LabError, match=said):
        deployment.Lab(tmp_path / 'lab', like=path).up()


def test_every_port_is_on_loopback(lab: deployment.Lab) -> None:
    listening = lab_views.listening(processes.marked(lab_views.identity(lab)))

    wanted = {port for s in lab.status() for _, port in s.ports}
    assert wanted <= {port for _, port in listening}
    assert {address for address, _ in listening} <= {'127.0.0.1', '::1'}


def test_no_secret_is_an_argument_or_in_a_log(lab: deployment.Lab) -> None:
    secrets = lab_views.secrets_of(lab)

    assert lab_views.places_with(lab, secrets) == []


def test_files_with_secrets_are_for_their_owner(lab: deployment.Lab) -> None:
    secrets = lab_views.secrets_of(lab)

    assert lab.directory.stat().st_mode & 0o777 == 0o700
    for suffix in ('conf', 'json', 'keyring', 'keys.json'):
        for path in lab.directory.glob(f'**/*{suffix}'):
            text = path.read_bytes() if path.is_file() else b''
            if any(word in text for word in secrets):
                assert path.stat().st_mode & 0o077 == 0, path


def test_env_is_for_a_shell(lab: deployment.Lab) -> None:
    asked = 'LAB_SITES LAB_CEPH_CONF_edge OS_PASSWORD LAB_AGENT_CONF'
    script = lab.exports() + f'for v in {asked}; do eval echo \\$$v; done'
    done = subprocess.run(
        ['sh', '-ec', 'eval "$(cat)"'],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )

    sites, conf, password, agent = done.stdout.splitlines()
    assert sites == 'central edge'
    assert conf == lab.ceph_conf('edge')
    assert password == lab.state.passwords['admin']
    assert agent == str(lab.agent_conf)
    assert shlex.split(lab.exports())


def test_a_cluster_puts_no_small_write_off(lab: deployment.Lab) -> None:
    """After a kill they may come to lie over other objects."""
    with (
        rados.Rados(
            conffile=lab.ceph_conf('edge'),
            conf=rados_options.time_limits(30),
        ) as cluster,
        cluster.open_ioctx('images') as pool,
    ):
        before = put_off(lab)
        for number in range(100):
            pool.write_full(f'small-{number}', b'small')

        # A few are the OSD's own.
        assert put_off(lab) - before < 50

        for number in range(100):
            pool.remove_object(f'small-{number}')


def put_off(lab: deployment.Lab) -> int:
    """How many writes the OSD has put off since it runs."""
    socket_path = lab.cluster('edge').run_directory / 'edge-osd.0.asok'
    counters = admin_socket.ask(socket_path, 'perf dump')['bluestore']
    return int(counters['bluestore_write_deferred'])


def test_a_taken_port_is_named_and_nothing_starts(
    lab: deployment.Lab,
) -> None:
    lab.down()
    port = dict(lab.service('keystone').status().ports)['server']
    with contextlib.closing(socket.socket()) as intruder:
        intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        intruder.bind((ports.LOOPBACK, port))
        intruder.listen()

        with pytest.raises(errors.LabError) as told:
            lab.up()

    assert f'port {port}' in str(told.value)
    assert f'pid {os.getpid()}' in str(told.value)
    assert processes.marked(lab_views.identity(lab)) == []


def test_a_server_that_fails_is_named_and_the_others_are_ended(
    lab: deployment.Lab,
) -> None:
    lab.down()
    store = lab.directory / 'ceph-edge' / 'data' / 'mon'
    away = store.rename(store.with_name('away'))

    with pytest.raises(errors.LabError) as told:
        lab.up()

    assert 'ceph-edge: the program mon ended by itself' in str(told.value)
    assert 'ceph-edge-mon.log' in str(told.value)
    assert processes.marked(lab_views.identity(lab)) == []

    away.rename(store)


def test_a_server_that_is_not_seen_at_once_has_not_ended(
    lab: deployment.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a program is loaded, the kernel does not tell its environment."""
    start, marked = processes.start, processes.marked
    unseen: collections.Counter[str] = collections.Counter()

    def started(daemon: processes.Daemon) -> None:
        start(daemon)
        unseen[daemon.mark] = 3

    def seen(mark: str) -> list[processes.Process]:
        unseen[mark] -= 1
        return [] if unseen[mark] >= 0 else marked(mark)

    lab.service('keystone').stop()
    monkeypatch.setattr(processes, 'start', started)
    monkeypatch.setattr(processes, 'marked', seen)
    lab.service('keystone').start()

    assert lab.service('keystone').status().health == 'ok'


def test_a_second_lab_lives_beside_and_goes_without_a_trace(
    lab: deployment.Lab, tmp_path: Path
) -> None:
    """Deep down, where the address of a Unix socket would be too long."""
    before = lab.status()
    directory = tmp_path / '/'.join(['deep' * 10] * 3) / 'lab'
    other = deployment.Lab(directory, sites=('far',))
    try:
        other.up()
        mark = lab_views.identity(other)
        run_directory = other.state.run_directory

        assert all(status.is_healthy for status in other.status())
        assert not run_directory.is_relative_to(directory)
        assert lab.status() == before

        other.service('ceph-far').freeze()
        other.down()

        assert processes.marked(mark) == []
        assert set(lab_views.states(other).values()) == {'stopped'}
    finally:
        other.down(purge=True)

    assert not directory.exists()
    assert not run_directory.exists()
    assert lab.status() == before


def test_a_new_site_joins_a_running_lab(lab: deployment.Lab) -> None:
    grown = deployment.Lab(lab.directory, sites=('late-comer',))
    grown.up()
    answer = http.request(
        'GET',
        f'{grown.glance_url}/v2/info/stores',
        headers={'X-Auth-Token': grown.credentials('demo').token()},
    )

    stores = [store['id'] for store in answer.json()['stores']]
    assert stores == ['central', 'edge', 'late-comer']
    assert 'late-comer' in (grown.agent_conf.parent / 'sites.yaml').read_text()
    assert grown.service('ceph-late-comer').status().is_healthy
