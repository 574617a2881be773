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
"""dcn-distributor bootstrap plan, apply: the whole procedure, in order."""

import argparse
from collections.abc import Mapping
import dataclasses
import datetime
import os
import shlex

from cliff import command
from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import journal
from dcn_distributor.bootstrap import output
from dcn_distributor.bootstrap import runs
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrap_keys
from dcn_distributor.cmd import bootstrap_render
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import grants
from dcn_distributor.core import procedures
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

TARGETS = ('tripleo', 'rhoso')
COLUMNS = ('Step', 'Site', 'State', 'Why', 'Command', 'Files')
_SHORT = 4

_OURS = 'dcn-distributor'

EPILOG = f"""\
First keys are issued and files rendered, then the deployment tool's own
command lines follow, and 'bootstrap verify' is the last step. A step is done
for as long as its command and its files stay the same: the journal beside
--state tells. For tripleo, --release ussuri is the order of the documents,
with a second deployment of central; xena needs Ceph before OpenStack, and
deploys each stack once.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap plan --out files
  dcn-distributor bootstrap plan --out files -f json
  dcn-distributor bootstrap apply --out files --site dcn1 --apply"""


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One step of the plan.

    :ivar digest: of what it is done with; '' for what is ours
    :ivar files: those that it reads, as they should be
    """

    step: procedures.Step
    state: journal.State
    digest: str = ''
    files: tuple[renderings.File, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is one of dcn-distributor's own commands."""
        return self.step.argv[:1] == (_OURS,)


class Plan(lister.Lister):  # type: ignore[misc]
    """List all steps in order: what, where, why, and what is done."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_options(parser)
        parser.add_argument(
            '--long', action='store_true', help='with commands and files'
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Raise ConfigError."""
        cloud = bootstrapping.load(self.app, parsed_args)
        bootstrapping.chosen(cloud, parsed_args)
        rows = [_row(item) for item in make(cloud, parsed_args)]
        if parsed_args.formatter == 'table' and not parsed_args.long:
            return COLUMNS[:_SHORT], [row[:_SHORT] for row in rows]
        return COLUMNS, rows


class Apply(command.Command):  # type: ignore[misc]
    """Do all steps that are not done yet; stop at the first that fails."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_options(parser)
        bootstrapping.add_apply(parser)
        parser.add_argument(
            '--step',
            action='append',
            default=[],
            metavar='STEP',
            help='only this one; may be repeated',
        )
        parser.add_argument(
            '--print-commands',
            action='store_true',
            help="print the deployment tool's command lines instead of "
            'running them; they count as not done',
        )
        parser.add_argument(
            '--logs',
            metavar='DIR',
            help='for the output of each step (default: logs in --out)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError, and Failed for a step."""
        cloud = bootstrapping.load(self.app, parsed_args)
        bootstrapping.chosen(cloud, parsed_args)
        state = state_file.StateFile(parsed_args.state)
        with bootstrapping.held(state, parsed_args.apply):
            items = make(cloud, parsed_args)
            for name in _names(items, parsed_args):
                item = next(i for i in items if i.step.name == name)
                self._do(cloud, item, state, parsed_args)
                if item.is_ours:
                    # Others may have something else to do then.
                    items = make(cloud, parsed_args)
        return cli.DONE

    def _do(
        self,
        cloud: stacks.Cloud,
        item: Item,
        state: state_file.StateFile,
        parsed_args: argparse.Namespace,
    ) -> None:
        """Do one step, or tell that it would be done."""
        step = item.step
        if item.state is journal.State.DONE:
            self._tell(f'{step.name}: done before')
        elif not parsed_args.apply:
            self._tell(f'{step.name}: {item.state.value}')
        elif item.is_ours:
            self._tell(f'{step.name} ...')
            self._do_ours(cloud, step, state, parsed_args)
        elif parsed_args.print_commands:
            self._tell(f'cd {shlex.quote(parsed_args.out)}')
            self._tell(shlex.join(step.argv))
        else:
            _check_rendered(item, parsed_args.out)
            self._tell(f'{step.name} ...')
            logs = parsed_args.logs or os.path.join(parsed_args.out, 'logs')
            path = runs.run(step, parsed_args.out, logs)
            _journal(parsed_args).note(step, item.digest, _now())
            self._tell(f'{step.name}: done; its output is in {path}')

    def _do_ours(
        self,
        cloud: stacks.Cloud,
        step: procedures.Step,
        state: state_file.StateFile,
        parsed_args: argparse.Namespace,
    ) -> None:
        if step.name == 'keys':
            for site in bootstrapping.chosen(cloud, parsed_args):
                bootstrap_keys.reconcile(cloud, site, state, True)
        elif step.name == 'render':
            ring = state.load()
            output.write(
                output.compare(
                    tuple(_files(cloud, ring, parsed_args).values()),
                    parsed_args.out,
                ),
                parsed_args.out,
            )
        else:
            # It has a table and an exit code of its own.
            self._tell(f'now try it: {shlex.join(step.argv)}')

    def _tell(self, line: str) -> None:
        self.app.stdout.write(f'{line}\n')
        self.app.stdout.flush()


