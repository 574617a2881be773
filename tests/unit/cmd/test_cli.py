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
"""The command line's manners: exit codes, and what it says of errors."""

import subprocess
import sys

import pytest

from dcn_distributor import exceptions
from dcn_distributor.cmd import cli


@pytest.fixture
def failing(capsys):
    """Run a command that raises `exc`; return exit code and stderr."""

    def run(exc, *options):
        def command(app, app_options):
            raise exc

        app = cli.Cli()
        app.command_manager.add_command('fail', command)
        return app.run([*options, 'fail']), capsys.readouterr().err

    return run


def test_config_error_is_a_line_for_each_problem(failing):
    error = exceptions.ConfigError('a.yaml:1:2: b', 'a.yaml:3:4: c\u202e')

    assert failing(error) == (2, 'a.yaml:1:2: b\na.yaml:3:4: c\\u202e\n')


def test_our_own_error_is_one_message(failing):
    assert failing(exceptions.GlanceUnavailable('Glance is down')) == (
        1,
        'dcn-distributor: Glance is down\n',
    )


def test_a_bug_is_one_message_and_a_hint(failing):
    assert failing(KeyError('x')) == (
        1,
        "dcn-distributor: unexpected KeyError: 'x' (--debug shows where)\n",
    )


def test_debug_shows_where(failing):
    code, told = failing(KeyError('x'), '--debug')

    assert code == 1
    assert told.startswith('Traceback')
    assert told.endswith("dcn-distributor: unexpected KeyError: 'x'\n")


def test_interrupt_ends_quietly(failing):
    assert failing(KeyboardInterrupt()) == (130, '')


@pytest.mark.parametrize('argv', [['bootstrap'], ['bootstrap', 'kyes']])
def test_parts_of_a_command_are_named(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        cli.Cli().run(argv)

    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "'bootstrap' is followed by one of: adopt, " in told
    assert 'keys, keys retire, ' in told


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        ([], 'a command is missing; --help lists them'),
        (['valdate'], "unknown command 'valdate'; did you mean 'validate'?"),
        (['xyzzy'], "unknown command 'xyzzy'"),
        (['--foo', 'validate'], "unrecognized option '--foo'"),
        (['validate', '--foo'], 'unrecognized arguments: --foo'),
    ],
)
def test_wrong_usage_exits_with_2(capsys, argv, message):
    with pytest.raises(SystemExit) as caught:
        cli.Cli().run(argv)

    assert caught.value.code == 2
    assert f'error: {message}\n' in capsys.readouterr().err


@pytest.mark.parametrize(
    'argv',
    [
        ['validate', '--help'],
        ['--help', 'validate'],
        ['help', 'validate'],
        ['validate', '--strict', '-h'],
    ],
)
def test_help_of_a_command_names_its_exit_codes(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        cli.Cli().run(argv)

    told = capsys.readouterr().out
    assert not caught.value.code
    assert told.startswith('usage: dcn-distributor validate')
    assert '\n  2  wrong usage, or something wrong in the config' in told


@pytest.mark.parametrize('argv', [['--help'], ['help']])
def test_help_lists_the_commands(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        cli.Cli().run(argv)

    told = capsys.readouterr().out
    assert not caught.value.code
    assert '\n  validate       Check sites.yaml and placement.yaml' in told
    assert 'Could not load' not in told


def test_missing_config_file_is_an_error_of_configuration(capsys):
    code = cli.Cli().run(['--config-file', '/nope/x.conf', 'validate'])

    assert code == 2
    assert capsys.readouterr().err == '/nope/x.conf: no such file\n'


@pytest.mark.parametrize(
    ('url', 'section', 'options'),
    [
        ('rabit://user:sesame@127.0.0.1/', 'DEFAULT', []),
        ('rabbit://user:ses/ame@127.0.0.1/', 'DEFAULT', []),
        ('rabbit://user:ses/ame@127.0.0.1/', 'DEFAULT', ['--debug']),
        (
            'rabbit://user:sesame@127.0.0.1:port/',
            'oslo_messaging_notifications',
            [],
        ),
    ],
)
def test_a_wrong_transport_url_is_of_configuration_and_stays_a_secret(
    tmp_path, url, section, options
):
    (tmp_path / 'sites.yaml').write_text(
        'version: 1\ncentral: {store: central}\nsites: {dcn0: {}}\n'
    )
    (tmp_path / 'placement.yaml').write_text('version: 1\npolicies: {}\n')
    conf_file = tmp_path / 'test.conf'
    conf_file.write_text(
        '[DEFAULT]\n'
        f'sites_file = {tmp_path}/sites.yaml\n'
        f'placement_file = {tmp_path}/placement.yaml\n'
        '[glance]\n'
        'auth_type = none\n'
        'endpoint_override = http://127.0.0.1:1\n'
        f'[{section}]\n'
        f'transport_url = {url}\n'
    )

    # In a process of its own, since commands set up logging for themselves.
    ended = subprocess.run(
        [
            sys.executable,
            '-m',
            'dcn_distributor.cmd.cli',
            *options,
            '--config-file',
            str(conf_file),
            'status',
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert 'transport_url: not of the form' in ended.stderr
    for part in ("'ses'", 'sesame', 'ame@', "'port'"):
        assert part not in ended.stdout + ended.stderr


def test_closed_pipe_ends_quietly():
    script = (
        'import sys\n'
        'from dcn_distributor.cmd import cli\n'
        'sys.stdin.read()\n'
        "sys.exit(cli.main(['complete']))\n"
    )
    with subprocess.Popen(
        [sys.executable, '-c', script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        told = process.stderr.read()

    assert told == ''
    assert process.returncode == cli.BROKEN_PIPE


_HEAVY = ('keystoneauth1', 'oslo_messaging', 'pydantic', 'rados', 'ruamel')


def test_help_imports_nothing_that_takes_long():
    modules = sorted(
        {where.partition(':')[0] for where in cli.COMMANDS.values()}
    )
    code = (
        'import importlib, sys\n'
        f'for name in {modules!r}: importlib.import_module(name)\n'
        f'print([name for name in {_HEAVY!r} if name in sys.modules])'
    )

    ran = subprocess.run(
        [sys.executable, '-c', code],
        check=True,
        capture_output=True,
        text=True,
    )

    assert ran.stdout == '[]\n'
