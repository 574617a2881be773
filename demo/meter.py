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
"""How much of a copy is written, by the site's own cluster."""

from collections.abc import Mapping
import time

import rados
import rbd

from lab import clusters

# Progress is nice to have: a site that does not answer must not hold up the
# picture, and is left alone for a while.
_TIMEOUT_S = 1
_REST_S = 15.0


class Meter:
    """Tells how much of a copy a site's cluster has.

    Glance tells of progress once a minute; the clusters know at any time.

    :param confs: a ceph.conf by site
    """

    def __init__(self, confs: Mapping[str, str]) -> None:
        self._confs = confs
        self._clusters: dict[str, clusters.Cluster] = {}
        self._rests_until: dict[str, float] = {}

    def written_bytes(self, site: str, image_id: str) -> int | None:
        """Count what is written; None if unknown or not begun."""
        if time.monotonic() < self._rests_until.get(site, 0.0):
            return None
        try:
            if site not in self._clusters:
                self._clusters[site] = clusters.Cluster(
                    self._confs[site], _TIMEOUT_S
                )
            return self._clusters[site].written_bytes(image_id)
        except (rados.Error, rbd.Error):
            self._rests_until[site] = time.monotonic() + _REST_S
            return None
