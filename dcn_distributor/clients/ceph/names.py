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
"""The names of an image in a pool, and what they lead to."""

import dataclasses

from dcn_distributor.clients.ceph import claims
from dcn_distributor.clients.ceph import connections as ceph_connections
from dcn_distributor.clients.ceph import headers
from dcn_distributor.clients.ceph import renaming
from dcn_distributor.clients.ceph import tasks
from dcn_distributor.core import images
from dcn_distributor.core import storage


def draft(image_id: images.ImageId) -> str:
    """Give the name of an image's draft."""
    return image_id + storage.DRAFT_SUFFIX


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """To which internal ids the names of an image lead; None to none.

    `ours` is the id that the claim tells to be our own.
    """

    published: str | None
    draft: str | None
    ours: str | None

    @property
    def is_ours(self) -> bool:
        """Whether we have renamed what has the image's name."""
        return bool(self.published) and self.published == self.ours

    @property
    def is_half_renamed(self) -> bool:
        """Whether a pass before this one died while renaming it.

        It has both names then: what is removed by the one goes under the
        other, too.
        """
        return bool(self.published) and self.published == self.draft

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing of ours."""
        return self.draft is None and self.ours is None


def finish_rename(
    connection: ceph_connections.Connection,
    image_id: images.ImageId,
    found: Found,
) -> None:
    """Finish a renaming that was cut off; librbd goes by all its parts."""
    assert found.published is not None
    with connection.translated(f'rename the copy of {image_id}'):
        renaming.rename(
            connection.pool(), found.published, draft(image_id), image_id
        )


def look(
    connection: ceph_connections.Connection, claim: claims.Claim
) -> Found:
    """Look at all names; one round trip."""
    image_id = claim.image_id
    with connection.translated(f'look for image {image_id}'):
        pool = connection.pool()
        return Found(
            *tasks.together(
                lambda: headers.read_id(pool, image_id),
                lambda: headers.read_id(pool, draft(image_id)),
                claim.rbd_id,
            )
        )
