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
"""The plugin for devstack: what stack makes, and unstack takes back."""

import configparser
from pathlib import Path

from oslo_config import cfg
from oslo_config import types
import pytest

from dcn_distributor import conf as configuration
from dcn_distributor.clients import glance
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from tests.unit.devstack import machine as machines

OURS = 'dcn-distributor-agent'


@pytest.fixture
def machine(tmp_path: Path) -> machines.Machine:
    """A machine whose devstack has Ceph."""
    machine = machines.Machine(tmp_path)
    machine.prepare()
    machine.make_cluster()
    return machine


@pytest.fixture(scope='module')
def stacked(tmp_path_factory: pytest.TempPathFactory) -> machines.Machine:
    """Such a machine after stack, to look at."""
    machine = machines.Machine(tmp_path_factory.mktemp('stacked'))
    machine.prepare()
    machine.make_cluster()
    machine.run('stack', VALIDATES='yes')
    return machine


@pytest.fixture
def plain_machine(tmp_path: Path) -> machines.Machine:
    """A machine whose devstack has no Ceph."""
    machine = machines.Machine(tmp_path)
    machine.prepare()
    return machine


def ini(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section='')
    parser.read_string(path.read_text())
    return parser


def glance_options(machine: machines.Machine) -> cfg.ConfigOpts:
    """Read glance-api.conf with the types that Glance has."""
    conf = cfg.ConfigOpts()
    methods = types.List(item_type=types.String(), bounds=True)
    conf.register_opts(
        [
            cfg.DictOpt('enabled_backends'),
            cfg.Opt('enabled_import_methods', type=methods),
            cfg.BoolOpt('show_multiple_locations'),
            cfg.IntOpt('image_location_quota'),
        ]
    )
    conf.register_opt(cfg.StrOpt('default_backend'), group='glance_store')
    conf.register_opts(
        [cfg.MultiStrOpt('driver'), cfg.ListOpt('topics')],
        group='oslo_messaging_notifications',
    )
    conf(args=[], default_config_files=[machine.glance / 'glance-api.conf'])
    return conf


# -- what stack makes --------------------------------------------------------


def test_the_agent_reads_the_files_that_stack_writes(stacked):
    conf = cfg.ConfigOpts()
    configuration.register_opts(conf)
    glance.register_opts(conf)
    settings = configuration.read(
        conf, [], [str(stacked.conf / 'dcn_distributor.conf')]
    )
    all_sites = sites.load(settings.sites_file)
    policy_set = placement.load(settings.placement_file, all_sites)
    assert policy_set.warnings() == ()
    assert [site.name for site in all_sites.everywhere] == [
        'central',
        'dcn0',
        'dcn1',
    ]
    assert all_sites.central_store == 'robust_rbd'


def test_passwords_reach_the_agent_as_they_are(stacked):
    conf = cfg.ConfigOpts()
    glance.register_opts(conf)
    conf.register_opt(cfg.StrOpt('password'), group='glance')
    conf.register_opt(cfg.StrOpt('transport_url'))
    conf(
        args=[],
        default_config_files=[str(stacked.conf / 'dcn_distributor.conf')],
    )
    assert conf.glance.password == machines.PASSWORD
    assert conf.transport_url == (
        f'rabbit://stackrabbit:{machines.RABBIT_PASSWORD}@127.0.0.1:5672/'
    )


def test_each_site_has_a_pool_and_users_of_its_own(stacked):
    all_sites = sites.load(str(stacked.conf / 'sites.yaml'))
    assert stacked.names(stacked.cluster / 'pools') == {
        'images',
        'images-dcn0',
        'images-dcn1',
    }
    for site in all_sites.everywhere:
        conf = ini(Path(site.cluster.conf))
        entity = f'client.{site.cluster.user}'
        keyring = Path(conf[entity]['keyring']).read_text()
        assert site.cluster.fsid == machines.FSID == conf['global']['fsid']
        assert f'key = KEY-OF-{entity}\n' in keyring
        assert (stacked.cluster / 'caps' / entity).read_text() == (
            f"mon 'profile rbd', osd 'profile rbd pool={site.cluster.pool}'\n"
        )
        assert (stacked.cluster / 'pools' / site.cluster.pool).read_text() == (
            'rbd\n'
        )


def test_glance_has_the_store_of_each_site(stacked):
    options = glance_options(stacked)
    raw = ini(stacked.glance / 'glance-api.conf')
    assert options.enabled_backends == {
        'robust_rbd': 'rbd',
        'fast': 'file',
        'dcn0': 'rbd',
        'dcn1': 'rbd',
    }
    assert options.glance_store.default_backend == 'robust_rbd'
    assert dict(raw['dcn1']) == {
        'rbd_store_ceph_conf': str(stacked.conf / 'ceph/dcn1.conf'),
        'rbd_store_user': 'glance-dcn1',
        'rbd_store_pool': 'images-dcn1',
    }
    assert {'os_glance_staging_store', 'os_glance_tasks_store'} < set(raw)


