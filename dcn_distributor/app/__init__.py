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
"""The composition root: builds what cmd runs out of the parts."""

from collections.abc import Callable
import dataclasses
import time

from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor.bootstrap import trials
from dcn_distributor.clients import glance
from dcn_distributor.clients.bus import control
from dcn_distributor.clients.bus import everyone
from dcn_distributor.clients.bus import notifications
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from dcn_distributor.core import authorities
from dcn_distributor.core import policies
from dcn_distributor.core import ports
from dcn_distributor.core import sites as core_sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.service import rules as rule_books

# How long a command waits for an agent that answers from memory, and for one
# that has to ask Glance.
ANSWER_TIMEOUT_S = 3.0
LOOK_TIMEOUT_S = 30.0

ConnectImages = Callable[[cfg.ConfigOpts], ports.Images]
Reader = Callable[[], rule_books.Files]
Connect = Callable[[core_sites.Cluster], storage.Cluster]


def rule_reader(settings: configuration.Settings) -> Reader:
    """Build what reads both YAML files; it raises ConfigError."""

    def read() -> rule_books.Files:
        read_sites = sites.load(settings.sites_file)
        return read_sites, placement.load(settings.placement_file, read_sites)

    return read


def cluster_maker(tuning: transfers.Tuning) -> Connect:
    """Build what makes clusters; rados and rbd are loaded with the first."""

    def connect(settings: core_sites.Cluster) -> storage.Cluster:
        from dcn_distributor.clients.ceph import cluster
        from dcn_distributor.clients.ceph import options

        return cluster.Cluster(
            settings,
            options.Options(
                connections=tuning.connections, timeout_s=tuning.timeout_s
            ),
        )

    return connect


def connect_authority(admin_conf: str) -> authorities.Authority:
    """Connect to a cluster as client.admin; rados is loaded for that.

    Raises ConfigError, ClusterUnavailable, AccessDenied.
    """
    from dcn_distributor.clients.ceph import authority

    return authority.Authority(admin_conf)


def key_trials() -> trials.Keys:
    """Give what tries keys; rados is loaded for that."""
    from dcn_distributor.clients.ceph import trials as ceph_trials

    return ceph_trials


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """What the operators' commands see of a cloud and of its agents.

    `clock` gives seconds since the epoch. `connect` makes a handle on a
    site's cluster; nothing is sent before that is used.
    """

    images: ports.Images
    rules: policies.PolicySet
    agent: control.Agent
    clock: Callable[[], float]
    tuning: transfers.Tuning
    connect: Connect


def open_world(
    conf: cfg.ConfigOpts,
    settings: configuration.Settings,
    connect_images: ConnectImages = glance.connect,
) -> World:
    """Build the world of this configuration. Raises ConfigError.

    `connect_images` is how Glance is reached, if not as [glance] says.
    Nothing is sent to Glance or to the bus before something is asked.
    """
    _, read_policies = rule_reader(settings)()
    notifications.check_url(conf)
    client = control.Client(conf, ANSWER_TIMEOUT_S, LOOK_TIMEOUT_S)
    return World(
        images=connect_images(conf),
        rules=read_policies,
        agent=everyone.Everyone(client, client.at, time.monotonic),
        clock=time.time,
        tuning=settings.streaming,
        connect=cluster_maker(settings.streaming),
    )
