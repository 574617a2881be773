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
"""What an authority over keys does: the fake one, and a real cluster's."""

from collections.abc import Iterator
import os
import uuid

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import authorities
from dcn_distributor.core import cephx
from lab import deployment
from tests.fakes import authorities as fakes

CAPS = {'mon': 'profile rbd', 'osd': 'profile rbd pool=images'}
OTHER_CAPS = {'mon': 'profile rbd', 'osd': 'profile rbd pool=volumes'}


@pytest.fixture(params=['fake', pytest.param('ceph', marks=pytest.mark.lab)])
def authority(
    request: pytest.FixtureRequest,
) -> Iterator[authorities.Authority]:
    if request.param == 'fake':
        yield fakes.FakeAuthority()
        return
    lab: deployment.Lab = request.getfixturevalue('running_lab')
    # Needs rados, which the fake does without.
    from dcn_distributor.clients.ceph import authority as ceph_authority

    made = ceph_authority.Authority(lab.ceph_conf(lab.sites[0]))
    yield made
    made.close()


@pytest.fixture
def name(authority: authorities.Authority) -> Iterator[str]:
    """Give the name of an entity that is removed at the end."""
    made = f'client.test-{uuid.uuid4().hex}'
    yield made
    authority.remove(made)


def _secret() -> cephx.Secret:
    return cephx.make_secret(cephx.KeyType.AES, os.urandom(16), 1_600_000_000)


def test_cluster_says_who_it_is(authority: authorities.Authority) -> None:
    assert str(uuid.UUID(authority.fsid)) == authority.fsid
    assert authority.monitors
    assert all(m.startswith('[v2:') for m in authority.monitors)
    assert cephx.KeyType.AES in authority.key_types


def test_nobody_is_found_before_it_is_made(
    authority: authorities.Authority, name: str
) -> None:
    assert authority.find(name) is None
    authority.remove(name)


def test_made_entity_is_found_and_made_once(
    authority: authorities.Authority, name: str
) -> None:
    made = authority.create(name, CAPS, None)

    assert made.name == name
    assert cephx.same_caps(made.caps, CAPS)
    assert authority.find(name) == made
    assert made in authority.list()
    assert authority.create(name, CAPS, None) == made


def test_entity_with_other_caps_is_not_made(
    authority: authorities.Authority, name: str
) -> None:
    made = authority.create(name, CAPS, None)

    with pytest.raises(exceptions.ConfigError):
        authority.create(name, OTHER_CAPS, None)

    assert authority.find(name) == made


def test_key_of_a_type_that_is_not_taken_is_refused(
    authority: authorities.Authority, name: str
) -> None:
    if cephx.KeyType.AES256K in authority.key_types:
        pytest.skip('this cluster takes all types')

    with pytest.raises(exceptions.ConfigError):
        authority.create(name, CAPS, cephx.KeyType.AES256K)

    assert authority.find(name) is None
    made = authority.create(name, CAPS, cephx.KeyType.AES)
    assert made.secret.key_type is cephx.KeyType.AES


def test_imported_entity_has_the_secret_that_was_issued(
    authority: authorities.Authority, name: str
) -> None:
    issued = cephx.Entity(name, _secret(), CAPS)

    authority.put(issued)

    assert authority.find(name) == issued
    changed = cephx.Entity(name, _secret(), OTHER_CAPS)
    authority.put(changed)
    assert authority.find(name) == changed


def test_caps_are_replaced_and_the_secret_stays(
    authority: authorities.Authority, name: str
) -> None:
    made = authority.create(name, CAPS, None)

    authority.set_caps(name, OTHER_CAPS)

    found = authority.find(name)
    assert found is not None
    assert found.secret == made.secret
    assert cephx.same_caps(found.caps, OTHER_CAPS)


def test_revoked_entity_is_gone(
    authority: authorities.Authority, name: str
) -> None:
    authority.create(name, CAPS, None)

    authority.remove(name)

    assert authority.find(name) is None
