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
"""What an operator sees of an agent: its commands, and its reports."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

from oslo_config import cfg

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor.clients import glance
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers
from tests.integration import agents


class Operator:
    """Somebody at the host of an agent."""

    def __init__(self, agent: agents.Agent) -> None:
        self._conf_file = agent.conf_file
        conf = cfg.ConfigOpts()
        for register in (configuration.register_opts, glance.register_opts):
            register(conf)
        settings = configuration.read(conf, [], [str(self._conf_file)])
        self._world = app.open_world(conf, settings)

    def report(self, image_id: str) -> transfers.Report | None:
        """What the agent tells of the last stream of an image."""
        told = self._world.agent.transfers()['transfers']
        reports = [transfer_messages.from_plain(value) for value in told]
        found = [r for r in reports if r and r.image_id == image_id]
        return found[-1] if found else None

    def explain(self, image_id: str) -> dict[str, dict[str, Any]]:
        """What `dcn-distributor explain` says of each site."""
        told = json.loads(self.run('explain', image_id, '-f', 'json'))
        return {site['site']: site for site in told['sites']}

    def status(self) -> str:
        """What `dcn-distributor status` says."""
        return self.run('status')

    def run(self, *words: str) -> str:
        """Run dcn-distributor, and give what it writes."""
        program = Path(sys.executable).with_name('dcn-distributor')
        argv = [program, '--config-file', self._conf_file, *words]
        ran = subprocess.run(argv, check=False, capture_output=True, text=True)
        assert ran.returncode in (0, 3), ran.stderr
        return ran.stdout
