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
"""What goes wrong at a fake cluster, and how slow it is."""

from collections import Counter
from collections.abc import Callable
import dataclasses

from dcn_distributor import exceptions

# Stands for calls of every kind.
ANY = '*'


@dataclasses.dataclass(slots=True)
class _Rule:
    """What befalls some calls of a kind: after `skip`, `left` times."""

    kind: str
    skip: int
    left: int | None
    error: exceptions.DistributorError | None = None
    has_effect: bool = False
    is_corrupting: bool = False
    action: Callable[[], None] | None = None

    def strikes(self, kind: str) -> bool:
        """Count a call; tell whether it is one of those."""
        if self.kind not in (kind, ANY) or self.left == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


@dataclasses.dataclass(slots=True)
class Fate:
    """What one call is to meet."""

    error: exceptions.DistributorError | None = None
    has_effect: bool = False
    is_corrupt: bool = False


class Faults:
    """The faults of one cluster, for all who use it.

    The kinds of calls are `read`, `write` and `checksum`, and the steps that
    the other methods are made of: `connect`, `look`, `open`, `claim`,
    `unclaim`, `create_image`, `write_map`, `create_snapshot`,
    `protect_snapshot`, `unprotect_snapshot`, `remove_snapshot`,
    `rename_image`, `remove_image`. `calls` counts them.

    :ivar timeout_s: after which a call without an answer fails
    :ivar read_bytes_s: what the link brings in each second; None: any amount
    :ivar write_bytes_s: what it takes
    :ivar is_full: whatever needs space raises StoreFull
    """

    def __init__(self) -> None:
        self.timeout_s = 30.0
        self.read_bytes_s: float | None = None
        self.write_bytes_s: float | None = None
        self.is_full = False
        self.calls: Counter[str] = Counter()
        self._latency_s: dict[str, float] = {}
        self._rules: list[_Rule] = []
        self._busy_until: dict[str, float] = {}

    def delay(self, seconds: float, kind: str = ANY) -> None:
        """Have calls of a kind take so long from now on."""
        self._latency_s[kind] = seconds

    def fail(
        self,
        kind: str,
        error: exceptions.DistributorError | None = None,
        *,
        nth: int = 1,
        times: int | None = 1,
        has_effect: bool = False,
    ) -> None:
        """Let the n-th call from now fail, and the following; None: for good.

        With `has_effect` it is only the answer that is lost. Without an
        `error`, it is ClusterUnavailable.
        """
        lost = exceptions.ClusterUnavailable(f'{kind}: connection lost')
        self._rules.append(
            _Rule(kind, nth - 1, times, error or lost, has_effect)
        )

    def fall_short(self, *, nth: int = 1, times: int | None = 1) -> None:
        """Let a read give less than was asked for, which is an error."""
        self.fail(
            'read',
            exceptions.ClusterUnavailable('read: fewer bytes than asked for'),
            nth=nth,
            times=times,
        )

    def corrupt(
        self, kind: str, *, nth: int = 1, times: int | None = 1
    ) -> None:
        """Flip a bit of what the n-th read or write brings, on its way."""
        self._rules.append(_Rule(kind, nth - 1, times, is_corrupting=True))

    def call(
        self, kind: str, action: Callable[[], None], *, nth: int = 1
    ) -> None:
        """Have `action` run when the n-th call comes, before it has effect.

        That of a `handle.die` kills the process that calls.
        """
        self._rules.append(_Rule(kind, nth - 1, 1, action=action))

    def forget(self) -> None:
        """Drop every fault that is still to come."""
        self._rules.clear()

    def meet(self, kind: str) -> Fate:
        """Count a call, and say what it is to meet."""
        self.calls[kind] += 1
        fate = Fate()
        if not self._rules:
            return fate
        struck = [rule for rule in self._rules if rule.strikes(kind)]
        for rule in struck:
            if rule.action is not None:
                rule.action()
            if rule.error is not None:
                fate.error, fate.has_effect = rule.error, rule.has_effect
            fate.is_corrupt |= rule.is_corrupting
        return fate

    def latency_s(self, kind: str) -> float:
        """Return how long a call of the kind takes, data aside."""
        return self._latency_s.get(kind, self._latency_s.get(ANY, 0.0))

    def transfer_s(self, kind: str, size_bytes: int, now: float) -> float:
        """Return how long a call takes, behind those before it on the link."""
        rate = {'read': self.read_bytes_s, 'write': self.write_bytes_s}.get(
            kind
        )
        latency_s = self.latency_s(kind)
        if rate is None:
            return latency_s
        begin = max(now, self._busy_until.get(kind, 0.0))
        self._busy_until[kind] = begin + size_bytes / rate
        return self._busy_until[kind] - now + latency_s
