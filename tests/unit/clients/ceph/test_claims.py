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
"""Whether the holder of a claim is dead, and how those held are kept."""

from collections.abc import Iterator
import contextlib
import errno
import os
import subprocess
import sys
import threading
import typing
from typing import Any

import pytest
import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections
from dcn_distributor.clients.ceph import holders
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from tests import waiting

NONCE = '/2f9a'


def test_this_process_lives() -> None:
    assert not holders.is_dead(holders.identity_of_process() + NONCE)


def test_process_that_ended_is_dead() -> None:
    program = (
        'from dcn_distributor.clients.ceph import holders\n'
        'print(holders.identity_of_process())'
    )
    identity = subprocess.run(
        [sys.executable, '-c', program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()

    assert holders.is_dead(identity + NONCE)


def _may_mount() -> bool:
    mount = 'mount -t proc -o hidepid=2 proc /proc'
    command = ['unshare', '--mount', 'sh', '-c', mount]
    try:
        return not subprocess.run(command, capture_output=True).returncode
    except FileNotFoundError:
        return False


@pytest.mark.skipif(
    not _may_mount(), reason='only root can hide processes from others'
)
def test_process_that_is_hidden_lives() -> None:
    """The agent may run as another user, or with ProtectProc=."""
    program = (
        'import os, sys\n'
        'from dcn_distributor.clients.ceph import holders\n'
        'assert not os.path.exists(f"/proc/{os.environ[\'HOLDER\']}")\n'
        'living, ended = sys.argv[1:]\n'
        'print(holders.is_dead(living), holders.is_dead(ended))'
    )
    identity = holders.identity_of_process()
    ended = identity.split('/')
    ended[3] = str(_number_of_no_process())
    hide = (
        'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 '
        '--regid 65534 --clear-groups "$@"'
    )

    told = subprocess.run(
        [
            *('unshare', '--mount', 'sh', '-c', hide, 'sh'),
            *(sys.executable, '-c', program),
            *(identity + NONCE, '/'.join(ended) + NONCE),
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, 'HOLDER': str(os.getpid())},
    ).stdout.split()

    assert told == ['False', 'True']


def _number_of_no_process() -> int:
    """Give the number of a process that has just ended."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_other_process_with_the_same_number_does_not_count() -> None:
    host, boot, namespace, pid, started = holders.identity_of_process().split(
        '/'
    )
    assert pid == str(os.getpid())

    earlier = '/'.join((host, boot, namespace, pid, str(int(started) - 1)))

    assert holders.is_dead(earlier + NONCE)


@pytest.mark.parametrize('part', [1, 2])
def test_process_of_another_machine_may_live(part: int) -> None:
    """Neither the boot of the kernel nor the pid namespace may differ."""
    parts = holders.identity_of_process().split('/')
    parts[part] = 'other'
    parts[3:] = ['999999999', '1']

    assert not holders.is_dead('/'.join(parts) + NONCE)


@pytest.mark.parametrize('cookie', ['', 'agent', 'a/b/c/d/e/f/g', '/////'])
def test_holder_of_unknown_kind_may_live(cookie: str) -> None:
    assert not holders.is_dead(cookie)


def test_own_lock_is_trusted_for_less_than_it_lasts() -> None:
    for timeout_s in (1.0, 15.0, 120.0):
        durations = claims.Durations.for_timeout(timeout_s)

        assert durations.lock_s - durations.trusted_s >= timeout_s
        assert durations.trusted_s > 2 * claims.RENEWAL_S


class _Pool:
    """A pool in which what `hangs` is not answered, and locks can be lost.

    Stands for a connection and its pools, too. No cluster of one OSD can be
    had to hang for one object only.
    """

    label = 'pool images'

    def __init__(self) -> None:
        self.hangs: dict[str, threading.Event] = {}
        self.lost: set[str] = set()
        self.renewed: dict[str, int] = {}

    def native_pool(self, *, namespace: str) -> '_Pool':
        return self

    standing_native_pool = native_pool

    def first(self) -> '_Pool':
        return self

    def pool(self, *, namespace: str) -> '_Pool':
        return self

    def translated(self, what: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def set_omap(self, *_: object) -> None:
        pass

    def operate_write_op(self, *_: object) -> None:
        pass

    def lock(
        self, name: str, lock: str, cookie: str, duration_s: float, flags: int
    ) -> None:
        if flags == native.MUST_RENEW:
            self.renewed[name] = self.renewed.get(name, 0) + 1
            if name in self.hangs:
                self.hangs[name].wait()
            if name in self.lost:
                raise rados.ObjectNotFound('not locked', errno.ENOENT)


@pytest.fixture
def pool() -> Iterator[_Pool]:
    made = _Pool()
    yield made
    for hang in made.hangs.values():
        hang.set()


def _held(pool: _Pool, *names: str) -> tuple[claims.Claims, claims.Claim]:
    made = claims.Claims(
        typing.cast('connections.Connections', pool), 'me', 15.0
    )
    taken = [made.take(images.ImageId(name)) for name in names]
    return made, taken[0]


def test_hung_claim_does_not_keep_others_from_being_renewed(
    pool: _Pool,
) -> None:
    names = [f'image {number}' for number in range(8)]
    held, _ = _held(pool, *names)
    pool.hangs['image 3'] = threading.Event()

    for count in (1, 2, 3):
        tasks.start('renewal', held.renew)
        expected: dict[str, Any] = dict.fromkeys(names, count)
        # That which hangs is not asked again meanwhile.
        expected['image 3'] = 1
        waiting.until(
            'all others are renewed',
            lambda e=expected: pool.renewed == e,
            deadline_s=5,
            pause_s=0.01,
        )


def test_claim_that_was_lost_is_renewed_no_more(pool: _Pool) -> None:
    held, lost = _held(pool, 'lost', 'kept')
    pool.lost.add('lost')
    held.renew()
    waiting.until('it is lost', lambda: lost.is_lost, pause_s=0.01)

    def is_forgotten() -> bool:
        before = pool.renewed['lost'], pool.renewed['kept']
        held.renew()
        waiting.until(
            'the other is renewed',
            lambda: pool.renewed['kept'] > before[1],
            pause_s=0.01,
        )
        return pool.renewed['lost'] == before[0]

    waiting.until('it is forgotten', is_forgotten, deadline_s=5)
    with pytest.raises(exceptions.CopyInProgress):
        lost.check()
