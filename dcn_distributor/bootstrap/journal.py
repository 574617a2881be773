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
"""Which steps were done, and with what: so that nothing is done twice.

A step counts as done for as long as its command line and its files are what
they were. Nothing in the journal is secret: of files it has a digest.
"""

from collections.abc import Mapping
import dataclasses
import enum
import hashlib
import json
from pathlib import Path
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.conf import whole_files
from dcn_distributor.core import procedures
from dcn_distributor.core import renderings

_VERSION = 1


class State(enum.Enum):
    """Whether a step was done."""

    DONE = 'done'
    TO_DO = 'to do'
    CHANGED = 'to do again: its files or command have changed'


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A step that was done.

    :ivar digest: of its command line and files
    :ivar ended: when, as ISO 8601
    """

    digest: str
    ended: str


def digest(step: procedures.Step, files: Mapping[str, renderings.File]) -> str:
    """Work out what a step is done with."""
    hashed = hashlib.sha256(json.dumps(step.argv).encode())
    for path in step.files:
        text = files[path].text if path in files else ''
        hashed.update(
            json.dumps(
                [path, hashlib.sha256(text.encode()).hexdigest()]
            ).encode()
        )
    return hashed.hexdigest()


class Journal:
    """The file. It lies beside that of the secrets."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._entries: dict[str, Entry] = {}

    def load(self) -> None:
        """Read it; nothing if it is not there. Raises ConfigError."""
        try:
            document = json.loads(self._path.read_bytes())
            self._entries = _decode(document)
        except FileNotFoundError:
            self._entries = {}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise exceptions.ConfigError(
                f'{self._path}: it is not what was written there, or cannot '
                f'be read ({exc}); move it away to have all steps done again'
            ) from exc

    def has(self, name: str) -> bool:
        """Tell whether a step of this name was ever done."""
        return name in self._entries

    def state(self, step: procedures.Step, now_digest: str) -> State:
        """Tell whether a step was done as it would be now."""
        entry = self._entries.get(step.name)
        if entry is None:
            return State.TO_DO
        return State.DONE if entry.digest == now_digest else State.CHANGED

    def note(self, step: procedures.Step, now_digest: str, ended: str) -> None:
        """Write down that a step was done. Raises ConfigError."""
        self._entries[step.name] = Entry(now_digest, ended)
        document = {
            'version': _VERSION,
            'steps': {
                name: dataclasses.asdict(entry)
                for name, entry in self._entries.items()
            },
        }
        text = json.dumps(document, indent=2) + '\n'
        whole_files.write(self._path, text, 0o644)


def _decode(document: Any) -> dict[str, Entry]:
    if document['version'] != _VERSION:
        raise ValueError(f'version {document["version"]}')
    return {
        name: Entry(entry['digest'], entry['ended'])
        for name, entry in document['steps'].items()
    }
