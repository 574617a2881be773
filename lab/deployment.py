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
"""A lab as an object: what `tools/lab` commands, and fixtures hold.

lab = deployment.Lab(tmp_path, sites=('dcn0',))
lab.up()
lab.service('glance').freeze()
lab.down(purge=True)
"""

from collections.abc import Mapping
from concurrent import futures
import dataclasses
from pathlib import Path
import shlex
import shutil
import threading
import time
from typing import TypeVar

from lab import agent
from lab import bootstrap
from lab import bus
from lab import ceph
from lab import credentials as lab_credentials
from lab import errors
from lab import files
from lab import glance as lab_glance
from lab import handle
from lab import keystone as lab_keystone
from lab import link as lab_link
from lab import link_devices
from lab import link_service
from lab import order
from lab import ports
from lab import processes
from lab import service as lab_service
from lab import services
from lab import state as lab_state
from lab import topology

_Kind = TypeVar('_Kind', bound=lab_service.Service)
_PROJECTS = {'admin': 'admin', 'demo': 'demo', 'dcn-distributor': 'service'}


class Lab:
    """A deployment in one directory.

    What is left open stays as it is, or is the simplest in a new lab.

    :param like: a sites.yaml whose sites, clusters and Glances it has
    :param agents: how many; several are run by the lab, one by who wants it
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        sites: tuple[str, ...] = (),
        glance: str = '',
        manager: bool = False,
        links: Mapping[str, lab_link.Link] | None = None,
        like: Path | None = None,
        agents: int | None = None,
        rabbitmq_nodes: int | None = None,
        report: order.Report = lambda _: None,
    ) -> None:
        self.directory = directory or lab_state.default_directory()
        self._wanted = lab_state.Wanted(
            edges=sites,
            glance=glance,
            manager=manager,
            links=links or {},
            like=like,
            agents=agents,
            rabbitmq_nodes=rabbitmq_nodes,
        )
        self._report = report
        self._cancelled = threading.Event()
        self._state: lab_state.State | None = None
        self._planned: topology.Document = {}
        self._services: dict[str, lab_service.Service] = {}

    # -- commands ---------------------------------------------------------

    def up(self) -> None:
        """Start all that does not run; return when everything answers.

        If anything fails, what this call has started is ended again.
        """
        with lab_state.exclusive(self.directory):
            self._settle()
            for one in self._services.values():
                one.check()
            # It chooses ports, too.
            self._configure_agent()
            self.state.save()
            files.private_directory(self.state.run_directory)
            before = {n for n, s in self._services.items() if s.alive()}
            self._cancelled.clear()
            try:
                order.Start(
                    self._services.values(), self._cancelled, self._report
                ).run(self._bootstrap)
            except BaseException:
                self._cancelled.set()
                order.stop(
                    s for n, s in self._services.items() if n not in before
                )
                if not before:
                    link_devices.remove(self.state.identity)
                raise

    def down(self, purge: bool = False) -> None:
        """End everything; with `purge`, remove every file, too."""
        if not self.directory.exists():
            return
        with lab_state.exclusive(self.directory):
            known = self._open()
            if known is not None:
                order.stop(self._services.values())
                # Whatever carries our mark, of services no longer known.
                processes.kill(f'{known.identity}/')
                link_devices.remove(known.identity)
                shutil.rmtree(known.run_directory, ignore_errors=True)
            if purge:
                shutil.rmtree(self.directory)
                ports.give_back()
                self._state = None
                self._services = {}

    def service(self, name: str) -> handle.Handle:
        """Give a service by its name, to be stopped, killed and so on."""
        self._open_or_fail()
        if name not in self._services:
            raise errors.LabError(
                f'no service {name!r} in this lab: there are '
                f'{", ".join(self._services)}'
            )
        return handle.Handle(self.directory, self._services[name])

    def status(self) -> list[lab_service.Status]:
        """Look at every service, all at once."""
        self._open_or_fail()
        services = list(self._services.values())
        with futures.ThreadPoolExecutor(len(services)) as pool:
            return list(pool.map(lambda one: one.status(), services))

    def environment(self) -> dict[str, str]:
        """Give the variables that `tools/lab env` prints."""
        admin = self.credentials('admin')
        clusters = {
            f'LAB_CEPH_CONF_{site.replace("-", "_")}': self.ceph_conf(site)
            for site in self.clusters
        }
        return {
            'OS_AUTH_TYPE': 'password',
            'OS_AUTH_URL': admin.auth_url,
            'OS_IDENTITY_API_VERSION': '3',
            'OS_USERNAME': admin.username,
            'OS_PASSWORD': admin.password,
            'OS_USER_DOMAIN_NAME': admin.user_domain_name,
            'OS_PROJECT_NAME': admin.project_name,
            'OS_PROJECT_DOMAIN_NAME': admin.project_domain_name,
            'OS_REGION_NAME': admin.region_name,
            'LAB_DIR': str(self.directory),
            'LAB_TRANSPORT_URL': self.transport_url,
            'LAB_SITES': ' '.join(self.sites),
            **clusters,
            'LAB_GLANCE_URL': self.glance_url,
            'LAB_GLANCE_CONF': str(self.glance_conf),
            'LAB_AGENT_CONF': str(self.agent_conf),
            'LAB_AGENT_CONFS': ' '.join(map(str, self.agent_confs)),
            'LAB_COORDINATION_URL': self.coordination_url,
            'LAB_ADMIN_CONF': str(self.admin_conf),
            'LAB_BOOTSTRAP': str(self.state.bootstrap_directory),
        }

    def exports(self) -> str:
        """Give the environment as lines for a shell."""
        return ''.join(
            f'export {name}={shlex.quote(value)}\n'
            for name, value in self.environment().items()
        )

    # -- facts ------------------------------------------------------------

    @property
    def state(self) -> lab_state.State:
        """What the lab has settled; there must be one."""
        self._open_or_fail()
        assert self._state is not None
        return self._state

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites, central first."""
        return self.state.sites

    @property
    def clusters(self) -> tuple[str, ...]:
        """The sites that have a cluster: all, unless the lab is like none."""
        self._open_or_fail()
        return topology.sites_with_cluster(self._planned)

    @property
    def transport_url(self) -> str:
        """What oslo.messaging connects to; it holds a password."""
        return bus.transport_url(self.state)

    @property
    def keystone_url(self) -> str:
        """The auth_url."""
        return self._typed('keystone', lab_keystone.Keystone).url

    @property
    def glance_url(self) -> str:
        """The endpoint of Glance, without /v2."""
        return self._typed('glance', lab_glance.Glance).url

    @property
    def glance_conf(self) -> Path:
        """The glance-api.conf; it holds passwords."""
        return self._typed('glance', lab_glance.Glance).conf

    @property
    def agent_conf(self) -> Path:
        """The --config-file of the agent, the first if there are several."""
        return self.agent_confs[0]

    @property
    def agent_confs(self) -> tuple[Path, ...]:
        """The --config-file of each agent."""
        state = self.state
        return tuple(agent.conf(state, name) for name in agent.names(state))

    @property
    def coordination_url(self) -> str:
        """What several agents find each other by; empty if there is one."""
        return agent.coordination_url(self.state)

    @property
    def admin_conf(self) -> Path:
        """The same for commands that need an administrator of images."""
        return agent.shared(self.state) / 'admin.conf'

    @property
    def sites_file(self) -> Path:
        """The sites.yaml of agent and bootstrap."""
        return agent.shared(self.state) / 'sites.yaml'

    def ceph_conf(self, site: str, entity: str = ceph.ADMIN) -> str:
        """Give a ceph.conf of a site's cluster with an entity's keyring.

        That of client.admin is the cluster's; those of client.glance (at
        central) and client.dcn-distributor are what bootstrap has rendered.
        """
        if entity == ceph.ADMIN:
            return self.cluster(site).conf
        self._open_or_fail()
        name = topology.cluster_name(self._planned, site)
        host = 'agent' if entity == f'client.{topology.AGENT}' else 'central'
        return str(
            topology.files_of(self.state, host) / f'etc/ceph/{name}.conf'
        )

    def cluster(self, site: str) -> ceph.Ceph:
        """Give the cluster of a site."""
        return self._typed(f'ceph-{site}', ceph.Ceph)

    def link(self, site: str) -> link_service.WideAreaLink:
        """Give the link to a site, to change its shape."""
        return self._typed(f'link-{site}', link_service.WideAreaLink)

    def credentials(self, user: str = 'admin') -> lab_credentials.Credentials:
        """Give what a user logs in with: admin, demo or dcn-distributor."""
        return lab_credentials.Credentials(
            auth_url=self.keystone_url,
            username=user,
            password=self.state.passwords[user],
            project_name=_PROJECTS[user],
        )

    # -- inside -----------------------------------------------------------

    def _open(self) -> lab_state.State | None:
        if self._state is None:
            self._state = lab_state.load(self.directory)
            if self._state is not None:
                self._make_services(self._state)
        return self._state

    def _open_or_fail(self) -> None:
        if self._open() is None:
            raise errors.LabError(
                f'there is no lab in {self.directory}: start one '
                '(tools/lab up), or name another directory with DCN_LAB_DIR'
            )

    def _settle(self) -> None:
        wanted, like = self._wanted, self._wanted.like
        if like is not None:
            edges = (*topology.read(like)['sites'], *wanted.edges)
            wanted = dataclasses.replace(wanted, edges=edges)
        self._state = lab_state.settle(self.directory, wanted)
        self._make_services(self._state)

    def _make_services(self, state: lab_state.State) -> None:
        self._planned = topology.plan(state)
        self._services = services.make(state, self._planned, self._cancelled)

    def _typed(self, name: str, kind: type[_Kind]) -> _Kind:
        self._open_or_fail()
        found = self._services.get(name)
        if not isinstance(found, kind):
            raise errors.LabError(f'no {name} in this lab')
        return found

    def _configure_agent(self) -> None:
        """Write what agent and commands read."""
        clusters = {
            site: topology.Cluster(one.conf, one.fsid, one.monitors)
            for site in self.clusters
            for one in [self.cluster(site)]
        }
        settled = topology.settle(self.state, self._planned, clusters)
        agent.configure(self.state, topology.write(settled))

    def _bootstrap(self) -> None:
        """Issue the keys of clusters, and render what is made with them."""
        began = time.monotonic()
        one = bootstrap.Bootstrap(self.state, self.sites_file)
        if not one.is_due():
            return
        keyrings = {
            site: self.cluster(site).issue(
                topology.entities(self._planned, site)
            )
            for site in self.clusters
            if topology.is_external(self._planned, site)
        }
        one.apply(keyrings)
        seconds = time.monotonic() - began
        self._report(f'bootstrap: keys and files made in {seconds:.1f} s')
