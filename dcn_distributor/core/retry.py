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
"""How long to wait before the next try."""

import dataclasses
import zlib


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays from `base_s` to `cap_s` seconds, less a jitter.

    `jitter` is the largest part, 0 to 1, by which a delay is shortened, so
    that what failed together does not come back together.
    """

    base_s: float
    cap_s: float
    jitter: float = 0.25


def delay_s(backoff: Backoff, failures: int, key: str) -> float:
    """Seconds to wait after the `failures`-th failure in a row of `key`.

    The jitter is drawn from `key` and `failures`, so the same question has
    the same answer. Never longer than the cap, never 0.
    """
    # 2 ** 63 doublings are past any cap; a larger power would overflow.
    doublings = min(max(failures, 1) - 1, 63)
    full_s = min(backoff.cap_s, backoff.base_s * 2.0**doublings)
    draw = zlib.crc32(f'{key}:{failures}'.encode()) / 0xFFFFFFFF
    return full_s * (1.0 - backoff.jitter * draw)
