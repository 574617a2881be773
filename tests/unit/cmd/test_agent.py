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
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests import waiting

SITES = 'version: 1\ncentral: {store: central}\nsites: {dcn0: {}}\n'
POLICIES = 'version: 1\npolicies: {all: {match: {}, sites: all}}\n'


class Process:
    """An agent of its own, with its log; nothing answers unless told."""

    def __init__(self, directory, transport_url, glance, grace):
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

    def start(transport_url='fake://', glance='http://127.0.0.1:1', grace='5'):
        started.append(Process(tmp_path, transport_url, glance, grace))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait(30)


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
