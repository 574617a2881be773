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
"""What an agent knows of its group, and keeps of it.

A single agent is alone. Others have a coordinator, and are members of its
group as core.membership says. How the coordinator is talked to is none of
this module's business: that is what clients.coordination is for.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import logging
import threading
import time
from typing import Protocol

from oslo_log import log

from dcn_distributor.core import membership
from dcn_distributor.core import retry

LOG = log.getLogger(__name__)

_LEAVE_S = 3.0

_Seen = tuple[membership.Standing, tuple[str, ...]]


class Presence(Protocol):
    """One stay in the group. Used by one thread.

    Every method may raise what it likes, and SHOULD do so within seconds.
    """

    def join(self) -> None:
        """Connect and join."""
        ...

    def beat(self, clock: Callable[[], float]) -> membership.Reading:
        """Renew the entry, then read who is in."""
        ...

    def leave(self) -> None:
        """Leave and disconnect."""
        ...


class Ring(Protocol):
    """Spreads links over members."""

    def owner(self, link: str) -> str | None:
        """Tell which member has a link; None without members."""
        ...


class Coordinator(Protocol):
    """What keeps the group."""

    def presence(self, stay: membership.Stay) -> Presence:
        """Make a stay that has not begun."""
        ...

    def ring(self, members: Iterable[str]) -> Ring:
        """Spread links over members; the same for all who ask."""
        ...


class Alone:
    """A single agent, which has all links."""

    def __init__(self, name: str) -> None:
        self._name = name

    def members(self) -> tuple[str, ...]:
        """See Group."""
        return (self._name,)

    def owner(self, link: str) -> str | None:
        """See Group."""
        return self._name

    def is_ours(self, link: str) -> bool:
        """See Group."""
        return True

    def problem(self) -> str | None:
        """See Group."""
        return None

    def start(self) -> None:
        """See Group."""

    def stop(self) -> None:
        """See Group."""


class Coordinated:
    """A member of the group of a coordinator.

    Two threads: one talks to the coordinator and may hang in that; the other
    only waits for answers to change, be it by time alone, and says so.

    :param stay: the name, and what tells this process from others
    :param hears: tells whether the bus is heard
    :param clock: seconds of a clock that goes on while the process is
        stopped, as CLOCK_MONOTONIC does under SIGSTOP
    """

    def __init__(
        self,
        coordinator: Coordinator,
        stay: membership.Stay,
        lease: membership.Lease,
        on_change: Callable[[], None],
        hears: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._hears = hears
        self._coordinator = coordinator
        self._stay = stay
        self._lease = lease
        self._on_change = on_change
        self._clock = clock
        self._presence: Presence | None = None
        self._stopping = threading.Event()
        # Guards what follows, which any thread may ask for.
        self._changed = threading.Condition()
        self._view: membership.View | None = None
        self._ring = coordinator.ring(())
        self._failure = 'no answer yet'
        self._threads: tuple[threading.Thread, ...] = ()

    def members(self) -> tuple[str, ...]:
        """See Group."""
        return self._seen()[1]

    def owner(self, link: str) -> str | None:
        """See Group."""
        with self._changed:
            standing, _ = self._seen()
            if standing is membership.Standing.OUT:
                return None
            owner = self._ring.owner(link)
        is_in = standing is membership.Standing.IN
        return owner if is_in or owner != self._stay.name else None

    def is_ours(self, link: str) -> bool:
        """See Group."""
        return self.owner(link) == self._stay.name

    def problem(self) -> str | None:
        """See Group."""
        with self._changed:
            standing, _ = self._seen()
            view, failure = self._view, self._failure
        if view is None or standing is membership.Standing.OUT:
            return f'cut off from the other agents: {failure}'
        if standing is membership.Standing.IN:
            return None
        if view.has_namesake:
            return (
                f"another agent has the host name '{self._stay.name}', or had "
                f'it and ended without leaving less than '
                f'{self._lease.timeout_s:g} s ago; give each its own host'
            )
        return (
            f'has joined the other agents, and takes its links within '
            f'{self._lease.timeout_s:g} s, when all know of it'
        )

    def start(self) -> None:
        """See Group."""
        self._threads = (
            threading.Thread(
                target=self._talk, name='group-beats', daemon=True
            ),
            threading.Thread(
                target=self._watch, name='group-changes', daemon=True
            ),
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """See Group."""
        self._stopping.set()
        self._publish(None, 'has left')
        end = time.monotonic() + _LEAVE_S
        for thread in self._threads:
            # A callback may be what stops us.
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _seen(self) -> _Seen:
        """Tell the standing and the members, by the clock of this moment."""
        with self._changed:
            view = self._view
        if view is None:
            return membership.Standing.OUT, ()
        standing = view.standing(self._clock())
        is_out = standing is membership.Standing.OUT
        return standing, () if is_out else view.members

    def _talk(self) -> None:
        """Beat until stopped, then leave."""
        backoff = retry.Backoff(self._lease.beat_s / 2, self._lease.beat_s * 4)
        failures, pause_s = 0, 0.0
        while not self._stopping.wait(pause_s):
            try:
                self._beat()
                failures, pause_s = 0, self._lease.beat_s
            # NOTE: drivers let errors of their libraries through, such as
            # Etcd3Exception and KeyError from heartbeat() of etcd3gw.
            except Exception as exc:
                failures += 1
                pause_s = retry.delay_s(backoff, failures, self._stay.id)
                LOG.log(
                    logging.DEBUG if failures > 1 else logging.WARNING,
                    'The coordinator of the agents fails: %s',
                    reason(exc),
                )
                self._publish(self._view, reason(exc))
        if self._presence is not None:
            _leave(self._presence)

    def _beat(self) -> None:
        """Renew the stay, or begin another if it has lapsed."""
        view = self._view
        is_deaf = not self._hears()
        if view is not None and is_deaf != self._stay.is_deaf:
            self._tell_of_hearing(is_deaf)
            # Before the group lists another stay, or none.
            self._publish(None, 'joins the other agents anew')
            view = None
        if self._presence is None or view is None or self._is_out(view):
            presence, view = self._join(is_deaf)
        else:
            presence = self._presence
            view = membership.next_view(
                view, presence.beat(self._clock), self._lease
            )
        self._publish(
            view, 'its lease has lapsed' if view is None else 'no answer'
        )

    def _is_out(self, view: membership.View) -> bool:
        return view.standing(self._clock()) is membership.Standing.OUT

    def _tell_of_hearing(self, is_deaf: bool) -> None:
        if is_deaf:
            LOG.warning(
                'The bus is not heard: links go to agents that hear it, if '
                'there are any'
            )
        else:
            LOG.info('The bus is heard again')

    def _join(self, is_deaf: bool) -> tuple[Presence, membership.View | None]:
        """Begin a new stay, and end the one before it, if it lasts."""
        self._stay = self._stay.next(is_deaf=is_deaf)
        presence = self._coordinator.presence(self._stay)
        asked = self._clock()
        presence.join()
        joined = self._clock()
        former, self._presence = self._presence, presence
        reading = presence.beat(self._clock)
        view = membership.first_view(
            self._stay, asked, joined, reading, self._lease
        )
        if former is not None:
            _leave(former)
        return presence, view

    def _publish(self, view: membership.View | None, failure: str) -> None:
        with self._changed:
            if self._stopping.is_set():
                view, failure = None, 'has left'
            if view is not None and (
                self._view is None or view.takers != self._view.takers
            ):
                self._ring = self._coordinator.ring(view.takers)
            self._view, self._failure = view, failure
            self._changed.notify_all()

    def _watch(self) -> None:
        """Say whenever the answers have changed."""
        for standing, members in self._changes():
            if standing is membership.Standing.OUT:
                LOG.warning('No links are ours: %s', self.problem())
            else:
                LOG.info('Agents: %s (%s)', ', '.join(members), standing.value)
            try:
                self._on_change()
            except Exception:
                LOG.exception('A bug in what the group tells of changes')

    def _changes(self) -> Iterator[_Seen]:
        told: tuple[_Seen, membership.Stay | None]
        told = (membership.Standing.OUT, ()), None
        while not self._stopping.is_set():
            with self._changed:
                # In another stay, the same answers have been others between.
                stay = None if self._view is None else self._view.stay
                now = self._seen(), stay
                if now == told:
                    self._changed.wait(self._until_change_s())
                    continue
            told = now
            yield now[0]

    def _until_change_s(self) -> float | None:
        """Seconds until the standing may change by time alone, if ever."""
        view, now = self._view, self._clock()
        if view is None or view.standing(now) is membership.Standing.OUT:
            return None
        return view.next_change(now) - now


def _leave(presence: Presence) -> None:
    """Leave as far as that can be done; the lease ends what is left."""
    try:
        presence.leave()
    except Exception as exc:
        LOG.debug('Leaving the group: %s', reason(exc))


def reason(exc: BaseException) -> str:
    """Tell what was at the bottom of an error, in its own words.

    NOTE: str() of etcd3gw's errors is empty, and that of requests' a page
    with addresses in memory. None of them tells a password.
    """
    while (cause := exc.__cause__ or exc.__context__) is not None:
        exc = cause
    words = getattr(exc, 'strerror', None) or str(exc)
    return words or str(getattr(exc, 'detail_text', '')) or type(exc).__name__
