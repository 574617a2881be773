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
"""What bootstrap remembers of clusters: their facts and issued secrets."""

from collections.abc import Mapping
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import sites
from dcn_distributor.core import stacks


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of one site's cluster.

    :ivar monitors: as ``mon host`` wants them
    :ivar entities: by the entity of their grant, as ``client.glance``; one
        that was rotated is called otherwise itself
    :ivar retiring: by grant, those that others have taken the place of: to
        be revoked when nobody uses them any more, and of use until then
    :ivar successors: by grant, the name of one that is being made
    """

    fsid: str | None = None
    monitors: tuple[str, ...] = ()
    entities: Mapping[str, cephx.Entity] = dataclasses.field(
        default_factory=dict
    )
    retiring: Mapping[str, tuple[cephx.Entity, ...]] = dataclasses.field(
        default_factory=dict
    )
    successors: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def with_entity(
        self, entity: cephx.Entity, grant: str | None = None
    ) -> 'Known':
        """Give it with an entity added, or replaced.

        `grant` is the entity that was granted, if this one's name is another.
        """
        return dataclasses.replace(
            self, entities={**self.entities, grant or entity.name: entity}
        )

    def without_entity(self, grant: str) -> 'Known':
        """Give it without an entity."""
        return dataclasses.replace(
            self,
            entities={k: e for k, e in self.entities.items() if k != grant},
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Ring:
    """What is known of all clusters, by site."""

    clusters: Mapping[sites.SiteName, Known] = dataclasses.field(
        default_factory=dict
    )

    def of(self, site: sites.SiteName) -> Known:
        """What is known of one; nothing at first."""
        return self.clusters.get(site, Known())

    def replacing(self, site: sites.SiteName, known: Known) -> 'Ring':
        """Give it with other knowledge of one."""
        return Ring({**self.clusters, site: known})

    def entity(self, grant: grants.Grant) -> cephx.Entity | None:
        """The entity that was issued for a grant, if it was.

        Where nobody has told its caps, as a client's keyring, they are those
        of the grant.
        """
        found = self.of(grant.site).entities.get(grant.entity)
        if found is None or found.caps:
            return found
        return dataclasses.replace(found, caps=grant.caps)

    def retiring(self, grant: grants.Grant) -> tuple[cephx.Entity, ...]:
        """Those that served a grant before, and still do."""
        return self.of(grant.site).retiring.get(grant.entity, ())


def user_of(
    cloud: stacks.Cloud, ring: Ring, site: stacks.Site
) -> cephx.Entity:
    """The entity that Glance has in a site's cluster: rotated, a successor.

    Raises KeyError if there is none yet (see missing).
    """
    for grant in grants.of_cluster(cloud, site):
        entity = ring.entity(grant)
        if grant.user == cloud.user and entity is not None:
            return entity
    raise KeyError(site.name)


def resolve(cloud: stacks.Cloud, ring: Ring) -> stacks.Cloud:
    """Fill in what sites.yaml leaves open: fsids and monitors.

    Raises ConfigError where both say something else, and for a cluster that
    is that of two sites.
    """
    problems = []
    resolved = []
    owners: dict[str, sites.SiteName] = {}
    for site in cloud.sites:
        known = ring.of(site.name)
        ceph = site.ceph
        if ceph is not None:
            found = known.fsid.lower() if known.fsid else None
            if ceph.fsid and found and ceph.fsid != found:
                problems.append(
                    f'{site.name}: sites.yaml says fsid {ceph.fsid}, and the '
                    f'cluster that was found there has {found}: correct '
                    "the file, or forget the other with 'bootstrap remove'"
                )
            fsid = ceph.fsid or found
            if fsid and owners.setdefault(fsid, site.name) != site.name:
                problems.append(
                    f'{site.name}: fsid {fsid} is already that of '
                    f'{owners[fsid]}: two sites cannot have the same cluster'
                )
            ceph = dataclasses.replace(
                ceph, fsid=fsid, monitors=ceph.monitors or known.monitors
            )
        resolved.append(dataclasses.replace(site, ceph=ceph))
    if problems:
        raise exceptions.ConfigError(*problems)
    return dataclasses.replace(cloud, sites=tuple(resolved))


def check_cluster(
    cloud: stacks.Cloud, ring: Ring, site: stacks.Site, fsid: str
) -> None:
    """Raise ConfigError if a site's cluster is another than it should be.

    All clusters have entities of the same names: what is meant for one must
    not be done to another.
    """
    expected = {
        each
        for each in (site.ceph and site.ceph.fsid, ring.of(site.name).fsid)
        if each
    }
    others = {
        str(known): other.name
        for other in cloud.sites
        if other.name != site.name
        for known in (
            other.ceph.fsid if other.ceph else None,
            ring.of(other.name).fsid,
        )
    }
    owner = others.get(fsid)
    if owner is None and expected <= {fsid}:
        return
    whose = f'that of {owner}' if owner else 'another one'
    raise exceptions.ConfigError(
        f'{site.name}: the cluster that deploy.ceph.admin_conf leads to has '
        f'fsid {fsid}, and is {whose}'
        + (f'; expected {", ".join(sorted(expected))}' if expected else '')
        + ': correct admin_conf, or cluster.fsid'
    )


def missing(cloud: stacks.Cloud, ring: Ring) -> tuple[str, ...]:
    """Say what has to be known before files can be rendered."""
    found = []
    for site, ceph in resolve(cloud, ring).clusters():
        if not site.has_store:
            continue
        if ceph.fsid is None:
            found.append(
                f"{site.name}: the cluster's fsid is not known: add it to "
                'sites.yaml (cluster.fsid), or read it from the cluster with '
                "'bootstrap adopt'"
            )
        if not ceph.monitors:
            found.append(
                f"{site.name}: the cluster's monitors are not known: add them "
                'to sites.yaml (deploy.ceph.monitors), or read them from the '
                "cluster with 'bootstrap adopt'"
            )
    found += [
        f'{grant.site}: there is no secret for {grant.entity} yet: '
        f"'bootstrap keys' makes it"
        for grant in grants.wanted(cloud)
        if ring.entity(grant) is None
    ]
    return tuple(found)
