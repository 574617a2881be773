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
"""What bootstrap renders is read back as what it was rendered from."""

import pytest

from dcn_distributor.bootstrap import ceph_files
from dcn_distributor.bootstrap import tripleo
from dcn_distributor.bootstrap.adopt import conf_files
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import merge
from dcn_distributor.bootstrap.adopt import rhoso_secrets
from dcn_distributor.bootstrap.adopt import tripleo_export
from dcn_distributor.bootstrap.rhoso import ceph_secrets
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.tripleo import keys as tripleo_keys
from dcn_distributor.conf import clouds
from dcn_distributor.core import cephx
from tests.unit.bootstrap import samples

with_clusters = pytest.mark.parametrize(
    'topology', ['multi-ceph', 'external-ceph']
)


def sources(files):
    return [findings.Source(file.path, file.text) for file in files]


def by_cluster(found):
    """Give what was found of each cluster, without caps: clients need none."""
    return {
        (
            each.cluster,
            each.fsid,
            each.monitors,
            entity.name,
            entity.secret.text,
        )
        for each in found
        for entity in each.entities
    }


def expected(cloud, ring, site, users):
    return {
        (
            other.ceph.name,
            other.ceph.fsid,
            other.ceph.monitors,
            entity.name,
            entity.secret.text,
        )
        for other in cloud.stores_of(site)
        for entity in ring.of(other.name).entities.values()
        if entity.user in users
    }


def reload(tmp_path, found, cloud):
    adopted = merge.merge(
        found, merge.Choices(cloud.central.ceph.name, user=cloud.user)
    )
    path = tmp_path / 'sites.yaml'
    path.write_text(adopted.sites)
    return clouds.load(str(path)), adopted.ring


def secrets(ring):
    return {
        (site, grant, entity.name, entity.secret)
        for site, known in ring.clusters.items()
        for grant, entity in known.entities.items()
    }


@with_clusters
def test_confs_and_keyrings_are_read_back(topology, tmp_path):
    cloud = samples.load(topology)
    ring = samples.ring_for(cloud)

    found = conf_files.parse(sources(ceph_files.render(cloud, ring)))

    agents = (cloud.user, 'dcn-distributor')
    assert by_cluster(found) == expected(cloud, ring, cloud.central, agents)
    again, issued = reload(tmp_path, found, cloud)
    assert secrets(issued) == secrets(ring)
    assert [site.ceph.mon_host for site in again.sites] == [
        site.ceph.mon_host for site in cloud.sites
    ]


@with_clusters
def test_rotated_keys_are_read_back(topology, tmp_path):
    cloud = samples.load(topology)
    ring = samples.ring_for(cloud)
    entity = cephx.Entity(
        f'client.{cloud.user}-r1', samples.secret('rotated'), {}
    )
    known = ring.of('dcn0').with_entity(entity, f'client.{cloud.user}')
    ring = ring.replacing('dcn0', known)

    found = conf_files.parse(sources(ceph_files.render(cloud, ring)))

    _, issued = reload(tmp_path, found, cloud)
    assert secrets(issued) == secrets(ring)


@with_clusters
def test_secrets_of_rhoso_are_read_back(topology):
    cloud = samples.load(topology)
    ring = samples.ring_for(cloud)

    for site in cloud.sites:
        text = documents.write(ceph_secrets.secret(cloud, ring, site))
        found = rhoso_secrets.parse(findings.Source('secret.yaml', text))

        assert by_cluster(found) == expected(cloud, ring, site, (cloud.user,))


@with_clusters
def test_parameters_of_tripleo_are_read_back(topology):
    cloud = samples.load(topology)
    ring = samples.ring_for(cloud)
    files = [
        file
        for file in tripleo.render(cloud, ring)
        if 'CephExternalM' in file.text
    ]

    found = [
        each
        for source in sources(files)
        for each in tripleo_export.parse(source)
    ]

    wanted = expected(cloud, ring, cloud.central, (cloud.user,))
    assert by_cluster(found) == wanted
    entities = {each.cluster: each.entities[0] for each in found}
    assert len(entities) == len(cloud.sites)


def test_pools_of_external_clusters_are_read_back():
    cloud = samples.load('external-ceph')
    ring = samples.ring_for(cloud)
    parameters = tripleo_keys.of_external_cluster(cloud, ring, cloud.central)
    text = tripleo.documents.environment(parameters)

    [found] = tripleo_export.parse(findings.Source('external.yaml', text))

    assert found.pool == cloud.central.ceph.image_pool
    assert found.is_external


def test_what_was_exported_of_all_clusters_becomes_the_cloud(tmp_path):
    cloud = samples.load('multi-ceph')
    ring = samples.ring_for(cloud)
    text = '\n'.join(
        file.text
        for file in tripleo.render(cloud, ring)
        if file.path.endswith('.yaml') and 'CephExternalMulti' in file.text
    )
    files = [
        findings.Source(f'{number}.yaml', document)
        for number, document in enumerate(text.split('---\n')[1:])
    ]
    found = [each for file in files for each in tripleo_export.parse(file)]

    again, issued = reload(tmp_path, found, cloud)

    assert [
        (s.name, s.ceph.fsid, s.ceph.monitors, s.ceph.image_pool)
        for s in again.sites
    ] == [
        (s.name, s.ceph.fsid, s.ceph.monitors, s.ceph.image_pool)
        for s in cloud.sites
    ]
    assert secrets(issued) <= secrets(ring)
    assert {site for site, *_ in secrets(issued)} == {
        site.name for site in cloud.sites
    }
