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
"""dcn-distributor verify: whether copies are still what they should be."""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import time
from typing import Any
from typing import TYPE_CHECKING

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import progress
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import images
from dcn_distributor.core import sites

if TYPE_CHECKING:
    from dcn_distributor.core import transfers
    from dcn_distributor.engines.rbd_stream import verification

EPILOG = """\
Compares the copies in the sites' clusters with one of them, the source, to
the last byte, whoever made them. The OSDs of both sides compute checksums of
what they hold at rest, so hardly anything crosses a link. A verdict is
  good          the same as the source
  damaged       the RADOS objects, offsets and lengths that differ are told
  repaired      it was damaged, and is the same now
  not compared  the reason is told
By checksums alone nobody can tell which side is right: --source-hash also
reads the source, and compares its hash with the one that Glance recorded.
--repair does so of its own accord before it writes, and then writes what
differs in place: instances that run from the copy see it at once.

Glance and the clusters are asked by this command itself, with the settings
and keyrings of sites.yaml; no agent is needed. Progress goes to stderr.

exit codes:
  0  all these copies are good, or repaired
  1  failed: none of them is, no source to compare with, or no answer
  2  wrong usage (several images have that name, no such site), or something
     wrong in the configuration
  3  some of them are good, or repaired

examples:
  dcn-distributor verify cirros
  dcn-distributor verify cirros dcn17 --repair
  dcn-distributor verify cirros central --source dcn17 --source-hash
  dcn-distributor verify cirros -f json | jq '.[] | select(.damages != [])'"""

_RECORD = (
    'image_id',
    'site',
    'store',
    'verdict',
    'source',
    'size_bytes',
    'compared_bytes',
    'damages',
    'notes',
    'error',
)
_TABLE = ('Site', 'Verdict', 'Compared', 'Damages', 'Notes')
_FEW = 3

GOOD = 'good'
DAMAGED = 'damaged'
REPAIRED = 'repaired'
NOT_COMPARED = 'not compared'


