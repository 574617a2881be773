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
"""dcn-distributor plan: which copies will be made, over which link, when."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import gc
from typing import Any

from cliff import lister

from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import drafts as files
from dcn_distributor.cmd import plan_tables
from dcn_distributor.cmd import worlds
from dcn_distributor.core import choosing
from dcn_distributor.core import drafts
from dcn_distributor.core import forecast
from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import policies
from dcn_distributor.core import prospects
from dcn_distributor.core import rates
from dcn_distributor.core import text

EPILOG = """\
Without a draft it tells what is missing now, by the files of the
configuration. With --placement, --sites or both it tells what would be
missing if these files were in force, and how that differs: "new" copies are
wanted by the draft only, "same" ones by both; of those that it no longer
wants, copies that are there are "kept", since nothing is ever deleted, and
copies that are missing are "dropped". Nothing is changed.

Each link is played on its own, in the order of priority, deadline and size:
so many copies at once as the link has transfers (or else the slots of the
agent), sharing its rate, in its windows. A stream is broken off when the
window closes, and goes on in the next; an import by copy-image is not, so it
begins only if it can be over by then, unless no window is long enough. Bytes
are the whole size of an image, though a stream leaves out what is empty.

What a plan cannot know: new images, failures, how fast the source is read,
and how many copies all links have at once. A link without a rate has no
times, but for those that begin at once, unless --assume-rate gives it one;
nothing is told that is later than a year from now. "not by itself" is what a
pause, a taint without an end or an obstacle keeps away until somebody ends
that. Glance is read anew; what is under way, paused, or has failed before, a
running agent is asked.

exit codes:
  0  planned, whatever is to be copied
  1  failed: no answer from Glance, or no such image
  2  wrong usage, or something wrong in the configuration or in a draft

