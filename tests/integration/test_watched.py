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
"""What machines read of an agent that works, and lacks what it works with."""

import configparser
import os
import re
import signal
import socket
import urllib.error
import urllib.request

import pytest

from tests import waiting

DEBUG = {('DEFAULT', 'debug'): 'true'}


class Pages:
    """The pages of an agent."""

    def __init__(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as server:
            self.port = server.getsockname()[1]

    @property
    def options(self):
        """What the agent needs to be told."""
        return {('metrics', 'port'): str(self.port)}

    def get(self, path):
        """Read one; give its status and text."""
        url = f'http://127.0.0.1:{self.port}{path}'
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError as exc:
            return 0, str(exc)

    def failed(self):
        """Name the checks that fail, by the page of those who wait for it."""
        status, text = self.get('/readyz')
        found = re.findall(r'^(\w+): failed', text, re.M)
        assert status == (503 if found else 200) or not status
        return found if status else ['http']

    def number(self, name):
        """Read a metric, by its name and labels as they are written."""
        text = self.get('/metrics')[1]
        found = re.search(rf'^{re.escape(name)} (\S+)$', text, re.M)
        return float(found[1]) if found else None


@pytest.fixture
def pages():
    return Pages()


def test_ready_is_who_has_glance_and_the_bus(cloud, pages):
    agent = cloud.agent({**pages.options, ('agent', 'resync_interval'): '2'})
    agent.start()
    waiting.until('it is ready', lambda: pages.failed() == [])

    for service, check in (('rabbitmq', 'bus'), ('glance', 'glance')):
        cloud.lab.service(service).stop()
        waiting.until(
            f'{service} is missed', lambda check=check: check in pages.failed()
        )
        assert pages.get('/healthz')[0] == 200
        cloud.lab.service(service).start()
        waiting.until('it is ready again', lambda: pages.failed() == [])

    assert agent.stop() == 0


def test_a_copy_is_counted_and_leads_back_to_its_event(cloud, pages):
    agent = cloud.agent({**pages.options, **DEBUG})
    agent.start()
    waiting.until('it is ready', lambda: pages.failed() == [])

    image_id = cloud.upload()
    cloud.wait_for_copies(image_id)

    name = 'dcn_distributor'
    for site in cloud.lab.sites[1:]:
        arrived = f'{name}_attempts_total{{class="arrived",site="{site}"}}'
        waiting.until(
            'it is counted', lambda arrived=arrived: pages.number(arrived)
        )
        sent = f'{{method="copy-image",site="{site}"}}'
        assert pages.number(f'{name}_transfer_bytes_total{sent}') == 2**20
    assert pages.number(f'{name}_event_lag_seconds_count') >= 1
    assert pages.number(f'{name}_event_lag_seconds_sum') < 60
    events = re.findall(rf'image={image_id} event=\S+ trace=(\S+)', agent.log)
    told = re.findall(rf'placement image={image_id} .*trace=(\S+)', agent.log)
    assert told
    assert {*told} <= {*events}
    lines = re.findall(rf'^.*placement image={image_id} .*', agent.log, re.M)
    for line, trace in zip(lines, told, strict=True):
        assert re.search(rf'\[\S+ {trace} .*\] placement', line), line


def test_a_report_of_an_agent_at_work_tells_no_password(cloud):
    agent = cloud.agent()
    agent.start()
    cloud.wait_for_copies(cloud.upload())

    os.kill(agent.pids()[0], signal.SIGUSR2)

    waiting.until('the report', lambda: 'Configuration' in agent.log)
    waiting.until('all of it', lambda: 'rbd_stream: ' in agent.log)
    assert agent.is_running
    parser = configparser.RawConfigParser()
    parser.read(agent.conf_file)
    password = parser['glance']['password']
    assert 'password = ***' in agent.log
    assert password not in agent.log
    url = parser['DEFAULT']['transport_url']
    assert url.split('@')[0].rpartition(':')[2] not in agent.log
    assert agent.stop() == 0
