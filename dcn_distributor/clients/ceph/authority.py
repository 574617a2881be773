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
"""core.authorities.Authority by commands to the monitors.

They go to the monitors as JSON, with secrets in the input: never on a
command line.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import errno
import json
import math
from typing import Any

import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import errors
from dcn_distributor.core import cephx

_TIMEOUT_S = 15.0


class Authority:
    """See core.authorities.

    :param conf: the path of a ceph.conf that names the keyring of `user`
    :param user: without ``client.``
    """

    def __init__(
        self, conf: str, user: str = 'admin', timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._conf = conf
        timeout = str(math.ceil(timeout_s))
        with errors.translated(f'connect to the cluster of {conf}'):
            try:
                handle = rados.Rados(rados_id=user, conffile=conf)
                for option in ('client_mount_timeout', 'rados_mon_op_timeout'):
                    handle.conf_set(option, timeout)
                handle.connect(timeout=math.ceil(timeout_s))
            except rados.ObjectNotFound as exc:
                raise exceptions.ConfigError(
                    f'{conf}: there is no such file, or it names no keyring '
                    f'with a key of client.{user}'
                ) from exc
        self._handle = handle

    @property
    def fsid(self) -> str:
        """See Authority."""
        with errors.translated(f'read the fsid of {self._conf}'):
            return str(self._handle.get_fsid())

    @property
    def monitors(self) -> tuple[str, ...]:
        """See Authority."""
        dump = self._read('mon dump')
        return tuple(_address(mon) for mon in dump['mons'])

    @property
    def key_types(self) -> tuple[cephx.KeyType, ...]:
        """See Authority."""
        dump = self._read('mon dump')
        allowed = _words(dump.get('auth_allowed_ciphers'))
        preferred = _words(dump.get('auth_preferred_cipher'))
        found = [
            key_type
            for key_type in cephx.KeyType
            if key_type.word in allowed or not allowed
        ]
        if not allowed:
            return (cephx.KeyType.AES,)
        return tuple(sorted(found, key=lambda t: t.word not in preferred))

    def find(self, name: str) -> cephx.Entity | None:
        """See Authority."""
        number, answer, text = self._command('auth get', entity=name)
        if number == -errno.ENOENT:
            return None
        self._check(number, text, f'read the key of {name}')
        return _entity(json.loads(answer))

    def list(self) -> Sequence[cephx.Entity]:
        """See Authority."""
        return [_entity(each) for each in self._read('auth ls')['auth_dump']]

    def create(
        self, name: str, caps: cephx.Caps, key_type: cephx.KeyType | None
    ) -> cephx.Entity:
        """See Authority."""
        words: dict[str, object] = {'entity': name, 'caps': _flat(caps)}
        was_there = self.find(name) is not None
        if key_type is not None:
            # Clusters of before 19.2.6 take no notice of it, and make one of
            # the only type that they know.
            words['key_type'] = key_type.word
        number, answer, text = self._command('auth get-or-create', **words)
        if number == -errno.EINVAL:
            raise exceptions.ConfigError(
                f'{self._conf}: {name} cannot be made as it should be: {text}'
            )
        self._check(number, text, f'make {name}')
        entity = _entity(json.loads(answer))
        if key_type is not None and entity.secret.key_type is not key_type:
            if not was_there:
                self.remove(name)
            raise exceptions.ConfigError(
                f'{self._conf}: {name} has a key of type '
                f'{entity.secret.key_type.word}, and {key_type.word} was '
                'asked for: the cluster does not know it, or had the entity '
                'already'
            )
        return entity

    def put(self, entity: cephx.Entity) -> None:
        """See Authority."""
        keyring = cephx.keyring([entity], with_caps=True).encode()
        number, _, text = self._command('auth import', keyring)
        self._check(number, text, f'import the key of {entity.name}')

    def set_caps(self, name: str, caps: cephx.Caps) -> None:
        """See Authority."""
        number, _, text = self._command(
            'auth caps', entity=name, caps=_flat(caps)
        )
        self._check(number, text, f'set the caps of {name}')

    def remove(self, name: str) -> None:
        """See Authority."""
        number, _, text = self._command('auth rm', entity=name)
        if number != -errno.ENOENT:
            self._check(number, text, f'revoke {name}')

    def close(self) -> None:
        """See Authority."""
        self._handle.shutdown()

    def _read(self, prefix: str) -> Mapping[str, Any]:
        number, answer, text = self._command(prefix)
        self._check(number, text, prefix)
        found: Mapping[str, Any] = json.loads(answer)
        return found

    def _command(
        self, prefix: str, given: bytes = b'', /, **words: object
    ) -> tuple[int, bytes, str]:
        command = json.dumps({'prefix': prefix, 'format': 'json', **words})
        with errors.translated(f'{prefix} ({self._conf})'):
            number, answer, text = self._handle.mon_command(command, given)
        return int(number), bytes(answer), str(text)

    def _check(self, number: int, text: str, what: str) -> None:
        if number < 0:
            said = f' ({text})' if text else ''
            raise errors.from_number(number, f'{self._conf}: {what}{said}')


def _flat(caps: cephx.Caps) -> 'list[str]':
    return [word for pair in sorted(caps.items()) for word in pair]


def _entity(answer: object) -> cephx.Entity:
    """Read what `auth get` prints: a list of one, in all releases so far."""
    found: Any = answer[0] if isinstance(answer, list) else answer
    return cephx.Entity(
        found['entity'], cephx.parse_secret(found['key']), found['caps']
    )


def _words(field: object) -> frozenset[str]:
    """Read a list of ciphers, which may be a list or a text."""
    if isinstance(field, str):
        return frozenset(field.replace(',', ' ').split())
    return (
        frozenset(map(str, field))
        if isinstance(field, list)
        else (frozenset())
    )


def _address(mon: Mapping[str, Any]) -> str:
    """Write one monitor's addresses for ``mon host``, without their nonces."""
    vector = mon['public_addrs']['addrvec']
    parts = [f'{each["type"]}:{each["addr"]}' for each in vector]
    return f'[{",".join(parts)}]'
