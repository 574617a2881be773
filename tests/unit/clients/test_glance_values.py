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
"""How what Glance answers reads as values."""

from typing import Any

import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import glance_values
from dcn_distributor.core import images as core_images

ID = '3f0f1d52-4c1b-4f5e-9d0c-0c6a0b3c2f11'

# As Glance 33.0.0 answers GET /v2/images/{id}, locations cut short.
FULL = {
    'name': 'debian 12',
    'disk_format': 'raw',
    'container_format': 'bare',
    'visibility': 'public',
    'size': 104857600,
    'virtual_size': 104857600,
    'status': 'active',
    'checksum': 'd41d8cd98f00b204e9800998ecf8427e',
    'protected': True,
    'min_ram': 0,
    'min_disk': 0,
    'owner': '0d4dbd3e1d0b4f5f8f3d1e0a1b2c3d4e',
    'os_hidden': True,
    'os_hash_algo': 'sha512',
    'os_hash_value': 'cf83e1357eefb8bd',
    'id': ID,
    'created_at': '2026-11-21T22:00:00Z',
    'updated_at': '2026-11-21T22:00:01Z',
    'locations': [{'url': 'rbd://x/y/z/snap', 'metadata': {'store': 'a'}}],
    'direct_url': 'rbd://x/y/z/snap',
    'tags': ['gold', 'a,b'],
    'self': f'/v2/images/{ID}',
    'file': f'/v2/images/{ID}/file',
    'schema': '/v2/schemas/image',
    'stores': 'central,dcn0',
    'os_distro': 'debian',
    'os_glance_import_task': 'b1',
    'os_glance_importing_to_stores': 'dcn1,dcn2',
    'os_glance_failed_import': 'dcn3',
}


def test_every_attribute_finds_its_place() -> None:
    image = glance_values.from_glance(FULL)

    assert image == core_images.Image(
        id=core_images.ImageId(ID),
        name='debian 12',
        status='active',
        visibility='public',
        owner='0d4dbd3e1d0b4f5f8f3d1e0a1b2c3d4e',
        tags=frozenset({'gold', 'a,b'}),
        properties={'os_distro': 'debian'},
        disk_format='raw',
        container_format='bare',
        size_bytes=104857600,
        is_hidden=True,
        is_protected=True,
        stores=frozenset(map(core_images.StoreId, ('central', 'dcn0'))),
        importing_to=tuple(map(core_images.StoreId, ('dcn1', 'dcn2'))),
        failed_import=frozenset({core_images.StoreId('dcn3')}),
        import_task='b1',
        hash_algo='sha512',
        hash_value='cf83e1357eefb8bd',
        locations=(
            core_images.Location('rbd://x/y/z/snap', core_images.StoreId('a')),
        ),
        created_at_s=1795298400.0,
    )


def test_an_id_is_enough() -> None:
    image = glance_values.from_glance({'id': ID})

    assert image == core_images.Image(
        id=core_images.ImageId(ID),
        name='',
        status='',
        visibility='',
        owner='',
        tags=frozenset(),
        properties={},
        disk_format=None,
        container_format=None,
        size_bytes=None,
        is_hidden=False,
        is_protected=False,
        stores=frozenset(),
    )


def test_null_is_as_good_as_absent() -> None:
    nulls = {**dict.fromkeys(FULL), 'id': ID}

    assert glance_values.from_glance(nulls) == glance_values.from_glance(
        {'id': ID}
    )


