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
"""What operators have paused outlasts restarts, damage and late clocks."""

import json
import logging

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.service import pauses
from tests.fakes import clock as clocks

SITE = all_pauses.Kind.SITE
DCN0 = SITE, 'dcn0'


class Desk:
    """One agent's book, opened again and again."""

    def __init__(self, directory):
        self.clock = clocks.Clock()
        self.path = directory / 'state' / pauses.FILE
        self.changes = 0
        self.open()

    def open(self):
        """Start the agent anew."""
        self.book = pauses.PauseBook(self.path, self.clock, self._count)
        self.book.load()
        return self.book

    def _count(self):
        self.changes += 1


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def names(book):
    return [word.name for word in book.pauses]


def test_what_was_paused_rests_after_a_restart(desk):
    said = desk.book.say(DCN0, True, 'alice', 'new switch')

    assert said.is_new
    word = desk.open().pauses.of(*DCN0)
    assert word == said.word
    assert (word.by, word.why, word.at_s) == (
        'alice',
        'new switch',
        desk.clock(),
    )
    assert desk.path.stat().st_mode & 0o777 == 0o600


def test_what_was_resumed_goes_on_after_a_restart(desk):
    desk.book.say(DCN0, True, 'alice', '')
    desk.clock.advance(1)
    desk.book.say(DCN0, False, 'bob', '')

    assert names(desk.open()) == []
    assert [word.rests for word in desk.book.words] == [False]


def test_to_say_it_twice_changes_nothing(desk):
    first = desk.book.say(DCN0, True, 'alice', '')
    desk.clock.advance(60)

    again = desk.book.say(DCN0, True, 'bob', '')

    assert (again.word, again.is_new) == (first.word, False)
    assert desk.changes == 1


def test_to_resume_what_never_rested_says_so(desk):
    assert desk.book.say(DCN0, False, 'bob', '') == pauses.Said(None, False)


def test_a_clock_that_is_behind_does_not_undo_a_resume(desk):
    ahead = all_pauses.Word(*DCN0, True, 'alice', desk.clock() + 3600)
    desk.book.hear([ahead])

    desk.book.say(DCN0, False, 'bob', '')
    desk.book.hear([ahead])

    assert names(desk.book) == []


def test_what_is_heard_is_kept_and_what_is_old_news_is_not_told(desk):
    word = all_pauses.Word(*DCN0, True, 'alice', desk.clock())

    desk.book.hear([word])
    desk.book.hear([word])

    assert desk.changes == 1
    assert names(desk.open()) == ['dcn0']


def test_words_to_go_on_are_forgotten_after_a_month(desk):
    desk.book.say(DCN0, True, 'alice', '')
    desk.clock.advance(1)
    desk.book.say(DCN0, False, 'alice', '')
    old = desk.book.words
    desk.clock.advance(31 * 86400)

    desk.book.say((SITE, 'dcn1'), True, 'alice', '')
    changes = desk.changes
    desk.book.hear(old)

    assert [word.name for word in desk.book.words] == ['dcn1']
    assert desk.changes == changes


@pytest.mark.parametrize(
    'content',
    [b'', b'{"version": 1, "wor', b'\xff', b'[]', b'{"version": 2}', b'[' * 9],
    ids=['empty', 'cut', 'binary', 'list', 'newer', 'deep'],
)
def test_a_damaged_file_is_set_aside(desk, content, caplog):
    desk.path.parent.mkdir()
    desk.path.write_bytes(content)

    with caplog.at_level(logging.ERROR):
        desk.open()

    aside = desk.path.with_name('pauses.json.broken')
    assert aside.read_bytes() == content
    assert 'is damaged' in caplog.text
    assert desk.book.say(DCN0, True, 'alice', '').is_new
    assert names(desk.open()) == ['dcn0']


def test_of_a_damaged_file_what_can_be_read_counts(desk):
    desk.book.say(DCN0, True, 'alice', '')
    document = json.loads(desk.path.read_text())
    document['words'].append({'kind': 'continent', 'name': 'asia'})
    desk.path.write_text(json.dumps(document))

    assert names(desk.open()) == ['dcn0']
    assert names(desk.open()) == ['dcn0']


def test_a_word_that_cannot_be_kept_is_refused(desk):
    desk.path.parent.write_text('a file where the directory should be')

    with pytest.raises(exceptions.ConfigError, match='cannot be written'):
        desk.book.say(DCN0, True, 'alice', '')

    assert names(desk.book) == []
    assert desk.changes == 0


def test_a_word_of_another_agent_counts_though_it_cannot_be_kept(desk, caplog):
    desk.path.parent.write_text('a file where the directory should be')

    with caplog.at_level(logging.ERROR):
        desk.book.hear([all_pauses.Word(*DCN0, True, 'a', desk.clock())])

    assert names(desk.book) == ['dcn0']
    assert 'not kept over a restart' in caplog.text
