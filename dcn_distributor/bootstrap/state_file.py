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
"""The file that keeps issued secrets: one, and for its owner only.

What is lost with it are secrets of clusters that are not there yet; those of
others can be read from them again.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import json
import os
from pathlib import Path
import stat
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.conf import whole_files
from dcn_distributor.core import cephx
from dcn_distributor.core import rings
from dcn_distributor.core import sites

_VERSION = 1
_TOO_WIDE = stat.S_IRWXG | stat.S_IRWXO


class StateFile:
    """See the module."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def load(self) -> rings.Ring:
        """Read it; nothing if it is not there. Raises ConfigError."""
        try:
            with self._path.open('rb') as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except FileNotFoundError:
            return rings.Ring()
        except OSError as exc:
            raise self._error(f'cannot be read: {exc.strerror}') from exc
        if mode & _TOO_WIDE:
            raise self._error(
                f'others can read it (mode {stat.S_IMODE(mode):o}), and it '
                f'holds secrets: chmod 600 {self._path}; rotate the keys if '
                'somebody may have'
            )
        try:
            return _decode(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            # The error may quote what it could not read.
            raise self._error(
                'it is not what was written there; bring back a copy of it, '
                "or move it away and have 'bootstrap keys' read the keys of "
                'the clusters again'
            ) from exc

    def save(self, ring: rings.Ring) -> None:
        """Write it as a whole, or not at all. Raises ConfigError."""
        text = json.dumps(_encode(ring), indent=2, sort_keys=True) + '\n'
        whole_files.write(self._path, text, 0o600)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs away. Raises ConfigError while another has it."""
        path = self._path.with_name(f'{self._path.name}.lock')
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise self._error(f'cannot be locked: {exc.strerror}') from exc
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                if exc.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise self._error(
                    'another bootstrap is at work with it'
                ) from exc
            yield
        finally:
            os.close(number)

    def _error(self, message: str) -> exceptions.ConfigError:
        return exceptions.ConfigError(f'{self._path}: {message}')


def _encode(ring: rings.Ring) -> dict[str, Any]:
    return {
        'version': _VERSION,
        'clusters': {
            site: {
                'fsid': known.fsid,
                'monitors': list(known.monitors),
                'entities': {
                    grant: _encode_entity(entity)
                    for grant, entity in known.entities.items()
                },
                'retiring': {
                    grant: [_encode_entity(entity) for entity in entities]
                    for grant, entities in known.retiring.items()
                },
                'successors': dict(known.successors),
            }
            for site, known in ring.clusters.items()
        },
    }


def _encode_entity(entity: cephx.Entity) -> dict[str, Any]:
    return {
        'name': entity.name,
        'key': entity.secret.text,
        'caps': dict(entity.caps),
    }


def _decode(document: dict[str, Any]) -> rings.Ring:
    if document['version'] != _VERSION:
        raise ValueError(f'version {document["version"]}')
    return rings.Ring(
        {
            sites.SiteName(site): rings.Known(
                known['fsid'],
                tuple(known['monitors']),
                {
                    grant: _decode_entity(entity)
                    for grant, entity in known['entities'].items()
                },
                {
                    grant: tuple(map(_decode_entity, entities))
                    for grant, entities in known['retiring'].items()
                },
                known['successors'],
            )
            for site, known in document['clusters'].items()
        }
    )


def _decode_entity(entity: dict[str, Any]) -> cephx.Entity:
    return cephx.Entity(
        entity['name'], cephx.parse_secret(entity['key']), entity['caps']
    )
