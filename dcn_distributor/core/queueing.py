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
"""Who waits for a copy, and whose turn it is.

The order is that of the policies' priority, then of the deadline, then of
size, small images first, then of arrival. By that alone a large image of low
priority might wait for ever while others keep coming, so one turn in
`EVERY` goes to who has waited longest: whoever waits behind n others has
its turn after at most `EVERY` * (n + 1) turns, whatever comes meanwhile.
"""

import dataclasses
import heapq
import itertools
import math

from dcn_distributor.core import images

EVERY = 4


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Rank:
    """What settles the order; the least goes first.

    :ivar urgency: less the priority of the policies
    :ivar due_s: when the copy should be there, in seconds since the epoch;
        infinite if there is no deadline
    :ivar size_bytes: of the image
    """

    urgency: int = 0
    due_s: float = math.inf
    size_bytes: int = 0

    @classmethod
    def of(
        cls,
        priority: int,
        size_bytes: int | None,
        due_s: float | None = None,
    ) -> 'Rank':
        """Make one of what is known."""
        return cls(
            -priority, math.inf if due_s is None else due_s, size_bytes or 0
        )


_Entry = tuple[Rank, int, images.ImageId]


class Line:
    """Images that wait for one thing. Not for several threads.

    One that comes again keeps its place, or moves forward if its rank is
    better by now.
    """

    def __init__(self) -> None:
        self._by_rank: list[_Entry] = []
        self._by_arrival: list[tuple[int, images.ImageId]] = []
        self._members: dict[images.ImageId, tuple[Rank, int]] = {}
        self._arrivals = itertools.count()
        self._turns = 0

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._members

    def add(self, image_id: images.ImageId, rank: Rank) -> None:
        """Have an image wait."""
        known = self._members.get(image_id)
        if known is None:
            arrival = next(self._arrivals)
            heapq.heappush(self._by_arrival, (arrival, image_id))
        elif rank < known[0]:
            arrival = known[1]
        else:
            return
        self._members[image_id] = rank, arrival
        heapq.heappush(self._by_rank, (rank, arrival, image_id))

    def take(self) -> images.ImageId:
        """Take whose turn it is out of the line, which MUST have one."""
        self._turns += 1
        if self._turns % EVERY:
            image_id = self._first_by_rank()
        else:
            image_id = self._first_by_arrival()
        del self._members[image_id]
        return image_id

    def _first_by_rank(self) -> images.ImageId:
        while True:
            rank, arrival, image_id = heapq.heappop(self._by_rank)
            if self._members.get(image_id) == (rank, arrival):
                return image_id

    def _first_by_arrival(self) -> images.ImageId:
        while True:
            arrival, image_id = heapq.heappop(self._by_arrival)
            member = self._members.get(image_id)
            if member is not None and member[1] == arrival:
                return image_id
