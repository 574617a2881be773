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
"""A cloud that stands on what `dcn-distributor bootstrap` has rendered.

Its clusters, Keystone and bus are those of a lab; keys and stores are not.
Every site has a glance-api of its own.
"""

from collections.abc import Iterator
import configparser
import contextlib
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

from lab import deployment
from lab import files as lab_files
from lab import ports
from tests import extra_glances

METHODS = ['glance-direct', 'web-download', 'copy-image']
POOLS = ['images', 'volumes', 'vms']
# The lab's own agent keeps its keys.
AGENT = 'other-agent'
COMMAND = str(Path(sys.executable).with_name('dcn-distributor'))


class Commands:
    """`dcn-distributor bootstrap` for one sites.yaml.

    :param conf: with credentials of an administrator
    :param out: where files are rendered to, and used
    """

    def __init__(
        self, conf: Path, sites: Path, state: Path, out: Path
    ) -> None:
        self.state = state
        self.out = out
        self._conf = conf
        self._sites = sites

    def run(
        self, *words: str, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run one, and see that it ends with this code."""
        files = ('--sites', str(self._sites), '--state', str(self.state))
        return self._run((*words, *files), code)

    def adopt(self, *words: str) -> None:
        """Take a cloud over, and see that it can be."""
        self._run(('adopt', *words), 0)

    def _run(
        self, words: tuple[str, ...], code: int
    ) -> subprocess.CompletedProcess[str]:
        before = (COMMAND, '--config-file', str(self._conf), 'bootstrap')
        ran = subprocess.run(
            [*before, *words], check=False, capture_output=True, text=True
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran

    def read(self, *words: str, code: int = 0) -> list[dict[str, str]]:
        """Run one, and read its table."""
        rows: list[dict[str, str]] = json.loads(
            self.run(*words, '-f', 'json', code=code).stdout
        )
        return rows

    def render(self) -> None:
        """Render confs, keyrings and stores, to be used where they are."""
        etc = str(self.out / '{site}' / 'etc' / 'ceph')
        for target in ('ceph', 'glance'):
            self.run(
                *('render', '--target', target),
                *('--out', str(self.out), '--etc', etc),
            )

    def secrets(self) -> set[str]:
        """Read all secrets that were issued."""
        state = json.loads(self.state.read_text())
        return {
            entity['key']
            for cluster in state['clusters'].values()
            for entity in cluster['entities'].values()
        }


class Bootstrap(Commands):
    """The same, with keys and files beside those of the lab.

    :param document: of sites.yaml, to be written as JSON, which YAML is
    """

    def __init__(
        self, lab: deployment.Lab, directory: Path, document: dict[str, Any]
    ) -> None:
        super().__init__(
            directory / 'admin.conf',
            directory / 'sites.yaml',
            directory / 'state.json',
            directory / 'out',
        )
        self._lab = lab
        self.directory = directory
        self.write(document)
        text = lab.admin_conf.read_text()
        lab_files.write_private(self._conf, text)

    def write(self, document: dict[str, Any]) -> None:
        """Write sites.yaml anew."""
        self._sites.write_text(json.dumps(document, indent=1))

    def use_glance(self, url: str) -> None:
        """Ask this Glance from now on, and not the one of the catalogue."""
        parser = configparser.RawConfigParser()
        parser.read(self._conf)
        parser.set('glance', 'endpoint_override', url)
        with open(self._conf, 'w') as file:
            parser.write(file)

    def revoke_all(self) -> None:
        """Leave nothing of this test in any cluster."""
        with contextlib.ExitStack() as rest:
            # Each, whatever becomes of the others.
            for site in self._lab.sites:
                for entity in ('client.external', f'client.{AGENT}'):
                    words = (entity, '--site', site, '--apply')
                    rest.callback(self.run, 'keys', 'revoke', *words)

    def glances(self, urls: dict[str, int]) -> list[extra_glances.ExtraGlance]:
        """Make, not start, the glance-apis of sites, each at its port."""
        return [
            extra_glances.ExtraGlance(
                self._lab, f'glance-of-{site}', port, self.out / site
            )
            for site, port in urls.items()
        ]


def free_ports(lab: deployment.Lab, sites: tuple[str, ...]) -> dict[str, int]:
    """Choose a port for each site."""
    first = ports.choose(len(sites), lab.directory)
    return {site: first + number for number, site in enumerate(sites)}


def _stack(name: str, kind: str, role: str, number: int) -> dict[str, Any]:
    tag = f'{name}-{role}'.lower()
    return {name: {'kind': kind, 'roles': {role: {'tag': tag}}}}


def _deploy(
    lab: deployment.Lab, site: str, port: int, number: int, data: Path
) -> dict[str, Any]:
    is_central = site == 'central'
    kind = 'control-plane' if is_central else 'hyperconverged'
    role = 'Controller' if is_central else 'DistributedComputeHCI'
    for name in ('staging', 'tasks'):
        (data / site / name).mkdir(parents=True, exist_ok=True)
    return {
        'number': str(number),
        'ceph': {'pools': POOLS, 'admin_conf': lab.ceph_conf(site)},
        'glance': {
            'url': f'http://{ports.LOOPBACK}:{port}',
            'data': str(data / site),
        },
        'stacks': _stack(site, kind, role, number),
    }


def describe(
    lab: deployment.Lab, at: dict[str, int], data: Path, user: str
) -> dict[str, Any]:
    """Describe the lab as a cloud whose sites all have their own Ceph."""
    described = {
        site: {
            'store': site,
            'cluster': {'conf': lab.ceph_conf(site), 'user': AGENT},
            'deploy': _deploy(lab, site, port, number, data),
        }
        for number, (site, port) in enumerate(at.items())
    }
    central = described.pop('central')
    return {
        'version': '1',
        'deploy': {'user': user, 'import_methods': METHODS},
        'central': central,
        'sites': described,
    }


@contextlib.contextmanager
def started(
    glances: list[extra_glances.ExtraGlance],
) -> Iterator[None]:
    """Start them; end them, and remove their files, at the end."""
    with contextlib.ExitStack() as rest:
        for glance in glances:
            rest.callback(glance.remove)
            glance.start()
        yield
