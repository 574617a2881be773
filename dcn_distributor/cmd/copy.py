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
"""dcn-distributor copy: have an image brought to sites, now."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import threading
import time
from typing import Any

from cliff import lister

from dcn_distributor.cmd import cli
from dcn_distributor.cmd import orders
from dcn_distributor.cmd import outcomes
from dcn_distributor.cmd import progress
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import text
from dcn_distributor.core import transfers

EPILOG = """\
A running agent makes the copies, though no policy may want them: at once,
before all that waits, and again and again until each is there or has failed
for good. What passes by itself, such as a cluster that does not answer, is
waited for, and told. What had failed for good is tried anew. Policies and
configuration settle how an image travels; --engine takes the place of what
they say of the engine.

With --wait, progress goes to stderr, as bars on a terminal and else as lines,
and the result to stdout. Ctrl-C or --timeout end the waiting, never the
copies. An agent that is started anew meanwhile gets the order again. In the
result of a copy by rbd-stream, read_bytes is what was read of the source for
all sites together; sent_bytes went to the site, zero_bytes were nothing but
zeros, resumed_bytes lay there from a try before; mib_s is what was sent in
the seconds of its phase copying. Of a copy by copy-image Glance tells but
the time it took: total_seconds counts from the order, mib_s is by that.

exit codes:
  0  all these copies are there; without --wait, are ordered
  1  failed: none is; no agent, or no answer from Glance, or no such image
  2  wrong usage (several images have that name, no such site), or something
     wrong in the configuration
  3  some are