@pytest.mark.parametrize('site', ['central', 'dcn0', 'dcn1'])
def test_glance_does_not_wait_for_a_cluster_for_ever(stacked, site):
    central = stacked.directory / 'etc/ceph/ceph.conf'
    section = ini(
        central if site == 'central' else stacked.conf / f'ceph/{site}.conf'
    )['client.glance' if site == 'central' else f'client.glance-{site}']
    assert {
        section['client_mount_timeout'],
        section['rados_mon_op_timeout'],
        section['rados_osd_op_timeout'],
    } == {'30'}


def test_glance_does_what_the_agent_needs(stacked):
    options = glance_options(stacked)
    policies = stacked.glance / 'policy.d/dcn_distributor.yaml'
    sample = machines.TOP / 'etc/dcn_distributor/glance-policy.yaml.sample'
    assert options.oslo_messaging_notifications.driver == ['messagingv2']
    assert options.oslo_messaging_notifications.topics == [
        'notifications',
        'dcn_distributor',
    ]
    assert 'copy-image' in options.enabled_import_methods
    assert options.show_multiple_locations
    assert options.image_location_quota == -1
    assert policies.read_bytes() == sample.read_bytes()


def test_what_others_have_set_in_glance_stays(machine):
    machine.run('stack', GLANCE_TOPICS='notifications,metering')

    options = glance_options(machine)
    assert options.oslo_messaging_notifications.topics == [
        'notifications',
        'metering',
        'dcn_distributor',
    ]
    assert options.enabled_import_methods == ['web-download', 'copy-image']


def test_the_user_has_the_role_of_the_policies_and_no_other(stacked):
    assert stacked.names(stacked.keystone / 'users') == {'dcn-distributor'}
    assert stacked.names(stacked.keystone / 'assignments') == {
        'dcn-distributor,service,image_distributor'
    }


def test_phases_do_their_part_in_order(machine):
    machine.run('stack')
    machine.run('unstack')

    assert machine.events() == [
        'installed packages',
        'installed project',
        f'started {OURS}',
        'dcn-distributor status',
        f'stopped {OURS}',
    ]


def test_the_agent_runs_with_its_own_configuration(stacked):
    command = (stacked.directory / 'units' / OURS).read_text().split()
    assert Path(command[0]).name == OURS
    assert command[1:] == [
        '--config-file',
        str(stacked.conf / 'dcn_distributor.conf'),
    ]


def test_sites_are_those_of_local_conf(machine):
    machine.run('stack', DCN_DISTRIBUTOR_SITES='north,far-south')

    all_sites = sites.load(str(machine.conf / 'sites.yaml'))
    assert [site.store for site in all_sites] == ['north', 'far-south']
    assert 'far-south' in glance_options(machine).enabled_backends
    assert 'images-far-south' in machine.names(machine.cluster / 'pools')


def test_a_second_stack_changes_nothing(machine):
    machine.run('stack')
    before = machine.state()

    machine.run('stack')

    assert machine.state() == before


def test_a_second_stack_keeps_the_policies_of_the_developer(machine):
    machine.run('stack')
    policies = 'version: 1\npolicies: {}\n'
    (machine.conf / 'placement.yaml').write_text(policies)

    machine.run('stack')

    assert (machine.conf / 'placement.yaml').read_text() == policies


def test_files_that_do_not_hold_together_end_the_stack(machine):
    machine.run('stack')
    machine.run('unstack')
    (machine.conf / 'placement.yaml').write_text('version: 1\npolicies: 1\n')

    ran = machine.try_to('stack', VALIDATES='yes')

    assert ran.returncode != 0
    assert 'placement.yaml:2:' in ran.stdout
    assert machine.names(machine.directory / 'units') == set()


# -- secrets -----------------------------------------------------------------


def test_no_secret_is_in_the_log(machine):
    machine.run('stack')
    machine.run('stack')
    machine.run('clean')

    assert '+ dcn_create_accounts' in machine.log, 'it is traced'
    for secret in (machines.PASSWORD, machines.RABBIT_PASSWORD, 'KEY-OF'):
        assert secret not in machine.log
        assert secret.replace('$', '$$') not in machine.log


def test_files_with_secrets_are_not_for_everybody(stacked):
    secrets = [stacked.conf / 'dcn_distributor.conf']
    secrets += (stacked.conf / 'ceph').glob('*.keyring')
    assert len(secrets) == 6
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o640}


# -- without Ceph ------------------------------------------------------------


