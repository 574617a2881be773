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
"""What the service needs of the outside, as protocols.

Every implementation, the fakes of the tests included, passes the contract
suite in tests/contract.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers


class Images(Protocol):
    """The images of a cloud. Glance is the database: nothing is cached.

    Every method MUST return or raise within a finite time, and MAY be called
    from any thread. All raise GlanceUnavailable when Glance or Keystone do
    not answer, and AccessDenied when they refuse.
    """

    def get(self, image_id: images.ImageId) -> images.Image:
        """Read one image. Raises ImageNotFound."""
        ...

    def list(self) -> Iterator[images.Image]:
        """Read all images, of all projects and visibilities, hidden too.

        MUST hold no more than one page in memory. An image that comes or
        goes while the list is read MAY be missed or seen; no other may be
        missed, but MAY then be seen twice.
        """
        ...

    def import_task(self, image: images.Image) -> images.ImportTask | None:
        """Read the task that holds the image's import lock.

        None if the image has no lock, or Glance no longer has its task.
        """
        ...

    def last_import_task(
        self, image_id: images.ImageId
    ) -> images.ImportTask | None:
        """Read the newest import task of the image, ended or not."""
        ...

    def copy_to_stores(
        self, image_id: images.ImageId, stores: Iterable[images.StoreId]
    ) -> None:
        """Ask for an import of the image into `stores`, by copy-image.

        The stores, of which there MUST be one, are written in their order.
        One store's failure MUST NOT undo another's copy. Returns once Glance
        has accepted the request; the import goes on by itself. A stale lock
        is broken on the way. Raises ImportInProgress, AlreadyPresent,
        ImageNotFound, StoreUnknown, NotCopyable and ImportDisabled, and
        nothing has been begun then; TemporaryError if a quota is used up.
        After GlanceUnavailable the import may or may not have begun.
        """
        ...

    def stores(self) -> frozenset[images.StoreId]:
        """Read which stores Glance has, without its internal ones.

        Raises StoreUnknown if it is not set up for several.
        """
        ...

    def store_details(self) -> Mapping[images.StoreId, images.StoreDetails]:
        """Read what Glance tells of its RBD stores.

        Stores of other kinds are left out; empty if Glance is too old, does
        not let us, or is not set up for several stores.
        """
        ...

    def add_location(
        self, image_id: images.ImageId, location: images.Location
    ) -> None:
        """Register a copy that lies in a store already.

        The image MUST have been seen active: one that has no data yet Glance
        would make active by its first location, whatever it leads to. Glance
        opens the copy before it believes it, and looks at nothing but that
        it is not empty. Raises AlreadyPresent if it is registered,
        ImageNotFound, LocationQuotaExceeded, StoreFull for a quota of bytes,
        AccessDenied (show_multiple_locations is off, or a policy),
        NotCopyable if the image is deactivated, StoreUnknown if the API host
        does not know the store or finds no copy there. After
        GlanceUnavailable it may or may not have been registered. Another
        change of the image at the same moment can undo it, or be undone by
        it: Glance saves images as a whole. So read the image again.
        """
        ...


class Engine(Protocol):
    """A way to copy an image to stores."""

    @property
    def name(self) -> str:
        """What logs and configuration call it."""
        ...

    def start(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        wishes: transfers.Wishes,
    ) -> None:
        """Start a copy to `stores` and return without waiting for its end.

        MUST be safe to call again for a copy already made or under way.
        `wishes` an engine has no use for are passed over; wishes.engine is
        None. Raises ImportInProgress, CopyInProgress, AlreadyPresent,
        ImageNotFound, StoreUnknown, NotCopyable, ImportDisabled, and what
        Images raises; and nothing has been begun then.
        """
        ...


class StreamEngine(Engine, Protocol):
    """An engine that copies in this process, and reports on it.

    Any thread may call it. It is told by its maker whom to wake: an image's
    id, whenever one of its lanes, or a transfer itself, has ended. It
    registers no location while the image's import lock is held. Several
    transfers of an image may run at once, to different stores: start() raises
    CopyInProgress if one of them is at work for one of `stores`, or was and
    has ended and was not taken. It MUST NOT wait for any cluster, and raises
    Cancelled after stop(). What fails later shows in the lane as its error.
    How many transfers run at once is the caller's to limit.

    No report tells of a lane whose store another transfer goes to since.
    """

    def reports_of(
        self, image_id: images.ImageId
    ) -> Sequence[transfers.Report]:
        """Tell of an image's transfers: running, or ended and not taken.

        A lane in phase DONE has read its location back from Glance. A store
        is in one report only.
        """
        ...

    def take(
        self, image_id: images.ImageId, stores: Collection[images.StoreId]
    ) -> None:
        """Note that the outcome of these stores was booked.

        reports_of() has those transfers no more that ended, and have no other
        store. Those that run are left alone. So whoever names the stores of
        the reports that it saw ended loses nothing of what ended since.
        """
        ...

    def reports(self) -> Sequence[transfers.Report]:
        """Tell of all that run and of the last that ended, taken or not."""
        ...

    def cancel(self, image_id: images.ImageId) -> None:
        """Call all of an image's transfers off, and return at once.

        Their lanes end within seconds, as CANCELLED, and what they left is
        removed. Does nothing if there are none, or they have ended.
        """
        ...

    def break_off(
        self,
        image_id: images.ImageId,
        stores: Collection[images.StoreId],
        reason: str,
    ) -> None:
        """Stop copying an image to some stores, and return at once.

        Their lanes end within seconds, as CANCELLED by a Stopped that tells
        the reason; those to other stores go on. What is being published MAY
        still be finished. What was copied is left without a claim, for
        whoever goes on with it. Does nothing for a store that no lane is at
        work for.
        """
        ...

    def obstacles(self, store: images.StoreId) -> tuple[str, ...]:
        """Tell which preconditions for a store are unmet, as last checked.

        Each is a clause in words for an operator. MUST NOT wait for
        anything; a store that was not checked yet has an obstacle that says
        so, and so has one whose site has no cluster settings. What passes by
        itself is a core.choosing.Passing.
        """
        ...

    def wait_for_checks(self, within_s: float) -> None:
        """Wait until all sites were checked once, but no longer than that."""
        ...

    def sweep(self, stores: Collection[images.StoreId]) -> None:
        """Begin to remove what transfers that died left, and return.

        Only in these stores: others are another agent's to look after.
        """
        ...

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit each transfer to this rate, those that run too.

        None takes the limit away. A policy's own limit goes before it.
        """
        ...

    def set_sites(self, all_sites: sites.Sites) -> None:
        """Go by other sites from now on; what runs goes on as it began.

        But for the rates of links, which count at once for what runs, too: a
        rate that is raised, lowered, set or taken away, and a site that moved
        to another link. All transfers share a link's rate: what they write to
        its sites, and what they read there.
        """
        ...

    def stop(self, within_s: float) -> None:
        """Break all off, begin no more, and return in time.

        What was copied is left for the next process to go on with.
        """
        ...


