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
"""Shell scripts that take steps one after the other."""

from collections.abc import Iterable
from collections.abc import Iterator
import shlex

from dcn_distributor.bootstrap.tripleo import paths
from dcn_distributor.core import procedures
from dcn_distributor.core import renderings
from dcn_distributor.core import stacks

_HOME = '~/'

# Which of a stack's steps are in one script, by the first word of their
# names. Between two scripts of a stack come those of others.
_SCRIPTS: dict[procedures.Release, dict[str, tuple[str, ...]]] = {
    'ussuri': {
        'deploy.sh': ('roles', 'deploy', 'export'),
        'deploy-update.sh': ('update',),
    },
    'xena': {
        'prepare.sh': ('roles', 'metal', 'ceph'),
        'deploy.sh': ('deploy', 'export'),
    },
}


def of_stacks(
    cloud: stacks.Cloud,
    steps: Iterable[procedures.Step],
    release: procedures.Release,
) -> Iterator[renderings.File]:
    """Write the scripts of each stack, and one that takes all steps."""
    steps = tuple(steps)
    yield _script(cloud, 'deploy.sh', '', steps)
    for _, stack in cloud.stacks():
        own = [step for step in steps if step.stack == stack.name]
        for name, kinds in _SCRIPTS[release].items():
            taken = [s for s in own if s.name.split()[0] in kinds]
            if taken:
                yield _script(cloud, paths.script(stack, name), '/..', taken)


def _script(
    cloud: stacks.Cloud, path: str, top: str, steps: Iterable[procedures.Step]
) -> renderings.File:
    """Write one.

    It stops at the first command that fails, and says at which.
    """
    lines = [
        '#!/usr/bin/env bash',
        '# Written by dcn-distributor: change sites.yaml and render it anew.',
        'set -euo pipefail',
        f'cd "$(dirname "$(readlink -f "${{BASH_SOURCE[0]}}")"){top}"',
        '# It reads variables that nobody may have set.',
        'set +u',
        f'source {_quote(f"{cloud.tripleo.home}/stackrc")}',
        'set -u',
        'step=',
        'trap \'echo "$0: stopped at: $step" >&2\' ERR',
    ]
    for step in steps:
        lines += [
            '',
            f'# {step.why}',
            f'step={_quote(step.name)}',
            _command(step.argv),
        ]
    text = ''.join(f'{line}\n' for line in lines)
    return renderings.File(path, text, is_program=True)


def _command(argv: Iterable[str]) -> str:
    """Write a command line, an option with its value on a line each."""
    words = [_quote(word) for word in argv]
    lines = ['']
    for word in words:
        if word.startswith('-') and lines[-1]:
            lines.append('')
        lines[-1] = f'{lines[-1]} {word}'.strip()
    return ' \\\n  '.join(lines)


def _quote(word: str) -> str:
    if word.startswith(_HOME):
        return f'"$HOME"/{shlex.quote(word.removeprefix(_HOME))}'
    return shlex.quote(word)
