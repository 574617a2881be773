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
"""How to talk to any cluster; what the operator sets."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What applies to every cluster alike.

    :ivar connections: TCP streams for data. The send buffer of the kernel
        (4 MiB as it comes) bounds what one carries over a long link: so up
        to three times as many are made where the round trip is long.
    :ivar timeout_s: how long the monitors and OSDs have to answer
    :ivar idle_s: for how long an unused connection is kept; longer than
        the pauses between two checks, so that an agent's are always warm
    :ivar identity: what claims say of their holder; '' for this process,
        so that claims of dead processes are recognised
    """

    connections: int = 4
    timeout_s: float = 15.0
    idle_s: float = 900.0
    identity: str = ''
