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
"""dcn-distributor pause, resume, hold, release, and pauses."""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import os
import pwd
from typing import Any
from typing import TYPE_CHECKING

from cliff import command
from cliff import lister

from dcn_distributor import exceptions
from dcn_distributor.cmd import cli
from dcn_distributor.cmd import rendering
from dcn_distributor.cmd import worlds
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import rosters
from dcn_distributor.core import text

if TYPE_CHECKING:
    from dcn_distributor import app

_KINDS = (
    all_pauses.Kind.SITE,
    all_pauses.Kind.LINK,
    all_pauses.Kind.POLICY,
)

_EXIT_CODES = """\
exit codes:
  0  all of it is so now, or was so already
  1  failed: no agent answers, or it could not keep the word
  2  wrong usage (no such name, or one of several things), or something wrong
     in the configuration
  3  some of it is"""

PAUSE = f"""\
No copy to a paused site, or over a paused link, begins; nor one that only
paused policies want. Streams under way are broken off, and go on where they
were once it is resumed; an import under way is Glance's, and ends. Nothing is
deleted, and what is at a site stays. All agents keep to it, also after a
restart, until it is resumed: an order by 'copy' waits, too.

A site whose link is its own shares its name with it; to pause either is the
same. 'status' and 'explain' name who paused what, 'pauses' lists all.

{_EXIT_CODES}

examples:
  dcn-distributor pause dcn17 --why "switch is replaced, ticket 4711"
  dcn-distributor pause wan-north
  dcn-distributor pause all-public --kind policy"""

RESUME = f"""\
Copies begin again at once, and streams go on where they were broken off.

{_EXIT_CODES}

examples:
  dcn-distributor resume dcn17
  dcn-distributor pauses -f value -c name | xargs dcn-distributor resume"""

HOLD = f"""\
A held image is copied nowhere, by no policy and no order. Streams of it are
broken off, and go on where they were once it is released; an import under way
is Glance's, and ends. Copies that are there stay. All agents keep to it, also
after a restart.

{_EXIT_CODES}

examples:
  dcn-distributor hold cirros --why "being replaced"
  dcn-distributor release cirros"""

RELEASE = f"""\
What policies want of it is copied again at once.

{_EXIT_CODES}

example:
  dcn-distributor release cirros"""

PAUSES = """\
Sites, links and policies are paused, images held; each until somebody
resumes, or releases it.

exit codes:
  0  listed, if there are any
  1  failed: no agent answers

examples:
  dcn-distributor pauses
  dcn-distributor pauses -f json | jq -r '.[] | select(.by == "alice").name'"""

_COLUMNS = ('kind', 'name', 'by', 'since', 'why')


class _Unclear(Exception):
    """It cannot be told what an operator means."""


