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
"""copy, verify and clean on a real cloud."""

import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import uuid

import pytest

from tests import waiting

MIB = 2**20
OBJECT = 8 * MIB
SLOWLY = {('rbd_stream', 'rate'): '4MiB'}
# So that a copy outlasts a few commands, on a busy machine too.
SNAIL = {('rbd_stream', 'rate'): '1MiB'}


class Console:
    """Somebody who types commands at the host of an agent.

    :param conf_file: the configuration of the agent
    """

    def __init__(self, conf_file):
        program = Path(sys.executable).with_name('dcn-distributor')
        self._argv = [program, '--config-file', conf_file]

    def start(self, *words, **streams):
        """Start a command; it is for the test to end."""
        given = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
        return subprocess.Popen(
            [*self._argv, *words], text=True, **{**given, **streams}
        )

    def run(self, *words):
        """Run a command; return exit code, stdout and stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode >= 0, (process.returncode, err)
        assert 'unexpected' not in err, err
        return process.returncode, out, err

    def records(self, *words):
        """Run a command; return the exit code, and its records by site."""
        code, out, err = self.run(*words, '-f', 'json')
        assert out, (code, err)
        return code, {one['site']: one for one in json.loads(out)}


@pytest.fixture
def console(cloud):
    """A console where no agent runs."""
    return Console(cloud.agent().conf_file)


@pytest.fixture
def copied(cloud):
    """An image with Glance's own copies at both edges."""
    image_id = cloud.upload(size_mib=20, visibility='private')
    cloud.glance.images.image_import(
        image_id, 'copy-image', stores=['dcn0', 'dcn1']
    )
    cloud.wait_for_copies(image_id)
    return image_id


# -- copy


def test_a_streamed_copy_is_waited_for_and_told(cloud):
    agent = cloud.agent()
    agent.start()
    data = os.urandom(9 * MIB) + bytes(23 * MIB) + os.urandom(MIB)
    image_id = cloud.upload_bytes(data, visibility='private')

    code, found = Console(agent.conf_file).records(
        'copy', image_id, 'dcn0', 'dcn1', '--engine', 'rbd-stream', '--wait'
    )

    assert code == 0
    for site in ('dcn0', 'dcn1'):
        told = found[site]
        assert told['state'] == 'present', told
        assert told['engine'] == 'rbd-stream'
        assert told['source'] == 'central'
        assert told['verify'] == 'full'
        assert told['size_bytes'] == len(data)
        # Glance has written the zeros, too.
        assert told['read_bytes'] == len(data)
        assert 10 * MIB <= told['sent_bytes'] <= 18 * MIB
        assert 16 * MIB <= told['zero_bytes'] <= 23 * MIB
        assert told['resumed_bytes'] == 0
        assert {'preparing', 'copying', 'publishing', 'registering'} <= set(
            told['seconds']
        )
        assert told['total_seconds'] > 0
        assert told['mib_s'] > 0
        cloud.prove(image_id, site)
    cloud.check_settled(image_id, {'central', 'dcn0', 'dcn1'})


def test_glance_s_own_copy_is_waited_for_and_told(cloud):
    agent = cloud.agent()
    agent.start()
    image_id = cloud.upload(size_mib=9, visibility='private')

    code, found = Console(agent.conf_file).records(
        'copy', image_id, 'dcn1', '--engine', 'copy-image', '--wait'
    )

    assert code == 0
    assert found['dcn1']['engine'] == 'copy-image'
    assert cloud.stores(image_id) == {'dcn1'}
    cloud.prove(image_id, 'dcn1')


def test_waiting_outlasts_the_agent_that_took_the_order(cloud):
    agent = cloud.agent(SLOWLY)
    agent.start()
    image_id = cloud.upload(size_mib=32, visibility='private')
    command = Console(agent.conf_file).start(
        'copy', image_id, 'dcn0', '--engine', 'rbd-stream', '--wait'
    )
    pool = cloud.pool('dcn0')
    waiting.until('data flows', lambda: pool.of(image_id), pause_s=0.02)

    agent.kill()
    agent.start()
    out, err = command.communicate(timeout=120)

    assert command.returncode == 0, (out, err)
    assert 'did not know of the order any more; it has it again' in err
    assert cloud.stores(image_id) == {'dcn0'}
    cloud.prove(image_id, 'dcn0')
    cloud.check_settled(image_id, {'central', 'dcn0'})


