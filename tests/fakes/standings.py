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
"""How an agent with one site may stand, and what it may have done."""

from dcn_distributor.core import choosing
from dcn_distributor.core import observing
from dcn_distributor.core import placements
from dcn_distributor.core import sites

SITE = sites.SiteName('dcn0')

STANDING = observing.Standing(
    census=observing.Census(
        ended_s=1000.0,
        replicas={
            SITE: {
                placements.State.PRESENT: 3,
                placements.State.ABSENT: 1,
            }
        },
        desired={SITE: 4},
        converged_s={SITE: 900.0},
        objective={SITE: 1.5},
    ),
    active={SITE: 2},
    reachable={SITE: True},
    queue_depth=5,
    sent_bytes={(SITE, choosing.RBD_STREAM): 2**20},
    generation=7,
    load_errors=1,
    is_refused=True,
    members=3,
    links={'north': observing.LinkUse(2, 2.0**20)},
)


def tell(observer: observing.Observer) -> None:
    """Tell one of each thing that can happen."""
    observer.looked(0.2)
    observer.reacted(2.0)
    observer.attempted(SITE, observing.Attempt.FAILED)
    observer.arrived(choosing.RBD_STREAM, 2**30, 40.0)
    observer.flawed(SITE, observing.Flaw.COPY)
