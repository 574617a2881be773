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
"""Render what RHOSO 18 wants: the operators of OpenStack on Kubernetes.

Secrets with Ceph files, the parts of the OpenStackControlPlane that have to
do with sites, and for each site what its data plane needs. Everything is to
be merged into what the operator of the cloud has, by server-side apply: what
is not named in a document stays as it is.

The shapes are those of openstack-k8s-operators/architecture,
examples/dt/dcn, and of the CustomResourceDefinitions of openstack-operator.
"""

from collections.abc import Iterator

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.rhoso import ceph_secrets
from dcn_distributor.bootstrap.rhoso import compute
from dcn_distributor.bootstrap.rhoso import control_plane
from dcn_distributor.bootstrap.rhoso import documents
from dcn_distributor.bootstrap.rhoso import fitness
from dcn_distributor.bootstrap.rhoso import names
from dcn_distributor.bootstrap.rhoso import node_sets
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def render(
    cloud: stacks.Cloud, ring: rings.Ring
) -> tuple[renderings.File, ...]:
    """Render all files, one document in each.

    `cloud` is resolved, and nothing is missing. Raises ConfigError with all
    that cannot be had on Kubernetes (fitness.problems).
    """
    problems = fitness.problems(cloud)
    if problems:
        raise exceptions.ConfigError(*(each.message for each in problems))
    return (*_shared(cloud, ring), *_sites(cloud, ring))


def _shared(
    cloud: stacks.Cloud, ring: rings.Ring
) -> Iterator[renderings.File]:
    for site in cloud.sites:
        if site.has_store:
            yield renderings.File(
                names.ceph_secret_file(site),
                documents.write(ceph_secrets.secret(cloud, ring, site)),
                is_secret=True,
            )
    yield _file(
        names.CONTROL_PLANE_FILE, control_plane.control_plane(cloud, ring)
    )


def _sites(cloud: stacks.Cloud, ring: rings.Ring) -> Iterator[renderings.File]:
    for site in cloud.sites:
        if any(map(node_sets.nodes, site.stacks)):
            yield _file(
                names.nova_config_file(site),
                compute.config_map(cloud, ring, site),
            )
            yield _file(
                names.nova_service_file(site), compute.service(cloud, site)
            )
    for site, stack in cloud.stacks():
        if node_sets.nodes(stack):
            yield from _stack(cloud, ring, site, stack)


def _stack(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    stack: stacks.Stack,
) -> Iterator[renderings.File]:
    yield _file(
        names.node_set_file(site, stack),
        node_sets.node_set(cloud, site, stack),
    )
    if node_sets.hosts_ceph(site, stack):
        yield _file(
            names.pre_ceph_file(site, stack),
            node_sets.pre_ceph(cloud, site, stack),
        )
    if node_sets.after_ceph(site, stack):
        yield _file(
            names.deployment_file(site, stack),
            node_sets.deployment(cloud, ring, site, stack),
        )


def _file(path: str, document: documents.Document) -> renderings.File:
    return renderings.File(path, documents.write(document))
