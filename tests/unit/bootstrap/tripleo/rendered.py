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
"""What was rendered, as TripleO reads it."""

import dataclasses
from typing import Any

from dcn_distributor.bootstrap import tripleo
from dcn_distributor.core import cephx
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks
from tests import plain_yaml
from tests.unit.bootstrap import samples

RELEASES = ('ussuri', 'xena')


@dataclasses.dataclass(frozen=True)
class Rendered:
    """All files of one topology, by their paths."""

    cloud: stacks.Cloud
    ring: rings.Ring
    files: dict[str, renderings.File]

    def parameters(self, path: str) -> dict[str, Any]:
        """The parameters that an environment file gives."""
        document = plain_yaml.load(self.files[path].text)
        return document['parameter_defaults']

    def environments(self) -> dict[str, dict[str, Any]]:
        """All environment files."""
        found = {}
        for path, file in self.files.items():
            if path.endswith('.yaml'):
                document = plain_yaml.load(file.text)
                if 'parameter_defaults' in document:
                    found[path] = document
        return found

    def secret(self, site: str, user: str) -> str:
        """What the key of a user of a site's cluster has to be."""
        known = self.ring.clusters[self.cloud.site(site).name]
        return known.entities[f'client.{user}'].secret.text

    def secrets(self) -> set[str]:
        """All of them."""
        return {
            entity.secret.text
            for known in self.ring.clusters.values()
            for entity in known.entities.values()
        }


def render(cloud: stacks.Cloud, release: str = 'ussuri') -> Rendered:
    """Render a cloud for which all keys are issued."""
    ring = samples.ring_for(cloud)
    return of(rings.resolve(cloud, ring), ring, release)


def of(cloud: stacks.Cloud, ring: rings.Ring, release: str) -> Rendered:
    """Render a cloud with the keys that there are."""
    files = tripleo.render(cloud, ring, release)
    return Rendered(cloud, ring, {file.path: file for file in files})


def with_long_key(ring: rings.Ring, site: str, user: str) -> rings.Ring:
    """Give a ring in which one key is of the new type."""
    (name,) = (name for name in ring.clusters if name == site)
    known = ring.of(name)
    entity = dataclasses.replace(
        known.entities[f'client.{user}'],
        secret=cephx.make_secret(cephx.KeyType.AES256K, b'k' * 32, 0),
    )
    return ring.replacing(name, known.with_entity(entity))
