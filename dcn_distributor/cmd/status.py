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
"""dcn-distributor status: which image is at which site."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import io
import shutil
import sys
from typing import Any

from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import tables
from dcn_distributor.cmd import timelines
from dcn_distributor.cmd import watching
from dcn_distributor.cmd import worlds
from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from dcn_distributor.core import transitions

EPILOG = """\
What is not in order is told below the table, the worst first. A state is
  present   Glance lists the site's store: the copy is there
            (present*: though no policy wants it; nothing is ever deleted)
  verified  so it is, and the agent's stream has proved it, as long as the
            agent remembers
  copying   a stream works for it, or an import; of an import the figures
            are Glance's, which has none in the first minute and while it
            stages the image
  absent    wanted, and not there yet; what it waits for is told below
  FAILED    wanted, and the last try failed, or none can succeed
  -         neither wanted nor there
Only images that are wanted or present at a site are listed, unless they are
named or --all is given. With many sites the table has sums; --long gives a
line for each image and site. Formats other than table always have all
records and fields, with names as they are in json and yaml, and with what is
not printable escaped in csv and value.

Glance is read anew each time; when failed copies are tried again, how far
streams are and what keeps rbd-stream from a site (the engine that goes from
cluster to cluster), the running agents are asked: each knows of the sites
whose links it has. Those that do not answer are named. Nothing is changed.
If just one image is named, what last happened to it is shown, too: agents
keep that in memory, and say since when they have seen everything.

With --watch the agents are asked each time, Glance every 10 seconds.

exit codes:
  0  all wanted copies of these images at these sites are present
  1  failed: no answer from Glance, or no such image
  2  wrong usage, or something wrong in the configuration
  3  some wanted copy is missing or under way

