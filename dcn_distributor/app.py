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
from dcn_distributor.clients.bus import notifications
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from dcn_distributor.core import authorities
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import policies
from dcn_distributor.core import ports
from dcn_distributor.core import sites as core_sites
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines import copy_image
from dcn_distributor.engines.rbd_stream import engine as rbd_stream
from dcn_distributor.service import agent as agents
from dcn_distributor.service import answers as answering
from dcn_distributor.service import books as booking
from dcn_distributor.service import ledger as ledgers
from dcn_distributor.service import orders
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import progress as progresses
from dcn_distributor.service import reconciler as reconcilers
from dcn_distributor.service import resync as resyncs
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import supervision as supervisions
from dcn_distributor.service import work_queue
from dcn_distributor.service import workers as worker_threads

# How long a command waits for an agent that answers from memory, and for one
# that has to ask Glance.
ANSWER_TIMEOUT_S = 3.0
LOOK_TIMEOUT_S = 30.0

Reader = Callable[[], rule_books.Files]
MakeStreams = Callable[
    [Callable[[images.ImageId], None], Callable[[], None]],
    ports.StreamEngine | None,
]
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


def build_agent(
    settings: configuration.Settings,
    rules: rule_books.Files,
    port: ports.Images,
    make_streams: MakeStreams,
    counts: notifications.Counts,
    supervisor: supervisions.Supervisor,
) -> tuple[agents.Agent, answering.Answers]:
    """Build an agent that works on the images of `port`, and its answers.

    `rules` are those it begins with; those in the files it reads later.
    `supervisor` is told that it works.
    `make_streams` gets whom to tell of an image whose stream got on, and of
    sites that became fit or unfit.
    """
    parts = _parts(settings, rules, port, make_streams)
    supervision = supervisions.Supervision(
        supervisor, parts.progress, lambda: parts.resync.has_looked
    )
    return (
        agents.Agent(parts, settings.limits.backoff, supervision),
        answering.Answers(parts, counts.as_dict),
    )


def _parts(
    settings: configuration.Settings,
    rules: rule_books.Files,
    port: ports.Images,
    make_streams: MakeStreams,
) -> all_parts.Parts:
    """Build all that an agent is made of."""
    streams = make_streams(
        lambda image_id: queue.add(image_id), lambda: resync.ask()
    )
    limits = dataclasses.replace(
        settings.limits,
        transfers=0 if streams is None else settings.streaming.transfers,
    )
    queue: work_queue.WorkQueue[images.ImageId] = work_queue.WorkQueue(
        time.monotonic
    )
    progress = progresses.Progress(time.monotonic)
    rule_book = rule_books.RuleBook(rule_reader(settings), rules)
    ledger = ledgers.Ledger(limits, time.time)
    order_book = orders.OrderBook()
    reconciler = reconcilers.build(
        port,
        reconcilers.Engines(copy_image.CopyImage(port), streams),
        rule_book,
        booking.Books(ledger, limits, settings.choice, time.time),
        order_book,
    )
    resync = resyncs.Resync(
        port,
        reconciler,
        queue.add,
        settings.resync_interval_s,
        limits.backoff,
        progress,
    )
    return all_parts.Parts(
        port,
        streams,
        queue,
        ledger,
        rule_book,
        order_book,
        reconciler,
        worker_threads.Workers(
            queue, reconciler, ledger, settings.workers, progress
        ),
        resync,
        progress,
    )


def start_agent(
    conf: cfg.ConfigOpts,
    settings: configuration.Settings,
    rules: rule_books.Files,
    supervisor: supervisions.Supervisor,
) -> agents.Agent:
    """Build the agent of this configuration, and start it on its bus."""
    counts = notifications.Counts()
    port = glance.connect(conf)

    def make_streams(
        wake: Callable[[images.ImageId], None], wake_all: Callable[[], None]
    ) -> ports.StreamEngine | None:
        if choosing.RBD_STREAM not in settings.choice.engines:
            return None
        return rbd_stream.RbdStream(
            port,
            cluster_maker(settings.streaming),
            settings.streaming,
            rbd_stream.Callbacks(wake, wake_all),
            removes_orphans=settings.remove_orphans,
        )

    agent, answers = build_agent(
        settings,
        rules,
        port,
        make_streams,
        counts,
        supervisor,
    )
    notifications.quieten_undecodable(counts)
    hints = notifications.Hints(agent.look_at, counts)
    agent.start(
        [
            notifications.Listener(conf, settings.topic, hints),
            control.Server(conf, answers),
        ]
    )
    return agent


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
    conf: cfg.ConfigOpts, settings: configuration.Settings
) -> World:
    """Build the world of this configuration. Raises ConfigError.

    Nothing is sent to Glance or to the bus before something is asked.
    """
    _, read_policies = rule_reader(settings)()
    notifications.check_url(conf)
    return World(
        images=glance.connect(conf),
        rules=read_policies,
        agent=control.Client(conf, ANSWER_TIMEOUT_S, LOOK_TIMEOUT_S),
        clock=time.time,
        tuning=settings.streaming,
        connect=cluster_maker(settings.streaming),
    )
