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
"""Stacks are deployed in the order of the documents."""

import dataclasses
import itertools

import pytest

from dcn_distributor.bootstrap.tripleo import order
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered


def _names(topology: str, release: str) -> list[str]:
    return [s.name for s in order.order(samples.load(topology), release)]


def _environments(topology: str, release: str, name: str) -> list[str]:
    """The files that one deployment is given."""
    (step,) = (
        step
        for step in order.order(samples.load(topology), release)
        if step.name == name
    )
    words = step.argv
    return [
        path for option, path in itertools.pairwise(words) if option == '-e'
    ]


def test_central_comes_first_and_again_at_last():
    assert _names('multi-ceph', 'ussuri') == [
        'roles control-plane',
        'deploy control-plane',
        'export control-plane',
        'roles dcn0',
        'deploy dcn0',
        'roles dcn1',
        'deploy dcn1',
        'update control-plane',
    ]


def test_central_is_deployed_once_if_all_clusters_are_there():
    assert _names('multi-ceph', 'xena') == [
        'roles control-plane',
        'metal control-plane',
        'roles dcn0',
        'metal dcn0',
        'roles dcn1',
        'metal dcn1',
        'ceph control-plane',
        'ceph dcn0',
        'ceph dcn1',
        'export ceph of central',
        'export ceph of sites',
        'deploy control-plane',
        'export control-plane',
        'deploy dcn0',
        'deploy dcn1',
    ]


def test_only_clusters_of_stacks_are_made_and_exported():
    names = _names('external-ceph', 'xena')

    assert [n for n in names if 'ceph' in n] == [
        'ceph dcn0',
        'export ceph of sites',
    ]


@pytest.mark.parametrize('release', rendered.RELEASES)
def test_caching_sites_change_nothing_at_central(release):
    names = _names('glance-cache', release)

    assert not [n for n in names if 'update' in n or 'ceph' in n]
    assert names.index('export control-plane') < names.index('deploy central')


def test_files_of_a_site_come_in_the_order_of_the_document():
    home = '/home/stack'
    environments = f'{home}/templates/environments'
    assert _environments('multi-ceph', 'ussuri', 'deploy dcn0') == [
        f'{environments}/ceph-ansible/ceph-ansible.yaml',
        f'{environments}/dcn-hci.yaml',
        f'{home}/containers-env-file.yaml',
        f'{home}/domain.yaml',
        f'{home}/control-plane-export.yaml',
        'dcn0/dcn_ceph_keys.yaml',
        'dcn0/ceph.yaml',
        'dcn0/nova-az.yaml',
        'dcn0/glance.yaml',
        'dcn0/overrides.yaml',
    ]


def test_update_adds_keys_and_stores_to_what_central_had():
    first = _environments('multi-ceph', 'ussuri', 'deploy control-plane')
    later = _environments('multi-ceph', 'ussuri', 'update control-plane')

    assert later == [
        *first,
        'control-plane/ceph_keys_update.yaml',
        'control-plane/glance_update.yaml',
    ]


def test_stacks_of_an_external_cluster_are_its_clients():
    for name in ('deploy control-plane', 'deploy central'):
        environments = _environments('external-ceph', 'xena', name)

        assert '/home/stack/templates/environments/external-ceph.yaml' in (
            environments
        )
        assert 'external-ceph-central.yaml' in environments


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_every_file_of_a_step_is_rendered_and_named_in_its_command(
    topology, release
):
    found = rendered.render(samples.load(topology), release)

    used = set()
    for step in order.order(found.cloud, release):
        used |= set(step.files)
        assert set(step.files) <= set(step.argv), step.name
        assert step.argv
    # The nodes of a stack that is scheduled are for those who provision them
    # by hand.
    scripts = {path for path in found.files if path.endswith('.sh')}
    others = set(found.files) - used - scripts
    assert used <= set(found.files)
    assert {path.partition('/')[2] for path in others} <= {
        'nodes.yaml' if release == 'ussuri' else ''
    }


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_no_secret_is_part_of_a_command(topology, release):
    found = rendered.render(samples.load(topology), release)
    words = ' '.join(
        word
        for step in order.order(found.cloud, release)
        for word in step.argv
    )

    assert not [secret for secret in found.secrets() if secret in words]


@samples.topologies
@pytest.mark.parametrize('release', rendered.RELEASES)
def test_no_two_steps_have_one_name(topology, release):
    names = _names(topology, release)

    assert len(names) == len(set(names))


def test_networks_of_the_operator_are_used_by_every_stack():
    cloud = samples.load('glance-cache')
    cloud = dataclasses.replace(
        cloud, tripleo=stacks.Tripleo(network_data='/n.yaml')
    )

    deployed = [
        step.argv
        for step in order.order(cloud, 'ussuri')
        if step.name.startswith('deploy ')
    ]

    assert len(deployed) == 4
    for argv in deployed:
        assert argv[argv.index('--networks-file') + 1] == '/n.yaml'
