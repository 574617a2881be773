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
"""dcn-distributor clean: what lies under an image's names, and no copy is."""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import dataclasses
from typing import Any
from typing import TYPE_CHECKING

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage

if TYPE_CHECKING:
    from dcn_distributor import app
    from dcn_distributor.engines.rbd_stream import leftovers

EPILOG = """\
Without --yes it only looks, and says what it would remove. At each site, the
names of the image in the pool may be taken by
  draft    an unfinished copy of ours, which the next try goes on with
  claim    the mark of a copy of ours under way, or of one that died; it can
           be removed a minute after its agent has died
  orphan   an RBD image that no location in Glance leads to, as a glance-api
           leaves it that dies: Glance refuses to copy the image there
  copy     the copy that Glance knows: never touched
An orphan is removed only if Glance has no location there, no import of the
image is under way, nobody has it open, and it has neither clones nor a
protected snapshot. An image that was deleted in Glance goes by its id.

Glance and the clusters are asked by this command itself, with the settings
and keyrings of sites.yaml; no agent is needed.

exit codes:
  0  all that may go is gone; or, without --yes, was shown
  1  failed: nothing could be removed, no answer, or no such image
  2  wrong usage (several images have that name, no such site), or something
     wrong in the configuration
  3  partly done: something was kept or failed, or a site did not answer

examples:
  dcn-distributor clean cirros
  dcn-distributor clean cirros dcn17 --yes
  dcn-distributor clean 0b4f3cb5-31b3-4c3b-a4a5-9a5f1bd4a1f9 -f json"""

_RECORD = (
    'image_id',
    'site',
    'store',
    'what',
    'name',
    'size_bytes',
    'outcome',
    'reason',
)
_TABLE = ('Site', 'What', 'Name', 'Size', 'Outcome', 'Reason')
_NO_CLUSTER = 'sites.yaml has no cluster settings for this site'

_FAILED = 'failed'
_KEPT = 'kept'
_REMOVED = 'removed'
_REMOVABLE = 'removable'
_UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One thing at one site; `what` is empty where none could be seen."""

    site: sites.Site
    what: str
    name: str
    size_bytes: int | None
    outcome: str
    reason: str

    @property
    def is_a_copy(self) -> bool:
        """True if Glance knows it."""
        return self.what == 'copy'


class Clean(lister.Lister):  # type: ignore[misc]
    """Show, and remove with --yes, what dead copies of an image left."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add image, sites, and the permission."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'image',
            metavar='IMAGE',
            help='id or unique name; of a deleted one the id',
        )
        parser.add_argument(
            'sites',
            metavar='SITE',
            nargs='*',
            help='central or edge sites; all if there is none',
        )
        parser.add_argument(
            '--yes', action='store_true', help='remove what may be removed'
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Find image and sites first."""
        self._world = self.open_world(self.app)
        wrong = self._find(parsed_args)
        if wrong is not None:
            self.app.stderr.write(f'{self.app.NAME}: {wrong}\n')
            return cli.USAGE
        super().run(parsed_args)
        if parsed_args.formatter == 'table':
            self._write_below(parsed_args)
        return _exit_code(self._rows, len(self._sites), parsed_args)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Look at all sites at once, and remove if that is allowed."""
        with futures.ThreadPoolExecutor(len(self._sites)) as pool:
            found = pool.map(
                lambda site: [*self._visit(site, parsed_args.yes)],
                self._sites,
            )
            self._rows = [row for rows in found for row in rows]
        if parsed_args.formatter == 'table':
            return _TABLE, map(_for_people, self._rows)
        is_json = parsed_args.formatter in ('json', 'yaml')
        return _RECORD, (
            _for_programs(self._image_id, row, is_json) for row in self._rows
        )

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Write no empty table."""
        if parsed_args.formatter == 'table' and not self._rows:
            return 0
        return int(
            super().produce_output(parsed_args, column_names, data) or 0
        )

    def _find(self, parsed_args: argparse.Namespace) -> str | None:
        """Find the image's id and the sites; say what is wrong."""
        known = self._world.rules.sites.everywhere
        picked = worlds.pick_sites(parsed_args.sites, known)
        if isinstance(picked, str):
            return picked
        self._sites = picked
        image_id = worlds.as_id(parsed_args.image)
        if image_id is None:
            found = worlds.find_one(self._world.images, parsed_args.image)
            if isinstance(found, str):
                return found
            image_id = found.id
        self._image_id = image_id
        return None

    def _visit(self, site: sites.Site, removes: bool) -> Iterator[Row]:
        if site.cluster is None:
            yield Row(site, '', '', None, _UNKNOWN, _NO_CLUSTER)
            return
        cluster = self._world.connect(site.cluster)
        try:
            for one in _clean(
                self._world, self._image_id, site, cluster, removes
            ):
                yield Row(
                    site,
                    one.what.value,
                    one.name,
                    one.size_bytes,
                    one.fate.value,
                    one.reason,
                )
        except exceptions.DistributorError as exc:
            yield Row(site, '', '', None, _FAILED, str(exc))
        finally:
            cluster.close()

    def _write_below(self, parsed_args: argparse.Namespace) -> None:
        outcomes = [row.outcome for row in self._rows]
        if _REMOVABLE in outcomes:
            number = outcomes.count(_REMOVABLE)
            told = (
                f'Nothing was removed; {rendering.count(number, "thing")} '
                'would be with --yes.'
            )
        elif _REMOVED in outcomes:
            number = outcomes.count(_REMOVED)
            told = f'Removed {rendering.count(number, "thing")}.'
        elif all(row.is_a_copy for row in self._rows):
            told = 'There is nothing to clean.'
        else:
            told = 'Nothing can be removed.'
        self.app.stdout.write(f'{told}\n')


def _clean(
    world: 'app.World',
    image_id: images.ImageId,
    site: sites.Site,
    cluster: storage.Cluster,
    removes: bool,
) -> 'list[leftovers.Leftover]':
    """Look at one site, and clean it if told to."""
    # The engine takes its time to load, which --help does not need.
    from dcn_distributor.engines.rbd_stream import leftovers

    place = leftovers.Place(site.store, cluster)
    if removes:
        return leftovers.remove(world.images, image_id, place)
    return leftovers.look(
        leftovers.find(world.images, image_id), image_id, place
    )


def _for_people(row: Row) -> tuple[str, ...]:
    outcome = 'would be removed' if row.outcome == _REMOVABLE else row.outcome
    return (
        row.site.name,
        row.what,
        row.name,
        '' if row.size_bytes is None else rendering.size(row.size_bytes),
        outcome,
        rendering.printable(row.reason),
    )


def _for_programs(
    image_id: images.ImageId, row: Row, is_json: bool
) -> tuple[object, ...]:
    return (
        image_id,
        row.site.name,
        row.site.store,
        row.what or None,
        row.name or None,
        row.size_bytes,
        row.outcome,
        row.reason if is_json else rendering.printable(row.reason),
    )


def _exit_code(
    rows: Sequence[Row], site_count: int, parsed_args: argparse.Namespace
) -> int:
    """Tell whether all was done that was asked for."""
    undone = [
        row
        for row in rows
        if row.outcome == _FAILED
        or (row.outcome == _KEPT and not row.is_a_copy and parsed_args.yes)
        or (row.outcome == _UNKNOWN and parsed_args.sites)
    ]
    if not undone:
        return cli.DONE
    if parsed_args.yes:
        is_some_done = any(row.outcome == _REMOVED for row in rows)
    else:
        is_some_done = len({row.site.name for row in undone}) < site_count
    return cli.PARTLY_DONE if is_some_done else cli.FAILED
