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
"""In which order a cloud is brought up on Kubernetes."""

import dataclasses

from hypothesis import given
from hypothesis import settings
import pytest

from dcn_distributor.bootstrap import rhoso
from dcn_distributor.bootstrap.rhoso import order
from dcn_distributor.core import procedures
from dcn_distributor.core import stacks
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.rhoso import clouds


def _names(steps: tuple[procedures.Step, ...], site: str) -> list[str]:
    return [step.name for step in steps if step.site == site]


def test_a_site_is_brought_up_in_the_known_order() -> None:
    steps = order.order(clouds.load('multi-ceph'))

    assert _names(steps, 'dcn0') == [
        'Ceph files of dcn0',
        'Nova options of dcn0',
        'Nova service of dcn0',
        'node set dcn0',
        'node set dcn0 is set up',
        'deployment of dcn0 before Ceph',
        'dcn0 is ready for Ceph',
        'Ceph of dcn0',
        'deployment of dcn0',
        'dcn0 is deployed',
        'compute hosts of dcn0 in a cell',
        'zone dcn0',
        'oc0-ceph-1 in zone dcn0',
        'oc0-ceph-2 in zone dcn0',
    ]


def test_central_glance_starts_when_all_clusters_are_there() -> None:
    names = [step.name for step in order.order(clouds.load('multi-ceph'))]

    control_plane = names.index('control plane')
    for site in ('central', 'dcn0', 'dcn1'):
        assert names.index(f'Ceph of {site}') < control_plane
        assert names.index(f'Ceph files of {site}') < control_plane
    for stack in ('control-plane', 'dcn0', 'dcn1'):
        assert names.index(f'deployment of {stack}') > control_plane


def test_nobody_deploys_a_cluster_that_is_there() -> None:
    steps = order.order(clouds.load('external-ceph'))

    assert [s.name for s in steps if not s.argv] == ['Ceph of dcn0']


def test_sites_in_one_zone_make_it_once() -> None:
    cloud = clouds.load('multi-ceph')
    cloud = samples.with_site(cloud, 'dcn1', az='dcn0')

    steps = order.order(cloud)

    assert [s.site for s in steps if s.name == 'zone dcn0'] == ['dcn0']
    assert 'oc0-ceph-3 in zone dcn0' in _names(steps, 'dcn1')


def test_nova_is_told_the_names_that_it_knows_hosts_by() -> None:
    cloud = clouds.load('multi-ceph')
    told = dataclasses.replace(cloud.rhoso, domain='edge.example.org')
    steps = order.order(dataclasses.replace(cloud, rhoso=told))

    (step,) = [s for s in steps if s.name == 'oc0-ceph-1 in zone dcn0']
    assert step.argv[-2:] == ('dcn0', 'oc0-ceph-1.edge.example.org')


@settings(max_examples=40, deadline=None)
@given(cloud=clouds.clouds())
def test_every_file_is_applied_once_before_it_is_waited_for(
    cloud: stacks.Cloud,
) -> None:
    files = rhoso.render(cloud, samples.ring_for(cloud))
    steps = order.order(cloud)

    applied = [file for s in steps if 'apply' in s.argv for file in s.files]
    assert sorted(applied) == sorted(file.path for file in files)
    seen: set[str] = set()
    for step in steps:
        assert {*step.files} <= {*step.argv}
        if 'apply' in step.argv:
            seen |= {*step.files}
        assert {*step.files} <= seen
    assert len({step.name for step in steps}) == len(steps)


@pytest.mark.parametrize('topology', samples.TOPOLOGIES)
def test_what_a_document_names_is_there_before_it(topology: str) -> None:
    cloud = clouds.load(topology)
    documents = clouds.render(cloud)
    ours = {of['metadata']['name'] for of in documents.values()}

    applied: set[str] = set()
    for step in order.order(cloud):
        if 'apply' not in step.argv:
            continue
        (path,) = step.files
        wanted = (
            {*_words(documents[path]['spec'])}
            if ('spec' in documents[path])
            else set()
        )
        name = documents[path]['metadata']['name']
        # Sites are called as their stacks: names of mounts, not of documents.
        sites = {site.name for site in cloud.sites}
        assert (wanted & ours) - sites - {name, 'openstack'} <= applied, path
        applied.add(name)


def _words(tree: object) -> list[str]:
    """All texts in a document that could be names."""
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, dict):
        return [word for of in tree.values() for word in _words(of)]
    if isinstance(tree, list):
        return [word for of in tree for word in _words(of)]
    return []


def test_no_step_has_a_secret_on_its_command_line() -> None:
    cloud = clouds.load('multi-ceph')
    ring = samples.ring_for(cloud)
    keys = {
        entity.secret.text
        for known in ring.clusters.values()
        for entity in known.entities.values()
    }

    for step in order.order(cloud):
        words = ' '.join((*step.argv, step.why))
        assert not any(key in words for key in keys)
