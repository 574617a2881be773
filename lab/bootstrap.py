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
"""`dcn-distributor bootstrap` for a lab: its keys, confs and stores."""

import hashlib
from pathlib import Path
import sys

from lab import files
from lab import processes
from lab import state as lab_state
from lab import topology

_COMMAND = Path(sys.executable).with_name('dcn-distributor')
_TARGETS = ('ceph', 'glance')


class Bootstrap:
    """The keys of a lab's clusters, and what its Glances are given.

    :param sites: the lab's sites.yaml
    """

    def __init__(self, state: lab_state.State, sites: Path) -> None:
        self._state = state
        self._sites = sites
        self.directory = state.bootstrap_directory

    @property
    def state_file(self) -> Path:
        """Where issued secrets are kept."""
        return self.directory / 'state.json'

    def is_due(self) -> bool:
        """Whether sites.yaml is another than at the last time."""
        done = self._done
        return not done.exists() or done.read_text() != self._digest()

    def apply(self, keyrings: dict[str, Path]) -> None:
        """Issue keys, and render what is made with them.

        `keyrings` are of the clusters whose keys others make, by site.
        """
        files.private_directory(self.directory)
        for site, keyring in keyrings.items():
            self._run('keys', 'take', str(keyring), '--site', site)
        self._run('keys', '--apply')
        out = topology.files_of(self._state)
        for target in _TARGETS:
            self._run(
                *('render', '--target', target, '--out', str(out)),
                *('--etc', str(out / '{site}' / 'etc' / 'ceph')),
            )
        files.write_private(self._done, self._digest())

    @property
    def _done(self) -> Path:
        return self.directory / 'done.sha256'

    def _digest(self) -> str:
        return hashlib.sha256(self._sites.read_bytes()).hexdigest()

    def _run(self, *words: str) -> None:
        processes.run(
            (
                *(str(_COMMAND), 'bootstrap', *words),
                *('--sites', str(self._sites)),
                *('--state', str(self.state_file)),
            ),
            what=f'dcn-distributor bootstrap {words[0]}',
            log=self._state.log('bootstrap'),
            environment=lab_state.OUR_CODE,
        )
