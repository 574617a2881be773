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
"""What is asked of tooz: which URLs will do, and who has which link."""

import importlib.util

import hypothesis
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import coordination
from dcn_distributor.clients import groups
from dcn_distributor.conf import coordination as settings

NAMES = tuple(f'controller-{number}' for number in range(6))


def options(url, lease_timeout_s=30.0):
    return settings.Coordination(url, lease_timeout_s)


def never():
    raise AssertionError('nothing has changed')


def test_agent_without_a_coordinator_is_alone():
    group = coordination.open_group(options(''), 'controller-1', never, never)

    assert isinstance(group, groups.Alone)


def test_group_is_opened_without_a_word_to_the_coordinator(tmp_path):
    group = coordination.open_group(
        options(f'file://{tmp_path}/group'), 'controller-1', never, never
    )

    assert group.problem() is not None
    assert group.owner('link') is None
    assert list(tmp_path.iterdir()) == []
    group.stop()


@pytest.mark.parametrize(
    ('url', 'lease_s'),
    [
        ('etcd3+http://127.0.0.1:2379', 30.0),
        ('etcd3+https://[::1]?ca_cert=/etc/ssl/ca.pem', 30.0),
        ('etcd3+http://127.0.0.1:2379?timeout=3', 30.0),
        ('etcd3+http://127.0.0.1:2379?membership_timeout=12', 12.0),
        ('file:///var/lib/dcn_distributor/group', 30.0),
        ('file:///var/lib/dcn_distributor/group?timeout=9', 9.0),
    ],
)
def test_url_goes_before_the_option(url, lease_s):
    assert coordination.check_url(options(url)).timeout_s == lease_s


def test_entry_never_lapses_before_its_lease():
    by_etcd = options('etcd3+http://127.0.0.1:2379', 4.5)
    by_files = options('file:///nowhere', 4.5)

    assert coordination.check_url(by_etcd).timeout_s == 4.5
    assert coordination.check_url(by_files).timeout_s == 4.5
    assert coordination.make_driver(by_etcd, 'id').membership_timeout == 5
    assert coordination.make_driver(by_files, 'id')._timeout == 5


@pytest.mark.parametrize(
    ('url', 'expected'),
    [
        ('zookeeper://HOST', 'begins with etcd3+http, etcd3+https, redis'),
        ('127.0.0.1:2379', 'begins with etcd3+http'),
        ('etcd3+http://u:secret/1@h:2379', 'not of the form etcd3+http://'),
        ('etcd3+http://h:2379?timeout=secret', 'not of the form'),
        ('etcd3+http://h?membership_timeout=2', 'at least 3 seconds'),
        ('file:///d?timeout=secret', 'not of the form file:///DIRECTORY'),
        ('file://relative/secret', 'not of the form file:///DIRECTORY'),
        ('file://', 'not of the form file:///DIRECTORY'),
        ('file:///d?timeout=2', 'timeout: expected at least 3 seconds'),
    ],
)
def test_url_that_will_not_do_is_refused_in_words(url, expected):
    with pytest.raises(exceptions.ConfigError) as caught:
        coordination.open_group(options(url), 'controller-1', never, never)

    assert '[coordination] backend_url: ' in str(caught.value)
    assert expected in str(caught.value)
    assert 'secret' not in str(caught.value)


@pytest.mark.skipif(
    importlib.util.find_spec('redis') is not None, reason='redis is installed'
)
def test_missing_library_is_named():
    with pytest.raises(exceptions.ConfigError) as caught:
        coordination.check_url(options('redis://:secret@127.0.0.1:6379'))

    assert 'needs the Python package redis' in str(caught.value)
    assert 'secret' not in str(caught.value)


def test_ring_of_nobody_has_no_owners():
    assert coordination.Ring(()).owner('link') is None


@hypothesis.given(
    st.permutations(NAMES),
    st.integers(1, len(NAMES)),
    st.text(min_size=1),
)
def test_ring_depends_on_nothing_but_who_is_in(names, count, link):
    members = names[:count]

    owner = coordination.Ring(members).owner(link)

    assert owner in members
    assert owner == coordination.Ring(sorted(members)).owner(link)


@hypothesis.given(
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
    st.text(min_size=1),
)
def test_two_that_see_each_other_never_both_take_a_link(first, second, link):
    owner = coordination.Ring(first).owner(link)
    other_owner = coordination.Ring(second).owner(link)

    see_each_other = owner in second and other_owner in first
    assert owner == other_owner or not see_each_other
