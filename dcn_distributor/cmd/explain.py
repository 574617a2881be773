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
"""dcn-distributor explain: why an image is where it is."""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from cliff import show

from dcn_distributor.cmd import cli
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import decisions
from dcn_distributor.core import explanations
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import text

EPILOG = """\
For every site: whether it should hold the image, by which policy and field
of it, what the policies wish of the way there and whose wish that is, and
how it stands there ('dcn-distributor status --help' has the states). What no
policy wishes, the configuration settles. For every policy: what it expects
and what it found in the image, + where that holds and ! where not; a policy
matches if all of it holds. For copies that are missing a running agent is
asked which engine it takes, why that one, and what keeps it from starting.
json and yaml have the same in full.

exit codes:
  0  explained, whatever the states are
  1  failed: no answer from Glance, or no such image
  2  wrong usage (several images have that name), or something wrong in the
     configuration

examples:
  dcn-distributor explain cirros
  dcn-distributor explain cirros -f json | jq '.sites[] | {site, wanted}'"""

_Record = dict[str, Any]


class Explain(show.ShowOne):  # type: ignore[misc]
    """Say why an image is, or is not, at each site."""

    _epilog = EPILOG
    open_world = staticmethod(worlds.open_world)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the image."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='IMAGE', help='id or unique name')
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Find the image first: there may be several, or none."""
        self._world = self.open_world(self.app)
        found = worlds.find_one(self._world.images, parsed_args.image)
        if isinstance(found, str):
            self.app.stderr.write(f'{self.app.NAME}: {found}\n')
            return cli.USAGE
        self._image = found
        return int(super().run(parsed_args) or cli.DONE)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[object]]:
        """Judge all placements, and ask the policies why."""
        world, image, stderr = self._world, self._image, self.app.stderr
        known_stores = world.images.stores()
        worlds.warn_of_unknown_stores(world, known_stores, stderr)
        memory = worlds.ask_agent(world, stderr)
        self._now_s = world.clock()
        survey = matrix.Survey(
            world.rules,
            known_stores,
            memory or memories.NOTHING,
            self._now_s,
            matrix.EVERYTHING,
        )
        self._row = survey.row(image, world.images.import_task(image))
        self._explanation = world.rules.explain(image)
        self._routes = (
            {} if memory is None else worlds.ask_routes(world, image.id)
        )
        record = _record(self._row, self._explanation, self._routes)
        return tuple(record), tuple(record.values())

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Sequence[object],
    ) -> int:
        """Write for people what no single table can hold."""
        if parsed_args.formatter != 'table':
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        stdout = self.app.stdout
        stdout.write(f'{_about(self._image)}\n')
        self.formatter.emit_list(
            ('Site', 'State', 'Policies say', 'How it stands'),
            [
                self._site(cell, site)
                for cell, site in zip(
                    self._row.cells, self._explanation.sites, strict=True
                )
            ],
            stdout,
            parsed_args,
        )
        for line in _policy_lines(self._explanation):
            stdout.write(f'{line}\n')
        return 0

    def _site(
        self, cell: placements.Placement, site: explanations.SiteExplanation
    ) -> Sequence[str]:
        decision = cell.decision
        reason = '' if decision.reason in cell.reason else cell.reason
        says = '; '.join((decision.reason, *_terms(decision, site)))
        how = (
            rendering.progress(self._image, cell),
            rendering.tries(cell, self._now_s, None),
            rendering.printable(reason),
            rendering.printable(self._way(cell)),
        )
        return (
            decision.site.name,
            rendering.state(cell),
            rendering.printable(says),
            ': '.join(part for part in how if part),
        )

    def _way(self, cell: placements.Placement) -> str:
        """Say which engine is to bring the copy, and why that one."""
        route = self._routes.get(cell.decision.site.store)
        if route is None or cell.is_there:
            return ''
        is_told = route.waits is None or route.waits in cell.reason
        waits = '' if is_told else f', waits: {route.waits}'
        engine = f'by {route.engine}' if route.engine else 'by no engine'
        if route.reason in cell.reason:
            return f'{engine}{waits}'
        return f'{engine}, since {route.reason}{waits}'


def _terms(
    decision: decisions.Decision, site: explanations.SiteExplanation
) -> Iterator[str]:
    """Say on what terms a site gets the image, beside that it does."""
    yield from map(str, site.wishes)
    if decision.tolerates:
        keys = text.join(sorted(decision.tolerates), 'and')
        yield f'tolerates {keys}'
    if decision.deadline_s is not None:
        yield f'due in {rendering.duration(decision.deadline_s)}'


def _about(image: images.Image) -> str:
    formats = f'{image.disk_format}/{image.container_format}'
    words = (
        image.status,
        image.visibility,
        rendering.size(image.size_bytes),
        formats,
        f'owner {image.owner or "nobody"}',
        *(['hidden'] if image.is_hidden else []),
    )
    about = rendering.printable(', '.join(words))
    return f'{rendering.name(image)} ({image.id}): {about}'


def _policy_lines(explanation: explanations.Explanation) -> Iterator[str]:
    if not explanation.policies:
        yield 'There are no policies.'
    for policy in explanation.policies:
        verb = 'matches' if policy.matches else 'does not match'
        denies = ', a deny policy,' if policy.deny else ''
        yield f'Policy {policy.policy}{denies} {verb} ({policy.origin})'
        for check in policy.checks:
            yield f'  {"+" if check.holds else "!"} {check}'


def _record(
    row: matrix.Row,
    explanation: explanations.Explanation,
    routes: Mapping[images.StoreId, memories.Route],
) -> _Record:
    return {
        'image_id': row.image.id,
        'image_name': row.image.name,
        'sites': [
            _site_record(cell, site, routes.get(cell.decision.site.store))
            for cell, site in zip(row.cells, explanation.sites, strict=True)
        ],
        'policies': [_policy_record(p) for p in explanation.policies],
    }


def _site_record(
    cell: placements.Placement,
    site: explanations.SiteExplanation,
    route: memories.Route | None,
) -> _Record:
    decision = cell.decision
    return {
        'site': decision.site.name,
        'store': decision.site.store,
        'wanted': decision.wanted,
        'policy': decision.policy,
        'decision': decision.reason,
        'wanted_by': list(site.wanted_by),
        'denied_by': list(site.denied_by),
        'excluded_by': list(site.excluded_by),
        'tolerates': sorted(decision.tolerates),
        'deadline_s': decision.deadline_s,
        'transfer': {
            wish.key: {'value': wish.value, 'policy': wish.policy}
            for wish in site.wishes
        },
        'state': cell.state.value,
        'reason': cell.reason,
        'copied_bytes': cell.copied_bytes,
        'failures': cell.setback.failures if cell.setback else 0,
        'next_try': rendering.utc(cell.next_try_s),
        'engine': route and route.engine,
        'engine_reason': route and route.reason,
        'waits': route and route.waits,
    }


def _policy_record(policy: explanations.PolicyExplanation) -> _Record:
    return {
        'policy': policy.policy,
        'origin': policy.origin,
        'priority': policy.priority,
        'deny': policy.deny,
        'matches': policy.matches,
        'checks': [_check_record(check) for check in policy.checks],
    }


def _check_record(check: matching.Check) -> _Record:
    return {
        'field': check.field,
        'expected': check.expected,
        'found': check.found,
        'holds': check.holds,
    }
