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
"""Which agents there are, as one of them told it."""

from dcn_distributor.core import pauses
from dcn_distributor.core import rosters

WORD = pauses.Word(pauses.Kind.SITE, 'dcn0', True, 'alice', 1.0)
TOLD = {
    'host': 'ctl-0',
    'members': ['ctl-0', 'ctl-1'],
    'problem': None,
    'sites': {
        'dcn0': {'link': 'wan-north', 'owner': 'ctl-0'},
        'dcn1': {'link': 'wan-north', 'owner': 'ctl-0'},
        'dcn2': {'link': 'dcn2', 'owner': 'ctl-1'},
        'dcn3': {'link': 'dcn3', 'owner': None},
    },
    'pauses': [pauses.plain(WORD)],
    'silent': ['ctl-1'],
}


def test_each_link_has_its_agent():
    roster = rosters.read(TOLD)

    assert roster.names == ('ctl-0', 'ctl-1')
    assert roster.links_of('ctl-0') == ('wan-north',)
    assert roster.links_of('ctl-1') == ('dcn2',)
    assert roster.pauses.of(*WORD.key) == WORD


def test_what_nobody_acts_for_is_told_with_the_reason():
    assert rosters.read(TOLD).elsewhere() == {
        'dcn2': 'agent ctl-1, which has link dcn2, does not answer',
        'dcn3': 'no agent has link dcn3',
    }


def test_who_is_cut_off_says_why():
    told = {
        'members': [],
        'problem': 'etcd does not answer',
        'sites': {'dcn0': {'link': 'dcn0', 'owner': None}},
    }

    assert rosters.read(told).elsewhere() == {
        'dcn0': 'no agent has link dcn0: etcd does not answer'
    }


def test_what_is_not_as_expected_is_left_out():
    for told in (
        {},
        {'members': 'ctl-0', 'sites': [1], 'pauses': 7, 'problem': 3},
        {'sites': {'dcn0': 'x', 'dcn1': {'link': 5}}},
    ):
        assert rosters.read(told) == rosters.NOBODY
