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

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent import futures
import contextlib
from pathlib import Path
import shlex
import shutil
import signal
import threading
import time
from typing import TypeVar

from lab import agent
from lab import bootstrap
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
from lab import processes
from lab import rabbitmq as lab_rabbitmq
from lab import service as lab_service
from lab import state as lab_state
from lab import topology

_Kind = TypeVar('_Kind', bound=lab_service.Service)
Report = Callable[[str], None]
_PROJECTS = {'admin': 'admin', 'demo': 'demo', 'dcn-distributor': 'service'}


class Lab:
    """A deployment in one directory.

    :param like: a sites.yaml whose sites, clusters and Glances it has
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
        report: Report = lambda _: None,
    ) -> None:
        self.directory = directory or lab_state.default_directory()
        self._edges = sites
        self._flavour = glance
        self._manager = manager
        self._links = links or {}
        self._like = like
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
                self._start_all()
            except BaseException:
                self._cancelled.set()
                self._stop_all(set(self._services) - before)
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
                self._stop_all(set(self._services))
                # Whatever carries our mark, of services no longer known.
                processes.kill(f'{known.identity}/')
                link_devices.remove(known.identity)
                shutil.rmtree(known.run_directory, ignore_errors=True)
            if purge:
                shutil.rmtree(self.directory)
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
        return self._typed('rabbitmq', lab_rabbitmq.RabbitMQ).transport_url

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
        """The agent's --config-file, with its YAML files beside it."""
        return self.state.directory / 'agent' / 'agent.conf'

    @property
    def admin_conf(self) -> Path:
        """The same for commands that need an administrator of images."""
        return self.state.directory / 'agent' / 'admin.conf'

    @property
    def sites_file(self) -> Path:
        """The sites.yaml of agent and bootstrap."""
        return self.agent_conf.with_name('sites.yaml')

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
        edges = self._edges
        if self._like is not None:
            edges = (*topology.read(self._like)['sites'], *edges)
        self._state = lab_state.settle(
            self.directory,
            edges,
            self._flavour,
            self._manager,
            self._links,
            self._like,
        )
        self._make_services(self._state)

    def _make_services(self, state: lab_state.State) -> None:
        cancelled = self._cancelled
        rabbitmq = lab_rabbitmq.RabbitMQ(state, cancelled)
        keystone = lab_keystone.Keystone(state, cancelled)
        links = [
            link_service.WideAreaLink(site, state, cancelled)
            for site in state.links
        ]
        self._planned = topology.plan(state)
        clusters = [
            ceph.Ceph(site, state, cancelled)
            for site in topology.sites_with_cluster(self._planned)
        ]
        with_glance = state.sites if state.like else (lab_state.CENTRAL,)
        glances = [
            lab_glance.Glance(state, cancelled, keystone, rabbitmq, site)
            for site in with_glance
        ]
        everything = (*links, rabbitmq, keystone, *clusters, *glances)
        self._services = {one.name: one for one in everything}

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
        agent.configure(
            self.state, self.transport_url, topology.write(settled)
        )

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

    def _start_all(self) -> None:
        """Start in parallel; Glance last: it looks at the clusters once.

        A store that Glance cannot reach when it starts stays read-only
        until it is started again. Its tables are made meanwhile, and its keys
        once there are clusters. The links come first: a cluster starts at the
        far end of its own.
        """
        glance = self._services['glance']
        links = [self.link(site) for site in self.state.links]
        for link in links:
            self._start_one(link)
        glances = [
            one
            for one in self._services.values()
            if isinstance(one, lab_glance.Glance)
        ]
        begun = (*glances, *links)
        others = [s for s in self._services.values() if s not in begun]
        with futures.ThreadPoolExecutor(len(others) + 1) as pool:
            jobs = [pool.submit(self._start_one, one) for one in others]
            jobs.append(pool.submit(glance.prepare))
            self._wait_for(jobs)
        self._bootstrap()
        # The first unpacks and makes what all others use.
        self._start_one(glance)
        with futures.ThreadPoolExecutor(len(glances)) as pool:
            self._wait_for(
                [
                    pool.submit(self._start_one, one)
                    for one in glances
                    if one is not glance
                ]
            )

    def _wait_for(self, jobs: list['futures.Future[None]']) -> None:
        try:
            for job in futures.as_completed(jobs):
                job.result()
        except BaseException:
            self._cancelled.set()
            raise

    def _start_one(self, service: lab_service.Service) -> None:
        began = time.monotonic()
        started = service.start()
        seconds = time.monotonic() - began
        what = f'started in {seconds:.1f} s' if started else 'runs'
        self._report(f'{service.name}: {what}')

    def _stop_all(self, names: set[str]) -> None:
        with _uninterrupted(), futures.ThreadPoolExecutor(16) as pool:
            chosen = [s for n, s in self._services.items() if n in names]
            for _ in pool.map(lambda one: one.stop(), chosen):
                pass


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second Ctrl-C not leave half of it running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