examples:
  dcn-distributor copy cirros dcn0 dcn1
  dcn-distributor copy cirros dcn17 --engine rbd-stream --wait
  dcn-distributor copy cirros dcn17 --wait --timeout 600 -f json | jq ."""

_PAUSE_S = 1.0


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


class Copy(lister.Lister):  # type: ignore[misc]
    """Have an agent copy an image to sites, and wait for it if wished."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)
    clock: Callable[[], float] = staticmethod(time.monotonic)
    pause: Callable[[float], None] = staticmethod(_pause)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add image, sites, and how."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='IMAGE', help='id or unique name')
        parser.add_argument(
            'sites', metavar='SITE', nargs='+', help='edge sites'
        )
        parser.add_argument(
            '--engine',
            choices=[choice.value for choice in transfers.EngineChoice],
            help='which engine is to do it; auto takes what serves. Without '
            'it as the policies wish',
        )
        parser.add_argument(
            '--wait',
            action='store_true',
            help='wait until every site has the copy, or has failed for good',
        )
        parser.add_argument(
            '--timeout',
            type=_seconds,
            metavar='S',
            help='wait for so many seconds at most; without it as long as it '
            'takes',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Find image and sites first, then order, and wait."""
        world = self.open_world(self.app)
        wrong = self._find(world, parsed_args)
        if wrong is not None:
            self.app.stderr.write(f'{self.app.NAME}: {wrong}\n')
            return cli.USAGE
        self._order.place(is_followed=parsed_args.wait)
        if parsed_args.wait:
            try:
                self._follow(parsed_args.timeout)
            except KeyboardInterrupt:
                self._say_that_copies_go_on('Interrupted')
                return cli.INTERRUPTED
        super().run(parsed_args)
        return self._exit_code(parsed_args.wait)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Lay out what has become of the order."""
        found = [
            outcomes.Outcome(self._order.image, standing)
            for standing in self._order.standings
        ]
        if parsed_args.formatter == 'table':
            return outcomes.TABLE, [one.for_people() for one in found]
        is_json = parsed_args.formatter in ('json', 'yaml')
        return outcomes.RECORD, [one.for_programs(is_json) for one in found]

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Write sentences where a table has nothing to tell."""
        if parsed_args.formatter != 'table' or parsed_args.wait:
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        for line in self._sentences():
            self.app.stdout.write(f'{line}\n')
        return 0

    def _find(self, world: Any, parsed_args: argparse.Namespace) -> str | None:
        """Find the image and the sites; say what is wrong."""
        if parsed_args.timeout is not None and not parsed_args.wait:
            return '--timeout needs --wait'
        picked = worlds.pick_sites(parsed_args.sites, [*world.rules.sites])
        if isinstance(picked, str):
            return picked
        found = worlds.find_one(world.images, parsed_args.image)
        if isinstance(found, str):
            return found
        self._order = orders.Order(world, found, picked, parsed_args.engine)
        return None

    def _follow(self, timeout_s: float | None) -> None:
        """Look until all is over, or the time is up, and show progress."""
        begun_s = self.clock()
        order = self._order
        with progress.displayed(self.app.stderr, self.clock) as display:
            while True:
                order.look()
                for line in order.take_news():
                    display.say(rendering.printable(line))
                display.show(
                    [_bar(order.image, one) for one in order.standings]
                )
                if order.is_over:
                    return
                if timeout_s is not None:
                    left_s = begun_s + timeout_s - self.clock()
                    if left_s <= 0:
                        break
                    self.pause(min(_PAUSE_S, left_s))
                else:
                    self.pause(_PAUSE_S)
        assert timeout_s is not None
        waited = rendering.duration(timeout_s)
        self._say_that_copies_go_on(f'Not all is there after {waited}')

    def _say_that_copies_go_on(self, why: str) -> None:
        self.app.stderr.write(
            f'{why}: the waiting ends, and the copies go on; see '
            f'{self.app.spelled("status")} {self._order.image.id}\n'
        )

    def _sentences(self) -> Iterable[str]:
        """Tell what became of an order that nobody waits for."""
        standings = self._order.standings
        name = rendering.name(self._order.image)

        def sites_at(state: orders.State) -> str:
            found = (s.site.name for s in standings if s.state is state)
            return text.join(found, 'and')

        if sites_at(orders.State.WAITING):
            hosts = self._order.hosts
            verb = 'copies' if len(hosts) == 1 else 'copy'
            names = sites_at(orders.State.WAITING)
            yield f'The {rendering.on_hosts(hosts)} {verb} {name} to {names}.'
        for one in standings:
            if one.state is orders.State.WAITING and one.reason:
                reason = rendering.printable(one.reason)
                yield f'{one.site.name} waits: {reason}.'
        if sites_at(orders.State.PRESENT):
            names = sites_at(orders.State.PRESENT)
            yield f'{name} is at {names} already.'
        for one in standings:
            if one.state is orders.State.REFUSED:
                reason = rendering.printable(one.reason)
                yield f'Refused for {one.site.name}: {reason}.'

    def _exit_code(self, waited: bool) -> int:
        good = [orders.State.PRESENT]
        if not waited:
            good.append(orders.State.WAITING)
        done = [one.state in good for one in self._order.standings]
        if all(done):
            return cli.DONE
        return cli.PARTLY_DONE if any(done) else cli.FAILED


def _seconds(word: str) -> float:
    """Read how long to wait."""
    value = float(word)
    if not 0 < value < float('inf'):
        raise ValueError(word)
    return value


def _bar(image: images.Image, one: orders.Standing) -> progress.Bar:
    """Show how far one site is."""
    name, size_bytes = one.site.name, image.size_bytes or 0
    if one.state is orders.State.PRESENT:
        return progress.Bar(name, 'present', size_bytes, size_bytes)
    if one.state is not orders.State.COPYING:
        return progress.Bar(name, one.state.value, None, size_bytes)
    if one.engine == choosing.COPY_IMAGE or one.lane is None:
        return progress.Bar(
            name, 'copying by Glance', one.copied_bytes, size_bytes
        )
    return progress.Bar(
        name,
        one.lane.phase.value,
        one.lane.settled_bytes,
        size_bytes,
        one.lane.rate_bytes_s,
        one.lane.eta_s,
    )
