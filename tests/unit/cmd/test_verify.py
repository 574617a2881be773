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
"""dcn-distributor verify, before a cloud in memory."""

from collections.abc import Iterator
import hashlib
import json
import random
import re
from typing import Any

import pytest
import yaml

from dcn_distributor import exceptions
from dcn_distributor.cmd import verify
from dcn_distributor.core import images
from dcn_distributor.core import sites
from tests.unit.cmd import desk as desks
from tests.unit.engines.rbd_stream import clouds

CONTENT = random.Random(6).randbytes(2000) + bytes(700) + b'end'


@pytest.fixture
def cloud() -> Iterator[clouds.Cloud]:
    made = clouds.Cloud()
    yield made
    made.close()


@pytest.fixture
def desk(cloud: clouds.Cloud, capsys: Any) -> desks.Desk:
    return desks.Desk(verify.Verify, capsys.readouterr, cloud=cloud)


@pytest.fixture
def image(cloud: clouds.Cloud) -> images.Image:
    """An image with good copies at both edges."""
    made = cloud.add(CONTENT)
    for store in ('dcn0', 'dcn1'):
        copy(cloud, made, store)
    return cloud.glance.get(made.id)


def copy(cloud: clouds.Cloud, image: images.Image, store: str) -> None:
    """Make a copy, as Glance does."""
    cloud.cephs[store].pool.put(image.id, CONTENT, clouds.OBJECT)
    cloud.glance.add_location(image.id, cloud.glance.location(image.id, store))


def records(
    desk: desks.Desk, *argv: str
) -> tuple[int, dict[str, dict[str, Any]]]:
    code, out, _ = desk.run(*argv, '-f', 'json')
    return code, {one['site']: one for one in json.loads(out)}


def verdicts(desk: desks.Desk, *argv: str) -> tuple[int, dict[str, str]]:
    code, found = records(desk, *argv)
    return code, {site: one['verdict'] for site, one in found.items()}


