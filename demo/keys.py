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
"""What Glance may do at a site.

A site whose operators let Glance read only, so that it can serve downloads
and clones but no copy-image, is what rbd-stream is for: it writes with a key
of its own.
"""

import itertools

from lab import deployment

_ENTITY = 'client.glance'
# As `dcn-distributor bootstrap` issues it.
_USUAL = {
    'mgr': 'allow *',
    'mon': 'profile rbd',
    'osd': 'profile rbd pool=images',
}
_READING = {**_USUAL, 'osd': 'profile rbd-read-only pool=images'}


class GlanceKey:
    """The key that Glance has at one site."""

    def __init__(self, lab: deployment.Lab, site: str) -> None:
        self.site = site
        self._cluster = lab.cluster(site)

    def narrow(self) -> None:
        """Let Glance read only."""
        self._allow(_READING)

    def restore(self) -> None:
        """Let Glance do what it may usually."""
        self._allow(_USUAL)

    def _allow(self, caps: dict[str, str]) -> None:
        with self._cluster.connected() as cluster:
            cluster.command(
                {
                    'prefix': 'auth caps',
                    'entity': _ENTITY,
                    'caps': [*itertools.chain(*caps.items())],
                }
            )