class _Word(command.Command):  # type: ignore[misc]
    """Says something to the agents, for each of several things."""

    open_world = staticmethod(worlds.open_world)
    rests: bool
    is_of_images = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what is meant and, if it is to rest, why."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        (_add_images if self.is_of_images else _add_names)(parser)
        if self.rests:
            _add_why(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find out what is meant, all of it, before anything is said."""
        self._world = self.open_world(self.app)
        try:
            keys = self.find(self._world, parsed_args)
        except _Unclear as exc:
            self.app.stderr.write(f'{self.app.NAME}: {exc}\n')
            return cli.USAGE
        done = [
            self._say(key, shown, getattr(parsed_args, 'why', ''))
            for key, shown in keys.items()
        ]
        if all(done):
            return cli.DONE
        return cli.PARTLY_DONE if any(done) else cli.FAILED

    def find(
        self, world: 'app.World', parsed_args: argparse.Namespace
    ) -> Mapping[all_pauses.Key, str]:
        """Give what is meant, each with how to call it. Raises _Unclear."""
        raise NotImplementedError

    def _say(self, key: all_pauses.Key, shown: str, why: str) -> bool:
        kind, name = key
        stdout, stderr = self.app.stdout, self.app.stderr
        try:
            answer = self._world.agent.rest(
                kind.value, name, self.rests, operator(), why
            )
        except exceptions.BusUnavailable as exc:
            stderr.write(f'{shown}: {rendering.printable(str(exc))}\n')
            return False
        if answer.get('refused') is not None:
            refused = rendering.printable(str(answer['refused']))
            stderr.write(f'{shown}: refused: {refused}\n')
            return False
        word = all_pauses.from_plain(answer.get('word'))
        stdout.write(f'{self._sentence(key, shown, answer, word)}\n')
        return True

    def _sentence(
        self,
        key: all_pauses.Key,
        shown: str,
        answer: Mapping[str, Any],
        word: all_pauses.Word | None,
    ) -> str:
        is_image = key[0] is all_pauses.Kind.IMAGE
        verb = 'held' if is_image else 'paused'
        if not answer.get('is_new'):
            if self.rests and word is not None:
                return f'Nothing to do: {word.reason()}.'
            return f'Nothing to do: {shown} is not {verb}.'
        if self.rests:
            return f'{shown} is {verb}.'
        return f'{shown} {"is released" if is_image else "goes on"}.'


class Pause(_Word):
    """Let no more copies begin to sites, over links, or for policies."""

    _epilog = PAUSE
    rests = True

    def find(
        self, world: 'app.World', parsed_args: argparse.Namespace
    ) -> Mapping[all_pauses.Key, str]:
        """See _Word."""
        kind = _kind(parsed_args)
        found = (_named(world, name, kind) for name in parsed_args.names)
        return {key: _shown(key) for key in found}


class Resume(_Word):
    """Let copies begin again to sites, over links, or for policies."""

    _epilog = RESUME
    rests = False

    def find(
        self, world: 'app.World', parsed_args: argparse.Namespace
    ) -> Mapping[all_pauses.Key, str]:
        """See _Word. What is paused may be gone from the files by now."""
        told = rosters.read(world.agent.who()).pauses
        kind = _kind(parsed_args)
        kinds = _KINDS if kind is None else (kind,)
        found = []
        for name in parsed_args.names:
            resting = [(k, name) for k in kinds if told.of(k, name)]
            if len(resting) > 1:
                raise _ambiguous(name, [k for k, _ in resting])
            found.append(resting[0] if resting else _named(world, name, kind))
        return {key: _shown(key) for key in found}


class Hold(_Word):
    """Let no more copies of images begin."""

    _epilog = HOLD
    rests = True
    is_of_images = True

    def find(
        self, world: 'app.World', parsed_args: argparse.Namespace
    ) -> Mapping[all_pauses.Key, str]:
        """See _Word."""
        return dict(_image(world, word) for word in parsed_args.images)


class Release(_Word):
    """Let images be copied again that were held."""

    _epilog = RELEASE
    rests = False
    is_of_images = True

    def find(
        self, world: 'app.World', parsed_args: argparse.Namespace
    ) -> Mapping[all_pauses.Key, str]:
        """See _Word. A held image may be gone from Glance by now."""
        found = {}
        for word in parsed_args.images:
            image_id = worlds.as_id(word)
            if image_id is None:
                key, shown = _image(world, word)
            else:
                key = all_pauses.Kind.IMAGE, image_id
                shown = f'Image {image_id}'
            found[key] = shown
        return found


class Pauses(lister.Lister):  # type: ignore[misc]
    """List what is paused or held, by whom, since when and why."""

    _epilog = PAUSES
    open_world = staticmethod(worlds.open_world)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Ask any agent: each knows them all."""
        answer = self.open_world(self.app).agent.who()
        if 'pauses' not in answer:
            raise exceptions.AgentTooOld(
                'the agent that answered is too old for that; upgrade it'
            )
        is_json = parsed_args.formatter in ('json', 'yaml')
        is_table = parsed_args.formatter == 'table'
        return _COLUMNS, [
            (
                word.kind.value,
                word.name,
                word.by if is_json else rendering.printable(word.by),
                text.moment(word.at_s) if is_table else _utc(word),
                word.why if is_json else rendering.printable(word.why),
            )
            for word in rosters.pauses(answer)
        ]


def operator() -> str:
    """Name who types: behind sudo, who called it."""
    behind = os.environ.get('SUDO_USER')
    if os.geteuid() == 0 and behind:
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f'uid {os.getuid()}'


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'names',
        metavar='NAME',
        nargs='+',
        help='a site, a link or a policy; of sites.yaml and placement.yaml',
    )
    parser.add_argument(
        '--kind',
        choices=[kind.value for kind in _KINDS],
        help='what the names are of; needed where one is of several things',
    )


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'images', metavar='IMAGE', nargs='+', help='ids or unique names'
    )


def _add_why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--why',
        default='',
        metavar='TEXT',
        help='the reason, for whoever finds copies waiting',
    )


def _kind(parsed_args: argparse.Namespace) -> all_pauses.Kind | None:
    given = parsed_args.kind
    return None if given is None else all_pauses.Kind(given)


def _named(
    world: 'app.World', name: str, kind: all_pauses.Kind | None
) -> all_pauses.Key:
    """Find what has a name in the files. Raises _Unclear."""
    known = _known(world)
    kinds = [k for k in _KINDS if name in known[k] and kind in (None, k)]
    is_own = {all_pauses.Kind.SITE, all_pauses.Kind.LINK} == {*kinds}
    if is_own and _has_link_of_its_own(world, name):
        return all_pauses.Kind.SITE, name
    if len(kinds) > 1:
        raise _ambiguous(name, kinds)
    if kinds:
        return kinds[0], name
    asked = _KINDS if kind is None else (kind,)
    what = text.join((k.value for k in asked), 'or')
    names = sorted({n for k in asked for n in known[k]})
    raise _Unclear(worlds.near_miss(what, name, names))


def _known(world: 'app.World') -> Mapping[all_pauses.Kind, set[str]]:
    rules = world.rules
    return {
        all_pauses.Kind.SITE: {site.name for site in rules.sites},
        all_pauses.Kind.LINK: {site.link.name for site in rules.sites},
        all_pauses.Kind.POLICY: {policy.name for policy in rules.policies},
    }


def _has_link_of_its_own(world: 'app.World', name: str) -> bool:
    on_link = [s.name for s in world.rules.sites if s.link.name == name]
    return on_link == [name]


def _ambiguous(name: str, kinds: Sequence[all_pauses.Kind]) -> _Unclear:
    what = text.join((kind.value for kind in kinds), 'and')
    return _Unclear(f'{text.show(name)} is a {what}: say which by --kind')


def _image(world: 'app.World', word: str) -> tuple[all_pauses.Key, str]:
    found = worlds.find_one(world.images, word)
    if isinstance(found, str):
        raise _Unclear(found)
    shown = f'Image {rendering.name(found)} ({found.id})'
    return (all_pauses.Kind.IMAGE, found.id), shown


def _shown(key: all_pauses.Key) -> str:
    kind, name = key
    return f'{kind.value.capitalize()} {text.show(name)}'


def _utc(word: all_pauses.Word) -> str | None:
    return rendering.utc(word.at_s)