def test_good_copies_are_0_and_nothing_is_read(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    code, out, err = desk.run(image.name)

    assert code == 0
    assert out.endswith('The same as at central: 2 of 2.\n')
    assert re.search('dcn0: comparing, [0-9]+ %, .+ of 2.6 KiB', err)
    assert all(ceph.read_bytes == 0 for ceph in cloud.cephs.values())


def test_a_damage_is_named_and_nothing_is_written(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['dcn1'].pool.flip(image.id, 777)
    damaged = cloud.cephs['dcn1'].pool.read(image.id)

    code, found = records(desk, image.id)

    assert code == 3
    assert found['dcn0']['verdict'] == 'good'
    assert found['dcn1'] == {
        'image_id': image.id,
        'site': 'dcn1',
        'store': 'dcn1',
        'verdict': 'damaged',
        'source': 'central',
        'size_bytes': len(CONTENT),
        'compared_bytes': len(CONTENT),
        'damages': found['dcn1']['damages'],
        'notes': [],
        'error': None,
    }
    [damage] = found['dcn1']['damages']
    assert damage['offset'] <= 777 < damage['offset'] + damage['length']
    assert damage['object']
    assert damage['is_repaired'] is False
    assert cloud.cephs['dcn1'].pool.read(image.id) == damaged


def test_the_table_has_the_first_damages_and_says_what_to_do(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    for offset in range(0, 500, clouds.CHUNK):
        cloud.cephs['dcn0'].pool.flip(image.id, offset)

    code, out, _ = desk.run(image.id, 'dcn0')

    assert code == 1
    assert out.count(' bytes at ') == 3
    assert '... and 5 more; see -f json' in out
    assert out.endswith(
        'The same as at central: 0 of 1.\n'
        '--repair writes what differs anew from central.\n'
    )


def test_repair_writes_the_damaged_copy_anew(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['dcn1'].pool.flip(image.id, 777)

    code, found = records(desk, image.id, '--repair')

    assert code == 0
    assert found['dcn0']['verdict'] == 'good'
    assert found['dcn1']['verdict'] == 'repaired'
    assert [one['is_repaired'] for one in found['dcn1']['damages']] == [True]
    assert cloud.cephs['dcn1'].pool.read(image.id) == CONTENT
    assert cloud.cephs['dcn0'].sent_bytes == 0
    assert cloud.strays() == []
    assert desk.run(image.id)[0] == 0


@pytest.mark.parametrize('option', [[], ['--source-hash']])
def test_nothing_is_repaired_from_a_source_that_is_not_the_image(
    desk: desks.Desk,
    cloud: clouds.Cloud,
    image: images.Image,
    option: list[str],
) -> None:
    cloud.cephs['central'].pool.flip(image.id, 5)

    code, found = records(desk, image.id, '--repair', *option)

    assert code == 1
    for site in ('dcn0', 'dcn1'):
        assert not found[site]['verdict'].startswith(('good', 'repaired'))
        assert 'the source does not hold this image' in found[site]['error']
        assert cloud.cephs[site].pool.read(image.id) == CONTENT


def test_the_hash_of_the_source_is_read_on_request(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    assert desk.run(image.id, '--source-hash')[0] == 0
    assert cloud.cephs['central'].read_bytes > 0

    for ceph in cloud.cephs.values():
        ceph.pool.flip(image.id, 5)

    assert desk.run(image.id)[0] == 0
    assert desk.run(image.id, '--source-hash')[0] == 1


def test_a_rotten_central_is_found_and_repaired_from_an_edge(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['central'].pool.flip(image.id, 5)

    assert verdicts(desk, image.id, '--source', 'dcn0', '--repair') == (
        0,
        {'central': 'repaired', 'dcn1': 'good'},
    )
    assert cloud.cephs['central'].pool.read(image.id) == CONTENT


def test_without_a_hash_in_glance_a_repair_warns(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.glance.change(image.id, hash_value=None)
    cloud.cephs['dcn1'].pool.flip(image.id, 777)

    code, _, err = desk.run(image.id, '--repair')

    assert code == 0
    assert 'warning: Glance recorded no hash of this image' in err
    assert cloud.cephs['dcn1'].pool.read(image.id) == CONTENT


def test_what_cannot_be_compared_is_told(
    desk: desks.Desk, cloud: clouds.Cloud
) -> None:
    image = cloud.add(CONTENT)
    copy(cloud, image, 'dcn0')
    copy(cloud, image, 'dcn1')
    cloud.cephs['dcn0'].faults.fail(
        'open', exceptions.ClusterUnavailable('no answer'), times=None
    )

    code, found = records(desk, image.id)

    assert code == 3
    assert found['dcn0']['verdict'] == 'not compared'
    assert found['dcn0']['error'] == 'no answer'
    assert found['dcn1']['verdict'] == 'good'


def test_a_site_without_a_copy_is_told_if_it_is_named(
    desk: desks.Desk, cloud: clouds.Cloud
) -> None:
    image = cloud.add(CONTENT)

    code, found = records(desk, image.id, 'dcn0')

    assert code == 1
    assert found['dcn0']['error'] == 'Glance lists no copy at this site'
    assert desk.run(image.id) == (
        0,
        'Glance lists image at no site but central: there is nothing to '
        'compare.\n',
        '',
    )


def test_an_image_that_is_nowhere_has_nothing_to_compare_with(
    desk: desks.Desk, cloud: clouds.Cloud
) -> None:
    image = cloud.glance.add('none', status='queued', stores=frozenset())

    assert desk.run(image.id) == (
        1,
        '',
        'dcn-distributor: Glance lists no copy of none at central, nor '
        'anywhere\n',
    )


def test_sites_without_cluster_settings_are_told(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    all_sites = cloud.all_sites()
    bare = sites.Site(sites.SiteName('dcn1'), images.StoreId('dcn1'), {})
    desk.use(
        sites.Sites(
            all_sites.central_store,
            (all_sites.edges[0], bare),
            all_sites.central_cluster,
        )
    )

    code, found = records(desk, image.id)

    assert code == 3
    assert found['dcn0']['verdict'] == 'good'
    assert found['dcn1']['error'] == (
        'sites.yaml has no cluster settings for this site'
    )
    assert desk.run(image.id, '--source', 'dcn1') == (
        2,
        '',
        'dcn-distributor: sites.yaml has no cluster settings for dcn1, so '
        'its copy cannot be read; name another with --source\n',
    )


@pytest.mark.parametrize(
    ('argv', 'code', 'message'),
    [
        (['nope'], 1, 'no image is called nope'),
        (['image', 'dcn3'], 2, 'there is no site dcn3; did you mean dcn1?'),
        (['image', '--source', 'dcn3'], 2, 'there is no site dcn3'),
        (
            ['image', 'central'],
            2,
            'central is what the others are compared with; name another with',
        ),
    ],
)
def test_what_is_not_found_is_told(
    desk: desks.Desk,
    image: images.Image,
    argv: list[str],
    code: int,
    message: str,
) -> None:
    told_code, out, err = desk.run(*argv)

    assert (told_code, out) == (code, '')
    assert err.startswith(f'dcn-distributor: {message}')


def test_a_source_without_a_copy_is_1(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.glance.delete_from_store(image.id, 'dcn0')

    code, out, err = desk.run(image.id, '--source', 'dcn0')

    assert (code, out) == (1, '')
    assert 'Glance lists no copy of image at dcn0; compare with' in err


def test_yaml_and_csv_tell_the_same(
    desk: desks.Desk, cloud: clouds.Cloud, image: images.Image
) -> None:
    cloud.cephs['dcn0'].pool.flip(image.id, 0)

    told = {
        form: desk.run(image.id, '-f', form)[1] for form in ('yaml', 'csv')
    }

    assert yaml.safe_load(told['yaml'])[0]['damages'][0]['offset'] == 0
    assert '64 bytes at 0' in told['csv']


def test_an_image_of_zeros_has_nothing_to_differ(
    desk: desks.Desk, cloud: clouds.Cloud
) -> None:
    content = bytes(1000)
    image = cloud.glance.add(
        size_bytes=len(content),
        hash_algo='sha512',
        hash_value=hashlib.sha512(content).hexdigest(),
        stores=frozenset({'central', 'dcn0'}),
    )

    assert desk.run(image.id, '--source-hash')[0] == 0
