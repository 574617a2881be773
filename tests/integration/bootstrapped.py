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
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from lab import deployment
from lab import ports
from tests import extra_glances

METHODS = ['glance-direct', 'web-download', 'copy-image']
POOLS = ['images', 'volumes', 'vms']
# The lab's own agent keeps its keys.
AGENT = 'other-agent'
COMMAND = str(Path(sys.executable).with_name('dcn-distributor'))
# What of glance-api.conf is about stores, and so rendered.
_OF_STORES = frozenset((
    'enabled_backends', 'enabled_import_methods', 'show_multiple_locations',
    'image_location_quota', 'worker_self_reference_url',
))  # fmt: skip
# Read before glance-api.conf, and as such (glance: common/wsgi_app.py).
_SECOND_FILE = 'glance-image-import.conf'


class SiteGlance(extra_glances.ExtraGlance):
    """A site's glance-api: what is rendered, and the lab's for the rest.

    :param rendered: the file with its stores
    """

    def __init__(
        self, lab: deployment.Lab, site: str, port: int, rendered: Path
    ) -> None:
        super().__init__(lab, f'glance-of-{site}', port, ())
        self._rendered = rendered

    def configure(self) -> bool:
        """Lay the rendered file beside the other."""
        changed = super().configure()
        path = self.directory / _SECOND_FILE
        text = self._rendered.read_text()
        if path.exists() and path.read_text() == text:
            return changed
        path.write_text(text)
        return True

    def _conf_files(self) -> tuple[Path, ...]:
        """Have both read; by gunicorn they are, wherever they lie so."""
        return (*super()._conf_files(), self.directory / _SECOND_FILE)

    def _options(self) -> dict[str, dict[str, object]]:
        options = super()._options()
        kept = options['DEFAULT'].items()
        options['DEFAULT'] = {k: v for k, v in kept if k not in _OF_STORES}
        del options['paste_deploy']['flavor']
        return {
            group: values
            for group, values in options.items()
            if group != 'glance_store' and not group.startswith('os_glance')
        }


class Bootstrap:
    """One sites.yaml, and `dcn-distributor bootstrap` with it.

    :param document: of sites.yaml, to be written as JSON, which YAML is
    """

    def __init__(
        self, lab: deployment.Lab, directory: Path, document: dict[str, Any]
    ) -> None:
        self._lab = lab
        self.directory = directory
        self.out = directory / 'out'
        self.state = directory / 'state.json'
        self._sites = directory / 'sites.yaml'
        self._conf = directory / 'admin.conf'
        self.write(document)
        self._write_conf()

    def write(self, document: dict[str, Any]) -> None:
        """Write sites.yaml anew."""
        self._sites.write_text(json.dumps(document, indent=1))

    def _write_conf(self) -> None:
        """Take the agent's, with an administrator who may upload, too."""
        parser = configparser.RawConfigParser()
        parser.read(self._lab.agent_conf)
        admin = self._lab.credentials('admin')
        for name in ('username', 'password', 'project_name'):
            parser.set('glance', name, getattr(admin, name))
        opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731
        with open(self._conf, 'w', opener=opener) as file:
            parser.write(file)

    def use_glance(self, url: str) -> None:
        """Ask this Glance from now on, and not the one of the catalogue."""
        parser = configparser.RawConfigParser()
        parser.read(self._conf)
        parser.set('glance', 'endpoint_override', url)
        with open(self._conf, 'w') as file:
            parser.write(file)

    def run(
        self, *words: str, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run it, and see that it ends with this code."""
        files = ('--sites', str(self._sites), '--state', str(self.state))
        return self._run((*words, *files), code)

    def revoke_all(self) -> None:
        """Leave nothing of this test in any cluster."""
        with contextlib.ExitStack() as rest:
            # Each, whatever becomes of the others.
            for site in self._lab.sites:
                for entity in ('client.external', f'client.{AGENT}'):
                    words = (entity, '--site', site, '--apply')
                    rest.callback(self.run, 'keys', 'revoke', *words)

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
        """Run it, and read its table."""
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

    def glances(self, urls: dict[str, int]) -> list[SiteGlance]:
        """Make, not start, the glance-apis of sites, each at its port."""
        return [
            SiteGlance(
                self._lab,
                site,
                port,
                self.out / site / 'glance-api.conf.d' / 'dcn-stores.conf',
            )
            for site, port in urls.items()
        ]


def free_ports(sites: tuple[str, ...]) -> dict[str, int]:
    """Choose a port for each site."""
    first = ports.choose(len(sites), ())
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
    glances: list[SiteGlance],
) -> Iterator[None]:
    """Start them; end them, and remove their files, at the end."""
    with contextlib.ExitStack() as rest:
        for glance in glances:
            rest.callback(glance.remove)
            glance.start()
        yield