def test_a_terminal_shows_bars_and_ctrl_c_ends_the_waiting_only(cloud):
    agent = cloud.agent(SNAIL)
    agent.start()
    image_id = cloud.upload(size_mib=12, visibility='private')
    terminal, far_end = os.openpty()
    command = Console(agent.conf_file).start(
        'copy',
        image_id,
        'dcn0',
        '--engine=rbd-stream',
        '--wait',
        stderr=far_end,
        env={**os.environ, 'TERM': 'xterm', 'COLUMNS': '120'},
    )
    os.close(far_end)
    seen = b''
    while b'left' not in seen:
        seen += os.read(terminal, 4096)

    command.send_signal(signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    with contextlib.suppress(OSError):
        # A terminal that nobody writes to any more ends with an error.
        while piece := os.read(terminal, 4096):
            seen += piece
    os.close(terminal)

    assert (command.returncode, out) == (130, '')
    text = seen.decode()
    assert 'copying' in text
    assert ' of 12 MiB' in text
    # On a busy machine the first second may bring less than a MiB.
    assert 'KiB/s' in text or 'MiB/s' in text
    assert '\x1b[' in text
    assert 'the waiting ends, and the copies go on' in text
    cloud.wait_for_copies(image_id, {'dcn0'})


def test_what_cannot_be_copied_is_told_by_its_reason(cloud):
    agent = cloud.agent()
    agent.start()
    console = Console(agent.conf_file)
    image_id = cloud.upload(size_mib=9, visibility='private')
    cloud.pool('dcn0').put(image_id, bytes(OBJECT), OBJECT, stage='written')

    code, found = console.records(
        'copy', image_id, 'dcn0', 'dcn1', '--engine', 'rbd-stream', '--wait'
    )

    assert code == 3
    assert found['dcn0']['state'] == 'failed'
    assert image_id in found['dcn0']['error']
    assert found['dcn1']['state'] == 'present'
    assert console.run('clean', image_id, 'dcn0', '--yes')[0] == 0
    code, found = console.records(
        'copy', image_id, 'dcn0', '--engine', 'rbd-stream', '--wait'
    )
    assert (code, found['dcn0']['error']) == (0, None)
    cloud.wait_for_copies(image_id)


# -- verify


def test_copies_of_glance_are_compared_without_being_read(
    cloud, console, copied
):
    code, found = console.records('verify', copied)

    assert code == 0
    for site in ('dcn0', 'dcn1'):
        assert found[site]['verdict'] == 'good'
        assert found[site]['compared_bytes'] == 20 * MIB
        assert found[site]['notes'] == []


@pytest.mark.parametrize('offset', [5 * MIB + 3, 19 * MIB])
def test_a_flipped_bit_is_named_and_repaired_for_clones_to_see(
    cloud, console, copied, offset
):
    pool = cloud.pool('dcn1')
    name = pool.object_name(copied, offset // OBJECT)
    pool.flip(copied, offset)
    clone = f'clone-of-{copied}'
    pool.clone(copied, clone)
    good = cloud.pool('central').read(copied)

    try:
        code, found = console.records('verify', copied)

        assert code == 3
        assert found['dcn0']['verdict'] == 'good'
        assert found['dcn1']['verdict'] == 'damaged'
        [damage] = found['dcn1']['damages']
        assert damage['object'] == name
        assert damage['offset'] <= offset < damage['offset'] + damage['length']
        assert damage['length'] <= 4096
        assert pool.read(clone, None) != good

        code, found = console.records('verify', copied, 'dcn1', '--repair')

        assert (code, found['dcn1']['verdict']) == (0, 'repaired')
        assert pool.read(clone, None) == good
    finally:
        pool.wipe(frozenset([clone]))
    cloud.prove(copied, 'dcn1')
    assert console.run('verify', copied)[0] == 0
    cloud.check_settled(copied, {'central', 'dcn0', 'dcn1'})


def test_a_lost_object_is_put_back(cloud, console, copied):
    cloud.pool('dcn0').lose_object(copied, 1)

    assert console.run('verify', copied)[0] == 3
    assert console.run('verify', copied, '--repair')[0] == 0

    cloud.prove(copied, 'dcn0')
    assert cloud.pool('dcn0').has_sound_maps(copied)


def test_what_a_copy_never_had_is_put_where_librbd_looks(cloud, console):
    data = os.urandom(3 * OBJECT)
    image_id = cloud.upload_bytes(data, visibility='private')
    torn = data[:OBJECT] + bytes(OBJECT) + data[2 * OBJECT :]
    cloud.pool('dcn0').put(image_id, torn, OBJECT)
    cloud.register(image_id, 'dcn0')

    code, found = console.records('verify', image_id, '--repair')

    assert (code, found['dcn0']['verdict']) == (0, 'repaired'), found
    cloud.prove(image_id, 'dcn0')
    assert cloud.pool('dcn0').has_sound_maps(image_id)


def test_nothing_is_repaired_from_a_central_that_is_rotten(
    cloud, console, copied
):
    cloud.pool('central').flip(copied, 7)

    code, found = console.records('verify', copied, '--repair')
    assert code == 1
    assert 'the source does not hold this image' in found['dcn0']['error']
    for site in ('dcn0', 'dcn1'):
        cloud.prove(copied, site)

    code, found = console.records(
        'verify', copied, '--source', 'dcn0', '--repair'
    )
    assert code == 0
    assert found['central']['verdict'] == 'repaired'
    cloud.prove(copied, 'central')


def test_a_cluster_that_is_away_is_told_and_the_others_are_compared(
    cloud, copied
):
    agent = cloud.agent({('rbd_stream', 'cluster_timeout'): '3'})
    away = cloud.lab.service('ceph-dcn0')
    away.stop()
    try:
        code, found = Console(agent.conf_file).records('verify', copied)
    finally:
        away.start()

    assert code == 3
    assert found['dcn0']['verdict'] == 'not compared'
    assert found['dcn0']['error']
    assert found['dcn1']['verdict'] == 'good'


# -- clean


def test_an_orphan_is_shown_removed_and_no_longer_in_the_way(cloud, console):
    image_id = cloud.upload(size_mib=9, visibility='private')
    pool = cloud.pool('dcn0')
    pool.put(image_id, bytes(OBJECT), OBJECT, stage='written')

    code, out, _ = console.run('clean', image_id)
    assert code == 0
    assert 'would be removed' in out
    assert image_id in pool.names()

    code, found = console.records('clean', image_id, '--yes')
    assert code == 0
    assert found['dcn0']['outcome'] == 'removed'
    assert found['central']['what'] == 'copy'
    assert image_id not in pool.names()
    cloud.glance.images.image_import(image_id, 'copy-image', stores=['dcn0'])
    cloud.wait_for_copies(image_id, {'dcn0'})


def test_an_orphan_that_is_open_somewhere_is_kept(cloud, console):
    image_id = cloud.upload(visibility='private')
    pool = cloud.pool('dcn0')
    pool.put(image_id, bytes(OBJECT), OBJECT, stage='written')

    with pool.watched(image_id):
        code, found = console.records('clean', image_id, 'dcn0', '--yes')

    assert (code, found['dcn0']['outcome']) == (1, 'kept')
    assert 'open somewhere' in found['dcn0']['reason']
    assert console.run('clean', image_id, 'dcn0', '--yes')[0] == 0
    assert image_id not in pool.names()


def test_copies_of_glance_are_never_touched(cloud, console, copied):
    code, found = console.records('clean', copied, '--yes')

    assert code == 0
    assert {one['what'] for one in found.values()} == {'copy'}
    cloud.wait_for_copies(copied)


def test_what_an_image_left_that_is_gone_is_cleaned_by_its_id(cloud, console):
    image_id = str(uuid.uuid4())
    pool = cloud.pool('dcn1')
    pool.put(image_id, bytes(OBJECT), OBJECT, stage='snapshot')

    code, found = console.records('clean', image_id, '--yes')

    assert (code, found['dcn1']['outcome']) == (0, 'removed')
    assert image_id not in pool.names()


def test_a_draft_of_a_dead_agent_is_kept_until_its_claim_is_free(cloud):
    agent = cloud.agent(SNAIL)
    agent.start()
    image_id = cloud.upload(size_mib=32, visibility='private')
    console = Console(agent.conf_file)
    console.run('copy', image_id, 'dcn0', '--engine', 'rbd-stream')
    pool = cloud.pool('dcn0')
    waiting.until('data flows', lambda: pool.of(image_id))

    code, out, _ = console.run('clean', image_id, 'dcn0', '--yes')
    assert code == 1
    assert 'kept' in out
    agent.kill()

    waiting.until(
        'the claim is free',
        lambda: console.run('clean', image_id, 'dcn0', '--yes')[0] == 0,
        deadline_s=90,
    )
    cloud.check_settled(image_id, {'central'})