examples:
  dcn-distributor status
  dcn-distributor status cirros --site dcn17
  dcn-distributor status --state failed --long
  dcn-distributor status --site dcn17 --watch
  until dcn-distributor status cirros >/dev/null; do sleep 10; done
  dcn-distributor status -f json | jq '.[] | select(.state == "failed")'"""

# Glance takes a second or more for the list of a large cloud's images.
_FRESH_S = 10.0
_MOST_FINDINGS = 25
_MOST_IN_ORDER = 60
_ALL_STATES = tuple(state.value for state in placements.State)
_TOLD_STATES = tuple(
    state for state in _ALL_STATES if state != placements.State.UNWANTED.value
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """What Glance said: its stores, and images with what holds their lock.

    :ivar at_s: when that was
    """

    stores: frozenset[images.StoreId]
    images: Iterable[tuple[images.Image, images.ImportTask | None]]
    at_s: float


class Status(lister.Lister):  # type: ignore[misc]
    """Show which image is at which site, and what is not as it should be."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)
    pause: Callable[[float], None] = staticmethod(watching.pause)
    _reading: _Reading | None = None

    def get_epilog(self) -> str:
        """Return the end of the help; cliff would search all packages."""
        return self._epilog

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what selects images and cells."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        self.add_images(parser)
        parser.add_argument(
            '--site',
            action='append',
            default=[],
            metavar='SITE',
            dest='sites',
            help='only this site; may be repeated',
        )
        parser.add_argument(
            '--policy', help='only placements that this policy settles'
        )
        parser.add_argument(
            '--state',
            action='append',
            default=[],
            dest='states',
            choices=_ALL_STATES,
            help='list only these; sums and the exit code stay those of all; '
            'may be repeated',
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='list all images, and all placements with --long',
        )
        parser.add_argument(
            '--long',
            action='store_true',
            help='a line for each image and site',
        )
        parser.add_argument(
            '--watch',
            nargs='?',
            type=watching.seconds,
            const=watching.USUAL_S,
            metavar='SECONDS',
            help='show it anew every so many seconds (2), until Ctrl-C; goes '
            'after the images',
        )
        return parser

    def add_images(self, parser: argparse.ArgumentParser) -> None:
        """Add which images it is about."""
        parser.add_argument(
            'images', metavar='IMAGE', nargs='*', help='ids or names'
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Show it once, or until Ctrl-C."""
        self._world = self.open_world(self.app)
        wrong = self._unknown(parsed_args)
        if wrong:
            self.app.stderr.write(f'{self.app.NAME}: {wrong}\n')
            return cli.USAGE
        if parsed_args.watch is None:
            self._reading = self._read(parsed_args)
            return self._show(parsed_args)
        with watching.opened(self.app.stdout) as screen:
            while True:
                screen.draw(self._frame(parsed_args))
                self.pause(parsed_args.watch)

    def _frame(self, parsed_args: argparse.Namespace) -> str:
        """Show it in a text, whatever happens: it may be over next time."""
        stdout, stderr = self.app.stdout, self.app.stderr
        self.app.stdout = self.app.stderr = shown = io.StringIO()
        try:
            self._reread(parsed_args)
            self._show(parsed_args)
        except exceptions.DistributorError as exc:
            shown.write(f'{rendering.printable(str(exc))}\n')
        finally:
            self.app.stdout, self.app.stderr = stdout, stderr
        now_s = self._world.clock()
        head = (
            f'Every {parsed_args.watch:g} s, Ctrl-C ends; agents as of '
            f'{rendering.moment(now_s, now_s, None)}'
        )
        if self._reading is not None:
            read_s = self._reading.at_s
            head += f', Glance as of {rendering.moment(read_s, now_s, None)}'
        return f'{head}\n\n{shown.getvalue()}'

    def _show(self, parsed_args: argparse.Namespace) -> int:
        """Print the table, then all that is to be said below it."""
        self._now_s = self._world.clock()
        super().run(parsed_args)
        if parsed_args.formatter == 'table':
            self._write_below(parsed_args)
        # Whoever asks for one state still asks whether all is well.
        complete = self._totals.tally.is_complete
        return cli.DONE if complete else cli.PARTLY_DONE

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Read Glance, and lay out what fits the format and the width."""
        self._totals = matrix.Totals()
        self._left_out = 0
        listed = []
        for row, tally in self._rows(parsed_args):
            self._totals.add(row, tally)
            if not parsed_args.states or any(
                cell.state.value in parsed_args.states for cell in row.cells
            ):
                listed.append(tables.Line(row, tally))
        listed.sort(key=lambda line: matrix.by_name(line.row))
        self._timeline = self._ask_timeline(parsed_args, listed)
        if parsed_args.formatter != 'table':
            return tables.records(
                listed,
                parsed_args.states or _ALL_STATES,
                self._memory,
                self._timeline,
                is_json=parsed_args.formatter in ('json', 'yaml'),
            )
        if parsed_args.long:
            states = _ALL_STATES if parsed_args.all else _TOLD_STATES
            return tables.long(
                listed, parsed_args.states or states, self._now_s
            )
        return tables.overview(
            self._without_those_in_order(parsed_args, listed),
            [site.name for site in self._sites(parsed_args)],
            _width(),
        )

    def _without_those_in_order(
        self, parsed_args: argparse.Namespace, listed: list[tables.Line]
    ) -> list[tables.Line]:
        """Keep a long table to what a person has to see."""
        is_asked_for = (
            parsed_args.images or parsed_args.all or parsed_args.states
        )
        if is_asked_for or len(listed) <= _MOST_IN_ORDER:
            return listed
        kept = [line for line in listed if not line.tally.is_in_order]
        self._left_out = len(listed) - len(kept)
        return kept

    def _rows(
        self, parsed_args: argparse.Namespace
    ) -> Iterator[tuple[matrix.Row, matrix.Tally]]:
        """Read the images, a page at a time; each once."""
        world, stderr = self._world, self.app.stderr
        if self._reading is None:
            return
        known_stores = self._reading.stores
        worlds.warn_of_unknown_stores(world, known_stores, stderr)
        self._memory = worlds.ask_agent(world, stderr) or memories.NOTHING
        survey = matrix.Survey(
            world.rules,
            known_stores,
            self._memory,
            self._now_s,
            matrix.Selection(parsed_args.sites, parsed_args.policy),
        )
        seen = set()
        for image, task in self._reading.images:
            if image.id in seen:
                continue
            seen.add(image.id)
            row = survey.row(image, task)
            if parsed_args.images or parsed_args.all or row.matters:
                yield row, row.tally()

    def _ask_timeline(
        self, parsed_args: argparse.Namespace, listed: list[tables.Line]
    ) -> transitions.Timeline | None:
        """Ask what happened to an image, if just one is named."""
        is_one = len(parsed_args.images) == len(listed) == 1
        if not is_one or self._memory is memories.NOTHING:
            return None
        image_id = listed[0].row.image.id
        return worlds.ask_timeline(self._world, image_id, self.app.stderr)

    def _reread(self, parsed_args: argparse.Namespace) -> None:
        """Read Glance if it was not just read."""
        known = self._reading
        age_s = None if known is None else self._world.clock() - known.at_s
        if age_s is None or not 0 <= age_s < _FRESH_S:
            read = self._read(parsed_args)
            self._reading = dataclasses.replace(
                read, images=tuple(read.images), at_s=self._world.clock()
            )

    def _read(self, parsed_args: argparse.Namespace) -> _Reading:
        """Read the stores; the images are read as they are taken."""
        port = self._world.images
        return _Reading(
            port.stores(),
            (
                (image, port.import_task(image))
                for image in self._images(parsed_args)
            ),
            self._world.clock(),
        )

    def _images(
        self, parsed_args: argparse.Namespace
    ) -> Iterable[images.Image]:
        if parsed_args.images:
            return worlds.find(self._world.images, parsed_args.images)
        return self._world.images.list()

    def _sites(
        self, parsed_args: argparse.Namespace
    ) -> tuple[sites.Site, ...]:
        return tuple(
            site
            for site in self._world.rules.sites
            if not parsed_args.sites or site.name in parsed_args.sites
        )

    def _sites_and_central(
        self, parsed_args: argparse.Namespace
    ) -> tuple[sites.Site, ...]:
        central = self._world.rules.sites.everywhere[0]
        return (central, *self._sites(parsed_args))

    def _unknown(self, parsed_args: argparse.Namespace) -> str:
        """Say what is asked for that does not exist; empty if all does."""
        if parsed_args.watch is not None and parsed_args.formatter != 'table':
            return '--watch shows tables; other formats are for one look each'
        rules = self._world.rules
        sites_known = [s.name for s in rules.sites]
        policies_known = [p.name for p in rules.policies]
        for site in parsed_args.sites:
            if site not in sites_known:
                return worlds.near_miss('site', site, sites_known)
        if parsed_args.policy not in (None, *policies_known):
            return worlds.near_miss(
                'policy', parsed_args.policy, policies_known
            )
        return ''

    def _write_below(self, parsed_args: argparse.Namespace) -> None:
        stdout = self.app.stdout
        if self._left_out:
            stdout.write(
                f'{rendering.count(self._left_out, "more image")} in order; '
                '--all lists them\n'
            )
        findings = [] if parsed_args.long else self._totals.findings()
        if findings:
            stdout.write('\n')
        for finding in findings[:_MOST_FINDINGS]:
            line = rendering.finding(finding, self._now_s, None)
            stdout.write(f'{line}\n')
        rest = len(findings) - _MOST_FINDINGS
        if rest > 0:
            stdout.write(f'... and {rest} more; see --long\n')
        obstacles = rendering.obstacles(
            self._memory, self._sites_and_central(parsed_args)
        )
        if obstacles:
            stdout.write('\n')
        for line in obstacles:
            stdout.write(f'{line}\n')
        self._write_timeline(parsed_args)
        agents = rendering.agents(self._memory.roster)
        if agents:
            stdout.write(f'\n{agents}\n')
        summary = rendering.totals(self._totals, len(self._sites(parsed_args)))
        stdout.write(f'\n{summary}\n')

    def _write_timeline(self, parsed_args: argparse.Namespace) -> None:
        if self._timeline is None:
            return
        lines = timelines.lines(
            self._timeline,
            self._sites(parsed_args),
            None if parsed_args.long else timelines.MOST,
            self._now_s,
            None,
        )
        for line in ('', *lines):
            self.app.stdout.write(f'{line}\n')


def _width() -> int | None:
    """Return how wide the terminal is; None if nobody looks at one."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns
