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
"""Builds the agent, and starts it on its bus."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import importlib.metadata
import time

from oslo_config import cfg

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor.app import parts as assembly
from dcn_distributor.clients import glance
from dcn_distributor.clients import metrics as all_metrics
from dcn_distributor.clients import web
from dcn_distributor.clients.bus import announcements
from dcn_distributor.clients.bus import control
from dcn_distributor.clients.bus import fellows
from dcn_distributor.clients.bus import notifications
from dcn_distributor.clients.bus import server
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import observing
from dcn_distributor.core import ports
from dcn_distributor.core import transitions
from dcn_distributor.engines.rbd_stream import engine as rbd_stream
from dcn_distributor.service import agent as agents
from dcn_distributor.service import answers as answering
from dcn_distributor.service import handover as handovers
from dcn_distributor.service import health as healths
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import rules as rule_books
from dcn_distributor.service import sights
from dcn_distributor.service import supervision as supervisions
from dcn_distributor.service import watched_images


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """An agent, what it answers, and what it is made of."""

    agent: agents.Agent
    answers: answering.Answers
    parts: all_parts.Parts


def build_agent(
    settings: configuration.Settings,
    rules: rule_books.Files,
    port: ports.Images,
    make_streams: assembly.MakeStreams,
    open_group: assembly.OpenGroup,
    counts: notifications.Counts,
    supervisor: supervisions.Supervisor,
    observer: observing.Observer,
    tell: Callable[[], None],
    hearers: Sequence[transitions.Hearer],
) -> Built:
    """Build an agent that works on the images of `port`, and its answers.

    `rules` are those it begins with; those in the files it reads later.
    `supervisor` is told that it works, `observer` what it does, and
    `hearers` of each placement that changed.
    `make_streams` gets whom to tell of an image whose stream got on, and of
    sites that became fit or unfit; `open_group` whom to tell when links are
    others'. `tell` has other agents told what operators said.
    """
    parts = assembly.build(
        settings,
        rules,
        watched_images.WatchedImages(port),
        make_streams,
        open_group,
        observer,
        hearers,
    )
    supervision = supervisions.Supervision(
        supervisor, parts.progress, lambda: parts.resync.has_looked
    )
    return Built(
        agents.Agent(parts, settings.limits.backoff, supervision),
        answering.Answers(parts, settings.host, counts.as_dict, tell),
        parts,
    )


def _group_opener(
    settings: configuration.Settings, hears: Callable[[], bool]
) -> assembly.OpenGroup:
    """Build what joins the other agents; tooz is loaded for that."""
    from dcn_distributor.clients import coordination

    return lambda on_change: coordination.open_group(
        settings.group, settings.host, on_change, hears
    )


def _stream_maker(
    settings: configuration.Settings, port: ports.Images
) -> assembly.MakeStreams:
    """Build what makes the engine rbd-stream, if it may be used."""

    def make_streams(
        wake: Callable[[images.ImageId], None], wake_all: Callable[[], None]
    ) -> ports.StreamEngine | None:
        if choosing.RBD_STREAM not in settings.choice.engines:
            return None
        return rbd_stream.RbdStream(
            port,
            app.cluster_maker(settings.streaming),
            settings.streaming,
            rbd_stream.Callbacks(wake, wake_all),
            removes_orphans=settings.remove_orphans,
        )

    return make_streams


def start_agent(
    conf: cfg.ConfigOpts,
    settings: configuration.Settings,
    rules: rule_books.Files,
    supervisor: supervisions.Supervisor,
) -> Built:
    """Build the agent of this configuration, and start it on its bus."""
    counts = notifications.Counts()
    metrics = all_metrics.Metrics()
    port = glance.connect(conf)

    open_group = _group_opener(settings, lambda: hearing.is_good())
    announcer = announcements.Announcer(
        conf, settings.notification_topics, settings.host
    )
    built = build_agent(
        settings,
        rules,
        port,
        _stream_maker(settings, port),
        lambda on_change: open_group(_both(on_change, lambda: others.ask())),
        counts,
        supervisor,
        metrics,
        lambda: others.tell(),
        [announcer.note],
    )
    parts = built.parts
    others = _others(conf, settings, parts)
    notifications.quieten_undecodable(counts)

    def hear_of(image_id: images.ImageId) -> None:
        built.agent.look_at(image_id)
        others.pass_on(image_id)

    hints = notifications.Hints(hear_of, counts, parts.witness.traces.note)
    listener = notifications.Listener(conf, settings.topic, hints)
    hearing = notifications.Hearing(listener.deafness, time.monotonic)
    ears: list[agents.Ear] = [
        listener,
        server.Server(conf, settings.host, built.answers, built.agent, others),
        others,
        announcer,
    ]
    if settings.group.backend_url:
        ears.append(_handover(conf, parts))
    metrics.watch(
        lambda: sights.standing(parts),
        counts.by_type,
        importlib.metadata.version('dcn_distributor'),
    )
    if settings.metrics.port:
        health = health_of(parts, supervisor.patience_s, listener.deafness)
        ears.append(web.Server(settings.metrics, _pages(metrics, health)))
    built.agent.start(ears)
    return built


def health_of(
    parts: all_parts.Parts,
    patience_s: float | None,
    deafness: Callable[[], str | None],
) -> healths.Health:
    """Build what tells whether an agent works."""
    return healths.Health(
        parts.progress,
        patience_s,
        lambda: parts.resync.has_looked,
        deafness,
        lambda: parts.glance.silence,
    )


def _pages(metrics: all_metrics.Metrics, health: healths.Health) -> web.Pages:
    return {
        '/metrics': metrics.page(),
        '/healthz': web.check_page(health.healthy),
        '/readyz': web.check_page(health.ready),
    }


def _others(
    conf: cfg.ConfigOpts,
    settings: configuration.Settings,
    parts: all_parts.Parts,
) -> fellows.Fellows | fellows.Nobody:
    """Build what tells the other agents, if there may be any."""
    if not settings.group.backend_url:
        return fellows.Nobody()
    return fellows.Fellows(conf, settings.host, lambda: parts.pause_book.words)


def _handover(
    conf: cfg.ConfigOpts, parts: all_parts.Parts
) -> handovers.Handover:
    """Build what hands orders on to the agents that have their links."""
    client = control.Client(conf, app.ANSWER_TIMEOUT_S, app.LOOK_TIMEOUT_S)
    return handovers.Handover(
        parts.order_book,
        lambda: parts.rule_book.rules.sites,
        parts.group,
        lambda owner, *order: client.at(owner).copy(*order),
    )


def _both(
    one: Callable[[], None], other: Callable[[], None]
) -> Callable[[], None]:
    def call() -> None:
        one()
        other()

    return call
