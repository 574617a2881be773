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
"""A command within `openstack`: session, configuration, exit codes."""

import logging

from keystoneauth1 import session as ksa_session
from keystoneauth1 import token_endpoint
import pytest

from dcn_distributor.cmd import explain
from dcn_distributor.cmd import resync
from dcn_distributor.cmd import status
from dcn_distributor.cmd import validate
from dcn_distributor.osc import hosting
from dcn_distributor.osc import plugin
from dcn_distributor.osc import show
from dcn_distributor.osc import v1
from tests.unit.clients import stub_cloud
from tests.unit.cmd import agencies
from tests.unit.cmd import desk as desks
from tests.unit.osc import shells


@pytest.fixture(autouse=True)
def log_levels():
    """Give other tests the levels back that a command's world has set."""
    known = {
        logger: logger.level
        for logger in logging.root.manager.loggerDict.values()
        if isinstance(logger, logging.Logger)
    }
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(known.get(logger, logging.NOTSET))


@pytest.fixture
def run(capsys):
    """Run a command's class; return exit code, stdout and stderr."""

    def run(command, *argv, shell=None):
        code = (shell or shells.Shell()).run(
            lambda shell, options: hosting.Hosted(
                shell, options, command, v1.spelling(), needs_auth=True
            ),
            *argv,
        )
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def conf_file(tmp_path, monkeypatch):
    """Write a configuration without credentials, and give its name."""
    monkeypatch.delenv(plugin.CONFIG_VARIABLE, raising=False)
    (tmp_path / 'sites.yaml').write_text(
        'version: 1\ncentral: {store: central}\nsites: {dcn0: {}}\n'
    )
    (tmp_path / 'placement.yaml').write_text('version: 1\npolicies: {}\n')
    path = tmp_path / 'test.conf'
    path.write_text(
        '[DEFAULT]\n'
        f'sites_file = {tmp_path}/sites.yaml\n'
        f'placement_file = {tmp_path}/placement.yaml\n'
        'transport_url = fake://\n'
    )
    return path


# -- what the commands do and say -------------------------------------------


@pytest.mark.parametrize(
    ('command', 'argv'),
    [
        (status.Status, []),
        (status.Status, ['a', '-f', 'json']),
        (explain.Explain, ['a']),
        (resync.Resync, ['a']),
    ],
)
def test_it_is_the_same_command(capsys, run, command, argv):
    desk = desks.Desk(command, capsys.readouterr)
    desk.glance.add('a')

    alone = desk.run(*argv)

    assert run(desk.command, *argv) == alone
    assert alone[1]


def test_show_is_a_line_for_each_site_of_one_image(capsys, run):
    desk = desks.Desk(show.Show, capsys.readouterr)
    desk.glance.add('a')
    desk.glance.add('b')

    code, out, _ = run(desk.command, 'a')

    assert code == 3
    assert [w for w in out.split() if w in ('dcn0', 'dcn1')] == [
        'dcn0',
        'dcn1',
    ]
    assert ' b ' not in out


def test_show_takes_one_image(capsys, run):
    desk = desks.Desk(show.Show, capsys.readouterr)

    for argv in ([], ['a', 'b']):
        with pytest.raises(SystemExit) as caught:
            run(desk.command, *argv)
        assert caught.value.code == 2


def test_an_error_of_ours_is_one_message_and_its_exit_code(capsys, run):
    desk = desks.Desk(explain.Explain, capsys.readouterr)

    assert run(desk.command, 'nope') == (
        1,
        '',
        'openstack: no image is called nope\n',
    )


def test_debug_shows_where(capsys, run):
    desk = desks.Desk(explain.Explain, capsys.readouterr)

    code, _, err = run(desk.command, 'nope', shell=shells.Shell('--debug'))

    assert code == 1
    assert err.startswith('Traceback')
    assert err.endswith('openstack: no image is called nope\n')


def test_wrong_usage_is_told_by_openstack(capsys, run):
    desk = desks.Desk(status.Status, capsys.readouterr)

    code, _, err = run(desk.command, '--site', 'dcn9')

    assert code == 2
    assert err.startswith('openstack: there is no site dcn9')


def test_a_bug_is_for_openstack_to_tell(run):
    class Broken(resync.Resync):
        def take_action(self, parsed_args):
            raise KeyError('x')

    with pytest.raises(KeyError):
        run(Broken)


def test_what_to_type_next_is_in_the_words_of_openstack(capsys, run):
    agency = agencies.Agency(capsys.readouterr)
    image = agency.world.glance.add('a')

    code, _, err = run(agency.command, 'a', 'dcn0', '--wait', '--timeout', '1')

    assert code == 1
    assert err.endswith(
        f'; see openstack image distribution list {image.id}\n'
    )


# -- configuration and credentials ------------------------------------------


def test_the_option_names_the_configuration(run, conf_file):
    shell = shells.Shell('--dcn-config-file', str(conf_file))

    code, out, _ = run(validate.Validate, shell=shell)

    assert (code, out[:8]) == (0, '1 site, ')


def test_the_environment_names_the_configuration(
    run, conf_file, tmp_path, monkeypatch
):
    later = tmp_path / 'later.conf'
    later.write_text('[DEFAULT]\nsites_file = /nope/sites.yaml\n')
    monkeypatch.setenv(plugin.CONFIG_VARIABLE, f'{conf_file}:{later}')

    code, _, err = run(validate.Validate)

    assert code == 2
    assert '/nope/sites.yaml' in err
    assert f'the configuration was {conf_file}, {later}; ' in err


def test_the_option_wins_over_the_environment(run, conf_file, monkeypatch):
    monkeypatch.setenv(plugin.CONFIG_VARIABLE, '/nope/x.conf')
    shell = shells.Shell('--dcn-config-file', str(conf_file))

    assert run(validate.Validate, shell=shell)[0] == 0


def test_without_any_configuration_it_is_said_what_to_name(
    run, tmp_path, monkeypatch
):
    monkeypatch.delenv(plugin.CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))

    code, _, err = run(status.Status)

    assert code == 2
    assert '/etc/dcn_distributor/sites.yaml: ' in err
    assert err.endswith(
        'openstack: there is no /etc/dcn_distributor/dcn_distributor.conf; '
        '--dcn-config-file or DCN_DISTRIBUTOR_CONFIG names a copy of it, '
        'which names sites.yaml and placement.yaml\n'
    )


def test_glance_is_asked_as_who_is_logged_in(run, conf_file):
    with stub_cloud.StubCloud() as cloud:
        tokens = []

        def answer(request):
            tokens.append(request.token)
            return stub_cloud.Answer(
                200, {'stores': [{'id': 'central'}], 'images': []}
            )

        cloud.answer = answer
        session = ksa_session.Session(
            auth=token_endpoint.Token(cloud.url, 'theirs')
        )
        shell = shells.Shell(
            '--dcn-config-file', str(conf_file), session=session
        )

        code, out, err = run(status.Status, '-f', 'json', shell=shell)
        session.session.close()

    assert (code, out) == (0, '[]\n'), err
    assert set(tokens) == {'theirs'}
