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
    id, whenever one of its lanes, or the transfer itself, has ended. It
    registers no location while the image's import lock is held. start() MUST
    NOT wait for any cluster, and raises CopyInProgress while a transfer of
    the image runs, or one that ended was not taken; Cancelled after stop().
    What fails later shows in the lane as its error. How many transfers run
    at once is the caller's to limit.
    """

    def report(self, image_id: images.ImageId) -> transfers.Report | None:
        """Tell how an image's transfer is: running, or ended and not taken.

        A lane in phase DONE has read its location back from Glance.
        """
        ...

    def take(self, image_id: images.ImageId) -> None:
        """Note that an ended transfer's outcome was booked.

        report() has it no more. Does nothing if there is none.
        """
        ...

    def reports(self) -> Sequence[transfers.Report]:
        """Tell of all that run and of the last that ended, taken or not."""
        ...

    def cancel(self, image_id: images.ImageId) -> None:
        """Call an image's transfer off, and return at once.

        Its lanes end within seconds, as CANCELLED, and what they left is
        removed. Does nothing if there is none, or it has ended.
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

    def sweep(self) -> None:
        """Begin to remove what transfers that died left, and return."""
        ...

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit each transfer to this rate, those that run too.

        None takes the limit away. A policy's own limit goes before it.
        """
        ...

    def set_sites(self, all_sites: sites.Sites) -> None:
        """Go by other sites from now on; what runs goes on as it began."""
        ...

    def stop(self, within_s: float) -> None:
        """Break all off, begin no more, and return in time.

        What was copied is left for the next process to go on with.
        """
        ...
