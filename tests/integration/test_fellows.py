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
"""Two agents share a cloud: they tell each other, and answer as one."""

from concurrent import futures
import json
import subprocess
import sys
import time

from oslo_config import cfg
import pytest

from dcn_distributor import conf as configuration
from dcn_distributor.clients import coordination
from dcn_distributor.clients.bus import control
from tests import waiting
from tests.integration import agents

# Longer than a command takes on a busy machine.
LEASE_S = 10.0


class Pair:
    """Two agents. The one with the link of `site` hears nothing of Glance.

    :ivar deaf: it; the other one hears all
    :ivar site: its link is the deaf one's
    :ivar other_site: its link is the other's
    """

    def __init__(self, cloud, directory):
        self._cloud = cloud
        self._group = f'file://{directory}/group'
        self.site, self.other_site = cloud.edges
        names = self._names()
        self.deaf = self._agent(names[self.site], 'nobody-sends-there')
        self.other = self._agent(names[self.other_site], 'dcn_distributor')
        self.names = names
        conf = cfg.ConfigOpts()
        configuration.register_opts(conf)
        configuration.read(conf, [], [str(self.other.conf_file)])
        self.client = control.Client(conf)

    def _names(self):
        """Find two names of which each gets one of the links."""
        for n in range(100):
            names = f'agent-{n}', f'agent-{n + 100}'
            ring = coordination.Ring(names)
            owners = {site: ring.owner(site) for site in self._cloud.edges}
            if len(set(owners.values())) == 2:
                return owners
        raise AssertionError('the ring gives all links to one')

    def _agent(self, name, topic):
        return self._cloud.agent(
            {
                ('DEFAULT', 'host'): name,
                ('agent', 'topic'): topic,
                ('coordination', 'backend_url'): self._group,
                ('coordination', 'lease_timeout'): str(LEASE_S),
            }
        )

    def start(self):
        """Start both, and wait until each has its link."""
        with futures.ThreadPoolExecutor(2) as pool:
            for started in [
                pool.submit(agent.start) for agent in (self.deaf, self.other)
            ]:
                started.result()
        waiting.until('each has its link', self.has_its_links)

    def has_its_links(self):
        """Tell whether both say that each has its own."""
        for name in self.names.values():
            told = self.client.at(name).who()
            owners = {s: one['owner'] for s, one in told['sites'].items()}
            if owners != self.names:
                return False
        return True


@pytest.fixture
def pair(cloud, tmp_path):
    made = Pair(cloud, tmp_path)
    made.start()
    return made


def run(
    agent: agents.Agent, *words: str
) -> 'subprocess.CompletedProcess[str]':
    """Run a command with the configuration of an agent."""
    program = sys.executable.replace('/python', '/dcn-distributor')
    argv = [program, '--config-file', str(agent.conf_file), *words]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def reason(agent, image_id, site):
    """Say what `status` gives as the reason, and what it writes on stderr."""
    ran = run(agent, 'status', image_id, '-f', 'json')
    cells = {cell['site']: cell for cell in json.loads(ran.stdout)}
    return cells[site]['reason'], ran.stderr


def test_who_hears_of_an_image_or_an_order_has_the_other_do_its_part(
    cloud, pair
):
    ordered = cloud.upload(visibility='private')
    ran = run(pair.other, 'copy', ordered, *cloud.edges)
    assert (ran.returncode, 'The agents on' in ran.stdout) == (0, True)
    image_id = cloud.upload()

    # Within much less than the ten minutes between two resyncs.
    cloud.wait_for_copies(image_id, deadline_s=30.0)

    for agent, site in (
        (pair.deaf, pair.site),
        (pair.other, pair.other_site),
    ):
        assert f'image={image_id} store={site} state=copying' in agent.log
    begun = f'image={image_id} store={pair.site} state=copying'
    assert begun not in pair.other.log
    cloud.wait_for_copies(ordered, deadline_s=30.0)


def test_a_pause_counts_for_all_and_outlasts_both_agents(cloud, pair):
    site = pair.site
    assert run(pair.other, 'pause', site, '--why', 'ticket 7').returncode == 0
    image_id = cloud.upload()
    cloud.wait_for_copies(image_id, {pair.other_site})

    told, err = reason(pair.other, image_id, site)
    assert told.startswith(f'site {site} paused by ')
    assert told.endswith("'ticket 7'")
    assert err == ''
    again = run(pair.deaf, 'pause', site)
    assert (again.returncode, 'Nothing to do' in again.stdout) == (0, True)

    for agent in (pair.deaf, pair.other):
        agent.kill()
    pair.start()
    listed = json.loads(run(pair.deaf, 'pauses', '-f', 'json').stdout)
    assert [(one['kind'], one['name']) for one in listed] == [('site', site)]
    assert cloud.stores(image_id) == {pair.other_site}

    assert run(pair.other, 'resume', site).returncode == 0
    cloud.wait_for_copies(image_id, deadline_s=30.0)


def test_who_was_away_hears_what_was_said_before_it_copies(cloud, pair):
    site = pair.site
    image_id = cloud.upload(visibility='private')
    pair.deaf.kill()
    held = run(pair.other, 'hold', image_id)
    assert held.returncode == 0

    # Before its lease has lapsed: to the others it never was away.
    pair.deaf.start()

    client = pair.client.at(pair.names[site])
    waiting.until('it has heard', lambda: client.who()['pauses'], 20.0)
    cloud.glance.images.update(image_id, visibility='public')
    waiting.until('each has its link', pair.has_its_links)
    run(pair.other, 'resync', image_id)
    assert cloud.stores(image_id) == set()
    assert run(pair.other, 'release', image_id).returncode == 0
    cloud.wait_for_copies(image_id, deadline_s=30.0)


def test_an_agent_that_died_is_named_and_its_link_moves(cloud, pair):
    pair.deaf.kill()
    begun_s = time.monotonic()

    told = run(pair.other, 'status')

    took_s = time.monotonic() - begun_s
    image_id = cloud.upload()
    name = pair.names[pair.site]
    assert f'warning: agent {name}, which has link {pair.site}' in told.stderr
    # One time-out for all that is asked, and what a busy machine adds.
    assert took_s < 30
    # The lease, a beat of the other's, and what a copy takes.
    cloud.wait_for_copies(image_id, deadline_s=120.0)
    waiting.until(
        'the other tells of it',
        lambda: f'store={pair.site} state=present' in pair.other.log,
    )
    assert run(pair.other, 'status').stderr == ''