ODD: dict[str, tuple[str, object, str, object]] = {
    'a name of several lines': ('name', 'a\nb', 'name', 'a\nb'),
    'a name with a right-to-left mark': (
        'name', '\u202egnp.exe', 'name', '\u202egnp.exe',
    ),
    'a name that is a number': ('name', 7, 'name', '7'),
    'a visibility to come': (
        'visibility', 'galactic', 'visibility', 'galactic',
    ),
    'a size of nothing': ('size', 0, 'size_bytes', 0),
    'a size below nothing': ('size', -1, 'size_bytes', None),
    'a size in words': ('size', 'big', 'size_bytes', None),
    'more than 2**63 bytes': ('size', 2**70, 'size_bytes', 2**70),
    'an empty format': ('disk_format', '', 'disk_format', None),
    'hidden as text': ('os_hidden', 'True', 'is_hidden', True),
    'hidden as nonsense': ('os_hidden', 'perhaps', 'is_hidden', False),
    'no tags': ('tags', [], 'tags', frozenset()),
    'tags that are no list': ('tags', 'gold', 'tags', frozenset()),
    'a tag that is null': ('tags', ['a', None], 'tags', {'a'}),
    'no store': ('stores', '', 'stores', frozenset()),
    'stores with spaces and gaps': ('stores', 'a, b,,', 'stores', {'a', 'b'}),
    'stores as a list': ('stores', ['a', 'b'], 'stores', {'a', 'b'}),
    'stores as a mapping': ('stores', {'a': 1}, 'stores', frozenset()),
    'an ended import': ('os_glance_importing_to_stores', '',
                        'importing_to', ()),
    'a lock that is empty': ('os_glance_import_task', '', 'import_task', None),
    'a property with dots and colons': (
        'hw:a.b', 'x', 'properties', {'hw:a.b': 'x'},
    ),
    'a property that is empty': ('a', '', 'properties', {'a': ''}),
    'a property that is null': ('a', None, 'properties', {}),
    'a property that is true': ('a', True, 'properties', {'a': 'true'}),
    'a property that is a number': ('a', 1.5, 'properties', {'a': '1.5'}),
    'a property that is a list': (
        'a', ['b', None], 'properties', {'a': '["b", null]'},
    ),
    'no hash yet': ('os_hash_value', None, 'hash_value', None),
    'an algorithm to come': ('os_hash_algo', 'blake3', 'hash_algo', 'blake3'),
    'locations that are none': ('locations', 'x', 'locations', None),
    'no location yet': ('locations', [], 'locations', ()),
    'a location that is none': ('locations', ['x', {}], 'locations', ()),
    'a location without store': (
        'locations', [{'url': 'rbd://x', 'metadata': {}}],
        'locations', (core_images.Location('rbd://x', None),),
    ),
    'a location without metadata': (
        'locations', [{'url': 'rbd://x', 'metadata': None}],
        'locations', (core_images.Location('rbd://x', None),),
    ),
    'a property of Glance to come': ('os_glance_x', 'y', 'properties', {}),
    'a property without a name': ('', 'x', 'properties', {'': 'x'}),
}  # fmt: skip


@pytest.mark.parametrize(
    ('key', 'value', 'attribute', 'expected'), ODD.values(), ids=ODD.keys()
)
def test_odd_attribute(
    key: str, value: object, attribute: str, expected: object
) -> None:
    image = glance_values.from_glance({'id': ID, key: value})

    assert getattr(image, attribute) == expected


@pytest.mark.parametrize('raw', [{}, {'id': None}, {'id': ''}], ids=repr)
def test_image_without_id_is_no_image(raw: dict[str, Any]) -> None:
    with pytest.raises(exceptions.GlanceUnavailable):
        glance_values.from_glance(raw)


# As Glance 33.0.0 answers GET /v2/info/stores/detail for a store; 25.1.0 has
# neither weight nor fsid.
STORE = {
    'id': 'dcn0',
    'description': 'Ceph of dcn0',
    'type': 'rbd',
    'properties': {
        'chunk_size': 8388608,
        'pool': 'images',
        'thin_provisioning': False,
        'fsid': 'a5da431e-37e3-4640-b2d8-3b166c4acc0b',
    },
    'weight': 0,
}


def test_details_of_a_store_find_their_place() -> None:
    assert glance_values.details_from_glance([STORE]) == {
        'dcn0': core_images.StoreDetails(
            chunk_bytes=8388608,
            pool='images',
            fsid='a5da431e-37e3-4640-b2d8-3b166c4acc0b',
        )
    }


@pytest.mark.parametrize(
    'properties',
    [
        pytest.param({'fsid': None}, id='its cluster was not reached'),
        pytest.param({'fsid': ''}, id='an empty one'),
    ],
)
def test_cluster_of_a_store_may_be_unknown(properties: dict[str, Any]) -> None:
    known = {'chunk_size': 4194304, 'pool': 'p'}
    raw = {**STORE, 'properties': {**known, **properties}}

    assert glance_values.details_from_glance([raw]) == {
        'dcn0': core_images.StoreDetails(4194304, 'p', None)
    }


@pytest.mark.parametrize(
    'change',
    [
        {'type': 'file'},
        {'type': None},
        {'id': None},
        {'properties': None},
        {'properties': {}},
        {'properties': {'chunk_size': 8388608}},
        {'properties': {'pool': 'images'}},
        {'properties': {'pool': 'images', 'chunk_size': 0}},
        {'properties': {'pool': 'images', 'chunk_size': 'big'}},
    ],
    ids=repr,
)
def test_store_of_which_too_little_is_told_is_left_out(
    change: dict[str, Any],
) -> None:
    stores = [{**STORE, **change}, {**STORE, 'id': 'dcn1'}]

    assert set(glance_values.details_from_glance(stores)) == {'dcn1'}


def test_what_a_task_says_is_one_line_of_bounded_length() -> None:
    said = 'Copied 7 MiB\nTraceback:\r\n' + 'x' * 9000 + '\u202e'

    task = glance_values.task_from_glance(
        {'id': 'task', 'message': said, 'created_at': '2026-01-01T00:00:00Z'}
    )

    assert task.message.startswith('Copied 7 MiB Traceback: xxx')
    assert task.message.isprintable()
    assert len(task.message) <= 500
    assert task.copied_bytes == 7 * 2**20
