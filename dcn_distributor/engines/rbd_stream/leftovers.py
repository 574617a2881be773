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
"""What lies under an image's names at a site, and its removal by command.

Of what was found, only this is removed: a draft and a claim of ours that
nobody holds, with the copy that such a claim stands for if no location leads
to it; and an orphan, by the criteria of orphans and of the cluster.
"""

from collections.abc import Callable
import dataclasses
import enum

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import orphans
from dcn_distributor.engines.rbd_stream import registration


class What(enum.Enum):
    """DRAFT and CLAIM are ours, COPY is registered, ORPHAN is not."""

    DRAFT = 'draft'
    CLAIM = 'claim'
    ORPHAN = 'orphan'
    COPY = 'copy'


class Fate(enum.Enum):
    """What became, or would become, of it."""

    REMOVABLE = 'removable'
    REMOVED = 'removed'
    KEPT = 'kept'
    FAILED = 'failed'


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that lies under an image's names.

    :ivar name: of the RBD image, with its pool; of a claim that of the copy
    :ivar size_bytes: None where nobody looked
    :ivar reason: why it has this fate
    """

    what: What
    name: str
    size_bytes: int | None
    fate: Fate
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A site's store, and the cluster behind it."""

    store: images.StoreId
    cluster: storage.Cluster

    def location(self, image_id: images.ImageId) -> images.Location:
        """Where Glance has the image here, if it has."""
        url = registration.location_url(
            self.cluster.fsid, self.cluster.pool, image_id
        )
        return images.Location(url, self.store)


# Errors that say what it is, rather than that something went wrong.
_KEPT = (
    exceptions.NotAnOrphan,
    exceptions.OrphanInTheWay,
    exceptions.ImportInProgress,
    exceptions.CopyInProgress,
)


def look(
    image: images.Image | None, image_id: images.ImageId, place: Place
) -> list[Leftover]:
    """Look, and change nothing. `image` is None if Glance has none.

    Raises what the cluster raises.
    """
    remains = place.cluster.remains(image_id)
    name = f'{place.cluster.pool}/{image_id}'
    found = []
    if remains.has_draft:
        found.append(
            Leftover(
                What.DRAFT,
                f'{name}{storage.DRAFT_SUFFIX}',
                None,
                Fate.REMOVABLE,
                'of a copy that did not end, or is under way',
            )
        )
    if remains.is_claimed:
        found.append(
            Leftover(
                What.CLAIM,
                name,
                None,
                Fate.REMOVABLE,
                'unless a running agent holds it',
            )
        )
    if remains.published is not None:
        size_bytes = remains.published.size_bytes
        judged = _judge(image, image_id, place, remains)
        what, fate, reason = judged
        found.append(Leftover(what, name, size_bytes, fate, reason))
    return found


def remove(
    glance: ports.Images, image_id: images.ImageId, place: Place
) -> list[Leftover]:
    """Remove what may be; return it all, each with its fate.

    Raises what Glance raises but ImageNotFound, and what the cluster raises
    when it is looked at; what it raises later is the reason of a fate.
    """
    found = look(find(glance, image_id), image_id, place)
    if any(one.what in (What.DRAFT, What.CLAIM) for one in found):
        fate, reason = _outcome(lambda: _clear(glance, image_id, place))
        found = [
            dataclasses.replace(one, fate=fate, reason=reason or one.reason)
            if one.what in (What.DRAFT, What.CLAIM)
            else one
            for one in found
        ]
    if found and found[-1].what is What.ORPHAN:
        orphan = found.pop()
        if orphan.fate is Fate.REMOVABLE:
            fate, reason = _outcome(
                lambda: _remove_orphan(glance, image_id, place)
            )
            orphan = dataclasses.replace(
                orphan, fate=fate, reason=reason or orphan.reason
            )
        found.append(orphan)
    return found


def find(
    glance: ports.Images, image_id: images.ImageId
) -> images.Image | None:
    """Read an image that may be gone."""
    try:
        return glance.get(image_id)
    except exceptions.ImageNotFound:
        return None


def _judge(
    image: images.Image | None,
    image_id: images.ImageId,
    place: Place,
    remains: storage.Remains,
) -> tuple[What, Fate, str]:
    """Tell what has the image's id for its name."""
    published = remains.published
    assert published is not None
    location = place.location(image_id)
    if image is not None and orphans.is_registered(image, location):
        return What.COPY, Fate.KEPT, 'a location in Glance leads to it'
    try:
        if image is not None:
            orphans.check(image, location)
    except exceptions.DistributorError as exc:
        return What.ORPHAN, Fate.KEPT, str(exc)
    if published.has_watchers:
        reason = (
            'it is open somewhere; a client that died counts for half a minute'
        )
        return What.ORPHAN, Fate.KEPT, reason
    if remains.is_claimed:
        reason = 'no location leads to it; kept if whole and not ours'
        return What.ORPHAN, Fate.REMOVABLE, reason
    if published.is_protected:
        reason = (
            'it is whole, of unknown origin; if nobody needs it, unprotect '
            f'its snapshot {storage.SNAPSHOT} first, and clean again'
        )
        return What.ORPHAN, Fate.KEPT, reason
    return What.ORPHAN, Fate.REMOVABLE, 'no location in Glance leads to it'


def _outcome(act: Callable[[], None]) -> tuple[Fate, str]:
    """Do it; tell the fate, and the reason if there is one."""
    try:
        act()
    except exceptions.CopyNotFound:
        return Fate.REMOVED, 'it went as we looked'
    except _KEPT as exc:
        return Fate.KEPT, str(exc)
    except exceptions.DistributorError as exc:
        return Fate.FAILED, str(exc)
    return Fate.REMOVED, ''


def _clear(
    glance: ports.Images, image_id: images.ImageId, place: Place
) -> None:
    def is_registered() -> bool:
        image = find(glance, image_id)
        location = place.location(image_id)
        return image is not None and orphans.is_registered(image, location)

    place.cluster.clear(image_id, is_registered=is_registered)


def _remove_orphan(
    glance: ports.Images, image_id: images.ImageId, place: Place
) -> None:
    """Ask Glance once more, then remove it."""
    if place.cluster.remains(image_id).published is None:
        # It was ours, and went with its claim.
        return
    image = find(glance, image_id)
    if image is not None:
        orphans.check(image, place.location(image_id))
    place.cluster.remove_orphan(image_id)
