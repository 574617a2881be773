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
"""Claims in a real cluster, whatever happens to those who hold them."""

import contextlib
import errno
import json
from pathlib import Path
import subprocess
import sys
import threading
import time
import uuid

import pytest
import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import claim_index
from dcn_distributor.clients.ceph import connections
from dcn_distributor.clients.ceph import native
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests import waiting
from tests.contract import filling
from tests.contract import one_cluster
from tests.contract import real_clusters
from tests.contract.filling import noise
from tests.contract.filling import OBJECT
from tests.contract.filling import SIZE

pytestmark = pytest.mark.lab

Here = one_cluster.OneCluster

_HOLDER = """
import sys, time
from dcn_distributor.clients import ceph
from dcn_distributor.clients.ceph import claim_index
from dcn_distributor.clients.ceph import connections
from dcn_distributor.clients.ceph import native
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import sites
conf, user, pool, image_id = sys.argv[1:]
options = ceph.Options(connections=1, identity='agent of another host')
cluster = ceph.Cluster(sites.Cluster(conf, user, pool), options)
copy = cluster.open_copy(image_id, 4096, 2**22)
print('held', flush=True)
sys.stdin.read()
"""


def test_claim_of_another_host_lasts_until_it_expires(here: Here) -> None:
    image_id = filling.new_id()
    cluster = here.connect()
    arguments = (here.conf, real_clusters.USER, 'images', image_id)
    with subprocess.Popen(
        [sys.executable, '-c', _HOLDER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b'held\n'
        # It is renewed: it lasts for longer than the lock does.
        waiting.passes(33)
        with pytest.raises(exceptions.CopyInProgress, match='another host'):
            cluster.open_copy(image_id, 4096, OBJECT)
        holder.kill()
    killed_s = time.monotonic()

    def is_free() -> bool:
        with contextlib.suppress(exceptions.CopyInProgress):
            cluster.open_copy(image_id, 4096, OBJECT).discard()
            return True
        return False

    assert not is_free()
    waiting.until('the claim is free', is_free)
    assert 15 < time.monotonic() - killed_s < 60


def test_claim_is_free_again_if_nothing_can_be_looked_at(
    here: Here, tmp_path: Path
) -> None:
    """A pool may answer for the claim and not for what it stands for."""
    image_id = filling.new_id()
    caps = 'allow rwx pool=images namespace=dcn_distributor'
    conf = here.user(tmp_path, 'blind', 'mon', 'profile rbd', 'osd', caps)
    try:
        blind = here.connect(conf, user='blind')
        with pytest.raises(exceptions.AccessDenied):
            blind.open_copy(image_id, SIZE, OBJECT)

        here.connect().open_copy(image_id, SIZE, OBJECT).discard()
    finally:
        here.command(prefix='auth rm', entity='client.blind')


def _break_claim(here: Here, image_id: images.ImageId) -> None:
    """Have a claim expire, as that of an agent that stood still."""
    rados_lock = ['rados', '--conf', here.admin_conf, '--pool', 'images']
    rados_lock += ['--namespace', connections.NAMESPACE, 'lock']
    info = subprocess.run(
        [*rados_lock, 'info', image_id, 'claim'],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    for locker in json.loads(info)['lockers']:
        subprocess.run(
            [
                *(*rados_lock, 'break', image_id, 'claim', locker['name']),
                *('--lock-cookie', locker['cookie']),
            ],
            check=True,
        )


@pytest.mark.parametrize('by', ['release', 'discard', 'close', 'clear'])
def test_claim_that_another_has_taken_is_left_to_it(
    here: Here, by: str
) -> None:
    image_id = filling.new_id()
    late, other = here.connect(), here.connect()
    copy = late.open_copy(image_id, SIZE, OBJECT)
    taken: list[storage.Copy] = []

    def take() -> bool:
        _break_claim(here, image_id)
        taken.append(other.open_copy(image_id, SIZE, OBJECT))
        return True

    if by == 'clear':
        copy.rename()
        copy.close()
        with pytest.raises(exceptions.CopyInProgress):
            late.clear(image_id, is_registered=take)
    else:
        take()
        with contextlib.suppress(exceptions.CopyInProgress):
            getattr(copy, by)()

    assert image_id in other.leftovers()
    with pytest.raises(exceptions.CopyInProgress):
        here.connect().open_copy(image_id, SIZE, OBJECT)
    taken[0].close()
    late.clear(image_id, is_registered=lambda: False)
    assert not here.site.marks()


def _requests(here: Here) -> list[str]:
    """Give what the OSD was asked for lately."""
    command = ['ceph', '--conf', here.admin_conf, 'tell', 'osd.0']
    answer = subprocess.run(
        [*command, 'dump_historic_ops'], check=True, stdout=subprocess.PIPE
    ).stdout
    return [each['description'] for each in json.loads(answer)['ops']]


def test_leftovers_are_found_without_listing_the_pool(here: Here) -> None:
    """Its data are millions of objects, and RADOS has no list of ours."""
    image_id = filling.new_id()
    cluster = here.connect()
    filling.finish(here.world, cluster, image_id, noise(5)).close()
    tell = ['ceph', '--conf', here.admin_conf, 'tell', 'osd.0', 'config']
    for size in ('0', '5000'):
        subprocess.run([*tell, 'set', 'osd_op_history_size', size], check=True)

    assert image_id in cluster.leftovers()

    # Others list all that is in the pool, as the lab does. The OSD enters
    # what was asked a moment later.
    ours = waiting.until(
        'the index is asked for',
        lambda: {
            request.partition(':')[0]
            for request in _requests(here)
            if f':{claim_index.NAME}:' in request
        },
    )
    for request in _requests(here):
        assert request.partition(':')[0] not in ours or 'pgnls' not in request


def test_very_many_claims_are_listed(here: Here) -> None:
    here.pool.set_namespace(connections.NAMESPACE)
    names = {f'{number:05}-{uuid.uuid4()}' for number in range(2500)}
    with rados.WriteOpCtx() as operation:
        keys = tuple(sorted(names))
        here.pool.set_omap(operation, keys, (b'',) * len(keys))
        here.pool.operate_write_op(operation, claim_index.NAME)
    try:
        assert names <= set(here.connect().leftovers())
    finally:
        with rados.WriteOpCtx() as operation:
            here.pool.remove_omap_keys(operation, keys)
            here.pool.operate_write_op(operation, claim_index.NAME)
        here.pool.set_namespace('')


def test_image_named_for_nothing_is_forgotten(here: Here) -> None:
    """As by a process that died before it had locked anything."""
    image_id = filling.new_id()
    here.pool.set_namespace(connections.NAMESPACE)
    with rados.WriteOpCtx() as operation:
        here.pool.set_omap(operation, (image_id,), (b'',))
        here.pool.operate_write_op(operation, claim_index.NAME)
    here.pool.set_namespace('')
    cluster = here.connect()
    assert image_id in cluster.leftovers()

    cluster.clear(image_id, is_registered=lambda: False)

    assert image_id not in cluster.leftovers()
    assert not here.site.marks()


# -- a process that dies between two steps ------------------------------------


def _unavailable(*_: object) -> None:
    raise exceptions.ClusterUnavailable('injected')


def test_nothing_is_claimed_before_it_is_listed(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = here.connect()
    monkeypatch.setattr(claim_index.ClaimIndex, 'add', _unavailable)

    with pytest.raises(exceptions.ClusterUnavailable, match='injected'):
        cluster.open_copy(filling.new_id(), SIZE, OBJECT)

    assert not here.site.marks()


def test_claim_is_listed_for_as_long_as_it_stands(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = filling.new_id()
    cluster = here.connect()
    copy = cluster.open_copy(image_id, SIZE, OBJECT)

    def times_out(*_: object) -> None:
        raise rados.TimedOut('injected', errno=errno.ETIMEDOUT)

    with monkeypatch.context() as injected:
        injected.setattr(native.Pool, 'remove_locked', times_out)
        with pytest.raises(exceptions.ClusterUnavailable):
            copy.discard()
    copy.close()

    assert image_id in here.connect().leftovers()
    cluster.clear(image_id, is_registered=lambda: False)
    assert not here.site.marks()


def test_who_is_refused_a_claim_leaves_nothing(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late an answer comes to what it has asked for."""
    image_id = filling.new_id()
    holder, other = here.connect(), here.connect()
    copy = holder.open_copy(image_id, SIZE, OBJECT)
    add = claim_index.ClaimIndex.add
    is_discarded, has_added = threading.Event(), threading.Event()

    def late(self: claim_index.ClaimIndex, image_id: images.ImageId) -> None:
        is_discarded.wait(1.5)
        add(self, image_id)
        has_added.set()

    with monkeypatch.context() as injected:
        injected.setattr(claim_index.ClaimIndex, 'add', late)
        with pytest.raises(exceptions.CopyInProgress):
            other.open_copy(image_id, SIZE, OBJECT)
        copy.discard()
        is_discarded.set()
        assert has_added.wait(10.0)

    assert not here.site.marks()
