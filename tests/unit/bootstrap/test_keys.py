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
"""Keys are issued once, handed over, and nothing is lost on the way."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import handover
from dcn_distributor.bootstrap import keys
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from tests.fakes import authorities
from tests.unit.bootstrap import samples

CLOUD = samples.load('multi-ceph')
SITE = CLOUD.site('dcn0')
WANTED = grants.of_cluster(CLOUD, SITE)
GRANT = WANTED[0]


def _make(key_type: cephx.KeyType) -> cephx.Secret:
    return cephx.make_secret(key_type, bytes(key_type.key_bytes), 1)


def _issue(
    known: rings.Known, authority: authorities.FakeAuthority | None
) -> rings.Known:
    for change in keys.due(keys.work_out(SITE, WANTED, known, authority)):
        known = keys.apply(change, known, authority, _make, None)
    return known


def _rotate(
    known: rings.Known, authority: authorities.FakeAuthority
) -> rings.Known:
    known = handover.choose_successor(GRANT, known, authority)
    return handover.rotate(GRANT, known, authority, None)


def _actions(
    known: rings.Known, authority: authorities.FakeAuthority | None
) -> set[keys.Action]:
    return {
        change.action
        for change in keys.work_out(SITE, WANTED, known, authority)
    }


def _agree(known: rings.Known, authority: authorities.FakeAuthority) -> bool:
    return all(
        authority.find(known.entities[grant.entity].name)
        == known.entities[grant.entity]
        for grant in WANTED
    )


@pytest.mark.parametrize('is_there', [True, False])
def test_second_run_changes_nothing(is_there: bool) -> None:
    authority = authorities.FakeAuthority() if is_there else None

    known = _issue(rings.Known(), authority)

    assert set(known.entities) == {grant.entity for grant in WANTED}
    assert _actions(known, authority) == {keys.Action.NONE}
    assert _issue(known, authority) == known


def test_secret_made_ahead_is_imported_when_the_cluster_is_there() -> None:
    known = _issue(rings.Known(), None)
    authority = authorities.FakeAuthority()

    assert _actions(known, authority) == {keys.Action.IMPORT}
    assert _issue(known, authority) == known
    assert _agree(known, authority)


def test_what_a_cluster_has_already_is_kept() -> None:
    authority = authorities.FakeAuthority()
    present = authority.create(GRANT.entity, GRANT.caps, None)

    known = _issue(rings.Known(), authority)

    assert known.entities[GRANT.entity] == present
    assert _agree(known, authority)


def test_cluster_is_believed_if_its_secret_is_another() -> None:
    authority = authorities.FakeAuthority()
    known = _issue(rings.Known(), authority)
    other = cephx.Entity(GRANT.entity, _make(cephx.KeyType.AES), GRANT.caps)
    authority.put(other)

    assert keys.Action.RENEW in _actions(known, authority)
    known = _issue(known, authority)

    assert known.entities[GRANT.entity] == other


def test_caps_that_lack_are_added_and_others_are_left() -> None:
    authority = authorities.FakeAuthority()
    known = _issue(rings.Known(), authority)
    authority.set_caps(GRANT.entity, {'mds': 'allow rw', 'mon': 'allow r'})

    (change,) = keys.due(keys.work_out(SITE, WANTED, known, authority))
    assert change.action is keys.Action.SET_CAPS
    assert "mds 'allow rw'" in change.detail
    assert 'profile rbd pool=images' in change.detail
    known = _issue(known, authority)

    found = authority.find(GRANT.entity)
    assert found is not None
    joined = {'mds': 'allow rw', 'mon': 'allow r, profile rbd'}
    expected = {**GRANT.caps, **joined}
    assert cephx.same_caps(found.caps, expected)
    assert known.entities[GRANT.entity] == found
    assert _actions(known, authority) == {
        keys.Action.NONE,
        keys.Action.MORE_CAPS,
    }


def test_caps_are_taken_away_on_request_only() -> None:
    authority = authorities.FakeAuthority()
    wide = {**GRANT.caps, 'mds': 'allow rw'}
    authority.create(GRANT.entity, wide, None)
    known = _issue(rings.Known(), authority)
    found = authority.find(GRANT.entity)
    assert found is not None
    assert cephx.same_caps(found.caps, wide)

    for change in keys.work_out(
        SITE, WANTED, known, authority, is_narrow=True
    ):
        known = keys.apply(change, known, authority, _make, None)

    found = authority.find(GRANT.entity)
    assert found is not None
    assert cephx.same_caps(found.caps, GRANT.caps)
    assert known.entities[GRANT.entity] == found
    assert _actions(known, authority) == {keys.Action.NONE}


def test_key_that_was_revoked_elsewhere_is_not_brought_back() -> None:
    authority = authorities.FakeAuthority()
    known = keys.facts(_issue(rings.Known(), authority), authority)
    authority.remove(GRANT.entity)

    assert keys.Action.GONE in _actions(known, authority)
    _issue(known, authority)

    assert authority.find(GRANT.entity) is None


def test_adopted_key_of_another_type_than_asked_is_refused() -> None:
    assert SITE.ceph is not None
    new = dataclasses.replace(SITE.ceph, key_type=cephx.KeyType.AES256K)
    site = dataclasses.replace(SITE, ceph=new)
    authority = authorities.FakeAuthority()
    authority.create(GRANT.entity, GRANT.caps, None)

    with pytest.raises(exceptions.ConfigError, match='has a key of type aes'):
        keys.work_out(site, WANTED, rings.Known(), authority)


def test_what_nobody_needs_any_more_is_named_and_can_be_revoked() -> None:
    authority = authorities.FakeAuthority()
    known = _issue(rings.Known(), authority)
    known = known.with_entity(
        authority.create('client.once', GRANT.caps, None)
    )

    (named,) = [
        change
        for change in keys.work_out(SITE, WANTED, known, authority)
        if change.action is keys.Action.UNWANTED
    ]
    assert named.entity == 'client.once'
    known = handover.give_up(named.grant, known)
    known = handover.retire(named.grant, known, authority)

    assert authority.find('client.once') is None
    assert _agree(known, authority)


def test_key_of_an_external_cluster_is_not_invented() -> None:
    cloud = samples.load('external-ceph')
    site = cloud.site('dcn1')

    with pytest.raises(exceptions.ConfigError, match='administrator'):
        keys.work_out(
            site, grants.of_cluster(cloud, site), rings.Known(), None
        )


def test_both_keys_serve_until_the_old_one_is_retired() -> None:
    authority = authorities.FakeAuthority()
    before = _issue(rings.Known(), authority)

    known = _rotate(before, authority)

    old, new = before.entities[GRANT.entity], known.entities[GRANT.entity]
    assert old.secret != new.secret
    assert cephx.same_caps(old.caps, new.caps)
    assert authority.find(old.name) == old
    assert authority.find(new.name) == new
    assert _actions(known, authority) == {keys.Action.NONE}

    known = handover.retire(GRANT, known, authority)

    assert authority.find(old.name) is None
    assert authority.find(new.name) == new
    assert not known.retiring
    assert handover.retire(GRANT, known, authority) == known


def test_rotation_waits_for_the_one_before_it() -> None:
    authority = authorities.FakeAuthority()
    known = _rotate(_issue(rings.Known(), authority), authority)

    with pytest.raises(exceptions.ConfigError, match='still has to be'):
        handover.choose_successor(GRANT, known, authority)


def test_rotation_that_was_cut_off_gives_the_same_successor() -> None:
    authority = authorities.FakeAuthority()
    before = _issue(rings.Known(), authority)
    chosen = handover.choose_successor(GRANT, before, authority)
    authority.fault = exceptions.ClusterUnavailable('the answer is lost')
    with pytest.raises(exceptions.ClusterUnavailable):
        handover.rotate(GRANT, chosen, authority, None)

    known = _rotate(chosen, authority)

    names = {n for n in authority.entities if n.startswith(GRANT.entity)}
    assert names == {GRANT.entity, keys.current(GRANT, known)}
    assert not known.successors


def test_key_that_somebody_may_have_is_never_taken_for_a_successor() -> None:
    """As one that was retired, if the state was lost since."""
    authority = authorities.FakeAuthority()
    known = _issue(rings.Known(), authority)
    stranger = authority.create(f'{GRANT.entity}-r1', GRANT.caps, None)

    known = _rotate(known, authority)

    assert keys.current(GRANT, known) == f'{GRANT.entity}-r2'
    assert authority.find(stranger.name) == stranger


@given(st.integers(1, 12))
def test_successors_are_numbered(times: int) -> None:
    authority = authorities.FakeAuthority()
    known = _issue(rings.Known(), authority)
    for _ in range(times):
        known = _rotate(known, authority)
        known = handover.retire(GRANT, known, authority)

    assert keys.current(GRANT, known) == f'{GRANT.entity}-r{times}'
    mine = [n for n in authority.entities if n.startswith(GRANT.entity)]
    assert mine == [keys.current(GRANT, known)]


@pytest.mark.parametrize('name', ['client.a', 'client.a-r', 'client.a-rx1'])
def test_names_that_only_look_like_successors_get_one(name: str) -> None:
    assert handover.successor(name) == f'{name}-r1'


def test_revoked_key_is_gone_with_all_before_it() -> None:
    authority = authorities.FakeAuthority()
    known = _rotate(_issue(rings.Known(), authority), authority)

    known = handover.give_up(GRANT, known)
    assert GRANT.entity not in known.entities
    known = handover.retire(GRANT, known, authority)

    assert not [n for n in authority.entities if n.startswith(GRANT.entity)]
    other = WANTED[1].entity
    assert authority.find(other) == known.entities[other]


def test_secret_is_replaced_by_a_keyring_on_request_only() -> None:
    known = _issue(rings.Known(), None)
    other = cephx.Entity(GRANT.entity, samples.secret('other'), {})

    with pytest.raises(exceptions.ConfigError, match='--replace'):
        keys.take(WANTED, known, (other,))

    taken, names = keys.take(WANTED, known, (other,), may_replace=True)
    assert names == (GRANT.entity,)
    assert taken.entities[GRANT.entity].secret == other.secret


@pytest.mark.parametrize('steps', range(1, 4))
def test_run_that_was_cut_off_goes_on_where_it_stopped(steps: int) -> None:
    authority = authorities.FakeAuthority()
    known = rings.Known()
    changes = list(keys.due(keys.work_out(SITE, WANTED, known, authority)))
    for change in changes[: steps - 1]:
        known = keys.apply(change, known, authority, _make, None)
    if steps <= len(changes):
        authority.fault = exceptions.ClusterUnavailable('the answer is lost')
        with pytest.raises(exceptions.ClusterUnavailable):
            keys.apply(changes[steps - 1], known, authority, _make, None)

    known = _issue(known, authority)

    assert _agree(known, authority)
    assert len(authority.entities) == len(WANTED)


def test_type_of_key_must_be_one_that_the_cluster_takes() -> None:
    assert SITE.ceph is not None
    new = dataclasses.replace(SITE.ceph, key_type=cephx.KeyType.AES256K)
    site = dataclasses.replace(SITE, ceph=new)
    both = authorities.FakeAuthority(
        key_types=(cephx.KeyType.AES256K, cephx.KeyType.AES)
    )

    with pytest.raises(exceptions.ConfigError, match='takes keys of type aes'):
        keys.choose_type(site, authorities.FakeAuthority())

    assert keys.choose_type(site, both) is cephx.KeyType.AES256K
    assert keys.choose_type(SITE, both) is None