def make(
    cloud: stacks.Cloud, parsed_args: argparse.Namespace
) -> tuple[Item, ...]:
    """Work out the plan as it is now. Raises ConfigError."""
    ring = bootstrapping.ring_of(parsed_args)
    missing = rings.missing(cloud, ring)
    files: Mapping[str, renderings.File] = {}
    is_rendered = False
    if not missing:
        files = _files(cloud, ring, parsed_args)
        compared = output.compare(tuple(files.values()), parsed_args.out)
        is_rendered = all(c.state is output.State.SAME for c in compared)
    has_keys = all(
        ring.entity(grant) is not None for grant in grants.wanted(cloud)
    )
    book = _journal(parsed_args)
    items = [
        _ours('keys', 'every cluster needs its keys', has_keys),
        _ours('render', 'the files that all others read', is_rendered),
    ]
    steps = _order(cloud, parsed_args)
    for step in steps:
        digest = journal.digest(step, files)
        state = book.state(step, digest)
        if _is_covered(step, steps, book):
            state = journal.State.DONE
        read = tuple(files[path] for path in step.files if path in files)
        items.append(Item(step, state, digest, read))
    items.append(_ours('verify', 'whether it works, is seen', False))
    return tuple(items)


def _is_covered(
    step: procedures.Step,
    steps: tuple[procedures.Step, ...],
    book: journal.Journal,
) -> bool:
    """Tell whether a later step does what this one did at first.

    What central is updated with has all sites; to deploy it once more with
    less would take their stores away until then.
    """
    update = f'update {step.stack}'
    return (
        step.name == f'deploy {step.stack}'
        and any(each.name == update for each in steps)
        and book.has(step.name)
        and book.has(update)
    )


def _check_rendered(item: Item, directory: str) -> None:
    """Raise ConfigError if the files that a step reads are not as told."""
    for compared in output.compare(item.files, directory):
        if compared.state is not output.State.SAME:
            raise exceptions.ConfigError(
                f'{item.step.name}: {compared.file.path} in {directory} is '
                "not what sites.yaml and the keys say: do '--step render' "
                'first'
            )


def _ours(name: str, why: str, is_done: bool) -> Item:
    step = procedures.Step(
        name, 'all', None, (_OURS, 'bootstrap', name), (), why
    )
    return Item(step, journal.State.DONE if is_done else journal.State.TO_DO)


def _order(
    cloud: stacks.Cloud, parsed_args: argparse.Namespace
) -> tuple[procedures.Step, ...]:
    if parsed_args.target == 'tripleo':
        from dcn_distributor.bootstrap.tripleo import order as tripleo_order

        return tripleo_order.order(cloud, parsed_args.release)
    from dcn_distributor.bootstrap.rhoso import order as rhoso_order

    return rhoso_order.order(cloud)


def _files(
    cloud: stacks.Cloud, ring: rings.Ring, parsed_args: argparse.Namespace
) -> Mapping[str, renderings.File]:
    files = bootstrap_render.render(
        parsed_args.target,
        bootstrapping.resolved(cloud, ring),
        ring,
        release=parsed_args.release,
    )
    return {file.path: file for file in files}


def _names(
    items: tuple[Item, ...], parsed_args: argparse.Namespace
) -> tuple[str, ...]:
    """Name the steps that were chosen. Raises ConfigError."""
    unknown = set(parsed_args.step) - {item.step.name for item in items}
    if unknown:
        raise bootstrapping.no_such(
            '--step', sorted(unknown)[0], [item.step.name for item in items]
        )
    return tuple(
        item.step.name
        for item in items
        if (not parsed_args.step or item.step.name in parsed_args.step)
        and (
            not parsed_args.site
            or item.is_ours
            or item.step.site in parsed_args.site
        )
    )


def _journal(parsed_args: argparse.Namespace) -> journal.Journal:
    book = journal.Journal(f'{parsed_args.state}.journal')
    book.load()
    return book


def _row(item: Item) -> tuple[str, ...]:
    step = item.step
    return (
        step.name,
        step.site,
        item.state.value,
        step.why,
        shlex.join(step.argv),
        ' '.join(step.files),
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    bootstrapping.add_files(parser)
    bootstrapping.add_site(parser)
    parser.add_argument(
        '--target',
        choices=TARGETS,
        default=TARGETS[0],
        help=f'the deployment tool (default: {TARGETS[0]})',
    )
    bootstrapping.add_release(parser)
    parser.add_argument(
        '--out',
        metavar='DIR',
        required=True,
        help='where files are rendered to, and commands run',
    )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(
        timespec='seconds'
    )
