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
"""Remembers what last happened to placements, for operators who ask.

That is in memory, and bounded: a cell (one image in one store) keeps its
last entries, and where there are too many of them in all, the images that
nothing happened to for longest are forgotten as a whole. It tells since when
it has seen everything, so that nobody takes a gap for peace.
"""

import collections
from collections.abc import Callable
import threading
from types import MappingProxyType

from dcn_distributor.core import images
from dcn_distributor.core import transitions

# An entry is 600 bytes or so: 30 MiB.
ENTRIES = 50_000
ENTRIES_OF_A_CELL = 20


class _Cell:
    """One image in one store: its last entries, and how many came before."""

    __slots__ = ('entries', 'forgotten')

    def __init__(self) -> None:
        self.entries: list[transitions.Entry] = []
        self.forgotten = 0


_Cells = dict[images.StoreId, _Cell]


class Journal:
    """See the module.

    :param host: the agent's name
    :param clock: seconds since the epoch
    :param most: how many entries are kept of all cells
    """

    def __init__(
        self, host: str, clock: Callable[[], float], most: int = ENTRIES
    ) -> None:
        self._host = host
        self._most = most
        self._lock = threading.Lock()
        self._since_s = clock()
        self._count = 0
        self._cells: collections.OrderedDict[images.ImageId, _Cells] = (
            collections.OrderedDict()
        )

    def note(self, event: transitions.Event) -> None:
        """Note what happened: a transitions.Hearer."""
        entry = transitions.entry(self._host, event)
        with self._lock:
            cells = self._cells.setdefault(event.image.id, {})
            self._cells.move_to_end(event.image.id)
            self._add(cells.setdefault(event.transition.store, _Cell()), entry)
            # What has just happened stays, though it may be all there is.
            while self._count > self._most and len(self._cells) > 1:
                self._forget_oldest()

    def timeline(self, image_id: images.ImageId) -> transitions.Timeline:
        """Tell what happened to an image."""
        with self._lock:
            cells = self._cells.get(image_id, {})
            return transitions.Timeline(
                MappingProxyType(
                    {store: (*cell.entries,) for store, cell in cells.items()}
                ),
                MappingProxyType({self._host: self._since_s}),
                MappingProxyType(
                    {
                        store: cell.forgotten
                        for store, cell in cells.items()
                        if cell.forgotten
                    }
                ),
            )

    def _add(self, cell: _Cell, entry: transitions.Entry) -> None:
        cell.entries.append(entry)
        self._count += 1
        if len(cell.entries) > ENTRIES_OF_A_CELL:
            cell.entries.pop(0)
            cell.forgotten += 1
            self._count -= 1

    def _forget_oldest(self) -> None:
        _, cells = self._cells.popitem(last=False)
        for cell in cells.values():
            self._count -= len(cell.entries)
            self._since_s = max(self._since_s, cell.entries[-1].at_s)
