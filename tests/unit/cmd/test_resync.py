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
"""dcn-distributor resync, before a cloud in memory."""

import pytest

from dcn_distributor.cmd import resync
from tests.unit.cmd import desk as desks


@pytest.fixture
def desk(capsys):
    return desks.Desk(resync.Resync, capsys.readouterr)


def test_all_images(desk):
    assert desk.run() == (
        0,
        'The agent on ctl-0 looks at all images now.\n',
        '',
    )
    assert desk.agent.asked == [()]


def test_ids_and_names(desk):
    first, second = desk.glance.add('a'), desk.glance.add('b')

    code, out, _ = desk.run('a', second.id, first.id)

    assert (code, out) == (0, 'The agent on ctl-0 looks at 2 images now.\n')
    assert desk.agent.asked == [(first.id, second.id)]


def test_no_agent_is_1(desk):
    desk.agent.is_away = True

    assert desk.run() == (
        1,
        '',
        'dcn-distributor: no agent answered within 3 s\n',
    )


@pytest.mark.parametrize(
    ('word', 'code'), [('nope', 1), ('twice', 2), ('a\x1b', 1)]
)
def test_nothing_is_asked_if_one_is_not_found(desk, word, code):
    desk.glance.add('a')
    for _ in range(2):
        desk.glance.add('twice')

    assert desk.run('a', word)[0] == code
    assert desk.agent.asked == []
