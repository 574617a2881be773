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
"""dcn-distributor validate: both files at once, for people and CI jobs."""

import pytest

from dcn_distributor.cmd import cli

SITES = 'version: 1\ncentral: {store: central}\nsites: {dcn0: {}, dcn1: {}}\n'
PLACEMENT = 'version: 1\npolicies: {p: {match: {}, sites: all}}\n'
IDLE = 'version: 1\npolicies: {p: {match: {}, sites: {labels: tier}}}\n'


@pytest.fixture
def validate(tmp_path, capsys):
    """Validate two texts; return exit code, stdout and stderr.

    The directory of the files is left out of what is told.
    """

    def run(sites, placement, *options):
        for name, content in (('s.yaml', sites), ('p.yaml', placement)):
            (tmp_path / name).write_text(content)
        code = cli.Cli().run(
            [
                'validate',
                f'--sites={tmp_path}/s.yaml',
                f'--placement={tmp_path}/p.yaml',
                *options,
            ]
        )
        told = capsys.readouterr()
        return code, told.out, told.err.replace(f'{tmp_path}/', '')

    return run


def test_what_is_right_is_counted(validate):
    assert validate(SITES, PLACEMENT) == (
        0,
        '2 sites, 1 policy, 0 warnings\n',
        '',
    )


def test_problems_of_both_files_are_told_at_once(validate):
    code, out, err = validate(
        SITES.replace('dcn0', 'a b'), PLACEMENT.replace('all', 'al')
    )

    assert code == 2
    assert out == ''
    assert [line.partition(': ')[0] for line in err.splitlines()] == [
        's.yaml:3:9',
        'p.yaml:2:34',
    ]


def test_unknown_sites_are_no_problem_while_sites_are_broken(validate):
    code, _, err = validate('', PLACEMENT.replace('all', '[dcn0]'))

    assert code == 2
    assert err.splitlines() == [
        "s.yaml:1:1: the file is empty, expected 'version: 1' to begin with"
    ]


def test_warnings_are_told_and_pass(validate):
    assert validate(SITES, IDLE) == (
        0,
        '2 sites, 1 policy, 1 warning\n',
        "p.yaml:2: warning: policy p: its sites (labels 'tier') match no "
        'site of sites.yaml\n',
    )


def test_warnings_do_not_pass_strict(validate):
    assert validate(SITES, IDLE, '--strict')[0] == 2


def test_a_ceph_conf_that_is_not_there_is_warned_of(validate, tmp_path):
    (tmp_path / 'there.conf').touch()
    cluster = '{cluster: {conf: /no/such.conf}}'
    sites = SITES.replace('dcn1: {}', f'dcn1: {cluster}')
    central = f'{{store: c, cluster: {{conf: {tmp_path}/there.conf}}}}'

    code, out, err = validate(
        sites.replace('{store: central}', central), PLACEMENT
    )

    assert code == 0
    assert out == '2 sites, 1 policy, 1 warning\n'
    assert err == (
        's.yaml:3: warning: site dcn1: /no/such.conf cannot be read: no such '
        'file\n'
    )


@pytest.mark.parametrize(
    ('sites', 'placement', 'what'),
    [
        (SITES, 'version: 1\npolicies: {}\n', 'policies'),
        (
            'version: 1\ncentral: {store: c}\nsites: {}\n',
            PLACEMENT,
            'sites',
        ),
    ],
)
def test_nothing_to_do_is_warned_of(validate, sites, placement, what):
    code, _, err = validate(sites, placement)

    assert code == 0
    assert err == f'warning: there are no {what}: no image is copied\n'


def test_what_bootstrap_needs_is_checked_where_any_of_it_is_there(validate):
    sites = SITES.replace('store: central', 'store: central, deploy: {}')

    code, _, err = validate(sites, PLACEMENT)

    assert code == 2
    lines = err.splitlines()
    assert any("dcn0 has no 'deploy'" in line for line in lines), err
    assert all(line.startswith('s.yaml:') for line in lines)


def test_the_configuration_names_the_files(tmp_path, capsys):
    (tmp_path / 's.yaml').write_text(SITES)
    (tmp_path / 'p.yaml').write_text(PLACEMENT)
    config = tmp_path / 'dcn_distributor.conf'
    config.write_text(
        f'[DEFAULT]\nsites_file = {tmp_path}/s.yaml\n'
        f'placement_file = {tmp_path}/p.yaml\n'
    )

    code = cli.Cli().run(['--config-file', str(config), 'validate'])

    assert code == 0
    assert capsys.readouterr().out == '2 sites, 1 policy, 0 warnings\n'
