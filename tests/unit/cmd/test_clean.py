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
"""dcn-distributor clean, before a cloud in memory."""

from collections.abc import Iterator
import json
import random
from typing import Any

import pytest

from dcn_distributor import exceptions
from dcn_distributor.cmd import clean
from dcn_distributor.core import images
from dcn_distributor.core import storage
from tests.fakes import clusters
from tests.unit.cmd import desk as desks
from tests.unit.engines.rbd_stream import clouds

CONTENT = random.Random(5).randbytes(1000)


@pytest.fixture
def cloud() -> Iterator[clouds.Cloud]:
    made = clouds.Cloud()
    yield made
    made.close()


@pytest.fixture
def desk(cloud: clouds.Cloud, capsys: Any) -> desks.Desk:
    return desks.Desk(clean.Clean, capsys.readouterr, cloud=cloud)


@pytest.fixture
def image(cloud: clouds.Cloud) -> images.Image:
    return cloud.add(CONTENT)


def records(desk: desks.Desk, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    code, out, err = desk.run(*argv, '-f', 'json')
    assert err == ''
    return code, json.loads(out)


def told(desk: desks.Desk, *argv: str) -> tuple[int, list[tuple[str, ...]]]:
    code, found = records(desk, *argv)
    return code, [(one['site'], one['what'], one['outcome']) for one in found]


def begin(cloud: clouds.Cloud, image: images.Image, store: str) -> None:
    """Leave a draft and its claim, as a process that dies."""
    handle = clusters.FakeCluster(cloud.cephs[store])
    handle.open_copy(image.id, len(CONTENT), clouds.OBJECT)
    handle.die()


def publish(cloud: clouds.Cloud, image: images.Image, store: str) -> None:
    """Leave a copy of ours without a location, as a process that dies."""
    handle = clusters.FakeCluster(cloud.cephs[store])
    copy = handle.open_copy(image.id, len(CONTENT), clouds.OBJECT)
    copy.take_snapshot()
    copy.rename()
    handle.die()


def leave_orphan(cloud: clouds.Cloud, image_id: str, store: str) -> None:
    """Leave what a glance-api leaves that dies while it writes."""
    cloud.cephs[store].pool.create(image_id, len(CONTENT), clouds.OBJECT)


def names(cloud: clouds.Cloud, store: str) -> set[str]:
    ceph = cloud.cephs[store]
    return {*ceph.pool.images, *(f'claim {name}' for name in ceph.claims)}


def test_the_copies_of_glance_are_shown_and_never_touched(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    code, found = records(desk, image.id, '--yes')

    assert code == 0
    assert found == [
        {
            'image_id': image.id,
            'site': 'central',
            'store': 'central',
            'what': 'copy',
            'name': f'images/{image.id}',
            'size_bytes': len(CONTENT),
            'outcome': 'kept',
            'reason': 'a location in Glance leads to it',
        }
    ]
    assert cloud.cephs['central'].pool.read(image.id) == CONTENT


def test_without_yes_nothing_is_removed(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    begin(cloud, image, 'dcn0')
    leave_orphan(cloud, image.id, 'dcn1')
    before = [names(cloud, store) for store in clouds.STORES]

    code, out, err = desk.run(image.name)

    assert (code, err) == (0, '')
    assert [names(cloud, store) for store in clouds.STORES] == before
    assert out.endswith('Nothing was removed; 3 things would be with --yes.\n')
    assert f'images/{image.id}{storage.DRAFT_SUFFIX}' in out


def test_with_yes_drafts_claims_and_orphans_go(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    begin(cloud, image, 'dcn0')
    leave_orphan(cloud, image.id, 'dcn1')

    code, found = told(desk, image.id, '--yes')

    assert code == 0
    assert found == [
        ('central', 'copy', 'kept'),
        ('dcn0', 'draft', 'removed'),
        ('dcn0', 'claim', 'removed'),
        ('dcn1', 'orphan', 'removed'),
    ]
    assert names(cloud, 'dcn0') == names(cloud, 'dcn1') == set()
    assert desk.run(image.id, 'dcn0', 'dcn1') == (
        0,
        'There is nothing to clean.\n',
        '',
    )


def test_only_the_sites_that_are_named_are_cleaned(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    for store in ('dcn0', 'dcn1'):
        leave_orphan(cloud, image.id, store)

    code, out, _ = desk.run(image.id, 'dcn1', '--yes')

    assert code == 0
    assert out.endswith('Removed 1 thing.\n')
    assert names(cloud, 'dcn0') == {image.id}
    assert names(cloud, 'dcn1') == set()


def test_a_copy_of_ours_that_was_never_registered_goes_with_its_claim(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    publish(cloud, image, 'dcn0')

    assert told(desk, image.id, 'dcn0', '--yes') == (
        0,
        [('dcn0', 'claim', 'removed'), ('dcn0', 'orphan', 'removed')],
    )
    assert cloud.strays() == []
    assert names(cloud, 'dcn0') == set()


def test_a_copy_of_ours_that_is_registered_loses_its_claim_only(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    publish(cloud, image, 'dcn0')
    cloud.glance.add_location(
        image.id, cloud.glance.location(image.id, 'dcn0')
    )

    assert told(desk, image.id, 'dcn0', '--yes') == (
        0,
        [('dcn0', 'claim', 'removed'), ('dcn0', 'copy', 'kept')],
    )
    assert names(cloud, 'dcn0') == {image.id}


def test_what_is_under_way_is_kept(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    alive = clusters.FakeCluster(cloud.cephs['dcn0'])
    copy = alive.open_copy(image.id, len(CONTENT), clouds.OBJECT)

    code, found = told(desk, image.id, 'dcn0', '--yes')

    assert code == 1
    assert found == [('dcn0', 'draft', 'kept'), ('dcn0', 'claim', 'kept')]
    copy.write(0, CONTENT[: clouds.CHUNK], lambda result: None)
    copy.discard()


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        pytest.param(
            lambda cloud, image: cloud.glance.copy_to_stores(
                image.id, ['dcn1']
            ),
            'an import of image',
            id='an import is under way',
        ),
        pytest.param(
            lambda cloud, image: (
                cloud.cephs['dcn0'].pool.find(image.id).watchers.add('nova')
            ),
            'it is open somewhere',
            id='it is open',
        ),
        pytest.param(
            lambda cloud, image: cloud.glance.change(
                image.id, status='saving'
            ),
            'is saving, and Glance may be writing',
            id='an upload is under way',
        ),
        pytest.param(
            lambda cloud, image: setattr(
                cloud.glance.settings, 'show_multiple_locations', False
            ),
            'or Glance shows none',
            id='Glance shows no locations',
        ),
        pytest.param(
            lambda cloud, image: cloud.cephs['dcn0'].pool.take_snapshot(
                image.id, 'backup'
            ),
            'has other snapshots',
            id='it has another snapshot',
        ),
    ],
)
def test_an_orphan_that_may_be_in_use_is_kept(
    desk: desks.Desk,
    cloud: clouds.Cloud,
    image: images.Image,
    spoil: Any,
    reason: str,
) -> None:
    leave_orphan(cloud, image.id, 'dcn0')
    spoil(cloud, image)

    code, [found] = records(desk, image.id, 'dcn0', '--yes')

    assert code == 1
    assert (found['what'], found['outcome']) == ('orphan', 'kept')
    assert reason in found['reason']
    assert image.id in cloud.cephs['dcn0'].pool.images


def test_a_whole_copy_that_glance_does_not_know_is_kept_and_told(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    pool = cloud.cephs['dcn0'].pool
    pool.put(image.id, CONTENT, clouds.OBJECT)

    code, [found] = records(desk, image.id, 'dcn0', '--yes')

    assert (code, found['outcome']) == (1, 'kept')
    assert 'unprotect its snapshot snap first' in found['reason']
    assert pool.read(image.id) == CONTENT
    pool.unprotect(image.id, 'snap')
    assert told(desk, image.id, 'dcn0', '--yes')[0] == 0
    assert names(cloud, 'dcn0') == set()


def test_an_image_that_is_gone_is_cleaned_by_its_id(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    begin(cloud, image, 'dcn0')
    publish(cloud, image, 'dcn1')
    cloud.glance.delete(image.id)

    code, found = told(desk, image.id.upper(), '--yes')

    assert code == 0
    assert {outcome for _, _, outcome in found} == {'removed'}
    assert all(names(cloud, store) == set() for store in clouds.STORES)


def test_a_site_that_does_not_answer_is_told_and_the_others_are_cleaned(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    leave_orphan(cloud, image.id, 'dcn1')
    cloud.cephs['dcn0'].faults.fail(
        'connect', exceptions.ClusterUnavailable('no answer'), times=None
    )

    code, found = records(desk, image.id, '--yes')

    assert code == 3
    assert [(one['site'], one['outcome']) for one in found] == [
        ('central', 'kept'),
        ('dcn0', 'failed'),
        ('dcn1', 'removed'),
    ]
    assert found[1]['reason'] == 'no answer'
    assert desk.run(image.id, 'dcn0')[0] == 1


def test_sites_without_cluster_settings_are_told(capsys: Any) -> None:
    desk = desks.Desk(clean.Clean, capsys.readouterr)
    image = desk.glance.add('cirros')

    code, found = records(desk, 'cirros')

    assert code == 0
    assert {one['outcome'] for one in found} == {'unknown'}
    assert desk.run(image.id, 'dcn0')[0] == 1


@pytest.mark.parametrize(
    ('argv', 'code', 'message'),
    [
        (['nope'], 1, 'no image is called nope'),
        (['twice'], 2, '2 images are called twice; take an id:'),
        (['a', 'dcn3'], 2, 'there is no site dcn3; did you mean dcn1?'),
    ],
)
def test_what_is_not_found_is_told(
    desk: desks.Desk, argv: list[str], code: int, message: str
) -> None:
    for name in ('a', 'twice', 'twice'):
        desk.glance.add(name, size_bytes=10)

    told_code, out, err = desk.run(*argv)

    assert (told_code, out) == (code, '')
    assert err.startswith(f'dcn-distributor: {message}')
