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
"""How long lanes that could go on wait for one that is slow."""

from collections.abc import Iterable
from collections.abc import Sequence

from dcn_distributor.engines.rbd_stream import lane as lanes

# As part of the time so far, beside the seconds that are given.
_SHARE = 0.1

# The shortest pause between two looks.
_LOOK_S = 0.05


class Patience:
    """See the module. Times are in seconds of any steady clock."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._began_s: float | None = None
        self._looked_s = 0.0

    @property
    def look_again_s(self) -> float:
        """How soon to look again while a lane is waited for."""
        return max(self._patience_s / 4, _LOOK_S)

    def exhausted_by(
        self,
        all_lanes: Iterable[lanes.Lane],
        blockers: Iterable[lanes.Lane],
        now: float,
    ) -> Sequence[lanes.Lane]:
        """Tell which of those that others wait for have had their time.

        Time counts while at least one other could take much more.
        """
        live = [lane for lane in all_lanes if not lane.is_over]
        if self._began_s is None:
            if not any(lane.is_ready for lane in live):
                return ()
            self._began_s = self._looked_s = now
        passed_s, self._looked_s = now - self._looked_s, now
        slow = [lane for lane in blockers if not lane.is_over]
        if not any(
            lane.is_attached and lane.is_hungry and lane not in slow
            for lane in live
        ):
            return ()
        allowed_s = self._patience_s + _SHARE * (now - self._began_s)
        for lane in slow:
            lane.starved_others_s += passed_s
        return [lane for lane in slow if lane.starved_others_s > allowed_s]
