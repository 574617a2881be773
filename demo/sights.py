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
"""The matrix at one moment, as `dcn-distributor status` judges it.

Reads the same world by the same rules through core.matrix. It adds one
thing: how far Glance is with a copy, which that tells once a minute, is asked
of the cluster that is being written to.
"""

from collections.abc import Sequence
from concurrent import futures
import dataclasses
import threading
import time

from oslo_config import cfg

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.clients import glance
from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from demo import meter as meters
from demo import pictures

_ASK_EVERY_S = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What is to be seen: the rows in the order of their first sight."""

    rows: tuple[matrix.Row, ...]
    totals: matrix.Totals
    sites: tuple[sites.Site, ...]

    def row(self, image_id: str) -> matrix.Row | None:
        """Give the row of an image."""
        return next((r for r in self.rows if r.image.id == image_id), None)


class Observer:
    """Looks at a cloud, again and again.

    :param conf_file: the agent's, so that both go by the same rules
    """

    def __init__(self, conf_file: str, meter: meters.Meter) -> None:
        self._meter = meter
        self.world, self._read_rules = _open(conf_file)
        self._known_stores: frozenset[images.StoreId] = frozenset()
        self._order: dict[images.ImageId, int] = {}
        self._memory = memories.NOTHING
        self._asked: futures.Future[memories.Memory] | None = None
        self._asked_at_s = 0.0

    def reread_rules(self) -> None:
        """Read both YAML files again. Raises ConfigError."""
        _, rules = self._read_rules()
        self.world = dataclasses.replace(self.world, rules=rules)

    def look(self) -> Sight:
        """Read Glance anew. Raises GlanceUnavailable and AccessDenied."""
        if not self._known_stores:
            self._known_stores = self.world.images.stores()
        survey = matrix.Survey(
            self.world.rules,
            self._known_stores,
            self._remembered(),
            self.world.clock(),
            matrix.EVERYTHING,
        )
        totals = matrix.Totals()
        rows: dict[images.ImageId, matrix.Row] = {}
        for image in self.world.images.list():
            row = survey.row(image, self.world.images.import_task(image))
            if row.matters or pictures.TAG in image.tags:
                rows[image.id] = self._measured(row)
        for row in rows.values():
            totals.add(row, row.tally())
            self._order.setdefault(row.image.id, len(self._order))
        shown = sorted(rows.values(), key=lambda r: self._order[r.image.id])
        return Sight(tuple(shown), totals, tuple(self.world.rules.sites))

    def why(self, image_id: str, site: str) -> str:
        """Why a site gets an image in the way it does; '' if unknown."""
        try:
            told = self.world.agent.routes(images.ImageId(image_id))
        except exceptions.BusUnavailable:
            return ''
        stores = {s.name: s.store for s in self.world.rules.sites}
        route = memories.routes(told).get(stores[sites.SiteName(site)])
        return '' if route is None else route.reason

    def _measured(self, row: matrix.Row) -> matrix.Row:
        cells = [self._with_progress(row.image, cell) for cell in row.cells]
        return dataclasses.replace(row, cells=tuple(cells))

    def _with_progress(
        self, image: images.Image, cell: placements.Placement
    ) -> placements.Placement:
        if cell.state is not placements.State.COPYING or cell.lane is not None:
            return cell
        site = cell.decision.site.name
        written = self._meter.written_bytes(site, image.id)
        if written is None:
            return cell
        return dataclasses.replace(cell, copied_bytes=written)

    def _remembered(self) -> memories.Memory:
        """Give what the agent last told; ask it again, without waiting."""
        if self._asked is not None and self._asked.done():
            self._memory = self._asked.result()
            self._asked = None
        is_due = time.monotonic() - self._asked_at_s >= _ASK_EVERY_S
        if self._asked is None and is_due:
            self._asked_at_s = time.monotonic()
            self._asked = _in_background(self.world)
        return self._memory


def _open(conf_file: str) -> tuple[app.World, app.Reader]:
    conf = cfg.ConfigOpts()
    for register in (configuration.register_opts, glance.register_opts):
        register(conf)
    settings = configuration.read(conf, [], [conf_file])
    return app.open_world(conf, settings), app.rule_reader(settings)


def _in_background(
    world: app.World,
) -> 'futures.Future[memories.Memory]':
    answer: futures.Future[memories.Memory] = futures.Future()

    def ask() -> None:
        try:
            memory = memories.remembered(world.agent.remembered())
            answer.set_result(
                memories.with_transfers(memory, world.agent.transfers())
            )
        except exceptions.DistributorError:
            answer.set_result(memories.NOTHING)

    threading.Thread(target=ask, name='ask-agent', daemon=True).start()
    return answer


def answers(world: app.World) -> str:
    """Name the host of an agent that answers on this bus; '' if none."""
    try:
        return memories.remembered(world.agent.remembered()).host
    except exceptions.BusUnavailable:
        return ''


def names(cells: Sequence[placements.Placement]) -> list[str]:
    """Give the names of the sites of some cells."""
    return [cell.decision.site.name for cell in cells]
