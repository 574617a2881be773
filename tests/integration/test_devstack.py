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
"""The plugin for devstack, and what it asks of a real Ceph cluster."""

from collections.abc import Iterator
from pathlib import Path
import re
import subprocess

import pytest

from dcn_distributor.conf import sites
from dcn_distributor.core import sites as core_sites
from lab import deployment
from tests.unit.devstack import machine as machines

pytestmark = pytest.mark.lab


@pytest.fixture
def conf(running_lab: deployment.Lab) -> Path:
    """The ceph.conf of central's administrator."""
    return Path(running_lab.ceph_conf('central'))


@pytest.fixture
def machine(conf: Path, tmp_path: Path) -> Iterator[machines.Machine]:
    """A machine whose devstack has the cluster of central."""
    programs = tmp_path / 'bin'
    programs.mkdir()
    for path in machines.PROGRAMS.iterdir():
        if path.name != 'ceph':
            (programs / path.name).symlink_to(path)
    machine = machines.Machine(tmp_path, programs)
    machine.prepare()
    keyring = conf.with_name('ceph.client.admin.keyring')
    machine.join_cluster(conf.read_text(), keyring.read_text())
    yield machine
    machine.try_to('unstack')


def rbd(site: core_sites.Site, *words: str) -> int:
    cluster = site.cluster
    assert cluster is not None
    argv = ('rbd', '--conf', cluster.conf, '--id', cluster.user, *words)
    return subprocess.run(argv, check=False, capture_output=True).returncode


def what_there_is(conf: Path) -> tuple[str, ...]:
    """Give the cluster's pools, entities and options."""
    questions = (
        ('osd', 'pool', 'ls'),
        ('auth', 'ls'),
        ('config', 'dump', '--format', 'json'),
    )
    return tuple(
        subprocess.run(
            ('ceph', '--conf', str(conf), *words),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for words in questions
    )


def test_each_user_can_write_to_the_pool_of_its_site_only(
    machine: machines.Machine,
) -> None:
    machine.run('stack', VALIDATES='yes')

    all_sites = sites.load(str(machine.conf / 'sites.yaml'))
    for site in all_sites:
        assert rbd(site, 'create', '--size', '1', f'images-{site.name}/x') == 0
        assert rbd(site, 'create', '--size', '1', 'images/x') != 0
        assert rbd(site, 'ls', f'images-{site.name}') == 0


def test_unstack_leaves_the_cluster_as_it_was(
    machine: machines.Machine, conf: Path
) -> None:
    before = what_there_is(conf)
    machine.run('stack')
    first = what_there_is(conf)
    machine.run('stack')
    second = what_there_is(conf)

    machine.run('unstack')

    assert before != first == second
    assert what_there_is(conf) == before
    keys = re.findall(r'key: (\S+)', first[1])
    assert len(keys) > 5
    assert [key for key in keys if key in machine.log] == []
