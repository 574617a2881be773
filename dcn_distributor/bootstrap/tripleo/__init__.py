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
"""What TripleO deploys a cloud of several sites from.

`render` gives all files, `order.order` the command lines that use them. Pure:
nothing here reads, writes or asks.

Names, types and constraints of parameters are those of
tripleo-heat-templates. What depends on the place, as networks, container
images, disks and time servers, is in the environments of the operator
(stacks.Tripleo).
"""

from collections.abc import Iterator

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.tripleo import checks
from dcn_distributor.bootstrap.tripleo import documents
from dcn_distributor.bootstrap.tripleo import glance
from dcn_distributor.bootstrap.tripleo import keys
from dcn_distributor.bootstrap.tripleo import order
from dcn_distributor.bootstrap.tripleo import paths
from dcn_distributor.bootstrap.tripleo import relations
from dcn_distributor.bootstrap.tripleo import scripts
from dcn_distributor.bootstrap.tripleo import stack_files
from dcn_distributor.core import procedures
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import stacks


def render(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    release: procedures.Release = 'ussuri',
) -> tuple[renderings.File, ...]:
    """Write all files, in the order of their paths.

    :param cloud: resolved, and nothing missing (core.rings)

    Raises ConfigError for what TripleO cannot take.
    """
    problems = tuple(checks.find(cloud, ring))
    if problems:
        raise exceptions.ConfigError(*problems)
    files = [
        *_of_stacks(cloud, release),
        *_of_glances(cloud, ring),
        *_of_keys(cloud, ring, release),
        *scripts.of_stacks(cloud, order.order(cloud, release), release),
    ]
    return tuple(sorted(files, key=lambda file: file.path))


def _of_stacks(
    cloud: stacks.Cloud, release: procedures.Release
) -> Iterator[renderings.File]:
    for site, stack in cloud.stacks():
        yield _file(
            paths.overrides(stack), stack_files.overrides(site, stack, release)
        )
        yield renderings.File(
            paths.nodes(stack), documents.dump(stack_files.nodes(stack))
        )
        if relations.has_compute(site, stack):
            yield renderings.File(
                paths.zone(stack),
                documents.environment(
                    stack_files.zone(site), stack_files.zone_services(cloud)
                ),
            )
        if relations.is_host(site, stack) and site.ceph is not None:
            yield _file(paths.ceph(stack), stack_files.cluster(site.ceph))


def _of_glances(
    cloud: stacks.Cloud, ring: rings.Ring
) -> Iterator[renderings.File]:
    for site, stack in cloud.stacks():
        if stack.kind is stacks.Kind.CEPH:
            continue
        has_others = not site.is_central and relations.has_glance(site, stack)
        yield _file(
            paths.glance(stack),
            glance.with_others(cloud, ring, site)
            if has_others
            else glance.at_first(cloud, site),
        )
    if relations.has_update(cloud):
        yield _file(
            paths.glance_update(cloud),
            glance.with_others(cloud, ring, cloud.central),
        )


def _of_keys(
    cloud: stacks.Cloud, ring: rings.Ring, release: procedures.Release
) -> Iterator[renderings.File]:
    for site, stack in cloud.stacks():
        path = paths.own_keys(site, stack)
        if path is not None:
            yield _secret(path, _own_keys(cloud, ring, site, stack))
        if release == 'xena' and relations.is_host(site, stack):
            yield renderings.File(
                paths.ceph_vars(stack),
                documents.dump(keys.of_deployed_ceph(cloud, ring, site)),
                is_secret=True,
            )
    for site in cloud.sites:
        if any(relations.is_client(site, stack) for stack in site.stacks):
            yield _secret(
                paths.external_ceph(site),
                keys.of_external_cluster(cloud, ring, site),
            )
    if relations.has_update(cloud):
        yield _secret(
            paths.keys_update(cloud),
            keys.of_other_clusters(cloud, ring, cloud.central),
        )


def _own_keys(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    site: stacks.Site,
    stack: stacks.Stack,
) -> keys.Parameters:
    parameters: keys.Parameters = {}
    if relations.is_host(site, stack):
        parameters |= keys.of_own_cluster(cloud, ring, site)
    if not site.is_central and relations.has_glance(site, stack):
        parameters |= keys.of_other_clusters(cloud, ring, site)
    return parameters


def _file(path: str, parameters: keys.Parameters) -> renderings.File:
    return renderings.File(path, documents.environment(parameters))


def _secret(path: str, parameters: keys.Parameters) -> renderings.File:
    return renderings.File(
        path, documents.environment(parameters), is_secret=True
    )
