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
"""cephx: secrets, what they may do, and the files that carry both.

A secret is the base64 of a header and a key (ceph: auth/Crypto.cc,
CryptoKey::encode): the type, when it was made in seconds and nanoseconds, and
the key's length, all little-endian.
"""

import base64
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import enum
import re
import struct

from dcn_distributor.core import ceph_ini
from dcn_distributor.core import text as texts

_HEADER = struct.Struct('<HIIH')
# That of monitors has nothing behind the dot.
_NAME = re.compile(r'[a-z]+\.[^\s\[\]]*')
_CAPS = 'caps '


class KeyType(enum.Enum):
    """Its number in a secret, and how many bytes the key has.

    AES256K is there from Ceph 19.2.6 and 20.2.4 on (CVE-2025-30156).
    """

    AES = (1, 16)
    AES256K = (2, 32)

    @property
    def number(self) -> int:
        """What stands in a secret's header."""
        return self.value[0]

    @property
    def key_bytes(self) -> int:
        """How long the key is."""
        return self.value[1]

    @property
    def word(self) -> str:
        """What Ceph's commands call it."""
        return self.name.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A cephx secret. Neither printed nor logged by accident.

    :ivar text: the base64 that keyrings hold
    """

    text: str = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return '(a secret)'

    @property
    def key_type(self) -> KeyType:
        """Which type it is of. Raises ValueError if it is no secret."""
        return _decode(self.text)


def make_secret(key_type: KeyType, key: bytes, now_s: int) -> Secret:
    """Make a secret of random bytes. Raises ValueError for a wrong length."""
    if len(key) != key_type.key_bytes:
        raise ValueError(
            f'expected {key_type.key_bytes} bytes for {key_type.word}, found '
            f'{len(key)}'
        )
    header = _HEADER.pack(key_type.number, now_s, 0, len(key))
    return Secret(base64.b64encode(header + key).decode())


def parse_secret(text: str) -> Secret:
    """Check a secret. Raises ValueError, which does not tell it."""
    _decode(text)
    return Secret(text)


def _decode(text: str) -> KeyType:
    """Tell the type. No part of a text that may be secret gets out."""
    try:
        raw = base64.b64decode(text, validate=True)
        number, _, _, length = _HEADER.unpack_from(raw)
    except (ValueError, struct.error):
        raise ValueError('not a cephx secret: not base64 of one') from None
    if len(raw) != _HEADER.size + length:
        raise ValueError('not a cephx secret: not as long as it says')
    if base64.b64encode(raw).decode() != text:
        raise ValueError('not a cephx secret: its last letters are wrong')
    for key_type in KeyType:
        if number == key_type.number:
            if length != key_type.key_bytes:
                raise ValueError(
                    f'not a cephx secret: a key of {length} bytes where '
                    f'{key_type.word} has {key_type.key_bytes}'
                )
            return key_type
    raise ValueError(f'not a cephx secret that is known: type {number}')


Caps = Mapping[str, str]
"""What an entity may do: by the kind of daemon (mon, osd, mgr, mds)."""


def same_caps(one: Caps, other: Caps) -> bool:
    """Tell whether two grant the same, however they are spaced."""
    return _normal(one) == _normal(other)


def join_caps(one: Caps, other: Caps) -> Caps:
    """Give caps that grant all that either grants, in a stable order."""
    return {
        daemon: ', '.join(
            dict.fromkeys(
                ' '.join(clause.split())
                for caps in (one, other)
                for clause in _split(caps.get(daemon, ''))
            )
        )
        for daemon in dict.fromkeys((*one, *other))
    }


def show_caps(caps: Caps) -> str:
    """Write caps as people type them."""
    return ' '.join(f"{daemon} '{caps[daemon]}'" for daemon in sorted(caps))


def _normal(caps: Caps) -> dict[str, frozenset[str]]:
    return {
        daemon: frozenset(grants)
        for daemon, text in caps.items()
        if (grants := [' '.join(c.split()) for c in _split(text)])
    }


def _split(caps: str) -> list[str]:
    # Both part grants (ceph: osd/OSDCap.cc, mon/MonCap.cc).
    return [c for c in caps.replace(';', ',').split(',') if c.strip()]


@dataclasses.dataclass(frozen=True, slots=True)
class Entity:
    """Who may do what in one cluster.

    :ivar name: with its type, as ``client.glance``
    """

    name: str
    secret: Secret
    caps: Caps

    @property
    def user(self) -> str:
        """Its name without ``client.``."""
        return self.name.removeprefix('client.')


def check_name(name: str) -> str:
    """Return an entity's name. Raises ValueError if it can be none."""
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ValueError(
            "expected an entity with its type, such as 'client.openstack', "
            f'found {texts.quote(name)}'
        )
    return name


def keyring(entities: Iterable[Entity], *, with_caps: bool = False) -> str:
    """Write a keyring file; with caps it can be imported into a cluster."""
    lines = []
    for entity in entities:
        lines += [f'[{entity.name}]', f'\tkey = {entity.secret.text}']
        if with_caps:
            lines += [
                f'\tcaps {daemon} = {ceph_ini.quote(entity.caps[daemon])}'
                for daemon in sorted(entity.caps)
            ]
    return ''.join(f'{line}\n' for line in lines)


def parse_keyring(content: str) -> tuple[Entity, ...]:
    """Read a keyring file. Raises ValueError, which does not tell secrets."""
    sections = ceph_ini.parse(content, 'keyring')
    return tuple(_entity(name, of) for name, of in sections.items())


def _entity(name: str, options: Mapping[str, str]) -> Entity:
    check_name(name)
    if 'key' not in options:
        raise ValueError(f'[{name}] has no key')
    caps = {
        option.removeprefix(_CAPS): value
        for option, value in options.items()
        if option.startswith(_CAPS)
    }
    try:
        return Entity(name, parse_secret(options['key']), caps)
    except ValueError as exc:
        raise ValueError(f'[{name}]: {exc}') from None
