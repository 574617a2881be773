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
"""Who issues keys to a cluster: its monitors, as a port."""

from collections.abc import Sequence
from typing import Protocol

from dcn_distributor.core import cephx


class Authority(Protocol):
    """The keys of one cluster, as somebody who may issue them.

    All methods raise ClusterUnavailable and AccessDenied.
    """

    @property
    def fsid(self) -> str:
        """The cluster's id, as it says itself."""
        ...

    @property
    def monitors(self) -> tuple[str, ...]:
        """Where its monitors are, each as ``mon host`` of ceph.conf has it."""
        ...

    @property
    def key_types(self) -> tuple[cephx.KeyType, ...]:
        """What types of keys it takes, the preferred one first.

        A cluster that does not say knows AES only: those that know more do
        (ceph: mon dump, from 19.2.6 and 20.2.4 on).
        """
        ...

    def find(self, name: str) -> cephx.Entity | None:
        """Read an entity, as ``client.glance``; None if there is none."""
        ...

    def list(self) -> Sequence[cephx.Entity]:
        """Read all entities, those that run the cluster included."""
        ...

    def create(
        self, name: str, caps: cephx.Caps, key_type: cephx.KeyType | None
    ) -> cephx.Entity:
        """Have the cluster make an entity with a key, or find it.

        Raises ConfigError if there is one with other caps, or if the cluster
        does not take keys of this type.
        """
        ...

    def put(self, entity: cephx.Entity) -> None:
        """Make an entity with this key and these caps, or overwrite it."""
        ...

    def set_caps(self, name: str, caps: cephx.Caps) -> None:
        """Replace all that an entity may do."""
        ...

    def remove(self, name: str) -> None:
        """Revoke it; nothing if there is none.

        Whoever is connected goes on until its ticket ends, an hour at most
        by default (auth_service_ticket_ttl).
        """
        ...

    def close(self) -> None:
        """Disconnect."""
        ...
