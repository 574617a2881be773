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
"""cephx: secrets that are checked but never told, and keyrings."""

import base64
import dataclasses
import shutil
import struct
import subprocess
import traceback

import hypothesis
from hypothesis import strategies
import pytest

from dcn_distributor.core import cephx

# Secrets of a cluster that was thrown away long ago.
OLD = (
    'AQDY215eAAAAABAAv+R9oML+7c8FFygX7eUWrQ==',
    'AQCSH19eAAAAABAAi1MVKfoJv5dcdWsQd4OG+Q==',
)
NOW_S = 1_583_274_968


@strategies.composite
def secrets(draw):
    key_type = draw(strategies.sampled_from(cephx.KeyType))
    size = key_type.key_bytes
    key = draw(strategies.binary(min_size=size, max_size=size))
    return cephx.make_secret(
        key_type, key, draw(strategies.integers(0, (1 << 32) - 1))
    )


_WORDS = strategies.text(
    strategies.characters(codec='utf-8', categories=('L', 'N', 'P', 'S')),
    min_size=1,
)
CAPS = strategies.dictionaries(
    strategies.sampled_from(('mon', 'osd', 'mgr', 'mds')),
    strategies.lists(_WORDS, min_size=1).map(' '.join),
)
NAMES = strategies.from_regex(r'client\.[A-Za-z0-9_.-]{1,20}', fullmatch=True)
ENTITIES = strategies.builds(cephx.Entity, NAMES, secrets(), CAPS)


@pytest.mark.parametrize('text', OLD)
def test_real_secrets_are_aes(text):
    assert cephx.parse_secret(text).key_type is cephx.KeyType.AES


def test_secret_has_type_time_and_length_before_the_key():
    secret = cephx.make_secret(cephx.KeyType.AES256K, b'k' * 32, NOW_S)

    raw = base64.b64decode(secret.text)
    assert struct.unpack('<HIIH32s', raw) == (2, NOW_S, 0, 32, b'k' * 32)
    assert (len(secret.text), secret.text[:2]) == (60, 'Ag')
    assert secret.text.endswith('=')
    assert secret.key_type is cephx.KeyType.AES256K


@pytest.mark.parametrize('key_type', cephx.KeyType)
def test_key_of_another_length_is_refused(key_type):
    with pytest.raises(ValueError, match=f'for {key_type.word}, found 24'):
        cephx.make_secret(key_type, b'k' * 24, NOW_S)


@hypothesis.given(secrets())
def test_every_secret_that_is_made_can_be_read(secret):
    assert cephx.parse_secret(secret.text) == secret


@hypothesis.given(secrets(), strategies.data())
def test_secret_with_letters_missing_is_refused_and_not_told(secret, data):
    start = data.draw(strategies.integers(0, len(secret.text) - 1))
    end = data.draw(strategies.integers(start + 1, len(secret.text)))
    damaged = secret.text[:start] + secret.text[end:]

    with pytest.raises(ValueError) as raised:
        cephx.parse_secret(damaged)

    _assert_untold(raised.value, damaged)


@pytest.mark.parametrize(
    'damage',
    [
        lambda text: text + 'AAAA',
        lambda text: text + '\n',
        lambda text: ' ' + text,
        lambda text: text[:20] + 'é' + text[21:],
        lambda text: text[:20] + '!' + text[21:],
        lambda text: text.replace('rQ==', 'rR=='),
        lambda text: 'AwDY' + text[4:],
        lambda text: 'AgDY' + text[4:],
        lambda text: text.rstrip('='),
        lambda text: base64.b64encode(b'a password that is none').decode(),
        lambda text: '',
    ],
    ids=[
        'longer',
        'line end',
        'space',
        'no ASCII',
        'not of base64',
        'bits nobody reads',
        'unknown type',
        'length of another type',
        'no padding',
        'base64 of something else',
        'nothing',
    ],
)
def test_damaged_secret_is_refused_and_not_told(damage):
    damaged = damage(OLD[0])

    with pytest.raises(ValueError) as raised:
        cephx.parse_secret(damaged)

    _assert_untold(raised.value, damaged)


def _assert_untold(raised, secret):
    """Look for the secret, or eight letters of it, in all that is printed."""
    # Not for lines of code, which are printed too.
    told = ''.join(traceback.format_exception_only(raised))
    chained = raised.__cause__ or (
        None if raised.__suppress_context__ else raised.__context__
    )
    assert chained is None
    assert not any(
        secret[at : at + 8] in told for at in range(max(0, len(secret) - 7))
    )


@hypothesis.given(ENTITIES)
def test_secrets_are_not_printed(entity):
    printed = f'{entity} {entity!r} {entity.secret} {entity.secret!r}'

    assert entity.secret.text not in printed


@hypothesis.given(
    strategies.lists(ENTITIES, max_size=4, unique_by=lambda e: e.name)
)
def test_keyring_with_caps_is_read_back(entities):
    text = cephx.keyring(entities, with_caps=True)

    assert cephx.parse_keyring(text) == tuple(entities)


@hypothesis.given(ENTITIES)
def test_keyring_without_caps_has_nothing_but_the_key(entity):
    text = cephx.keyring([entity])

    assert text == f'[{entity.name}]\n\tkey = {entity.secret.text}\n'
    assert cephx.parse_keyring(text) == (dataclasses.replace(entity, caps={}),)


