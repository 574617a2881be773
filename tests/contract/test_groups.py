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
"""What a group of agents does: the fake one, by files, and by etcd."""

from collections.abc import Iterator
from pathlib import Path
import shutil
import time

import pytest

from dcn_distributor.clients import groups
from dcn_distributor.core import ports
from tests.contract import group_worlds
from tests.fakes import clock as clocks
from tests.fakes import groups as fakes

NAMES = ('controller-1', 'controller-2', 'controller-3')

needs_etcd = pytest.mark.skipif(
    shutil.which('etcd') is None, reason='etcd is not installed'
)
ETCD = pytest.param('etcd', marks=needs_etcd)


@pytest.fixture
def etcd() -> Iterator[group_worlds.EtcdWorld]:
    made = group_worlds.EtcdWorld()
    yield made
    made.close()


@pytest.fixture(params=['fake', 'file', ETCD])
def world(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[group_worlds.World]:
    if request.param == 'etcd':
        # That closes it.
        yield request.getfixturevalue('etcd')
        return
    made: group_worlds.World = group_worlds.FakeWorld()
    if request.param == 'file':
        made = group_worlds.FileWorld(tmp_path)
    yield made
    made.close()


def _share(
    world: group_worlds.World, *groups: ports.Group
) -> tuple[ports.Group, ...]:
    """Wait until these members have shared all links out."""
    world.until('links are shared', lambda: group_worlds.shared(groups))
    return groups


def test_single_agent_has_every_link_without_a_coordinator() -> None:
    alone = groups.Alone('controller-1')
    alone.start()

    assert alone.members() == ('controller-1',)
    assert group_worlds.has(alone) == group_worlds.LINKS
    assert alone.owner('link-0') == 'controller-1'
    assert alone.problem() is None


def test_first_has_all_links_at_once_and_who_joins_waits_for_others(
    world: group_worlds.World,
) -> None:
    first = world.join(NAMES[0])
    world.until('the first is in', lambda: first.problem() is None)

    assert first.members() == NAMES[:1]
    assert group_worlds.has(first) == group_worlds.LINKS

    second = world.join(NAMES[1])
    world.until('the first knows', lambda: first.members() == NAMES[:2])
    falls_to_second = [
        link for link in group_worlds.LINKS if not first.is_ours(link)
    ]

    assert falls_to_second
    assert {first.owner(link) for link in falls_to_second} == {NAMES[1]}
    _share(world, first, second)
    assert group_worlds.has(second) == tuple(falls_to_second)


def test_each_link_has_one_owner_and_goes_to_others_when_that_leaves(
    world: group_worlds.World,
) -> None:
    members = _share(world, *(world.join(name) for name in NAMES))

    assert {member.members() for member in members} == {NAMES}
    for link in group_worlds.LINKS:
        (owner,) = {member.owner(link) for member in members}
        assert [member.is_ours(link) for member in members] == [
            name == owner for name in NAMES
        ]
    assert [member.problem() for member in members] == [None, None, None]

    first, second, third = members
    kept, told = group_worlds.has(first), world.changes[NAMES[0]]
    third.stop()

    assert group_worlds.has(third) == ()
    assert third.problem() is not None
    _share(world, first, second)
    assert first.members() == NAMES[:2]
    assert set(kept) < set(group_worlds.has(first))
    world.until('it is told', lambda: world.changes[NAMES[0]] > told)


def test_who_dies_is_gone_after_its_lease_and_who_was_stopped_knows(
    world: group_worlds.World,
) -> None:
    killed, frozen = (world.join_apart(name) for name in NAMES[1:])
    first = world.join(NAMES[0])
    _share(world, first, killed.group, frozen.group)

    killed.kill()
    frozen.freeze()

    # Two leases: what is late by a whole one would be found.
    world.until(
        'the first has all links',
        lambda: group_worlds.shared([first]),
        2 * world.lease_s + 3.0,
    )
    assert frozen.thaw() == ()
    world.until('it is back', lambda: first.members() == (NAMES[0], NAMES[2]))
    _share(world, first, frozen.group)


@pytest.mark.parametrize('world', ['fake', 'file'], indirect=True)
def test_who_follows_one_that_was_killed_takes_its_links_again(
    world: group_worlds.World,
) -> None:
    killed = world.join_apart(NAMES[0])
    _share(world, killed.group)

    killed.kill()
    follower = world.join(NAMES[0])

    world.until('it has joined', lambda: follower.members() == NAMES[:1])
    _share(world, follower)


@pytest.mark.parametrize('world', ['fake', ETCD], indirect=True)
def test_two_of_one_name_never_have_a_link_both(
    world: group_worlds.World,
) -> None:
    (first,) = _share(world, world.join(NAMES[0]))
    second = world.join(NAMES[0])

    world.until('the second has joined', second.members)

    assert group_worlds.has(second) == ()
    assert second.problem() is not None
    assert group_worlds.has(first) == group_worlds.LINKS
    first.stop()
    _share(world, second)


def test_all_are_out_while_the_coordinator_hangs_and_back_after_it(
    world: group_worlds.World,
) -> None:
    members = _share(world, *(world.join(name) for name in NAMES[:2]))
    told = dict(world.changes)

    world.freeze()

    world.until(
        'all are out',
        lambda: not any(member.members() for member in members),
        world.lease_s + 1.0,
    )
    assert [group_worlds.has(member) for member in members] == [(), ()]
    assert None not in [member.problem() for member in members]
    late = world.join(NAMES[2])
    assert group_worlds.has(late) == ()
    assert late.problem() is not None
    world.until(
        'all are told',
        lambda: all(world.changes[name] > told[name] for name in told),
    )

    world.thaw()

    _share(world, *members, late)


def test_stop_returns_though_the_coordinator_hangs(
    world: group_worlds.World,
) -> None:
    (first,) = _share(world, world.join(NAMES[0]))
    world.freeze()

    begun = time.monotonic()
    first.stop()

    assert time.monotonic() - begun < 8.0
    assert group_worlds.has(first) == ()
    world.thaw()


@needs_etcd
def test_restart_of_etcd_takes_no_link_from_anybody(
    etcd: group_worlds.EtcdWorld,
) -> None:
    members = _share(etcd, *(etcd.join(name) for name in NAMES[:2]))
    had = [group_worlds.has(member) for member in members]

    etcd.restart()

    _share(etcd, *members)
    assert [group_worlds.has(member) for member in members] == had


def test_who_is_cut_off_knows_before_the_others_take_over() -> None:
    coordinator = fakes.Coordinator(clocks.Clock())
    first, second = (coordinator.group(name) for name in NAMES[:2])
    first.start()
    second.start()
    coordinator.advance(2 * coordinator.lease.timeout_s)
    assert group_worlds.shared([first, second])

    second.is_cut_off = True
    while not group_worlds.shared([first]):
        coordinator.advance(0.1)
        assert not (group_worlds.has(second) and group_worlds.shared([first]))
    assert group_worlds.has(second) == ()

    second.is_cut_off = False
    coordinator.advance(2 * coordinator.lease.timeout_s)
    assert group_worlds.shared([first, second])
