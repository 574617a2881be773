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
"""All services of a lab, by its state."""

import threading

from lab import agent
from lab import agent_service
from lab import bus
from lab import ceph
from lab import etcd
from lab import glance
from lab import keystone as lab_keystone
from lab import link_service
from lab import service
from lab import state as lab_state
from lab import topology


def make(
    state: lab_state.State,
    planned: topology.Document,
    cancelled: threading.Event,
) -> dict[str, service.Service]:
    """Give them by name, in the order in which `ps` shows them.

    :param planned: the lab's sites.yaml, as far as it is settled
    """
    keystone = lab_keystone.Keystone(state, cancelled)
    with_glance = state.sites if state.like else (lab_state.CENTRAL,)
    everything = (
        *(link_service.WideAreaLink(s, state, cancelled) for s in state.links),
        *bus.services(state, cancelled),
        keystone,
        *(
            ceph.Ceph(site, state, cancelled)
            for site in topology.sites_with_cluster(planned)
        ),
        *(
            glance.Glance(state, cancelled, keystone, site)
            for site in with_glance
        ),
        *_agents(state, cancelled),
    )
    return {one.name: one for one in everything}


def _agents(
    state: lab_state.State, cancelled: threading.Event
) -> tuple[service.Service, ...]:
    """Several, with what they find each other by; one is not ours to run."""
    if state.agents == 1:
        return ()
    return (
        etcd.Etcd(state, cancelled),
        *(
            agent_service.Agent(name, state, cancelled)
            for name in agent.names(state)
        ),
    )
