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
"""Whether the holder of a claim is dead."""

import os
import subprocess
import sys

import pytest

from dcn_distributor.clients.ceph import claims

NONCE = '/2f9a'


def test_this_process_lives() -> None:
    assert not claims.is_dead(claims.identity_of_process() + NONCE)


def test_process_that_ended_is_dead() -> None:
    program = (
        'from dcn_distributor.clients.ceph import claims\n'
        'print(claims.identity_of_process())'
    )
    identity = subprocess.run(
        [sys.executable, '-c', program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()

    assert claims.is_dead(identity + NONCE)


def test_other_process_with_the_same_number_does_not_count() -> None:
    host, boot, namespace, pid, started = claims.identity_of_process().split(
        '/'
    )
    assert pid == str(os.getpid())

    earlier = '/'.join((host, boot, namespace, pid, str(int(started) - 1)))

    assert claims.is_dead(earlier + NONCE)


@pytest.mark.parametrize('part', [1, 2])
def test_process_of_another_machine_may_live(part: int) -> None:
    """Neither the boot of the kernel nor the pid namespace may differ."""
    parts = claims.identity_of_process().split('/')
    parts[part] = 'other'
    parts[3:] = ['999999999', '1']

    assert not claims.is_dead('/'.join(parts) + NONCE)


@pytest.mark.parametrize('cookie', ['', 'agent', 'a/b/c/d/e/f/g', '/////'])
def test_holder_of_unknown_kind_may_live(cookie: str) -> None:
    assert not claims.is_dead(cookie)


def test_own_lock_is_trusted_for_less_than_it_lasts() -> None:
    for timeout_s in (1.0, 15.0, 120.0):
        durations = claims.Durations.for_timeout(timeout_s)

        assert durations.lock_s - durations.trusted_s >= timeout_s
        assert durations.trusted_s > 2 * claims.RENEWAL_S
