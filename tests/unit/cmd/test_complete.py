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
"""dcn-distributor complete: what bash proposes, and zsh."""

import subprocess
import sys

import pytest

from dcn_distributor.cmd import cli

# Ask as bash does at a press of Tab; one proposal a line.
_ASK = """
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_dcn_distributor
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope='module')
def script():
    """What the command writes, in a process of its own."""
    return subprocess.run(
        [sys.executable, '-m', 'dcn_distributor.cmd.cli', 'complete'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# What zsh itself does before it calls a function made for bash; without the
# set-up of its own completion, which takes a second.
_BASHCOMPINIT = """
compdef() { :; }
autoload -Uz bashcompinit
bashcompinit
emulate sh
setopt kshglob noshglob braceexpand ksharrays
"""


def proposals(shell, script, words):
    return subprocess.run(
        [*shell, '-c', script + _ASK, shell[0], 'dcn-distributor', *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


@pytest.fixture
def propose(script):
    """Return what bash proposes for the last word."""
    return lambda *words: proposals(['bash'], script, words)


def test_the_first_word_is_a_command(propose):
    commands = {name.split()[0] for name in cli.COMMANDS}

    assert set(propose('')) == commands | {'help'}
    assert propose('sta') == ['status']


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_word_of_every_command_is_proposed(propose, name):
    *before, last = name.split()

    assert last in propose(*before, last)
    assert '--help' in propose(*before, last, '--h')


def test_commands_that_go_on_from_a_command(propose):
    assert propose('bootstrap', 'k') == ['keys']
    assert propose('bootstrap', 'keys', '') == [
        'retire',
        'revoke',
        'rotate',
        'take',
    ]


def test_options_are_those_of_the_command(propose):
    assert propose('status', 'cirros', '--si') == ['--site']
    assert propose('bootstrap', 'keys', '--narr') == ['--narrow']
    assert propose('bootstrap', 'keys', 'take', '--narr') == []


def test_options_before_the_command(propose):
    assert propose('--conf') == ['--config-file']
    assert propose('--config-file', 'x.conf', 'sta') == ['status']


def test_values_that_an_option_takes(propose):
    assert propose('copy', 'a', '--engine', 'rbd') == ['rbd-stream']
    assert propose('status', '-f', 'j') == ['json']


def test_files_are_left_to_the_shell(propose):
    assert propose('--config-file', '') == []
    assert propose('validate', '--sites', '') == []
    assert propose('explain', '') == []


@pytest.mark.parametrize(
    'words',
    [
        ('sta',),
        ('status', '--'),
        ('status', '--format', ''),
        ('bootstrap', 'keys', ''),
        ('--config-file', ''),
    ],
    ids=' '.join,
)
def test_zsh_proposes_the_same(script, propose, words):
    told = proposals(['zsh', '-f'], _BASHCOMPINIT + script, words)

    # Those that begin otherwise zsh leaves out itself.
    fitting = {word for word in told if word.startswith(words[-1])}
    assert fitting == set(propose(*words))


def test_the_function_is_registered(script):
    told = subprocess.run(
        ['bash', '-c', f'{script}\ncomplete -p dcn-distributor'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told == 'complete -o default -F _dcn_distributor dcn-distributor\n'