class Verify(lister.Lister):  # type: ignore[misc]
    """Compare copies of an image with its source, and repair them."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add image, sites, and what is to be done."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='IMAGE', help='id or unique name')
        parser.add_argument(
            'sites',
            metavar='SITE',
            nargs='*',
            help='sites whose copies are compared; all others that Glance '
            'lists if there is none',
        )
        parser.add_argument(
            '--repair',
            action='store_true',
            help='write what differs anew, in place',
        )
        parser.add_argument(
            '--source',
            metavar='SITE',
            default=sites.CENTRAL,
            help='the site to compare with; default: central',
        )
        parser.add_argument(
            '--source-hash',
            action='store_true',
            help='read the whole source, too, and compare its hash with the '
            'one that Glance recorded',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Find image and sites first, then compare."""
        self._world = self.open_world(self.app)
        wrong = self._find(parsed_args)
        if wrong is not None:
            self.app.stderr.write(f'{self.app.NAME}: {wrong}\n')
            return cli.USAGE
        super().run(parsed_args)
        if parsed_args.formatter == 'table':
            self._write_below(parsed_args)
        return self._exit_code()

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Compare, and repair if wished; lay the verdicts out."""
        self._verdicts = self._compare(parsed_args)
        if parsed_args.formatter == 'table':
            return _TABLE, map(_for_people, self._verdicts)
        is_json = parsed_args.formatter in ('json', 'yaml')
        return _RECORD, (
            _for_programs(self._image, self._source, verdict, is_json)
            for verdict in self._verdicts
        )

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Write no empty table."""
        if parsed_args.formatter == 'table' and not self._verdicts:
            return 0
        return int(
            super().produce_output(parsed_args, column_names, data) or 0
        )

    def _find(self, parsed_args: argparse.Namespace) -> str | None:
        """Find the image, its source and the suspects; say what is wrong."""
        known = self._world.rules.sites.everywhere
        sources = worlds.pick_sites([parsed_args.source], known)
        suspects = worlds.pick_sites(parsed_args.sites, known)
        if isinstance(sources, str):
            return sources
        if isinstance(suspects, str):
            return suspects
        found = worlds.find_one(self._world.images, parsed_args.image)
        if isinstance(found, str):
            return found
        [source] = sources
        if source.cluster is None:
            return (
                f'sites.yaml has no cluster settings for {source.name}, so '
                'its copy cannot be read; name another with --source'
            )
        if parsed_args.sites and source in suspects:
            return (
                f'{source.name} is what the others are compared with; name '
                'another with --source'
            )
        self._image, self._source = found, source
        self._suspects = [
            site
            for site in suspects
            if parsed_args.sites
            or (site != source and site.store in found.stores)
        ]
        return None

    def _compare(
        self, parsed_args: argparse.Namespace
    ) -> 'list[verification.Verdict]':
        # The engine takes its time to load, which --help does not need.
        from dcn_distributor.cmd import checks

        if self._source.store not in self._image.stores:
            there_are = '; compare with another by --source'
            raise exceptions.CopyNotFound(
                f'Glance lists no copy of {rendering.name(self._image)} at '
                f'{self._source.name}'
                f'{there_are if self._image.stores else ", nor anywhere"}'
            )
        if not self._suspects:
            return []
        wish = checks.Wish(
            self._image,
            self._source,
            self._suspects,
            repairs=parsed_args.repair,
            reads_source=parsed_args.source_hash,
        )
        with progress.displayed(self.app.stderr, time.monotonic) as display:
            return checks.run(self._world, wish, display)

    def _write_below(self, parsed_args: argparse.Namespace) -> None:
        stdout, source = self.app.stdout, self._source.name
        if not self._verdicts:
            stdout.write(
                f'Glance lists {rendering.name(self._image)} at no site but '
                f'{source}: there is nothing to compare.\n'
            )
            return
        good = [v for v in self._verdicts if v.is_good]
        stdout.write(
            f'The same as at {source}: {len(good)} of {len(self._verdicts)}.\n'
        )
        if any(_word(v) == DAMAGED for v in self._verdicts):
            stdout.write(
                f'--repair writes what differs anew from {source}.\n'
                if not parsed_args.repair
                else 'What could not be repaired is told as damaged.\n'
            )

    def _exit_code(self) -> int:
        good = [verdict.is_good for verdict in self._verdicts]
        if all(good):
            return cli.DONE
        return cli.PARTLY_DONE if any(good) else cli.FAILED


def _word(verdict: 'verification.Verdict') -> str:
    """Say in a word what was found."""
    if verdict.is_good:
        return REPAIRED if verdict.damages else GOOD
    return DAMAGED if verdict.damages else NOT_COMPARED


def _for_people(verdict: 'verification.Verdict') -> tuple[str, ...]:
    told = [*map(_damage, verdict.damages[:_FEW])]
    rest = len(verdict.damages) - _FEW
    if rest > 0:
        told.append(f'... and {rest} more; see -f json')
    notes = [str(verdict.error)] if verdict.error is not None else []
    return (
        verdict.site,
        _word(verdict),
        rendering.share(verdict.compared_bytes, verdict.size_bytes),
        '\n'.join(told),
        '\n'.join(map(rendering.printable, [*notes, *verdict.notes])),
    )


def _for_programs(
    image: images.Image,
    source: sites.Site,
    verdict: 'verification.Verdict',
    is_json: bool,
) -> tuple[object, ...]:
    error = None if verdict.error is None else str(verdict.error)
    if is_json:
        damages: object = [
            {
                'object': damage.name,
                'offset': damage.offset,
                'length': damage.length,
                'is_repaired': damage.is_repaired,
            }
            for damage in verdict.damages
        ]
        notes: object = list(verdict.notes)
    else:
        damages = '; '.join(map(_damage, verdict.damages))
        notes = rendering.printable('; '.join(verdict.notes))
        error = error and rendering.printable(error)
    return (
        image.id,
        verdict.site,
        verdict.store,
        _word(verdict),
        source.name,
        verdict.size_bytes,
        verdict.compared_bytes,
        damages,
        notes,
        error,
    )


def _damage(damage: 'transfers.Damage') -> str:
    return (
        f'{damage.name}: {rendering.count(damage.length, "byte")} at '
        f'{damage.offset}'
    )