def test_without_ceph_sites_are_directories(plain_machine):
    plain_machine.run('stack')

    all_sites = sites.load(str(plain_machine.conf / 'sites.yaml'))
    options = glance_options(plain_machine)
    raw = ini(plain_machine.glance / 'glance-api.conf')
    ours = ini(plain_machine.conf / 'dcn_distributor.conf')
    assert options.enabled_backends == {
        'fast': 'file',
        'dcn0': 'file',
        'dcn1': 'file',
    }
    directories = {
        raw[store]['filesystem_store_datadir']
        for store in options.enabled_backends
    }
    assert len(directories) == 3
    assert all_sites.central_store == 'fast'
    assert [site.cluster for site in all_sites.everywhere] == [None] * 3
    assert ours['copy']['engines'] == 'copy-image'
    assert not options.show_multiple_locations


def test_without_stores_in_glance_stack_says_what_to_do(plain_machine):
    ran = plain_machine.try_to('stack', GLANCE_ENABLE_MULTIPLE_STORES='False')

    assert ran.returncode != 0
    assert 'GLANCE_ENABLE_MULTIPLE_STORES=True' in ran.stdout


def test_without_ceph_all_is_taken_back_too(plain_machine):
    plain_machine.run('stack', DISABLED_SERVICES=OURS)
    before = plain_machine.state()
    plain_machine.run('stack')

    plain_machine.run('clean')

    assert plain_machine.state() == before


# -- what unstack takes back -------------------------------------------------


def test_clean_leaves_the_machine_as_it_was_without_us(machine):
    machine.run('stack', DISABLED_SERVICES=OURS)
    before = machine.state()
    machine.run('stack')
    assert machine.state() != before

    machine.run('clean')

    assert machine.state() == before


def test_two_stacks_are_taken_back_as_one(machine):
    machine.run('stack', DISABLED_SERVICES=OURS)
    before = machine.state()
    machine.run('stack')
    machine.run('stack', DCN_DISTRIBUTOR_SITES='dcn0,dcn2')

    machine.run('clean')

    assert machine.state() == before


def test_unstack_leaves_only_the_files_of_the_agent(machine):
    machine.run('stack', DISABLED_SERVICES=OURS)
    before = machine.state()
    machine.run('stack')

    machine.run('unstack')

    left = {
        name: content
        for name, content in machine.state().items()
        if not name.startswith('etc/dcn_distributor/')
    }
    assert left == before


def test_after_unstack_stack_makes_it_all_again(machine):
    machine.run('stack')
    before = machine.state()

    machine.run('unstack')
    machine.run('stack')

    assert machine.state() == before


def test_a_pool_that_was_there_before_stays(machine):
    (machine.cluster / 'pools/images-dcn0').write_text('rbd\n')
    machine.run('stack')

    machine.run('unstack')

    assert machine.names(machine.cluster / 'pools') == {
        'images',
        'images-dcn0',
    }


def test_pools_are_protected_again_after_unstack(machine):
    machine.run('stack')
    machine.run('unstack')

    assert machine.names(machine.cluster / 'config') == set()


def test_pools_that_may_be_deleted_still_may_after_unstack(machine):
    allowed = machine.cluster / 'config/mon_allow_pool_delete'
    allowed.write_text('true\n')
    machine.run('stack')

    machine.run('unstack')

    assert allowed.read_text() == 'true\n'


def test_unstack_does_without_a_cluster_that_is_gone(machine):
    machine.run('stack')

    machine.run('clean', CEPH_IS_REMOVED='yes')

    raw = ini(machine.glance / 'glance-api.conf')
    assert raw['DEFAULT']['enabled_backends'] == 'robust_rbd:rbd,fast:file'
    assert not machine.conf.exists()
    assert machine.names(machine.directory / 'data') == set()


def test_pools_of_a_cluster_in_place_of_ours_stay(machine):
    machine.run('stack')
    other = '00000000-2f0b-4f0e-9a51-1c2d3e4f5a6b'
    (machine.cluster / 'fsid').write_text(f'{other}\n')

    machine.run('unstack')

    assert 'images-dcn0' in machine.names(machine.cluster / 'pools')


def test_what_a_lost_cluster_held_is_taken_back_once_it_is_back(machine):
    machine.run('stack')
    machine.cluster.rename(machine.directory / 'lost')
    machine.run('unstack')
    (machine.directory / 'lost').rename(machine.cluster)

    machine.run('unstack')

    assert machine.names(machine.cluster / 'pools') == {'images'}
    assert machine.names(machine.cluster / 'auth') == set()


def test_keystone_that_is_gone_does_not_stop_unstack(machine):
    machine.run('stack')
    machine.keystone.rename(machine.directory / 'gone')

    machine.run('unstack')

    assert machine.names(machine.cluster / 'pools') == {'images'}


# -- not enabled -------------------------------------------------------------


@pytest.mark.parametrize('script', ['stack', 'unstack', 'clean'])
def test_a_plugin_that_is_not_enabled_does_nothing(machine, script):
    machine.run('stack', DISABLED_SERVICES=OURS)
    before = machine.state()

    machine.run(script, DISABLED_SERVICES=OURS)

    assert machine.state() == before
    assert machine.events() == []
