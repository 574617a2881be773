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
"""Which event an image is looked at for, by an id that leads through the log.

The work queue keeps nothing but image ids, so this stands beside it: the
last event of an image, until newer images need the room. The id goes through
everything that the event leads to, the copy that is registered an hour later
included.
"""

import collections
from collections.abc import Callable
import dataclasses
import threading

from dcn_distributor.core import images

# About 4 MiB.
_KEPT = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One event: its id, and when it happened, None if that is not told."""

    trace: str
    happened_s: float | None


@dataclasses.dataclass(slots=True)
class _Place:
    """An image's: the id it is looked at for, and the event that waits."""

    trace: str | None = None
    waiting: Event | None = None


class Traces:
    """See the module. Every method may be called from any thread.

    :param make: makes an id for what no event led to
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._places: collections.OrderedDict[images.ImageId, _Place] = (
            collections.OrderedDict()
        )

    def note(
        self, image_id: images.ImageId, trace: str, happened_s: float | None
    ) -> None:
        """Note an event; the next look is for it."""
        with self._lock:
            self._place(image_id).waiting = Event(trace, happened_s)

    def take(self, image_id: images.ImageId) -> Event | None:
        """Begin a look: give the event that waits for it, if one does.

        What comes during the look did not lead to it.
        """
        with self._lock:
            place = self._place(image_id)
            event, place.waiting = place.waiting, None
            if event is not None:
                place.trace = event.trace
            return event

    def of(self, image_id: images.ImageId) -> str:
        """Give the id of what an image is looked at for."""
        with self._lock:
            place = self._place(image_id)
            if place.trace is None:
                place.trace = self._make()
            return place.trace

    def _place(self, image_id: images.ImageId) -> _Place:
        place = self._places.setdefault(image_id, _Place())
        self._places.move_to_end(image_id)
        while len(self._places) > _KEPT:
            self._places.popitem(last=False)
        return place
