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
"""The agent as a process: its signals, its exit codes."""

import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from tests import waiting

OFF = '[metrics]\nport = 0\n'
SITES = 'version: 1\ncentral: {store: central}\nsites: {dcn0: {}}\n'
POLICIES = 'version: 1\npolicies: {all: {match: {}, sites: all}}\n'


class Process:
    """An agent of its own, with its log; nothing answers unless told."""

    def __init__(self, directory, transport_url, glance, grace, more):
        self.conf_file = directory / 'agent.conf'
        self.log_file = directory / 'agent.log'
        (directory / 'sites.yaml').write_text(SITES)
        self.policies_file = directory / 'placement.yaml'
        self.policies_file.write_text(POLICIES)
        self.conf_file.write_text(
            '[DEFAULT]\n'
            f'transport_url = {transport_url}\n'
            f'sites_file = {directory}/sites.yaml\n'
            f'placement_file = {directory}/placement.yaml\n'
            f'graceful_shutdown_timeout = {grace}\n'
            '[glance]\n'
            'auth_type = none\n'
            f'endpoint_override = {glance}\n'
            f'{more}'
        )
        with self.log_file.open('wb') as log:
            self.popen = subprocess.Popen(
                [
                    Path(sys.executable).with_name('dcn-distributor-agent'),
                    '--config-file',
                    self.conf_file,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self):
        """All that it has said."""
        return self.log_file.read_text()

    def wait_for(self, text):
        """Wait until it says so."""
        waiting.until(text, lambda: text in self.log)

    @property
    def workers(self):
        """The processes that it started, by their ids."""
        threads = Path(f'/proc/{self.popen.pid}/task').iterdir()
        found = [(one / 'children').read_text().split() for one in threads]
        return [int(word) for words in found for word in words]

    def stop(self):
        """End it as systemd does; return its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(30)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(
        transport_url='fake://',
        glance='http://127.0.0.1:1',
        grace='5',
        more=OFF,
    ):
        started.append(Process(tmp_path, transport_url, glance, grace, more))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait(30)


@pytest.fixture
def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def silent():
    """Give an address that takes connections and never answers."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        taken = []
        asked = threading.Event()

        def take():
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return
                asked.set()

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname(), asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in taken:
            connection.close()


def test_a_broken_configuration_is_refused_and_the_old_one_stays(start):
    agent = start()
    agent.wait_for('Agent started')
    good = agent.conf_file.read_text()

    agent.conf_file.write_text('[oops')
    agent.popen.send_signal(signal.SIGHUP)
    agent.wait_for('is refused')
    agent.conf_file.write_text(good)
    agent.popen.send_signal(signal.SIGHUP)
    agent.wait_for('New rules')

    assert agent.stop() == 0
    assert agent.log.count('Agent started') == 1


def test_a_worker_started_anew_goes_by_what_was_last_in_order(start):
    agent = start()
    agent.wait_for('Agent started')
    conf = agent.conf_file.read_text()
    agent.conf_file.write_text(f'{conf}[rbd_stream]\nrate = 12MiB/s\n')
    agent.popen.send_signal(signal.SIGHUP)
    agent.wait_for('New rules')
    limit = f'Each stream takes {12 * 2**20} bytes'
    assert agent.log.count(limit) == 1
    agent.policies_file.write_text('[oops')
    agent.popen.send_signal(signal.SIGHUP)
    agent.wait_for('The changed files are refused')

    for worker in agent.workers:
        os.kill(worker, signal.SIGKILL)

    waiting.until(
        'a new worker works', lambda: agent.log.count('Agent started') == 2
    )
    assert agent.log.count(limit) == 3  # The second SIGHUP told it, too.
    assert agent.stop() == 0
    assert 'Traceback' not in agent.log


def test_sigusr2_has_a_report_written_and_work_goes_on(start):
    agent = start('fake://user:sesame@host/', more=f'password = sesame\n{OFF}')
    agent.wait_for('Agent started')
    (worker,) = agent.workers

    for number, pid in enumerate((worker, agent.popen.pid), start=1):
        os.kill(pid, signal.SIGUSR2)
        waiting.until(
            'the report',
            lambda number=number: (
                agent.log.count('Configuration') == number
                and 'sites_file = ' in agent.log.rpartition('Configuration')[2]
            ),
        )

    assert agent.workers == [worker]
    assert 'sesame' not in agent.log
    assert 'transport_url = ***' in agent.log
    for title in ('Queue', 'Under way', 'Troubles', 'Threads', 'Process'):
        assert re.search(rf'^==== +{title} +====$', agent.log, re.M), title
    assert agent.stop() == 0
    assert 'Traceback' not in agent.log


def test_a_report_goes_to_a_file_that_only_its_user_reads(start, tmp_path):
    agent = start(more=f'{OFF}[oslo_reports]\nlog_dir = {tmp_path}\n')
    agent.wait_for('Agent started')

    agent.popen.send_signal(signal.SIGUSR2)

    agent.wait_for('A report was written to')
    (report,) = tmp_path.glob('dcn-distributor-agent_gurumeditation_*')
    assert report.stat().st_mode & 0o777 == 0o600
    assert 'Configuration' in report.read_text()
    assert agent.stop() == 0


def get(port, path):
    """Ask an agent; give the status and what it says."""
    try:
        with urllib.request.urlopen(
            f'http://127.0.0.1:{port}{path}', timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def test_machines_can_ask_how_it_is(start, free_port):
    agent = start(more=f'[metrics]\nport = {free_port}\n')
    agent.wait_for('Metrics at')
    agent.wait_for('Resync broken off')

    assert get(free_port, '/healthz')[0] == 200
    status, told = waiting.until(
        'the bus is listened to',
        lambda: (
            answer
            if 'bus: ok' in (answer := get(free_port, '/readyz'))[1]
            else None
        ),
    )
    assert status == 503
    lines = told.splitlines()
    assert lines[0].startswith('work: ok: ')
    assert lines[1] == 'resync: failed: not yet: all images were looked at'
    assert lines[2] == 'bus: ok: notifications are listened to'
    assert lines[3].startswith('glance: failed: ')
    status, told = get(free_port, '/metrics')
    assert status == 200
    assert 'dcn_distributor_site_reachable{site="dcn0"} 1.0' in told
    assert agent.stop() == 0


def test_a_port_that_is_taken_keeps_nobody_from_work(start, free_port):
    with socket.create_server(('127.0.0.1', free_port)):
        agent = start(
            more=f'[metrics]\nport = {free_port}\n'
            '[agent]\nretry_first = 0.1\nretry_max = 1\n'
        )
        agent.wait_for('cannot be listened at: Address already in use')
        agent.wait_for('Agent started')

    agent.wait_for('Metrics at')
    assert get(free_port, '/healthz')[0] == 200
    assert agent.stop() == 0
    assert 'Traceback' not in agent.log


def test_an_agent_that_never_reached_its_bus_stops_at_once(start):
    agent = start('rabbit://user:sesame@127.0.0.1:1/')
    agent.wait_for('Connection refused')

    assert agent.stop() == 0
    assert 'Agent stopped' in agent.log
    assert 'sesame' not in agent.log


def test_an_agent_stops_in_time_though_glance_does_not_answer(start, silent):
    (host, port), asked = silent
    agent = start(glance=f'http://{host}:{port}')
    assert asked.wait(30)
    agent.wait_for('Agent started')

    assert agent.stop() == 0
    assert 'Agent stopped' in agent.log


@pytest.mark.parametrize(
    'url',
    [
        'rabit://user:sesame@127.0.0.1/',
        'rabbit://user:ses/ame@127.0.0.1/',
        'rabbit://user:sesame@127.0.0.1:port/',
    ],
)
def test_a_wrong_transport_url_is_exit_code_2_and_stays_a_secret(start, url):
    agent = start(url)

    assert agent.popen.wait(30) == 2
    assert 'transport_url' in agent.log
    assert 'ses' not in agent.log


def test_an_option_that_cannot_be_is_exit_code_2_and_named(start):
    agent = start(grace='soon')

    assert agent.popen.wait(30) == 2
    assert 'graceful_shutdown_timeout' in agent.log
    assert 'Traceback' not in agent.log
