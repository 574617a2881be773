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
"""From a bare machine to a running service, as doc/source/install.rst says.

The lines there are run as they stand, in a container that systemd boots; the
lab is its cloud. What an operator writes into the files is the lab's.
"""

import configparser
from pathlib import Path
import shutil
import subprocess

import pytest

from tests import waiting
from tests.integration import agents
from tests.integration import containers
from tests.integration import runbooks

TOP = Path(__file__).resolve().parent.parent.parent
CHECKOUT = '/root/dcn_distributor'
UNIT = 'dcn-distributor-agent.service'
GUIDE = runbooks.read('install.rst')
# systemd counts in tenths: 2.0 of 10.
EXPOSURE = 20
# Until Glance has an image of this tag, nothing is to be copied.
NOTHING = """\
version: 1
policies:
  nothing: {match: {tags: [no-image-has-this]}, sites: all}
"""

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


class Host:
    """The machine, as its operator uses it."""

    def __init__(self, container, lab):
        self.container = container
        self._lab = lab
        self._etc = container.root / 'etc'

    def follow(self, step, directory=CHECKOUT):
        """Type what a step of the guide says."""
        return self.container.run(GUIDE[step], directory)

    def bring_checkout(self):
        """Have the files of this checkout, as git knows or would add them."""
        target = self.container.root / CHECKOUT.lstrip('/')
        argv = ['git', 'ls-files', '-z', '--cached', '--others']
        argv.append('--exclude-standard')
        listed = subprocess.run(
            argv, cwd=TOP, check=True, capture_output=True, text=True
        )
        for name in listed.stdout.split('\0'):
            source = TOP / name
            if source.is_file() and not source.is_symlink():
                copy = target / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
        # pbr asks git what belongs to the package.
        self.container.run('git init --quiet; git add --all', CHECKOUT)

    def write_configuration(self):
        """Write what is the lab's into the samples."""
        parser = configparser.RawConfigParser()
        parser.read(self._lab.agent_conf)
        for name in ('sites_file', 'placement_file'):
            parser.remove_option('DEFAULT', name)
        for (group, name), value in agents.HASTY.items():
            if not parser.has_section(group):
                parser.add_section(group)
            parser.set(group, name, value)
        own = self._etc / 'dcn_distributor'
        with (own / 'dcn_distributor.conf').open('w') as file:
            parser.write(file)
        sites = self._lab.sites_file.read_text()
        (own / 'sites.yaml').write_text(self._moved(sites))
        self.write_policy(NOTHING)

    def write_policy(self, text):
        """Write placement.yaml, and say nothing to the agent."""
        path = self._etc / 'dcn_distributor' / 'placement.yaml'
        path.write_text(text)

    def bring_keyrings(self):
        """Have what bootstrap made for the agent's host, as root's own."""
        target = self._etc / 'ceph'
        target.mkdir()
        for file in self._ceph_directory().iterdir():
            (target / file.name).touch(mode=0o600)
            (target / file.name).write_text(self._moved(file.read_text()))
        for conf in target.glob('*.conf'):
            conf.chmod(0o644)

    def _ceph_directory(self):
        conf = self._lab.ceph_conf('central', 'client.dcn-distributor')
        return Path(conf).parent

    def _moved(self, text):
        return text.replace(str(self._ceph_directory()), '/etc/ceph')

    def show(self, name):
        """A property of the service."""
        told = self.container.run(f'systemctl show -P {name} {UNIT}')
        return told.strip()

    def is_active(self):
        """Tell whether the service is up and has said that it is ready."""
        return (self.show('ActiveState'), self.show('SubState')) == (
            'active',
            'running',
        )

    def journal(self):
        """All that systemd and the agent have written of the service."""
        return self.container.run(f'journalctl -u {UNIT} -o cat')

    def reload(self):
        """Have it read its files again, and wait until it has."""
        before = self.journal().count('New rules')
        self.follow('run-reload')
        waiting.until(
            'the files are read again',
            lambda: self.journal().count('New rules') > before,
        )

    def processes(self):
        """The processes of the agent: the master, and its worker."""
        master = self.show('MainPID')
        worker = self.container.run(f'cat /proc/{master}/task/*/children')
        return [master, *worker.split()]

    def wait_for_restart(self, before):
        """Wait until systemd has started it once more, and it is ready."""
        waiting.until(
            'it is started anew',
            lambda: int(self.show('NRestarts')) > before,
        )
        waiting.until('it is ready again', self.is_active)


