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
"""dcn-distributor complete: what a shell needs to complete its commands.

cliff has such a command, which proposes `keys_take` where `keys` is a command
and `keys take` another, knows nothing of the options before a command, and
needs the package bash-completion.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import re
import shlex

from cliff import command

from dcn_distributor.cmd import cli

EPILOG = """\
Where the package bash-completion is, its directory of completions takes it:
  dcn-distributor complete \\
      >/usr/share/bash-completion/completions/dcn-distributor
Elsewhere, in .bashrc:
  . <(dcn-distributor complete)
In .zshrc, after compinit:
  autoload -Uz bashcompinit && bashcompinit
  . <(dcn-distributor complete)

exit codes:
  0  written
  2  wrong usage"""

# What has no words of ours is the name of a file, as `-o default` has it.
_FUNCTION = """\
{function}()
{{
    local cur prev word command='' words=''
    cur=${{COMP_WORDS[COMP_CWORD]}}
    prev=${{COMP_WORDS[COMP_CWORD-1]}}
    for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD - 1))}}"; do
        case "$command $word" in
        {commands}) command="$command $word" ;;
        esac
    done
    case "$command $prev" in
{values}
    *)
        case "$command:$cur" in
{words}
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F {function} {program}
"""


class Complete(command.Command):  # type: ignore[misc]
    """Write what completes commands and options in bash and zsh."""

    _epilog = EPILOG

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Ask every command for its options."""
        actions = {
            name: _options(factory.load()(self.app, None).get_parser(name))
            for name, factory in self.app.command_manager
        }
        names = _with_families(actions)
        actions[''] = _options(self.app.parser)
        self.app.stdout.write(
            _FUNCTION.format(
                program=cli.PROGRAM,
                function='_' + re.sub(r'\W', '_', cli.PROGRAM),
                commands='|'.join(shlex.quote(f' {name}') for name in names),
                values='\n'.join(
                    line
                    for name, options in actions.items()
                    for line in _values(name, options)
                ),
                words='\n'.join(
                    line
                    for name in ['', *names]
                    for line in _words(name, names, actions.get(name, []))
                ),
            )
        )
        return cli.DONE


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """List the options of a parser; argparse has no public way."""
    return parser._get_optional_actions()


def _with_families(names: Iterable[str]) -> list[str]:
    """Add what only begins the names of commands, such as bootstrap."""
    found = set()
    for name in names:
        parts = name.split()
        found |= {' '.join(parts[:n]) for n in range(1, len(parts) + 1)}
    return sorted(found)


def _values(name: str, options: list[argparse.Action]) -> Iterator[str]:
    """Say what may follow the options of a command that take a value."""
    for option in options:
        if option.nargs == 0:
            continue
        asked = '|'.join(
            shlex.quote(f'{_key(name)} {word}')
            for word in option.option_strings
        )
        choices = shlex.quote(' '.join(map(str, option.choices or ())))
        yield f'    {asked}) words={choices} ;;'


def _words(
    name: str, names: Iterable[str], options: list[argparse.Action]
) -> Iterator[str]:
    """Say which options a command has, and which commands go on from it."""
    words = [w for option in options for w in option.option_strings]
    yield _case(f'{_key(name)}:-', words)
    begin = f'{name} ' if name else ''
    follow = [n.removeprefix(begin) for n in names if n.startswith(begin)]
    yield _case(f'{_key(name)}:', [n for n in follow if ' ' not in n and n])


def _case(begin: str, words: list[str]) -> str:
    """Say which words there are for what begins so."""
    proposed = shlex.quote(' '.join(words))
    return f'        {shlex.quote(begin)}*) words={proposed} ;;'


def _key(name: str) -> str:
    """Write the name as the function has it, each word after a blank."""
    return f' {name}' if name else ''
