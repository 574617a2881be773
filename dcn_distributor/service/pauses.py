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
"""What operators have paused and held, kept over restarts.

Each agent keeps all words of operators in a file of its own, and tells them
to the others: see core.pauses, and clients.bus.fellows.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import threading

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.conf import whole_files
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import text

LOG = log.getLogger(__name__)

FILE = 'pauses.json'

_VERSION = 1

# An agent that was away for longer may bring back what was to go on since.
_REMEMBERED_S = 30 * 86400.0

# Of two agents' clocks the later word's may be behind.
_STEP_S = 0.001


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What came of a word.

    :ivar word: the last one on it; None if there never was one
    :ivar is_new: whether it changed anything
    """

    word: all_pauses.Word | None
    is_new: bool


class PauseBook:
    """See the module. Every method may be called from any thread.

    :param path: the file; its directory is made if it lacks
    :param clock: seconds since the epoch
    :param on_change: called after each change
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_change = on_change
        self._changing = threading.Lock()
        self._pauses = all_pauses.NONE

    @property
    def pauses(self) -> all_pauses.Pauses:
        """What rests at this moment."""
        return self._pauses

    @property
    def words(self) -> Sequence[all_pauses.Word]:
        """All last words, those to go on included, for the other agents."""
        return tuple(self._pauses.words.values())

    def load(self) -> None:
        """Read the file. One that is damaged is set aside."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as exc:
            LOG.error(
                '%s cannot be read (%s): what operators have paused is not '
                'known unless another agent tells it',
                self._path,
                exc.strerror,
            )
            return
        words = _decode(content)
        with self._changing:
            self._pauses = self._pauses.merged(
                [word for word in words if word is not None]
            )
        if None in words:
            self._set_aside()

    def say(self, key: all_pauses.Key, rests: bool, by: str, why: str) -> Said:
        """Have something rest, or go on.

        What rests already rests on by the word it has. Raises ConfigError if
        the word cannot be kept; then it does not count.
        """
        with self._changing:
            now = self._clock()
            known = self._pauses.words.get(key)
            if rests == (known is not None and known.rests):
                return Said(known, is_new=False)
            at_s = now if known is None else max(now, known.at_s + _STEP_S)
            word = all_pauses.Word(*key, rests, by, at_s, why)
            fresh = self._with([word], now)
            self._write(fresh)
            self._pauses = fresh
        LOG.info('%s', _told(word))
        self._on_change()
        return Said(word, is_new=True)

    def hear(self, words: Iterable[all_pauses.Word]) -> None:
        """Take in what another agent told."""
        with self._changing:
            fresh = self._with(words, self._clock())
            if fresh.words == self._pauses.words:
                return
            try:
                self._write(fresh)
            except exceptions.ConfigError as exc:
                LOG.error(
                    'What operators have paused is not kept over a restart: '
                    '%s',
                    exc,
                )
            news = set(fresh.words.values()) - set(self._pauses.words.values())
            self._pauses = fresh
        for word in news:
            LOG.info('Another agent says: %s', _told(word))
        self._on_change()

    def _with(
        self, words: Iterable[all_pauses.Word], now: float
    ) -> all_pauses.Pauses:
        merged = self._pauses.merged(words)
        return merged.without_old(now - _REMEMBERED_S)

    def _write(self, fresh: all_pauses.Pauses) -> None:
        words = [all_pauses.plain(word) for word in fresh.words.values()]
        document = {'version': _VERSION, 'words': words}
        content = json.dumps(document, indent=2) + '\n'
        whole_files.write(self._path, content, 0o600)

    def _set_aside(self) -> None:
        broken = self._path.with_name(f'{self._path.name}.broken')
        LOG.error(
            '%s is damaged, and set aside as %s. %d of its words could be '
            'read; pause again what is missing in dcn-distributor pauses',
            self._path,
            broken,
            len(self._pauses.words),
        )
        try:
            self._path.replace(broken)
            if self._pauses.words:
                self._write(self._pauses)
        except (OSError, exceptions.ConfigError) as exc:
            LOG.error('%s stays as it is: %s', self._path, exc)


def _decode(content: bytes) -> list[all_pauses.Word | None]:
    """Read the words; None in the place of what is damaged."""
    try:
        document = json.loads(content)
        if document['version'] != _VERSION:
            return [None]
        return [all_pauses.from_plain(value) for value in document['words']]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [None]


def _told(word: all_pauses.Word) -> str:
    """Write a word for the log."""
    if word.rests:
        return word.reason()
    name, by = text.show(word.name), text.show(word.by)
    return f'{word.kind.value} {name} goes on, by {by}'