@pytest.mark.skipif(
    shutil.which('ceph-authtool') is None, reason='no ceph-authtool here'
)
@pytest.mark.parametrize(
    'caps',
    [
        'profile rbd pool=images, profile rbd pool=vms',
        'allow command "config get"',
        'allow r; allow command "a#b"',
        'allow command "a" with key regex "^a\\.b$"',
    ],
)
def test_ceph_reads_what_is_written_and_writes_what_is_read(tmp_path, caps):
    entity = cephx.Entity('client.a', cephx.Secret(OLD[0]), {'osd': caps})
    ours, theirs = tmp_path / 'ours', tmp_path / 'theirs'
    ours.write_text(cephx.keyring([entity], with_caps=True))
    tool = ('ceph-authtool', '--create-keyring', theirs)

    subprocess.run((*tool, '--import-keyring', ours), check=True)

    assert cephx.parse_keyring(theirs.read_text()) == (entity,)


def test_the_key_of_monitors_has_no_name_of_its_own():
    [entity] = cephx.parse_keyring(f'[mon.]\n\tkey = {OLD[0]}\n')

    assert entity.name == 'mon.'


def test_lines_go_on_after_a_backslash():
    text = f'[client.a]\nkey = \\\n{OLD[0]}\ncaps mon = "allow \\\nr"\n'

    [entity] = cephx.parse_keyring(text)

    assert entity == cephx.Entity(
        'client.a', cephx.Secret(OLD[0]), {'mon': 'allow r'}
    )
    with pytest.raises(ValueError, match='line 6 is not'):
        cephx.parse_keyring(text + 'x')


def test_line_end_in_caps_adds_no_line():
    entity = cephx.Entity(
        'client.a',
        cephx.Secret(OLD[0]),
        {'mon': 'allow r\n[client.admin]\nkey = x'},
    )

    [read] = cephx.parse_keyring(cephx.keyring([entity], with_caps=True))

    assert read.caps == {'mon': 'allow r [client.admin] key = x'}


@pytest.mark.parametrize(
    ('text', 'caps'),
    [
        pytest.param(
            f'[client.glance]\n\tkey = {OLD[0]}\n'
            '\tcaps mgr = "allow *"\n\tcaps mon = "profile rbd"\n',
            {'mgr': 'allow *', 'mon': 'profile rbd'},
            id='as ceph auth get prints it',
        ),
        pytest.param(
            f'[client.glance]\n   key = "{OLD[0]}"\n   caps mgr = allow *\n'
            '   caps osd = profile rbd pool=vms, profile rbd pool=images\n',
            {
                'mgr': 'allow *',
                'osd': 'profile rbd pool=vms, profile rbd pool=images',
            },
            id='as tripleo_ceph_client writes it',
        ),
        pytest.param(
            f'# of ours\n[client.glance]\nkey={OLD[0]} ; the old one\n'
            'caps_mon = "allow r" # all may\n\n; end\n',
            {'mon': 'allow r'},
            id='with comments and underscores',
        ),
        pytest.param(
            f'[client.glance]\nkey = {OLD[0]}\n'
            'caps mon = allow r \\; allow w ; not x\n',
            {'mon': 'allow r ; allow w'},
            id='with an escaped semicolon',
        ),
        pytest.param(
            f'[client.glance]\nkey = {OLD[0]}\nauid = 18446744073709551615\n'
            'caps mon = "allow command \\"config get\\""\n',
            {'mon': 'allow command "config get"'},
            id='with quotes in caps and an auid',
        ),
    ],
)
def test_keyrings_of_others_are_read(text, caps):
    assert cephx.parse_keyring(text) == (
        cephx.Entity('client.glance', cephx.Secret(OLD[0]), caps),
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (f'key = {OLD[0]}\n', 'line 1 is not one of a keyring'),
        (f'[client.a]\n{OLD[0][:-2]}\n', 'line 2 is not'),
        (f'[client.a]\nkey = "{OLD[0]}\n', 'line 2 is not'),
        (f'[client.a]\nkey = {OLD[0][1:]}\n', r'\[client.a\]: not a cephx'),
        ('[client.a]\ncaps mon = "allow r"\n', r'\[client.a\] has no key'),
        (f'[global]\nkey = {OLD[0]}\n', "found 'global'"),
        (f'[client.a b]\nkey = {OLD[0]}\n', "found 'client.a b'"),
    ],
)
def test_what_is_no_keyring_is_refused_and_not_told(text, message):
    with pytest.raises(ValueError, match=message) as raised:
        cephx.parse_keyring(text)

    _assert_untold(raised.value, OLD[0])


@pytest.mark.parametrize(
    ('one', 'other', 'are_same'),
    [
        ({'mon': 'allow r'}, {'mon': ' allow  r '}, True),
        (
            {'osd': 'profile rbd pool=a,profile rbd pool=b'},
            {'osd': 'profile rbd pool=b; profile rbd pool=a'},
            True,
        ),
        ({'mon': 'allow r', 'mds': ''}, {'mon': 'allow r'}, True),
        ({'mon': 'allow r'}, {'mon': 'allow rw'}, False),
        ({'mon': 'allow r'}, {'osd': 'allow r'}, False),
        ({'mon': 'allow r, allow w'}, {'mon': 'allow r'}, False),
        ({'mon': 'allow r'}, {}, False),
    ],
)
def test_caps_are_compared_by_what_they_grant(one, other, are_same):
    assert cephx.same_caps(one, other) is are_same
    assert cephx.same_caps(other, one) is are_same


def test_user_is_the_entity_without_its_type():
    entity = cephx.Entity('client.glance', cephx.Secret(OLD[0]), {})

    assert entity.user == 'glance'
