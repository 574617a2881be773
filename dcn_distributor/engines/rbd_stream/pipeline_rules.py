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
"""What a pipeline keeps to."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """How a pipeline works.

    :ivar window_bytes: how much may be under way to each lane, and be held
        for the hash
    :ivar patience_s: how long the others wait for a slow lane
    :ivar timeout_s: how long a read or write may take before it is lost
    :ivar expected_hash: the hash to prove, hexadecimal, or None
    :ivar proves: whether written chunks are computed over at rest
    :ivar source_sums: whether the source's OSDs compute, which spares
        reading what a target has already (unless a hash is to be proven)
    :ivar reads_narrow: whether one chunk at a time is read at first
    """

    window_bytes: int
    patience_s: float
    timeout_s: float
    expected_hash: str | None = None
    proves: bool = True
    source_sums: bool = False
    reads_narrow: bool = False
