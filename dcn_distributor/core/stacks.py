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
"""What a cloud of several sites is deployed from: stacks, Ceph, Glance.

The `deploy` parts of sites.yaml, as values. A site may have several stacks
(central often has: the control plane, compute nodes, Ceph); an edge site has
one, as a rule, which has its name.
"""

from collections.abc import Iterator
import dataclasses
import enum

from dcn_distributor.core import cephx
from dcn_distributor.core import images
from dcn_distributor.core import sites

# The user that Nova and Cinder have, too, as deployment tools make it.
SHARED_USER = 'openstack'


class Kind(enum.Enum):
    """What the nodes of a stack are for."""

    CEPH = 'ceph'
    CONTROL_PLANE = 'control-plane'
    COMPUTE = 'compute'
    HYPERCONVERGED = 'hyperconverged'


class Backend(enum.Enum):
    """Where a Glance keeps images: as Glance calls its drivers."""

    RBD = 'rbd'
    SWIFT = 'swift'


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """Nodes of one kind in a stack.

    :ivar name: as the deployment tool calls it
    :ivar tag: what their tags have between the site's number and their own
    :ivar nodes: the names of the machines, in order; () if nobody cares
    """

    name: str
    count: int
    tag: str
    nodes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """One unit of deployment.

    :ivar number: that of its site in the tags of nodes
    """

    name: str
    kind: Kind
    number: int
    roles: tuple[Role, ...]

    def tags(self, role: Role) -> tuple[str, ...]:
        """The tags of a role's nodes, in their order."""
        return tuple(
            f'{self.number}-{role.tag}-{index}' for index in range(role.count)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Ceph:
    """A site's cluster.

    :ivar name: that of ``/etc/ceph/<name>.conf``: letters and digits
    :ivar is_external: nobody deploys it here
    :ivar fsid: None until the cluster is there, if it was not chosen
    :ivar monitors: as ``mon host`` wants them; () until they are known
    :ivar pools: of RBD images, that of Glance first
    :ivar key_type: None to have the cluster asked what it takes
    :ivar agent_user: the cephx user of the agent here, without ``client.``
    :ivar admin_conf: the ceph.conf, on this host, of who may issue keys
    """

    name: str
    is_external: bool
    fsid: str | None
    monitors: tuple[str, ...]
    pools: tuple[str, ...]
    key_type: cephx.KeyType | None = None
    agent_user: str | None = None
    admin_conf: str | None = None

    @property
    def image_pool(self) -> str:
        """Where Glance keeps images."""
        return self.pools[0]

    @property
    def conf(self) -> str:
        """Where its configuration is on hosts that use it."""
        return f'/etc/ceph/{self.name}.conf'

    def keyring(self, user: str) -> str:
        """Where a user's keyring is on hosts that use it."""
        return f'/etc/ceph/{self.name}.client.{user}.keyring'

    @property
    def mon_host(self) -> str:
        """The monitors, as ceph.conf has them."""
        return ','.join(self.monitors)


@dataclasses.dataclass(frozen=True, slots=True)
class Cache:
    """A glance-api's cache of images.

    :ivar max_bytes: how large it may grow before it is pruned
    """

    directory: str = '/var/lib/glance/image-cache'
    max_bytes: int = 10 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class Glance:
    """A site's glance-api.

    :ivar url: where the others reach it; None if nobody has said so
    :ivar data: its directory for staging and tasks
    """

    backend: Backend
    description: str
    url: str | None = None
    cache: Cache | None = None
    data: str = '/var/lib/glance'


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """One site, as it is deployed.

    :ivar store: the id of its Glance store
    :ivar az: the availability zone of its compute nodes
    :ivar ceph: None if it has no cluster that anyone here cares for
    """

    name: sites.SiteName
    store: images.StoreId
    az: str
    stacks: tuple[Stack, ...]
    glance: Glance
    ceph: Ceph | None = None

    @property
    def is_central(self) -> bool:
        """Whether it is the hub of all."""
        return self.name == sites.CENTRAL

    @property
    def has_store(self) -> bool:
        """Whether it is a place for copies: Glance on a cluster."""
        return self.glance.backend is Backend.RBD and self.ceph is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Tripleo:
    """How TripleO is called.

    :ivar home: the directory of its user, for what is written beside stacks
    :ivar templates: the directory of its templates
    :ivar environments: files of the operator's, for every stack, before ours
    :ivar network_data: its file of networks; None for the templates' own
    """

    home: str = '/home/stack'
    templates: str = '/home/stack/templates'
    environments: tuple[str, ...] = ()
    network_data: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Rhoso:
    """How the operators on Kubernetes are addressed.

    :ivar storage_class: of what Glance keeps beside its stores
    :ivar passwords: the Secret that has those of services
    :ivar ssh_key: the Secret with that of Ansible for nodes
    :ivar domain: of nodes: Nova knows them as ``<node>.<domain>``
    """

    namespace: str = 'openstack'
    control_plane: str = 'openstack'
    storage_class: str = 'local-storage'
    storage_request: str = '20G'
    passwords: str = 'osp-secret'
    ssh_key: str = 'dataplane-ansible-ssh-private-key-secret'
    domain: str = 'ctlplane.example.com'


@dataclasses.dataclass(frozen=True, slots=True)
class Cloud:
    """All sites, central first, and what holds for all of them.

    :ivar user: the cephx user, without ``client.``, that a site has at
        other clusters, and Glance everywhere
    :ivar import_methods: of every glance-api
    :ivar rados_timeout_s: how long Glance waits for a cluster; 0 for ever,
        None for what suits the user
    """

    sites: tuple[Site, ...]
    user: str
    import_methods: tuple[str, ...]
    tripleo: Tripleo = Tripleo()
    rhoso: Rhoso = Rhoso()
    rados_timeout_s: int | None = None

    @property
    def central(self) -> Site:
        """The hub."""
        return self.sites[0]

    @property
    def edges(self) -> tuple[Site, ...]:
        """All others."""
        return self.sites[1:]

    @property
    def glance_timeout_s(self) -> int:
        """How long Glance waits for a cluster; 0 for ever.

        Without a limit each operation on a cluster that hangs keeps a thread
        of Glance. The user that instances have, too, must not have one: they
        would see an I/O error instead of a pause.
        """
        if self.rados_timeout_s is not None:
            return self.rados_timeout_s
        return 0 if self.user == SHARED_USER else 30

    def site(self, name: str) -> Site:
        """One of them. Raises KeyError."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)

    def stores_of(self, site: Site) -> tuple[Site, ...]:
        """The sites whose stores a site's Glance has, its own first.

        Central has all; an edge site its own and central's: it reads there
        what it lacks. Edge sites never see each other.
        """
        others = self.edges if site.is_central else (self.central,)
        return tuple(s for s in (site, *others) if s.has_store)

    def users_of(self, site: Site) -> tuple[Site, ...]:
        """The sites whose hosts use a site's cluster, its own first."""
        others = self.edges if site.is_central else (self.central,)
        return (site, *others) if site.has_store else ()

    def clusters(self) -> Iterator[tuple[Site, Ceph]]:
        """All clusters, with the site of each, that of central first."""
        for site in self.sites:
            if site.ceph is not None:
                yield site, site.ceph

    def stacks(self) -> Iterator[tuple[Site, Stack]]:
        """All stacks, with the site of each, in the order of deployment.

        What is on its own, as Ceph, comes before what needs it.
        """
        for site in self.sites:
            for stack in sorted(site.stacks, key=_order):
                yield site, stack


def _order(stack: Stack) -> int:
    return list(Kind).index(stack.kind)