@pytest.fixture(scope='module')
def host(running_lab, tmp_path_factory):
    """The machine after the lines up to the first start."""
    why_not = containers.obstacle()
    if why_not:
        pytest.skip(why_not)
    container = containers.Container(tmp_path_factory.mktemp('container'))
    try:
        container.boot()
        made = Host(container, running_lab)
        made.follow('install-packages', directory='/root')
        made.bring_checkout()
        made.follow('install-agent')
        made.follow('install-unit')
        made.follow('install-configuration')
        made.write_configuration()
        made.bring_keyrings()
        made.follow('install-keyrings')
        made.follow('install-start')
        yield made
    finally:
        container.close()


@pytest.fixture
def service(host, cloud):
    """The service, up, with policies that want this test's images."""
    host.write_policy(cloud.policy)
    host.container.run(f'systemctl start {UNIT}')
    host.reload()
    yield host
    # pytest shows it beside a failure.
    print(host.journal())  # noqa: T201


def test_the_lines_end_in_a_service_that_is_up(host):
    told = host.follow('install-watch')

    assert 'Active: active (running)' in told
    assert 'Status: "Distributing images"' in told
    assert 'Agent started with' in told
    assert '0 of 0 wanted copies present' in told
    assert host.show('UnitFileState') == 'enabled'
    assert 'can reach its cluster' in host.journal()


def test_every_named_line_of_the_guide_is_run():
    text = Path(__file__).read_text()

    assert GUIDE
    assert [name for name in GUIDE if f"'{name}'" not in text] == []


def test_it_is_confined(host):
    pid, *workers = host.processes()
    assert workers
    for process in (pid, *workers):
        status = host.container.run(f'cat /proc/{process}/status')
        told = dict(line.split(':\t', 1) for line in status.splitlines())

        assert told['Uid'].split()[0] != '0'
        assert (told['NoNewPrivs'], told['Seccomp']) == ('1', '2')
        assert int(told['CapBnd'], 16) == 0
    own = host.container.run(f'cat /proc/{pid}/uid_map').split('\n')
    assert own != host.container.run('cat /proc/1/uid_map').split('\n')
    host.container.run(
        f'systemd-analyze security --threshold={EXPOSURE} --no-pager {UNIT}'
    )


@pytest.mark.parametrize('engine', ['copy-image', 'rbd-stream'])
def test_a_reload_is_enough_to_have_images_copied(service, cloud, engine):
    service.write_policy(NOTHING)
    service.reload()
    image_id = cloud.upload(size_mib=8)
    service.write_policy(cloud.streaming(engine))

    service.reload()

    cloud.wait_for_copies(image_id)
    begun = f'image={image_id} store=dcn0 state=copying engine={engine} '
    assert begun in service.journal()


def test_a_killed_agent_is_started_anew(service, cloud):
    master, _ = service.processes()
    before = int(service.show('NRestarts'))

    service.container.run(f'kill -KILL {master}')

    service.wait_for_restart(before)
    assert service.show('MainPID') != master
    cloud.wait_for_copies(cloud.upload())


def test_an_agent_that_is_stuck_is_started_anew(service, cloud):
    drop_in = f'/run/systemd/system/{UNIT}.d/soon.conf'
    service.container.run(
        f'mkdir -p $(dirname {drop_in})\n'
        f'printf "[Service]\\nWatchdogSec=6\\n" >{drop_in}\n'
        f'systemctl daemon-reload; systemctl restart {UNIT}'
    )
    try:
        _, worker = service.processes()
        before = int(service.show('NRestarts'))

        service.container.run(f'kill -STOP {worker}')

        service.wait_for_restart(before)
    finally:
        service.container.run(f'rm {drop_in}; systemctl daemon-reload')
    assert 'Watchdog timeout' in service.journal()
    cloud.wait_for_copies(cloud.upload())


def test_the_lines_of_an_upgrade_end_in_a_new_process(service, cloud):
    before = service.processes()

    told = service.follow('run-upgrade')

    assert 'Successfully uninstalled dcn_distributor' in told
    assert service.is_active()
    assert not set(before) & set(service.processes())
    cloud.wait_for_copies(cloud.upload())


def test_it_stops_in_time_and_in_order(service, cloud):
    cloud.wait_for_copies(cloud.upload())

    service.follow('run-stop')

    # A timeout, or an end by a signal, would be the result.
    assert service.show('ActiveState') == 'inactive'
    assert service.show('Result') == 'success'
    assert service.show('ExecMainStatus') == '0'
    assert 'Agent stopped' in service.journal()
