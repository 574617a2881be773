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
"""Which limits of time rendered ceph.confs set, and for whom."""

import configparser
import dataclasses

import pytest

from dcn_distributor.bootstrap import ceph_files
from dcn_distributor.core import rings
from dcn_distributor.core import stack_checks
from tests.unit.bootstrap import samples

LIMITS = (
    'client_mount_timeout',
    'rados_mon_op_timeout',
    'rados_osd_op_timeout',
)


def _limits(
    topology: str, timeout_s: int | None, directory: str
) -> dict[str, set[str]]:
    """By section: the limits of all that a directory's confs set there."""
    cloud = dataclasses.replace(
        samples.load(topology), rados_timeout_s=timeout_s
    )
    ring = samples.ring_for(cloud)
    found: dict[str, set[str]] = {}
    for file in ceph_files.render(rings.resolve(cloud, ring), ring):
        if file.path.startswith(f'{directory}/') and file.path.endswith(
            '.conf'
        ):
            parser = configparser.RawConfigParser()
            parser.read_string(file.text)
            for section in parser.sections():
                values = parser[section].items()
                found.setdefault(section, set()).update(
                    f'{name} {value}'
                    for name, value in values
                    if name in LIMITS
                )
    return found


@pytest.mark.parametrize(
    ('topology', 'timeout_s', 'seconds'),
    [
        ('multi-ceph', None, 30),
        ('multi-ceph', 7, 7),
        ('multi-ceph', 0, None),
        # Its user is that of instances, too.
        ('external-ceph', None, None),
    ],
)
def test_glance_gives_up_where_it_has_a_user_of_its_own(
    topology: str, timeout_s: int | None, seconds: int | None
) -> None:
    found = _limits(topology, timeout_s, 'dcn0')

    expected = {f'{name} {seconds}' for name in LIMITS} if seconds else set()
    user = samples.load(topology).user
    assert found.get(f'client.{user}', set()) == expected
    assert not found['global'] | found['client']


def test_agent_has_its_own_ways() -> None:
    assert not set().union(*_limits('multi-ceph', 7, 'agent').values())


def test_limit_for_the_user_of_instances_is_refused() -> None:
    cloud = samples.load('external-ceph')

    problems = [
        problem.path
        for problem in stack_checks.check(
            dataclasses.replace(cloud, rados_timeout_s=5)
        )
    ]

    assert problems == [('deploy', 'rados_timeout')]