class Group(Protocol):
    """The agents of a deployment, which share its links out among them.

    Any thread may ask, and no question waits for anything. An agent acts
    only for links that are its own at that moment. It is told by its maker
    whom to call whenever an answer has changed, from a thread of the group.
    No two members of one group say at one moment that a link is theirs, as
    long as their clocks run alike; a machine that was paused as a whole may
    not know how long. So correctness MUST NOT rest on it.
    """

    def members(self) -> tuple[str, ...]:
        """Tell the names of all that are in, sorted.

        Just our own without a coordinator; empty while we are cut off.
        """
        ...

    def owner(self, link: str) -> str | None:
        """Tell who has a link.

        None if nobody that is known: we are cut off, or it falls to us and
        the others may not know yet. Members that have read the same members
        agree on it.
        """
        ...

    def is_ours(self, link: str) -> bool:
        """Tell whether we may act for a link now.

        MUST be false from before the moment on when others may take it over,
        though the coordinator hangs or this process was stopped: the first
        answer after that is false already.
        """
        ...

    def problem(self) -> str | None:
        """Tell what keeps us from links that are ours, for an operator.

        None if nothing does.
        """
        ...

    def start(self) -> None:
        """Begin to join, and return. MUST be called after the fork."""
        ...

    def stop(self) -> None:
        """Leave, so that the others take over without waiting.

        Nothing is ours from the begin of the call on, so what runs for our
        links MUST have ended. Returns within seconds, though the coordinator
        may not answer; then the others wait for the lease to lapse.
        """
        ...
