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
"""Whether the agent works, and whether it can do all of its work.

Healthy is what the watchdog goes by: no work has stood still for too long. A
process that is not healthy should be started anew. Ready is more: all images
were looked at once, the bus is listened to, and Glance answered the last
time. A new process would not help there; whoever looks at it would.
"""

from collections.abc import Callable

from dcn_distributor.core import observing
from dcn_distributor.service import progress as progresses

# Half of WatchdogSec in etc/systemd, for whoever has no watchdog.
_LIMIT_S = 450.0


class Health:
    """See the module. Any thread may ask, and nothing is waited for.

    :param patience_s: how long the supervisor waits, None if nobody does
    :param has_looked: whether all images were looked at once
    :param deafness: tells why the bus is not listened to, None if it is
    :param silence: tells why Glance does not answer, None if it does
    """

    def __init__(
        self,
        progress: progresses.Progress,
        patience_s: float | None,
        has_looked: Callable[[], bool],
        deafness: Callable[[], str | None],
        silence: Callable[[], str | None],
    ) -> None:
        self._progress = progress
        self._limit_s = _LIMIT_S if patience_s is None else patience_s / 2
        self._has_looked = has_looked
        self._deafness = deafness
        self._silence = silence

    def healthy(self) -> tuple[observing.Check, ...]:
        """Check whether work goes on."""
        stuck = self._progress.stuck(self._limit_s)
        told = f'no work stands still for more than {self._limit_s:.0f} s'
        if stuck:
            named = ', '.join(stuck)
            told = f'no progress for {self._limit_s:.0f} s: {named}'
        return (observing.Check('work', not stuck, told),)

    def ready(self) -> tuple[observing.Check, ...]:
        """Check whether all that the agent needs is there, too."""
        has_looked = self._has_looked()
        looked = 'all images were looked at'
        return (
            *self.healthy(),
            observing.Check(
                'resync',
                has_looked,
                looked if has_looked else f'not yet: {looked}',
            ),
            _check('bus', self._deafness(), 'notifications are listened to'),
            _check('glance', self._silence(), 'it answered the last time'),
        )


def _check(name: str, obstacle: str | None, good: str) -> observing.Check:
    return observing.Check(name, obstacle is None, obstacle or good)