examples:
  dcn-distributor plan
  dcn-distributor plan --placement draft.yaml --assume-rate 1Gbit
  dcn-distributor plan --sites draft.yaml --site dcn17 --limit 500
  dcn-distributor plan -f json | jq '[.[] | select(.late)] | length'"""


class Plan(lister.Lister):  # type: ignore[misc]
    """Show which copies would be made, over which link, and when."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the drafts, and what selects copies."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--placement', metavar='FILE', help='a draft of placement.yaml'
        )
        parser.add_argument(
            '--sites', metavar='FILE', help='a draft of sites.yaml'
        )
        parser.add_argument(
            '--site',
            action='append',
            default=[],
            metavar='SITE',
            dest='site_names',
            help='tell of this site only, though all are reckoned with; may '
            'be repeated',
        )
        parser.add_argument(
            '--image',
            action='append',
            default=[],
            metavar='IMAGE',
            dest='images',
            help='the same of this image, by id or name; may be repeated',
        )
        parser.add_argument(
            '--assume-rate',
            type=_rate,
            metavar='RATE',
            help='of links whose rate sites.yaml does not tell: 1Gbit, 25MiB',
        )
        parser.add_argument(
            '--limit',
            type=_count,
            default=50,
            metavar='N',
            help='lines of each table (default: 50); other formats have all',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Read the rules, and look for what they do not have."""
        self._world = self.open_world(self.app)
        _, self._settings = self.app.read_configuration()
        self._rules = self._read_rules(parsed_args)
        is_draft = self._rules is not self._world.rules
        self._comparison = (
            drafts.Comparison(self._world.rules, self._rules)
            if is_draft
            else None
        )
        known = dict.fromkeys(
            site.name
            for rules in (self._rules, self._world.rules)
            for site in rules.sites
        )
        for name in parsed_args.site_names:
            if name not in known:
                wrong = worlds.near_miss('site', name, list(known))
                self.app.stderr.write(f'{self.app.NAME}: {wrong}\n')
                return cli.USAGE
        with _without_collector():
            return int(super().run(parsed_args) or cli.DONE)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Read Glance, ask an agent, and reckon."""
        self._now_s = self._world.clock()
        memory = self._ask()
        self._assumptions = self._assume(memory, parsed_args)
        survey = matrix.Survey(
            self._rules,
            self._assumptions.known_stores,
            memory,
            self._now_s,
            matrix.EVERYTHING,
        )
        self._found: dict[images.ImageId, str] = {}
        copies = forecast.forecast(
            self._rows(survey), self._rules, self._assumptions, self._now_s
        )
        gone = self._comparison.gone if self._comparison else []
        if parsed_args.images or parsed_args.site_names:
            is_told = self._selection(parsed_args)
            copies = [one for one in copies if is_told(one)]
            gone = [one for one in gone if is_told(one)]
        self._copies, self._gone = copies, gone
        return plan_tables.records(
            self._copies,
            self._gone,
            self._comparison,
            is_json=parsed_args.formatter in ('json', 'yaml'),
        )

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[object]],
    ) -> int:
        """Write for people what no single table can hold."""
        if parsed_args.formatter != 'table':
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        copies, limit = self._copies, parsed_args.limit
        sums = forecast.sums(copies)
        all_links = {s.link.name: s.link for s in self._rules.sites}
        self._write(
            plan_tables.by_link(
                sums, all_links, self._assumptions, self._now_s
            ),
            parsed_args,
        )
        self._write(plan_tables.by_site(sums), parsed_args)
        self._write(
            plan_tables.long(copies[:limit], self._comparison),
            parsed_args,
            len(copies),
        )
        self._write(
            plan_tables.gone(self._gone[:limit]), parsed_args, len(self._gone)
        )
        if self._comparison is not None:
            for line in plan_tables.difference(
                self._comparison, copies, self._gone
            ):
                self.app.stdout.write(f'{line}\n')
        self.app.stdout.write(f'{plan_tables.summary(sums)}\n')
        return 0

    def _write(
        self,
        table: plan_tables.Table,
        parsed_args: argparse.Namespace,
        count: int | None = None,
    ) -> None:
        """Write a table, as much of it as is asked for.

        It has `count` lines, if they were not all laid out.
        """
        head, lines = table
        shown = lines[: parsed_args.limit]
        if shown:
            self.formatter.emit_list(head, shown, self.app.stdout, parsed_args)
        rest = (len(lines) if count is None else count) - len(shown)
        if rest:
            self.app.stdout.write(f'... and {rest} more; see --limit\n')

    def _read_rules(
        self, parsed_args: argparse.Namespace
    ) -> policies.PolicySet:
        """Read the drafts, if there are any. Raises ConfigError."""
        if not (parsed_args.sites or parsed_args.placement):
            return self._world.rules
        rules, doubts = files.load(
            parsed_args.sites or self._settings.sites_file,
            parsed_args.placement or self._settings.placement_file,
        )
        for warning in (*doubts, *rules.warnings()):
            self.app.stderr.write(f'{warning}\n')
        return rules

    def _ask(self) -> memories.Memory:
        """Ask an agent what is under way, paused, and tried in vain."""
        stderr = self.app.stderr
        memory = worlds.ask_agent(self._world, stderr)
        if memory is None:
            stderr.write('Streams and pauses are not reckoned with.\n')
            return memories.NOTHING
        return memory

    def _assume(
        self,
        memory: memories.Memory,
        parsed_args: argparse.Namespace,
    ) -> prospects.Assumptions:
        known_stores = self._world.images.stores()
        worlds.warn_of_unknown_stores(
            dataclasses.replace(self._world, rules=self._rules),
            known_stores,
            self.app.stderr,
        )
        if self._comparison is not None:
            # A draft may well be there before its stores.
            known_stores |= {site.store for site in self._rules.sites}
        settings = self._settings
        return prospects.Assumptions(
            known_stores,
            settings.choice,
            memory.standing,
            _slots(settings),
            parsed_args.assume_rate,
            settings.streaming.rate_bytes_s,
            memory.obstacles,
        )

    def _rows(self, survey: matrix.Survey) -> Iterator[matrix.Row]:
        """Read the images, a page at a time; each once."""
        for image in self._world.images.list():
            if image.id in self._found:
                continue
            self._found[image.id] = image.name
            if self._comparison is not None:
                self._comparison.note(image)
            yield survey.row(image, self._world.images.import_task(image))

    def _selection(
        self, parsed_args: argparse.Namespace
    ) -> Callable[[forecast.Copy | drafts.Gone], bool]:
        """Tell which copies are asked for. Raises ImageNotFound."""
        names, words = parsed_args.site_names, parsed_args.images
        ids = {word.lower() for word in words}
        wanted = {
            image_id
            for image_id, name in self._found.items()
            if image_id in ids or name in words
        }
        known = {*self._found, *self._found.values()}
        missing = [w for w in words if not known & {w, w.lower()}]
        if missing:
            shown = text.join(map(text.show, missing), 'or')
            raise exceptions.ImageNotFound(f'no image is called {shown}')
        return lambda one: (
            (not words or one.image.id in wanted)
            and (not names or one.decision.site.name in names)
        )


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Look for no cycles meanwhile.

    A plan of millions of copies has none, and looking at them again and again
    takes a quarter of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _slots(settings: configuration.Settings) -> int:
    """How many copies go at once over a link that does not say."""
    if choosing.RBD_STREAM in settings.choice.engines:
        return settings.streaming.transfers
    return settings.limits.imports


def _rate(written: str) -> float:
    try:
        return rates.parse(written)
    except text.Malformed as exc:
        raise argparse.ArgumentTypeError(exc.message) from exc


def _count(written: str) -> int:
    if not written.isdecimal():
        raise argparse.ArgumentTypeError(
            f'expected a whole number, found {text.quote(written)}'
        )
    return int(written)
