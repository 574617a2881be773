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
"""The databases of Keystone and Glance."""

import contextlib
from pathlib import Path
import sqlite3

_TIMEOUT_S = 60


def options(path: Path) -> dict[str, object]:
    """Give the group [database] for oslo.db: who comes second waits.

    Not for the disk, though: each transaction takes the lock, and with six
    clusters busy on the same disk one was held for longer than the time-out.
    Nothing is lost by that when a server is killed, only when the machine is.
    """
    return {
        'connection': f'sqlite:///{path}?timeout={_TIMEOUT_S}',
        'sqlite_synchronous': 'false',
    }


def let_readers_through(path: Path) -> None:
    """Switch to a write-ahead log, for good: it stands in the file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute('PRAGMA journal_mode = WAL')
