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
"""The keys of a cluster in memory: core.authorities.Authority."""

from collections.abc import Sequence

from dcn_distributor import exceptions
from dcn_distributor.core import cephx


class FakeAuthority:
    """Holds to the contract in tests/contract/test_authorities.py.

    :ivar fault: raised by the next change, once it is made, if it is set:
        as when the answer is lost
    """

    def __init__(
        self,
        fsid: str = '11111111-2222-3333-4444-555555555555',
        key_types: tuple[cephx.KeyType, ...] = (cephx.KeyType.AES,),
    ) -> None:
        self.fsid = fsid
        self.monitors: tuple[str, ...] = (
            '[v2:127.0.0.1:3300,v1:127.0.0.1:6789]',
        )
        self.key_types = key_types
        self.entities: dict[str, cephx.Entity] = {}
        self.fault: exceptions.DistributorError | None = None
        self._made = 0

    def find(self, name: str) -> cephx.Entity | None:
        """See Authority."""
        return self.entities.get(name)

    def list(self) -> Sequence[cephx.Entity]:
        """See Authority."""
        return tuple(self.entities.values())

    def create(
        self, name: str, caps: cephx.Caps, key_type: cephx.KeyType | None
    ) -> cephx.Entity:
        """See Authority."""
        found = self.entities.get(name)
        was_there = found is not None
        if found is None:
            self._made += 1
            wanted = key_type or self.key_types[0]
            if wanted not in self.key_types:
                wanted = cephx.KeyType.AES
            key = self._made.to_bytes(wanted.key_bytes, 'little')
            secret = cephx.make_secret(wanted, key, 1_600_000_000)
            found = cephx.Entity(name, secret, dict(caps))
            self.entities[name] = found
        elif not cephx.same_caps(found.caps, caps):
            raise exceptions.ConfigError(f'{name} exists with other caps')
        self._fail()
        if key_type is not None and found.secret.key_type is not key_type:
            if not was_there:
                del self.entities[name]
            raise exceptions.ConfigError(f'{name} has another type of key')
        return found

    def put(self, entity: cephx.Entity) -> None:
        """See Authority."""
        self.entities[entity.name] = entity
        self._fail()

    def set_caps(self, name: str, caps: cephx.Caps) -> None:
        """See Authority."""
        found = self.entities[name]
        self.entities[name] = cephx.Entity(name, found.secret, dict(caps))
        self._fail()

    def remove(self, name: str) -> None:
        """See Authority."""
        self.entities.pop(name, None)
        self._fail()

    def close(self) -> None:
        """See Authority."""

    def _fail(self) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
