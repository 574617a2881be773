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
"""What the policies decide for one image: which sites should hold it."""

import dataclasses

from dcn_distributor.core import sites
from dcn_distributor.core import transfers


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Whether one site should hold the image, and always why.

    `policy` names the policy that settled it: the one with the highest
    priority (ties by name) among those that want the site or, for a site
    denied or excluded, that keep it out; None if no policy speaks of it.
    `wishes` says how the image is to travel there, `tolerates` which taints
    of the site keep it from there no less, and `deadline_s` how long after
    its creation it should be there; all are empty if it is not wanted.
    """

    site: sites.Site
    wanted: bool
    policy: str | None
    reason: str
    wishes: transfers.Wishes = transfers.NO_WISHES
    tolerates: frozenset[str] = frozenset()
    deadline_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Decisions:
    """One decision for every site, in the order of sites.yaml.

    `priority` is the highest of the matching policies', 0 if none matches;
    it settles whose turn it is when copies have to wait.
    """

    priority: int
    by_site: tuple[Decision, ...]

    @property
    def wanted(self) -> tuple[Decision, ...]:
        """The decisions that ask for a copy."""
        return tuple(d for d in self.by_site if d.wanted)
